//! Where a chain begins that has lost its old end: what is kept no more is cut
//! off line by line from the front, and the place of the cut is signed, so that
//! nobody else can cut.

use serde::{Deserialize, Serialize};

use super::Audit;
use super::chain::{Chain, GATEWAY};
use super::line::{Action, Line, Look};
use super::signer::{PublicKey, Signer};
use super::syslog;
use super::verify::Verifier;
use crate::clock::Time;
use crate::vault::VaultError;

/// Lines that are read at a time, and records that are cut off by one write.
const BATCH: usize = 512;

/// The last line that is not kept any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Base {
    /// Its number; 0 where nothing was cut off.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: String,
    /// Over both.
    signature: String,
}

impl Base {
    /// That of a chain of which nothing was cut off.
    pub(super) fn start() -> Self {
        Self { seq: 0, hash: "0".repeat(64), signature: String::new() }
    }

    /// Behind this line.
    pub(super) fn behind(line: &Line, signer: &Signer) -> Self {
        let signature = signer.sign(&said(line.seq, &line.hash));
        Self { seq: line.seq, hash: line.hash.clone(), signature }
    }

    /// Whether it is one that this key has signed, or the very beginning.
    pub(super) fn holds(&self, key: PublicKey) -> bool {
        *self == Self::start() || key.holds(&said(self.seq, &self.hash), &self.signature)
    }
}

fn said(seq: u64, hash: &str) -> String {
    format!("privet base\n{seq}\n{hash}\n")
}

impl Audit {
    /// Cuts off the lines that were written before this moment, and says so in
    /// a line of its own. With `only_sent`, lines that the syslog server has not
    /// been sent yet stay. Gives how many lines went.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the lines are not those that were written: what shows a
    /// change is not to be thrown away.
    pub async fn forget_before(&self, moment: Time, only_sent: bool) -> Result<u64, VaultError> {
        let chain = &self.0.chain;
        let sent = if only_sent { syslog::sent(chain.records()).await? } else { u64::MAX };
        let base = chain.base().await?;
        let Some(last) = last_before(chain, &base, moment, sent).await? else { return Ok(0) };
        let look = Look {
            actor: GATEWAY.to_owned(),
            action: Action::Purge,
            reason: format!("the access log was kept long enough up to line {last} at most"),
            entities: [("lines".to_owned(), last - base.seq)].into(),
            ..Look::default()
        };
        self.record(look).await?;
        let (first, mut from) = (base.seq, base);
        while let Some(base) = chain.cut(&from, last, BATCH).await? {
            from = base;
        }
        Ok(from.seq - first)
    }
}

