//! Receipts: what a person has agreed to, in the shape of ISO/IEC TS 27560:2023
//! (consent record information structure), as JSON.

use super::notice::Notices;
use super::state::State;
use super::statement::{Act, Statement};
use crate::clock::Time;
use crate::config::{Basis, Config, Purpose, Upstream};
use crate::hex;
use crate::store::Row;
use serde_json::{Map, Value, json};

/// The most events of a receipt, the latest ones. Anybody may ask for it, so
/// what it costs is bounded; the export of a person's data holds them all.
pub(super) const MAX_EVENTS: u64 = 100;

/// The receipt of a subject: what stands, and its latest statements with their
/// numbers.
pub fn receipt(config: &Config, notices: &Notices, row: Row, state: &State, latest: &[(u64, Statement)]) -> Value {
    let policy = config.consent.policy.as_deref();
    let notice = notices.find(policy, None);
    let principal = hex::encode(&row.subject);
    let named = config.purposes.iter();
    let purposes: Vec<Value> = named.map(|purpose| self::purpose(config, state, purpose)).collect();
    let events = latest.iter().map(|(number, statement)| event(*number, statement));
    json!({
        "schema_version": "ISO/IEC TS 27560:2023",
        "record_id": format!("{principal}-{}", state.count()),
        "pii_principal_id": principal,
        "privacy_notice": config.consent.notice_url,
        "policy": policy,
        "language": notice.map(|notice| notice.lang.as_str()),
        "notice_hash": notice.map(|notice| format!("sha-256:{}", notice.hash)),
        "purposes": purposes,
        "party_identification": parties(config),
        "event_count": state.count(),
        "event": events.collect::<Vec<_>>(),
        "consent": standing(config, state),
    })
}

/// What stands, by purpose: whether it is given, since when, of which notice.
pub fn standing(config: &Config, state: &State) -> Value {
    let mut all = Map::new();
    for purpose in &config.purposes {
        let standing = state.of(&purpose.name);
        let mut members = Map::new();
        members.insert("given".to_owned(), standing.given.is_some().into());
        if let Some(given) = &standing.given {
            members.insert("since".to_owned(), Time(given.time).to_string().into());
            members.insert("policy".to_owned(), json!(given.policy));
        }
        if let Some(withdrawn) = standing.withdrawn {
            members.insert("withdrawn".to_owned(), Time(withdrawn).to_string().into());
        }
        all.insert(purpose.name.clone(), members.into());
    }
    all.into()
}

fn purpose(config: &Config, state: &State, purpose: &Purpose) -> Value {
    let recipients: Vec<&Upstream> = recipients(config, purpose);
    let standing = state.of(&purpose.name);
    let is_special = config.consent.special_categories.as_ref() == Some(&purpose.name);
    json!({
        "purpose": purpose.name,
        "lawful_basis": purpose.basis.as_str(),
        "pii_information": [{ "pii_type": "messages of the chat", "pii_optional": true, "special_pii_category": is_special }],
        "collection_method": "chat",
        "processing_method": if purpose.reversible.is_some() { "pseudonymized in part, else anonymized" } else { "pseudonymized" },
        "processing_locations": recipients.iter().filter_map(|one| place(one)).collect::<Vec<_>>(),
        "geographic_restrictions": config.regions,
        "recipient_third_parties": recipients.iter().map(|one| one.recipient.as_str()).collect::<Vec<_>>(),
        "withdrawal_method": "DELETE /.privet/consent",
        "privacy_rights": "/.privet/me",
        "sale": purpose.sale,
        "sharing": purpose.sharing,
        "profiling": purpose.profiling,
        "state": match (&standing.given, standing.withdrawn) {
            (Some(_), _) => "consent_given",
            (None, Some(_)) if purpose.basis == Basis::LegitimateInterest => "objected",
            (None, Some(_)) => "consent_withdrawn",
            (None, None) => "consent_unknown",
        },
    })
}

fn parties(config: &Config) -> Vec<Value> {
    let party = |one: &Upstream| {
        json!({
            "party_id": one.name,
            "party_name": one.recipient,
            "party_role": one.role.as_str(),
            "party_country": one.country,
            "party_region": one.region,
            "transfer_basis": one.transfer.as_str(),
        })
    };
    config.upstreams.iter().map(party).collect()
}

fn event(number: u64, statement: &Statement) -> Value {
    let what = &statement.what;
    let refuses = what.purposes.values().all(|given| !given);
    let state = match what.act {
        Act::Withdrawn => "consent_withdrawn",
        _ if refuses => "consent_refused",
        _ => "consent_given",
    };
    let mut members = json!({
        "event_id": number,
        "event_time": Time(statement.time).to_string(),
        "event_type": if what.method.as_deref().is_some_and(crate::consent::is_act) { "explicit" } else { "stated" },
        "event_state": state,
        "channel": what.channel,
        "purposes": what.purposes,
    });
    if let Some(members) = members.as_object_mut() {
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        };
        add("policy", what.policy.as_ref().map(|text| json!(text)));
        add("notice_hash", what.notice.as_ref().map(|hash| json!(format!("sha-256:{hash}"))));
        add("language", what.lang.as_ref().map(|text| json!(text)));
        add("method", what.method.as_ref().map(|text| json!(text)));
        add("stated_time", statement.at.map(|at| json!(Time(at).to_string())));
        add("scope", what.scope.as_ref().map(|text| json!(text)));
        add("recipient", what.recipient.as_ref().map(|text| json!(text)));
        add("signed", what.signed.then_some(Value::Bool(true)));
        add("global_privacy_control", what.gpc.then_some(Value::Bool(true)));
    }
    members
}

/// Who receives data under a purpose.
fn recipients<'c>(config: &'c Config, purpose: &Purpose) -> Vec<&'c Upstream> {
    let mut all: Vec<&Upstream> = Vec::new();
    for route in config.routes.iter().filter(|route| route.purpose == purpose.name) {
        if let Some(upstream) = config.upstream(route.upstream.as_deref())
            && !all.iter().any(|other| other.name == upstream.name)
        {
            all.push(upstream);
        }
    }
    all
}

fn place(upstream: &Upstream) -> Option<&str> {
    upstream.country.as_deref().or(upstream.region.as_deref())
}
