//! Everything that is kept of a subject, piece by piece. However much that is,
//! one page of it is in memory at a time.

use super::case::{Case, Proof, Step};
use super::export::{Format, Head, Part, ValueLine, Writer};
use super::{By, Rights, RightsError};
use crate::audit::{self, Line};
use crate::clock::Time;
use crate::hex;
use crate::sensitive::Sensitive;
use crate::store::Space;
use crate::token::Token;
use crate::vault::Owner;
use aws_lc_rs::digest;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many values are read at once.
const PAGE: usize = 256;

/// An export on its way. It must be read to its end: only then is its case done.
pub struct Export {
    rights: Arc<Rights>,
    tenant: String,
    subject: Sensitive,
    by: By,
    case: Case,
    format: Format,
    writer: Writer,
    next: Next,
    located: BTreeMap<String, u64>,
    counts: BTreeMap<String, u64>,
    digest: digest::Context,
}

enum Next {
    Head,
    Values(Option<Token>),
    Records(Part, Option<Vec<u8>>),
    /// Lines of the access log behind the one with this number, of the subject
    /// with this name there.
    Audit(u64, String),
    End,
    Nothing,
}

impl Export {
    pub(super) fn new(rights: Arc<Rights>, tenant: &str, subject: &str, format: Format, by: By, case: Case) -> Self {
        Self {
            rights,
            tenant: tenant.to_owned(),
            subject: Sensitive::from(subject),
            by,
            case,
            format,
            writer: Writer::new(format),
            next: Next::Head,
            located: BTreeMap::new(),
            counts: BTreeMap::new(),
            digest: digest::Context::new(&digest::SHA256),
        }
    }

    /// The form of the file.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The case that it answers.
    pub fn case(&self) -> &Case {
        &self.case
    }