/// The number of the last line, of those in front, that is older than this moment.
async fn last_before(chain: &Chain, base: &Base, moment: Time, most: u64) -> Result<Option<u64>, VaultError> {
    let damaged = || VaultError::Corrupt { what: "access log" };
    let mut verifier = Verifier::unsigned(base.seq, base.hash.clone());
    let mut last = None;
    loop {
        let page = chain.raw(verifier.end().0, BATCH).await?;
        if page.is_empty() {
            return Ok(last);
        }
        for (_, text) in page {
            let line = Line::read(&text).map_err(|_| damaged())?;
            if line.at >= moment || line.seq > most {
                return Ok(last);
            }
            verifier.next(&text).map_err(|_| damaged())?;
            last = Some(line.seq);
        }
        verifier.check(chain.public_key()).map_err(|_| damaged())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Options;
    use crate::audit::verify::Fault;
    use crate::store::Space;
    use crate::vault::{Expected, Key, Owner, RecordChange, Vault, VaultUrl};

    async fn vault() -> Vault {
        Vault::open(&VaultUrl::Memory, Key::generate(), crate::vault::Options::default()).await.unwrap()
    }

    async fn audit_of(vault: &Vault, lines: usize) -> Audit {
        let audit = Audit::open(vault, Options::default()).await.unwrap();
        for _ in 0..lines {
            audit.record(Look { actor: "operator:anna".into(), ..Look::default() }).await.unwrap();
        }
        audit
    }

    fn later() -> Time {
        Time(Time::now().0 + 10)
    }

    async fn put(vault: &Vault, space: Space, key: &[u8], value: Option<&[u8]>) {
        let change = RecordChange { owner: Owner::Deployment, space, key, expected: Expected::Anything, value };
        assert!(vault.records().write(&[change], None).await.unwrap());
    }

    #[tokio::test]
    async fn what_was_kept_long_enough_goes_and_the_rest_can_be_verified() {
        let vault = vault().await;
        let audit = audit_of(&vault, BATCH + 40).await;
        assert_eq!(audit.forget_before(Time(1), false).await.unwrap(), 0, "nothing is so old");
        let before = audit.last().await.unwrap();
        assert_eq!(audit.forget_before(later(), true).await.unwrap(), 0, "the syslog server has taken none");
        assert_eq!(audit.last().await.unwrap(), before, "what is not done is not said");
        assert_eq!(audit.forget_before(later(), false).await.unwrap(), before);
        let whole = audit.verify().await.unwrap().unwrap();
        assert_eq!((whole.first, whole.last), (before + 1, before + 1));
        let [line] = &audit.page(0, 9).await.unwrap()[..] else { panic!("one line is left") };
        assert_eq!((line.action, line.entities["lines"]), (Action::Purge, before));
        audit.record(Look::default()).await.unwrap();
        let mut export = audit.export(0).await.unwrap();
        let mut text = Vec::new();
        while let Some(piece) = export.next().await.unwrap() {
            text.extend_from_slice(&piece);
        }
        let (verified, _) = crate::audit::verify_export(&mut text.as_slice(), Some(audit.public_key())).unwrap();
        assert_eq!((verified.first, verified.last), (before + 1, before + 2));
        assert_eq!(audit.forget_before(later(), false).await.unwrap(), 2, "and so on from there");
    }

    #[tokio::test]
    async fn nobody_else_can_cut() {
        let vault = vault().await;
        let audit = audit_of(&vault, 20).await;
        let lines = audit.page(0, 20).await.unwrap();
        // As one who can write records would: the old end is gone, and the place of the cut is told.
        let forged = Base { seq: 5, hash: lines[4].hash.clone(), signature: String::new() };
        for line in &lines[..5] {
            put(&vault, Space::Audit, &line.seq.to_be_bytes(), None).await;
        }
        put(&vault, Space::Checkpoint, b"base", Some(&serde_json::to_vec(&forged).unwrap())).await;
        let broken = audit.verify().await.unwrap().unwrap_err();
        assert_eq!((broken.at, broken.fault), (6, Fault::Signature));
    }

    #[tokio::test]
    async fn what_shows_a_change_is_not_thrown_away() {
        let vault = vault().await;
        let audit = audit_of(&vault, 20).await;
        let mut line = audit.page(6, 1).await.unwrap().remove(0);
        line.actor = "operator:eve".to_owned();
        put(&vault, Space::Audit, &7_u64.to_be_bytes(), Some(&serde_json::to_vec(&line).unwrap())).await;
        assert!(matches!(audit.forget_before(later(), false).await, Err(VaultError::Corrupt { .. })));
        assert_eq!(audit.page(0, 1).await.unwrap()[0].seq, 1);
        assert_eq!(audit.verify().await.unwrap().unwrap_err().at, 7);
    }

    #[tokio::test]
    async fn a_check_goes_on_while_old_lines_go() {
        let vault = vault().await;
        let audit = audit_of(&vault, 3 * BATCH).await;
        let (checked, cut) = tokio::join!(
            async {
                let mut checked = Vec::new();
                for _ in 0..20 {
                    checked.push(audit.verify().await.unwrap());
                    tokio::task::yield_now().await;
                }
                checked
            },
            audit.forget_before(later(), false)
        );
        assert!(cut.unwrap() > 0 && checked.iter().all(Result::is_ok), "{checked:?}");
    }
}
