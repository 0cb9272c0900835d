//! Watching Privet: the log, the metrics, and what a panic leaves behind.
//!
//! Nothing here ever holds what a request or a reply said: log fields are ids,
//! counts and names of the configuration, and so are the labels of metrics.

mod labels;
mod log;
mod metrics;
mod panics;

pub use labels::{Direction, Inspected, Login, Outcome, Stage, VaultOperation};
pub use log::{LogAlreadySet, LogFormat, init};
pub use metrics::{EntityCounters, Held, Metrics, MetricsError, RouteMetrics, RuleMetrics};
pub use panics::catch_panics;
