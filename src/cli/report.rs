//! `privet report`: what a running gateway has counted, which is read from the
//! metrics of its admin listener, and the reports of the company.

mod company;

mod retention;

mod consent;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::{Subcommand, ValueEnum};
use http::Uri;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::beside::{certificate_hash, pinned_client};
use super::table::{Align, Table};
use super::{Failure, demo, flags, innermost, serve};
use crate::config::{Config, Sources};
use crate::telemetry::Inspected;

/// Tell what a gateway has counted, and what a company has to report.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    report: Report,
}

#[derive(Debug, Subcommand)]
enum Report {
    // The texts of the reports are those of their arguments.
    Coverage(CoverageArgs),
    Consent(consent::Args),
    Retention(retention::Args),
    /// The record of processing activities (GDPR Article 30)
    Ropa(company::Args),
    /// What flows where
    DataMap(company::Args),
    /// What an impact assessment starts from (GDPR Article 35)
    Dpia(company::Args),
    Breach(company::BreachArgs),
    Transcripts(company::TranscriptsArgs),
}

/// How much of the bodies was looked at, by route.
///
/// Counts the bytes of requests since the gateway was started: `scanned` by
/// rules, `skipped` because the protocol or the route says that they are never
/// touched, `passed` as no rule can read them and the route lets them through,
/// `refused` with the whole request. Ends with 2 where the gateway cannot be
/// reached.
#[derive(Debug, clap::Args)]
struct CoverageArgs {
    /// The gateway's admin listener, or its URL where it has TLS, with the name
    /// of its certificate; no configuration is read then [default: the
    /// configuration's, else 127.0.0.1:9464]
    #[arg(long, value_name = "HOST:PORT", value_parser = base_url)]
    admin: Option<String>,
    /// The configuration file of the gateway, which says where its admin
    /// listener is; `PRIVET_CONFIG` may name it too
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table
    Text,
    /// One JSON document
    Json,
}

/// The metric that the report is made of.
const METRIC: &str = "privet_body_bytes_total";

/// How long the gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest page of metrics that is read, in bytes.
const LONGEST_PAGE: usize = 16 << 20;

/// Stands in for a file where there is none: an upstream must be named, and is
/// not asked.
const NO_FILE: &str = "upstream = \"http://127.0.0.1:1\"\n";

/// Prints a report.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.report {
        Report::Coverage(args) => coverage(args),
        Report::Consent(args) => consent::run(args),
        Report::Retention(args) => retention::run(args),
        Report::Ropa(args) => company::run("ropa", args),
        Report::DataMap(args) => company::run("data-map", args),
        Report::Dpia(args) => company::run("dpia", args),
        Report::Breach(args) => company::breach(args),
        Report::Transcripts(args) => company::transcripts(args),
    }
}

