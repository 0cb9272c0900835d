//! Finds personal data in the head of a request, address and headers, and
//! puts the replacements there.

use super::clean::{Clean, Print};
use super::error::ProxyError;
use super::headers::{Policy, Treatment};
use super::inspect::Findings;
use super::look::Look;
use super::redact::Replacements;
use super::{address, header_values};
use crate::detect::{Detector, Scratch};
use crate::protocol::SocketFields;
use http::header::{Entry, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use std::ops::Range;

/// What was found in the head of one request.
pub(super) struct HeadFindings {
    /// Of all parts, each in the order of its bytes.
    pub(super) findings: Findings,
    parts: Vec<Part>,
}

/// A part of the head, and which of the findings are in it.
struct Part {
    place: Place,
    list: Range<usize>,
}

enum Place {
    Address,
    /// The n-th value of this name. The order of different names changes
    /// where one of them is removed.
    Header(HeaderName, usize),
}

/// Looks through all of the head that travels on, but for what is known to be
/// `clean` under this plan.
pub(super) fn inspect<'d>(
    head: &Parts,
    detector: impl Into<Detector<'d>>,
    policy: &Policy,
    fields: &SocketFields,
    clean: &Clean,
    scratch: &'d mut Scratch,
) -> Result<HeadFindings, ProxyError> {
    let mut look = Look::new(detector, scratch);
    let mut parts = Vec::new();
    let mut seen = 0;
    let mut note = |place, print: Print<'_>, look: &Look<'_>| {
        let list = seen..look.findings.list.len();
        if list.is_empty() {
            return print.remember();
        }
        seen = list.end;
        parts.push(Part { place, list });
    };
    let address = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let print = clean.print("", address.as_bytes());
    if !print.is_known() {
        address::inspect(&head.uri, fields, &mut look).map_err(|_| ProxyError::undecodable_address())?;
        note(Place::Address, print, &look);
    }
    for name in head.headers.keys().filter(|name| policy.of(name) == Treatment::Scan) {
        for (nth, value) in head.headers.get_all(name).iter().enumerate() {
            let print = clean.print(name.as_str(), value.as_bytes());
            if !print.is_known() {
                header_values::inspect(name, value, &mut look).map_err(|_| ProxyError::undecodable_header(name))?;
                note(Place::Header(name.clone(), nth), print, &look);
            }
        }
    }
    Ok(HeadFindings { findings: look.findings, parts })
}

impl HeadFindings {
    /// Puts the replacements into the head that was looked through.
    pub(super) fn rewrite(&self, head: &mut Parts, replacements: &mut Replacements) -> Result<(), ProxyError> {
        for part in &self.parts {
            let found = self.findings.list.get(part.list.clone()).unwrap_or_default();
            match &part.place {
                Place::Address => {
                    head.uri = address::rewrite(&head.uri, found, replacements).ok_or_else(ProxyError::bad_address)?;
                }
                Place::Header(name, nth) => {
                    let Entry::Occupied(mut values) = head.headers.entry(name) else {
                        return Err(ProxyError::internal());
                    };
                    let value = values.iter_mut().nth(*nth).ok_or_else(ProxyError::internal)?;
                    let replaced = replacements.splice(value.as_bytes(), found);
                    let mut replaced = HeaderValue::from_bytes(&replaced).map_err(|_| ProxyError::internal())?;
                    replaced.set_sensitive(value.is_sensitive());
                    *value = replaced;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Engine;
    use std::sync::Arc;

    #[test]
    fn what_holds_something_is_looked_through_every_time() {
        let policy = Policy::new(&crate::config::Headers::default());
        let fields = SocketFields::default();
        let (engine, clean) = (Engine::builtin().unwrap(), Clean::new(&Arc::default()).unwrap());
        let mut scratch = Scratch::default();
        let request = http::Request::builder().uri("/u/ana%40example.com").header("x-a", "1");
        let request = request.header("x-b", "ana@example.com").header("x-a", "bo@example.org");
        let head = request.body(()).unwrap().into_parts().0;
        for _ in 0..3 {
            let found = inspect(&head, &engine, &policy, &fields, &clean, &mut scratch).unwrap();
            let values: Vec<_> = found.findings.list.iter().map(|one| found.findings.value(one)).collect();
            assert_eq!(values, ["ana@example.com", "bo@example.org", "ana@example.com"]);
            assert_eq!(found.parts.len(), 3);
        }
        assert!(clean.print("x-a", b"1").is_known());
    }
}
