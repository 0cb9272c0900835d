//! Watching Privet: the log, the metrics, and what a panic leaves behind.
//!
//! Nothing here ever holds what a request or a reply said: log fields are ids,
//! counts and names of the configuration, and so are the labels of metrics.

mod log;
mod metrics;
mod panics;

pub use log::{LogAlreadySet, LogFormat, init};
pub use metrics::{
    Direction, EntityCounters, Held, Metrics, MetricsError, Outcome, RouteMetrics, RuleMetrics, Stage, VaultOperation,
};
pub use panics::catch_panics;