fn coverage(CoverageArgs { admin, config, format }: CoverageArgs) -> Result<ExitCode, Failure> {
    let (admin, certificate) = match admin {
        Some(url) => (url, None),
        None => configured(config)?,
    };
    let page = serve::runtime()?.block_on(metrics(&admin, certificate))?;
    let coverage = Coverage::read(&page).map_err(|why| Failure::Usage(format!("{admin}/metrics: {why}")))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    match format {
        Format::Text => coverage.write_text(&mut out)?,
        Format::Json => writeln!(out, "{:#}", coverage.to_json())?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The URL of an admin listener, without a slash at its end, of what `--admin` was given.
fn base_url(given: &str) -> Result<String, String> {
    let wrong = || "give HOST:PORT, such as 127.0.0.1:9464, or https://HOST:PORT".to_owned();
    let is_url = given.contains("://");
    let url = if is_url { given.to_owned() } else { format!("http://{given}") };
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let authority = uri.authority().filter(|a| !a.host().is_empty() && !a.as_str().contains('@')).ok_or_else(wrong)?;
    let is_listener = is_url || authority.port_u16().is_some();
    let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
    match scheme {
        Some(scheme) if is_listener && uri.path() == "/" && uri.query().is_none() => {
            Ok(demo::reachable(&format!("{scheme}://{authority}")))
        }
        _ => Err(wrong()),
    }
}

/// The URL of the admin listener that the configuration names, and the hash of
/// its certificate where it has one.
fn configured(file: Option<PathBuf>) -> Result<(String, Option<String>), Failure> {
    let file = flags::file(file);
    let text = file.is_none().then(|| NO_FILE.to_owned());
    let sources = Sources { file, text, environment: Sources::process_environment(), ..Sources::default() };
    let config = Config::load(&sources)?.config;
    let tls = config.tls.filter(|tls| tls.admin);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = base_url(&format!("{scheme}://{}", config.admin)).map_err(|why| Failure::Usage(format!("admin: {why}")));
    let unread = |error| Failure::Usage(format!("tls.certificate: {error}"));
    let first = tls.map(|tls| CertificateDer::from_pem_file(&tls.certificate).map_err(unread)).transpose()?;
    Ok((url?, first.as_ref().map(certificate_hash)))
}

/// The page of metrics of the gateway, which is known by the certificate with
/// this hash; without one as any website is.
async fn metrics(admin: &str, certificate: Option<String>) -> Result<String, Failure> {
    let failed = |why: String| {
        Failure::Usage(format!(
            "no metrics from {admin}: {why}; is the gateway running? `--admin HOST:PORT` says where its admin \
             listener is"
        ))
    };
    let uri: Uri = format!("{admin}/metrics").parse().map_err(|error| failed(format!("{error}")))?;
    let page = async {
        if uri.scheme_str() == Some("https") {
            let tls = match certificate {
                Some(own) => {
                    let client = pinned_client(Some(own)).map_err(|error| error.to_string())?;
                    HttpsConnectorBuilder::new().with_tls_config(client)
                }
                None => HttpsConnectorBuilder::new().with_native_roots().map_err(|error| error.to_string())?,
            };
            get(tls.https_only().enable_http1().build(), uri).await
        } else {
            get(HttpConnector::new(), uri).await
        }
    };
    let page = tokio::time::timeout(PATIENCE, page).await;
    page.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()))).map_err(failed)
}

async fn get(connector: impl Connect + Clone + Send + Sync + 'static, uri: Uri) -> Result<String, String> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let response = client.get(uri).await.map_err(|error| innermost(&error).to_string())?;
    if !response.status().is_success() {
        return Err(format!("it answers with {}", response.status()));
    }
    let body = Limited::new(response.into_body(), LONGEST_PAGE).collect().await;
    let body = body.map_err(|error| innermost(error.as_ref()).to_string())?.to_bytes();
    String::from_utf8(body.into()).map_err(|_| "its page is not UTF-8".to_owned())
}

/// The bytes of each route, by what became of them.
#[derive(Debug, Default, PartialEq)]
struct Coverage(BTreeMap<String, Counts>);

/// Bytes in the order of [`Inspected::ALL`].
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Counts([u64; Inspected::ALL.len()]);

impl Coverage {
    /// Sums the series of a page of metrics by route and state.
    fn read(page: &str) -> Result<Self, String> {
        let mut routes: BTreeMap<String, Counts> = BTreeMap::new();
        for (number, line) in page.lines().enumerate().filter(|(_, line)| line.starts_with(METRIC)) {
            let wrong = |what: &str| format!("line {}: {what}", number + 1);
            let sample = Sample::parse(line).ok_or_else(|| wrong("not in the text format of Prometheus"))?;
            if sample.name != METRIC {
                continue;
            }
            let (Some(route), Some(state)) = (sample.label("route"), sample.label("state")) else {
                return Err(wrong("neither of the labels `route` and `state` may be missing"));
            };
            let state = Inspected::ALL.into_iter().find(|known| known.as_str() == state);
            let state = state.ok_or_else(|| wrong("an unknown state; the gateway is of another version"))?;
            routes.entry(route.to_owned()).or_default().add(state, sample.value as u64);
        }
        if routes.is_empty() {
            return Err(format!("there is no {METRIC}; it is not the admin listener of a Privet"));
        }
        Ok(Self(routes))
    }

