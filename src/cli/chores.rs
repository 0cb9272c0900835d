//! What a gateway does beside its traffic: it forgets what has been kept long
//! enough, and makes backups.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::audit::Audit;
use crate::clock::Time;
use crate::config::{AuditConfig, Config};
use crate::telemetry::Metrics;
use crate::transcripts::Transcripts;
use crate::vault::{Backups, ClockCheck, Made, Policy, Reading, Rotation, Vault, VaultError};

/// The first sweep comes no later than this after the start.
const FIRST: Duration = Duration::from_mins(1);

/// So many requests in flight are a load, under which a sweep waits.
const LOAD: i64 = 32;

/// The pause after each step of a sweep, and the longest that it waits for the
/// load to go: retention goes on under a load that never ends.
const BREATH: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The chores of a gateway. They end with this.
pub(super) struct Chores(Vec<JoinHandle<()>>);

impl Chores {
    /// Begins what the configuration asks for.
    pub(super) fn begin(
        config: &Config,
        vault: &Vault,
        audit: &Audit,
        transcripts: Option<&Transcripts>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let mut chores = Vec::new();
        let policy = Policy::new(vault, &config.retention);
        let log = config.audit.clone();
        if policy.forgets() || log.keep.is_some() || transcripts.is_some() {
            let sweeps = Sweeps {
                vault: vault.clone(),
                audit: audit.clone(),
                log,
                transcripts: transcripts.cloned(),
                policy,
                every: config.sweep.every,
                check: ClockCheck::new(config.sweep.max_gap),
                metrics: Arc::clone(metrics),
            };
            chores.push(tokio::spawn(sweeps.run()));
        }
        if let Some(backup) = &config.backup {
            let rotation = Rotation { dir: backup.dir.clone(), every: backup.every, keep: backup.keep };
            let metrics = Arc::clone(metrics);
            chores.push(tokio::spawn(Backups::new(vault.clone(), rotation).run(move |made| match made {
                Ok(Made { at, now: true }) => metrics.backup_made(at),
                Ok(Made { at, now: false }) => metrics.backup_found(at),
                Err(error) => {
                    tracing::error!(%error, "There is no new backup.");
                    metrics.backup_failed();
                }
            })));
        }
        Self(chores)
    }
}

impl Drop for Chores {
    fn drop(&mut self) {
        // A backup that is cut off leaves nothing under its name, a sweep nothing half done.
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// How many links that are too old one sweep removes.
const MOST_LINKS: usize = 100_000;

struct Sweeps {
    vault: Vault,
    audit: Audit,
    log: AuditConfig,
    transcripts: Option<Transcripts>,
    policy: Policy,
    every: Duration,
    check: ClockCheck,
    metrics: Arc<Metrics>,
}

impl Sweeps {
    async fn run(mut self) {
        tokio::time::sleep(self.every.min(FIRST)).await;
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "What has been kept long enough could not be forgotten.");
            }
            tokio::time::sleep(self.every).await;
        }
    }

    async fn sweep(&mut self) -> Result<(), VaultError> {
        let now = Reading::now();
        let judged = self.vault.check_clock(&mut self.check, now).await?;
        self.metrics.clock_doubted.set(i64::from(judged.is_err()));
        if let Err(doubt) = judged {
            tracing::error!(%doubt, "The clock is not believed.");
            return Ok(());
        }
        if let Some(keep) = self.log.keep {
            let forgotten = self.audit.forget_before(Time(keep.cutoff(now.wall)), self.log.syslog.is_some()).await;
            if let Err(error) = forgotten {
                tracing::error!(%error, "Old lines of the access log stay.");
            }
        }
        if let Some(transcripts) = &self.transcripts
            && let Err(error) = transcripts.sweep(Time(now.wall)).await
        {
            tracing::error!(%error, "Old transcripts cannot be removed.");
        }
        if !self.policy.forgets() {
            return Ok(());
        }
        let pause = || pause(Arc::clone(&self.metrics));
        let swept = self.vault.sweep(&self.policy, now.wall, false, pause).await?;
        self.vault.note_swept(&swept, now.wall).await?;
        self.vault.sweep_links(MOST_LINKS).await?;
        for ((_, action), values) in &swept.forgotten {
            self.metrics.forgotten(*action, *values);
        }
        Ok(())
    }
}

/// Lets requests go first.
async fn pause(metrics: Arc<Metrics>) {
    let begun = Instant::now();
    loop {
        tokio::time::sleep(BREATH).await;
        if metrics.in_flight_requests.get() < LOAD || begun.elapsed() > LONGEST_PAUSE {
            return;
        }
    }
}
