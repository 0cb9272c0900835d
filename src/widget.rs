//! What answers under `/.privet/` on the data listener, for the chat widget:
//! the notice, consent given, shown and withdrawn, and the script that asks
//! for it.

mod assets;
mod consent;
pub mod me;
mod notice;

use crate::config::Config;
use crate::consent::token::Claims;
use crate::ledger::{Ledger, LedgerError};
use crate::problem::{Problem, ProblemKind};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::Value;

/// The address of the notice, where the configuration names no other.
pub const NOTICE: &str = "/.privet/notice";

const CONSENT: &str = "/.privet/consent";

/// A request to a path of Privet's own.
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as it came.
    pub path: &'a str,
    /// The query, empty where there is none.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// Whose request it is, where it says so.
    pub subject: Option<String>,
    /// `Privet-Consent` as it came.
    pub header: Option<&'a str>,
    /// `Privet-Consent-Token`, where it holds.
    pub token: Option<&'a Claims>,
    /// Whether `Sec-GPC: 1` is sent.
    pub gpc: bool,
    /// The id of the request, for the access log.
    pub request_id: &'a str,
    /// The body.
    pub body: Bytes,
}

/// Why a request is not answered as it wishes.
#[derive(Debug)]
pub enum Refused {
    /// For this reason.
    Problem(Box<Problem>),
    /// Only these methods are allowed.
    Method(&'static str),
    /// The ledger cannot be read or written.
    Ledger(LedgerError),
}

impl<E: Into<LedgerError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Ledger(error.into())
    }
}

/// Answers a request to a path of Privet's own.
pub async fn answer(config: &Config, ledger: &Ledger, asked: &Asked<'_>) -> Result<Response<Bytes>, Refused> {
    let reads = matches!(*asked.method, Method::GET | Method::HEAD);
    match asked.path {
        NOTICE if reads => Ok(notice::answer(config, ledger.notices(), asked)),
        CONSENT => consent::answer(config, ledger, asked).await,
        path => match assets::find(path) {
            Some(asset) if reads => Ok(asset.answer(asked.headers)),
            Some(_) => Err(Refused::Method("GET, HEAD")),
            None if path == NOTICE => Err(Refused::Method("GET, HEAD")),
            None => Err(refused(ProblemKind::NotFound, "Privet has nothing at this path.")),
        },
    }
}

fn refused(kind: ProblemKind, detail: impl Into<std::borrow::Cow<'static, str>>) -> Refused {
    Refused::Problem(Box::new(Problem::new(kind, detail)))
}

/// A JSON document that no cache keeps.
fn json(document: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(document.to_string()));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The values of a parameter of the query, percent-encoding undone.
fn parameters<'q>(query: &'q str, name: &'q str) -> impl Iterator<Item = String> + 'q {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(move |(key, _)| *key == name).filter_map(|(_, value)| {
        let value = value.replace('+', " ");
        percent_encoding::percent_decode_str(&value).decode_utf8().ok().map(String::from)
    })
}