    /// All routes together.
    fn all(&self) -> Counts {
        let mut all = Counts::default();
        for bytes in self.0.values() {
            for state in Inspected::ALL {
                all.add(state, bytes.of(state));
            }
        }
        all
    }

    fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        if self.all().total() == 0 {
            return writeln!(out, "no data yet: the gateway has seen no body since it was started");
        }
        let states = [Inspected::Skipped, Inspected::Passed, Inspected::Refused];
        let mut head =
            vec![("route", Align::Left), (Inspected::Scanned.as_str(), Align::Right), ("share", Align::Right)];
        head.extend(states.iter().map(|state| (state.as_str(), Align::Right)));
        head.push(("total", Align::Right));
        let mut table = Table::new(&head);
        let all = ("(all)".to_owned(), self.all());
        for (route, bytes) in self.0.iter().chain((self.0.len() > 1).then_some((&all.0, &all.1))) {
            let mut cells = vec![route.clone(), bytes.of(Inspected::Scanned).to_string(), bytes.percent()];
            cells.extend(states.iter().map(|state| bytes.of(*state).to_string()));
            cells.push(bytes.total().to_string());
            table.row(cells);
        }
        table.write(out)
    }

    fn to_json(&self) -> Value {
        let routes = self.0.iter().map(|(route, bytes)| {
            let mut row = bytes.to_json();
            row["route"] = json!(route);
            row
        });
        json!({"unit": "bytes", "routes": routes.collect::<Vec<_>>(), "all": self.all().to_json()})
    }
}

impl Counts {
    fn add(&mut self, state: Inspected, bytes: u64) {
        if let Some(sum) = self.0.get_mut(state as usize) {
            *sum = sum.saturating_add(bytes);
        }
    }

    fn of(&self, state: Inspected) -> u64 {
        self.0.get(state as usize).copied().unwrap_or_default()
    }

    fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// The share that was scanned, rounded down: 100.0 % is all of it.
    fn percent(&self) -> String {
        let scanned = u128::from(self.of(Inspected::Scanned)) * 1000;
        match scanned.checked_div(self.total().into()) {
            Some(permille) => format!("{}.{} %", permille / 10, permille % 10),
            None => "-".to_owned(),
        }
    }

    fn to_json(self) -> Value {
        let total = self.total();
        let share = (total > 0).then(|| self.of(Inspected::Scanned) as f64 / total as f64);
        let mut row = json!({"scanned_share": share, "total": total});
        for state in Inspected::ALL {
            row[state.as_str()] = json!(self.of(state));
        }
        row
    }
}

/// One line of the text format of Prometheus, version 0.0.4.
#[derive(Debug, PartialEq)]
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
}

impl<'a> Sample<'a> {
    /// `name{label="value"} number`, with a time stamp behind it or none.
    fn parse(line: &'a str) -> Option<Self> {
        let (name, rest) = line.split_at(line.find(|c: char| c == '{' || c.is_ascii_whitespace())?);
        let rest = rest.trim_start();
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(labelled) => labels(labelled)?,
            None => (Vec::new(), rest),
        };
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        Some(Self { name, labels, value })
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// The labels up to the closing brace, and what stands behind it.
fn labels(mut rest: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, behind) = rest.split_once('=')?;
        let (value, behind) = quoted(behind.trim_start().strip_prefix('"')?)?;
        labels.push((name.trim(), value));
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(',') {
            Some(next) => next,
            None if behind.starts_with('}') => behind,
            None => return None,
        };
    }
}

