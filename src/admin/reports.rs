//! What the reports of the company say, from the running configuration and
//! from the access log.

mod breach;
mod records;
mod transcripts;

pub use breach::{Breach, BreachError, breach};
pub use records::{data_map, dpia, ropa};
pub use transcripts::transcripts;

use crate::config::{Config, Keep, Route, Upstream};

/// The upstream of a route.
fn upstream_of<'c>(config: &'c Config, route: &Route) -> Option<&'c Upstream> {
    config.upstream(route.upstream.as_deref())
}

/// In words of the law.
fn kept_for(keep: Keep) -> String {
    match keep {
        Keep::Seconds(seconds) if seconds % 86_400 == 0 => format!("{} days", seconds / 86_400),
        Keep::Seconds(seconds) => format!("{seconds} seconds"),
        Keep::Months(months) => format!("{months} months"),
        Keep::UntilErased => "until erased".to_owned(),
    }
}
