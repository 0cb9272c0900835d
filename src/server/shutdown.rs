//! The one switch that ends the process: drain first, end at once after.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A switch shared by all listeners and whoever else must stop with them.
/// It goes one way: running, draining, ended.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<Stages>);

#[derive(Debug, Default)]
struct Stages {
    // Doubles `drain`, whose own state stands behind a lock: connections ask
    // at each of their polls.
    triggered: AtomicBool,
    drain: CancellationToken,
    end: CancellationToken,
}

impl Shutdown {
    /// A switch that nothing but [`Shutdown::trigger`] moves.
    pub fn new() -> Self {
        Self::default()
    }

    /// A switch moved by SIGTERM and SIGINT: the first signal drains, the
    /// second ends at once. Must be called within a tokio runtime; fails where
    /// the handlers cannot be installed.
    pub fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::new();
        let switch = shutdown.clone();
        // Lives as long as the runtime, which drops it: signals can come
        // until the very end, and there is nothing in it to finish.
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            tracing::info!("Draining: a signal was received. A second one ends at once.");
            switch.trigger();
            either(&mut terminate, &mut interrupt).await;
            tracing::warn!("Ending at once: a second signal was received.");
            switch.end();
        });
        Ok(shutdown)
    }

    /// Starts draining. Further calls do nothing.
    pub fn trigger(&self) {
        self.0.triggered.store(true, Ordering::Release);
        self.0.drain.cancel();
    }

    /// Ends what is still draining, without waiting for its grace.
    pub fn end(&self) {
        self.trigger();
        self.0.end.cancel();
    }

    /// Whether draining has begun. Takes no lock.
    pub fn is_triggered(&self) -> bool {
        self.0.triggered.load(Ordering::Acquire)
    }

    /// Waits until draining begins.
    pub async fn triggered(&self) {
        self.0.drain.cancelled().await;
    }

    /// Waits until all must end at once.
    pub async fn ended(&self) {
        self.0.end.cancelled().await;
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_switch_goes_one_way() {
        let shutdown = Shutdown::new();
        let other = shutdown.clone();
        assert!(!other.is_triggered());
        shutdown.trigger();
        other.triggered().await;
        assert!(other.is_triggered());
        assert!(!other.0.end.is_cancelled());
        shutdown.end();
        other.ended().await;
    }

    #[tokio::test]
    async fn ending_also_drains() {
        let shutdown = Shutdown::new();
        shutdown.end();
        shutdown.triggered().await;
        assert!(shutdown.is_triggered());
    }

    #[tokio::test]
    async fn the_first_signal_drains_and_the_second_ends() {
        let shutdown = Shutdown::on_signals().unwrap();
        signal_self("-TERM");
        shutdown.triggered().await;
        assert!(!shutdown.0.end.is_cancelled());
        signal_self("-INT");
        shutdown.ended().await;
    }

    fn signal_self(name: &str) {
        let id = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
    }
}