/// The value of a label up to its closing quote, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                _ => return None,
            }),
            plain => value.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let sample = |name, labels: &[(&'static str, &str)], value| {
            let labels = labels.iter().map(|&(label, value)| (label, value.to_owned())).collect();
            Some(Sample { name, labels, value })
        };
        for (line, wanted) in [
            ("up 1", sample("up", &[], 1.0)),
            ("up{} 1.5e+03 1767225600000", sample("up", &[], 1500.0)),
            ("up { a = \"b\" , c=\"d\", } 2", sample("up", &[("a", "b"), ("c", "d")], 2.0)),
            (r#"x{p="/a{b},\"c\"=\\n\n é"} 3"#, sample("x", &[("p", "/a{b},\"c\"=\\n\n é")], 3.0)),
            (r#"x{p=""} +Inf"#, sample("x", &[("p", "")], f64::INFINITY)),
            ("up", None),
            ("up one", None),
            ("up{a=\"b\" 1", None),
            ("up{a=\"b} 1", None),
            ("up{a=b} 1", None),
            ("up{a=\"b\" c=\"d\"} 1", None),
            (r#"up{a="\t"} 1"#, None),
            (r#"up{a="b"}"#, None),
        ] {
            assert_eq!(Sample::parse(line), wanted, "{line}");
        }
    }

    fn counts(scanned: u64, skipped: u64, passed: u64, refused: u64) -> Counts {
        let mut bytes = Counts::default();
        bytes.add(Inspected::Scanned, scanned);
        bytes.add(Inspected::Skipped, skipped);
        bytes.add(Inspected::Passed, passed);
        bytes.add(Inspected::Refused, refused);
        bytes
    }

    #[test]
    fn series_are_summed_by_route_and_state() {
        let page = "# TYPE privet_body_bytes_total counter\n\
                    privet_body_bytes_total{route=\"/\",state=\"scanned\"} 2\n\
                    privet_body_bytes_total{state=\"scanned\",route=\"/\",replica=\"b\"} 3\n\
                    privet_body_bytes_total{route=\"/a\",state=\"refused\"} 4\n\
                    privet_body_bytes_total_of_others 9\n\
                    privet_body_bytes_in_flight 9\n";
        let coverage = Coverage::read(page).unwrap();
        let wanted = [("/".to_owned(), counts(5, 0, 0, 0)), ("/a".to_owned(), counts(0, 0, 0, 4))];
        assert_eq!(coverage, Coverage(wanted.into()));
        assert_eq!(coverage.all(), counts(5, 0, 0, 4));
    }

    #[test]
    fn a_page_that_does_not_tell_is_an_error() {
        for (page, said) in [
            ("up 1\n", "not the admin listener of a Privet"),
            ("\nprivet_body_bytes_total{route=\"/\" 1\n", "line 2: not in the text format"),
            ("privet_body_bytes_total{route=\"/\"} 1\n", "`state`"),
            ("privet_body_bytes_total{route=\"/\",state=\"new\"} 1\n", "another version"),
        ] {
            let error = Coverage::read(page).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn all_is_said_of_all_alone() {
        for (bytes, wanted) in [
            (counts(0, 0, 0, 0), "-"),
            (counts(0, 0, 7, 0), "0.0 %"),
            (counts(2, 1, 0, 0), "66.6 %"),
            (counts(99_999, 0, 0, 1), "99.9 %"),
            (counts(u64::MAX, 0, 0, 0), "100.0 %"),
        ] {
            assert_eq!(bytes.percent(), wanted, "{bytes:?}");
        }
        assert_eq!(counts(0, 0, 0, 0).to_json()["scanned_share"], Value::Null);
        assert_eq!(counts(1, 1, 1, 1).to_json()["scanned_share"], 0.25);
    }

    #[test]
    fn an_admin_listener_is_named_by_address_or_url() {
        for (given, wanted) in [
            ("127.0.0.1:9464", Some("http://127.0.0.1:9464")),
            ("0.0.0.0:9464", Some("http://127.0.0.1:9464")),
            ("[::]:9464", Some("http://[::1]:9464")),
            ("https://privet.example/", Some("https://privet.example")),
            ("privet.example", None),
            ("ftp://privet.example:1", None),
            ("http://a:b@privet.example:1", None),
            ("privet.example:1/metrics", None),
            (":9464", None),
            ("", None),
        ] {
            assert_eq!(base_url(given).ok().as_deref(), wanted, "{given}");
        }
    }
}
