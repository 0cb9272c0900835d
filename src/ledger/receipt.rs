//! Receipts: what a person has agreed to, in the shape of ISO/IEC TS 27560:2023
//! (consent record information structure), as JSON.

use super::notice::Notices;
use super::state::State;
use super::statement::{Act, Statement};
use crate::config::{Basis, Config, Purpose, Upstream};
use crate::store::Row;
use serde_json::{Map, Value, json};

/// The most events of a receipt, the latest ones.
const MAX_EVENTS: usize = 1000;

/// The receipt of a subject, of all of its statements with their numbers.
pub fn receipt(config: &Config, notices: &Notices, row: Row, statements: &[(u64, Statement)]) -> Value {
    let state = State::derive(statements.iter().map(|(_, statement)| statement));
    let policy = config.consent.policy.as_deref();
    let notice = notices.find(policy, None);
    let principal = hexadecimal(&row.subject);
    let named = config.purposes.iter();
    let purposes: Vec<Value> = named.map(|purpose| self::purpose(config, &state, purpose)).collect();
    let from = statements.len().saturating_sub(MAX_EVENTS);
    let events = statements.iter().skip(from).map(|(number, statement)| event(*number, statement));
    json!({
        "schema_version": "ISO/IEC TS 27560:2023",
        "record_id": format!("{principal}-{}", statements.len()),
        "pii_principal_id": principal,
        "privacy_notice": config.consent.notice_url,
        "policy": policy,
        "language": notice.map(|notice| notice.lang.as_str()),
        "notice_hash": notice.map(|notice| format!("sha-256:{}", notice.hash)),
        "purposes": purposes,
        "party_identification": parties(config),
        "event_count": statements.len(),
        "event": events.collect::<Vec<_>>(),
        "consent": standing(config, &state),
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
            members.insert("since".to_owned(), rfc3339(given.time).into());
            members.insert("policy".to_owned(), json!(given.policy));
        }
        if let Some(withdrawn) = standing.withdrawn {
            members.insert("withdrawn".to_owned(), rfc3339(withdrawn).into());
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
        "event_time": rfc3339(statement.time),
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
        add("stated_time", statement.at.map(|at| json!(rfc3339(at))));
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

fn hexadecimal(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

/// A time in Unix seconds as RFC 3339 writes it, in UTC.
pub fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's days_from_civil, turned around: eras of 400 years that
    // begin on 1 March, so that the leap day is the last of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
