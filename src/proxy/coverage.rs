//! How much of the bodies of a route was looked at: the bytes of their texts
//! that rules read, and of those that none did, by why.

use super::inspect::Findings;
use crate::telemetry::{Inspected, Metrics, MetricsError};
use prometheus::IntCounter;

/// The series of one route.
pub(super) struct Coverage([IntCounter; Inspected::ALL.len()]);

impl Coverage {
    /// Of the route with this path.
    pub(super) fn of(path: &str, metrics: &Metrics) -> Result<Self, MetricsError> {
        metrics.coverage(path).map(Self)
    }

    /// A body was looked through.
    pub(super) fn add(&self, findings: &Findings) {
        self.count(Inspected::Scanned, findings.scanned);
        self.count(Inspected::Skipped, findings.skipped);
        self.count(Inspected::Passed, findings.uninspected);
    }

    /// A body of so many bytes was refused, as it could not be looked through.
    pub(super) fn refused(&self, bytes: usize) {
        self.count(Inspected::Refused, bytes);
    }

    fn count(&self, state: Inspected, bytes: usize) {
        if bytes > 0
            && let Some(series) = self.0.get(state as usize)
        {
            series.inc_by(bytes as u64);
        }
    }
}