    /// The next piece; none behind the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RightsError> {
        loop {
            let text = match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::Head => self.head().await?,
                Next::Values(after) => self.values(after).await?,
                Next::Records(part, after) => self.records(part, after).await?,
                Next::Audit(after, alias) => self.audit(after, alias).await?,
                Next::End => self.writer.end().to_owned(),
                Next::Nothing => return Ok(None),
            };
            if !text.is_empty() {
                self.digest.update(text.as_bytes());
                if matches!(self.next, Next::Nothing) {
                    self.finish().await?;
                }
                return Ok(Some(Bytes::from(text)));
            }
            if matches!(self.next, Next::Nothing) {
                self.finish().await?;
            }
        }
    }

    async fn head(&mut self) -> Result<String, RightsError> {
        let rights = Arc::clone(&self.rights);
        let head = Head {
            tenant: &self.tenant,
            subject: self.subject.expose(),
            made: Time::now().to_string(),
            restricted: rights.restrictions.hold(&self.tenant, self.subject.expose()).await?,
            purposes: &rights.facts.purposes,
            recipients: &rights.facts.recipients,
        };
        let text = self.writer.head(&head) + &self.writer.part(Part::Values);
        self.next = Next::Values(None);
        Ok(text)
    }

    async fn values(&mut self, after: Option<Token>) -> Result<String, RightsError> {
        let page = self.rights.vault.values(&self.tenant, self.subject.expose(), after, PAGE).await?;
        let Some(last) = page.last().map(|kept| kept.token) else { return Ok(self.begin(Part::Consent)) };
        let mut text = String::new();
        for kept in &page {
            let (stand, entity, value) = kept.parts();
            *self.located.entry(entity.to_string()).or_default() += 1;
            let created = if kept.created == 0 { String::new() } else { Time(kept.created).to_string() };
            let purpose = self.rights.facts.purpose_of(kept);
            let line = ValueLine { token: stand, entity: entity.as_str(), value, created, purpose };
            text += &self.writer.value(&line);
        }
        self.next = Next::Values(Some(last));
        Ok(text)
    }

    async fn records(&mut self, part: Part, after: Option<Vec<u8>>) -> Result<String, RightsError> {
        let owner = Owner::Subject { tenant: &self.tenant, subject: self.subject.expose() };
        let mut text = String::new();
        if part == Part::Cases {
            for case in self.rights.register.of_subject(&self.tenant, self.subject.expose()).await? {
                *self.counts.entry(part.word().to_owned()).or_default() += 1;
                text += &self.writer.record(&case.id, &case.received.to_string(), &json!(shown(&case)));
            }
            let alias = self.rights.alias(&self.tenant, self.subject.expose()).await?;
            self.next = Next::Audit(0, alias);
            return Ok(text + &self.writer.part(Part::Audit));
        }
        let page = self.rights.vault.records().scan(owner, Space::Consent, after.as_deref(), PAGE).await?;
        for (key, record) in &page {
            // What is no document is a pointer of somebody else's.
            let Ok(record) = serde_json::from_slice::<Value>(record) else { continue };
            *self.counts.entry(part.word().to_owned()).or_default() += 1;
            text += &self.writer.record(&hex::encode(key), &time_of(&record), &record);
        }
        match page.into_iter().next_back() {
            Some((last, _)) => self.next = Next::Records(part, Some(last)),
            None => return Ok(self.begin(Part::Cases)),
        }
        Ok(text)
    }

    /// The subject's own lines of the access log: as long as the subject is
    /// there its name in the log can be told.
    async fn audit(&mut self, after: u64, alias: String) -> Result<String, RightsError> {
        let page = audit::lines(self.rights.vault.records(), after, PAGE).await?;
        let Some(last) = page.last().map(|line| line.seq) else {
            self.next = Next::End;
            return Ok(String::new());
        };
        let mut text = String::new();
        for line in page.iter().filter(|line| line.subject == alias && line.tenant == self.tenant) {
            *self.counts.entry(Part::Audit.word().to_owned()).or_default() += 1;
            text += &self.writer.record(&line.seq.to_string(), &line.at.to_string(), &line_shown(line));
        }
        self.next = Next::Audit(last, alias);
        Ok(text)
    }

    fn begin(&mut self, part: Part) -> String {
        self.next = Next::Records(part, None);
        self.writer.part(part)
    }

    /// The file is whole: the case is done, with its hash as a proof.
    async fn finish(&mut self) -> Result<(), RightsError> {
        let hash = std::mem::replace(&mut self.digest, digest::Context::new(&digest::SHA256)).finish();
        let mut counts = std::mem::take(&mut self.counts);
        counts.insert("values".to_owned(), self.located.values().sum());
        let proof = Proof { counts, sha256: Some(hex::encode(hash.as_ref())), confirmation: None };
        let located = Step::Locate(std::mem::take(&mut self.located));
        self.case = self.rights.finish(&self.case, located, proof, &self.by).await?;
        Ok(())
    }
}

/// A case as its person sees it: without the hash that stands for them.
fn shown(case: &Case) -> Value {
    let mut shown = json!(case);
    if let Some(members) = shown.as_object_mut() {
        members.remove("subject");
    }
    shown
}

/// A line of the access log as its person sees it: without what chains it to
/// the lines of others, and without the names of the staff.
fn line_shown(line: &Line) -> Value {
    let mut shown = json!(line);
    if let Some(members) = shown.as_object_mut() {
        for name in ["prev", "hash", "signature", "subject"] {
            members.remove(name);
        }
        if !matches!(line.actor.as_str(), "gateway" | "subject") {
            members.insert("actor".to_owned(), json!("operator"));
        }
    }
    shown
}

/// When a record was made, where it says so.
fn time_of(record: &Value) -> String {
    match record.get("at").or_else(|| record.get("time")) {
        Some(Value::Number(at)) => at.as_u64().map(|at| Time(at).to_string()).unwrap_or_default(),
        Some(Value::String(at)) => at.clone(),
        _ => String::new(),
    }
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Export({})", self.case.id)
    }
}
