//! Personal data in the values of the headers that travel upstream.

use super::inspect::Form;
use super::look::{Look, Piece, any};
use super::percent::{Encoding, NotUtf8};
use crate::detect::{Finding, Operator};
use crate::entity::Entity;
use http::HeaderValue;
use http::header::{self, HeaderName};

/// What a version or the address of a site may be taken for.
const IP: Entity = Entity::constant("IP");
const PERSON: Entity = Entity::constant("PERSON");
/// What opens the upstream.
const SECRET: Entity = Entity::constant("SECRET");

/// Products and versions of a client library, as `User-Agent` has them.
const API_CLIENT: HeaderName = HeaderName::from_static("x-goog-api-client");

/// A name with a lower score is one of a list and has nothing else to show.
const SURE_OF_NAME: f32 = 0.9;

/// Looks through a value that travels upstream. Its name is the label.
pub(super) fn inspect(name: &HeaderName, value: &HeaderValue, look: &mut Look<'_>) -> Result<(), NotUtf8> {
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| NotUtf8)?;
    let piece = Piece { text, start: 0, label: Some(name.as_str()) };
    let of_others = |text: &str, found: &Finding| !is_of_a_program(text, found);
    match *name {
        header::COOKIE => inspect_cookies(text, look),
        header::USER_AGENT => inspect_value(piece, look, of_others),
        _ if *name == API_CLIENT => inspect_value(piece, look, of_others),
        // It names a site, not a person.
        header::ORIGIN => inspect_value(piece, look, |_, found| found.entity != IP),
        _ => inspect_value(piece, look, any),
    }
}

/// `name=value` pairs between semicolons (RFC 6265, 4.2.1).
fn inspect_cookies(text: &str, look: &mut Look<'_>) -> Result<(), NotUtf8> {
    let mut start = 0;
    for cookie in text.split(';') {
        let (name, value) = cookie.split_once('=').unwrap_or(("", cookie));
        inspect_value(Piece { text: name, start, label: None }, look, any)?;
        let start_of_value = start + cookie.len() - value.len();
        let label = Some(name.trim()).filter(|name| !name.is_empty());
        inspect_value(Piece { text: value, start: start_of_value, label }, look, any)?;
        start += cookie.len() + 1;
    }
    Ok(())
}

/// Values are often percent-encoded, though no standard says so: where that
/// does not hold, ASCII is decoded alone.
fn inspect_value(
    piece: Piece<'_>,
    look: &mut Look<'_>,
    wanted: impl Fn(&str, &Finding) -> bool,
) -> Result<(), NotUtf8> {
    // Who is let in by a key or a session in a header is let in by the upstream.
    // What a rule forbids is forbidden there too.
    let passes = |found: &Finding| found.entity == SECRET && found.operator != Operator::Block;
    let wanted = |text: &str, found: &Finding| !passes(found) && wanted(text, found);
    look.at(piece, Encoding::PATH, Form::Text, wanted)
        .or_else(|NotUtf8| look.at(piece, Encoding::ASCII, Form::Text, wanted))
}

/// Whether a finding in a `User-Agent` speaks of a program: it is in product and
/// version (RFC 9110, 10.1.5), such as `Chrome/120.0.0.0` and `Julia/1.10`, or
/// it is the mere name of a system or a device, such as `Mac`.
fn is_of_a_program(text: &str, found: &Finding) -> bool {
    if found.entity != IP && found.entity != PERSON {
        return false;
    }
    if found.entity == PERSON && found.score < SURE_OF_NAME {
        return true;
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ';' | ',');
    let before = text.get(..found.start).unwrap_or_default();
    let behind = text.get(found.end..).unwrap_or_default();
    let from = before.rfind(ends).map_or(0, |at| at + 1);
    let to = behind.find(ends).map_or(text.len(), |at| found.end + at);
    text.get(from..to).unwrap_or_default().split(ends).any(|word| {
        word.split_once('/').is_some_and(|(product, version)| {
            let is_token = |part: &str| !part.is_empty() && part.bytes().all(is_token_byte);
            is_token(product) && is_token(version) && product.bytes().any(|b| b.is_ascii_alphabetic())
        })
    })
}

/// `tchar` (RFC 9110, 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::super::headers::{Policy, Treatment};
    use super::*;
    use crate::config::Headers;
    use crate::detect::{Engine, RuleSet, Scratch};

    /// Values with their findings in guillemets.
    const FOUND: &[(&str, &str)] = &[
        ("x-customer", "«ana.lopez@example.com»"),
        ("x-userinfo", "«eyJlbWFpbCI6ImFuYS5sb3BlekBleGFtcGxlLmNvbSJ9»"),
        ("cookie", "a=1; user=«eyJlbWFpbCI6ImFuYS5sb3BlekBleGFtcGxlLmNvbSJ9»; b=2"),
        ("x-customer-email", "\"«ana.lopez@example.com»\";q=1"),
        ("x-customer-email", "«ana.lopez%40example.com»"),
        ("x-customer-name", "«Anna Kowalska»"),
        ("x-customer-name", "«Zoë%20Müller»"),
        ("x-customer-name", "«Zoë Müller»"),
        ("x-phone", "«0201 5550123»"),
        ("x-meta", "{\"mail\":\"«ana.lopez@example.com»\",\"ip\":\"«203.0.113.7»\"}"),
        ("baggage", "user=«ana.lopez%40example.com»;p=1,ip=«203.0.113.7»"),
        ("content-disposition", "attachment; filename=\"cv of «ana.lopez@example.com».\""),
        ("acceptance", "by «ana.lopez@example.com»"),
        ("cookie", "sid=1; mail=«ana.lopez@example.com»;ip=«203.0.113.7» ;x"),
        ("cookie", "«ana.lopez@example.com»"),
        ("cookie", "m=M%FCller+%20«ana.lopez%40example.com»; phone=«%2B49%20201%205550123»"),
        ("cookie", "full_name=«Anna%20Kowalska»; user=%7B%22mail%22%3A%22«ana.lopez%40example.com»%22%7D"),
        ("cookie", "a=b=«ana.lopez@example.com»"),
        ("user-agent", "Bot/1.0 (+https://bot.example; «ana.lopez@example.com»)"),
        ("user-agent", "Bot/1.0 (on «203.0.113.7»; for http://«203.0.113.8»/x) «203.0.113.9»"),
        ("user-agent", "y/«ana.lopez@example.com»"),
        ("user-agent", "Mozilla/5.0 (I am «Anna Kowalska»)"),
    ];

    /// What programs send all day.
    const UNTOUCHED: &[(&str, &str)] = &[
        (
            "cookie",
            "session=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0ZXN0LXVzZXIifQ.keIHyJHiB8iR4gfIkeIHyJHiB8iR4gfIkeIHyJHiB8g; theme=dark",
        ),
        (
            "cookie",
            "session=eyJlbWFpbCI6ImFuYS5sb3BlekBleGFtcGxlLmNvbSJ9:1kxYzW:keIHyJHiB8iR4gfIkeIHyJHiB8g; other=eyJlbWFpbCI6ImFuYS5sb3BlekBleGFtcGxlLmNvbSJ9.ZJx1aQ.keIHyJHiB8iR4gfIkeIHyJHiB8g",
        ),
        ("x-session-token", "ghp_EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE"),
        (
            "user-agent",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0",
        ),
        (
            "user-agent",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1.2 Mobile/15E148 Safari/604.1",
        ),
        (
            "user-agent",
            "Mozilla/5.0 (Linux; Android 13; SM-S901B Build/TP1A.220624.014; wv) AppleWebKit/537.36 Chrome/119.0.6045.163 Mobile Safari/537.36 [FBAN/FBIOS;FBAV/441.0.0.23]",
        ),
        (
            "user-agent",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7; rv:120.0) Gecko/20100101 Firefox/120.0 Vivaldi/6.5.3206.39 OPR/105.0.0.0",
        ),
        ("user-agent", "Mozilla/5.0 (Linux; Android 9; Jasper) Claude (Julia) Ada"),
        ("user-agent", "Julia/1.10.0 Claude/1.2 Jasper/7 OpenAI/Python 1.40.0"),
        ("user-agent", "WhatsApp/2.23.25.83 A okhttp/4.12.0 python-requests/2.31.0 curl/8"),
        ("origin", "https://shop.example:8443"),
        ("origin", "http://192.0.2.7:3000"),
        ("x-original-host", "chat.shop.example"),
        ("date", "Sun, 03 May 2026 10:20:30 GMT"),
        ("date", "Tue, 05 Jan 2026 10:20:30 GMT"),
        ("if-unmodified-since", "Sun Jul  5 10:20:30 2026"),
        ("if-unmodified-since", "Tuesday, 05-Sep-26 10:20:30 GMT"),
        ("if-modified-since", "Fri, 17 April 2026 10:20:30 GMT"),
        ("if-none-match", "W/\"67ab43-1234567890\", \"5f3a4111111111111111\""),
        ("if-range", "\"33a64df551425fcc55e4d42a148795d9f25f89d4\""),
        ("x-request-id", "550e8400-e29b-41d4-a716-446655440000"),
        ("x-request-id", "12345678-1234-1234-1234-123456789012"),
        ("idempotency-key", "stainless-python-retry-7f2c6a1e-0d1f-4a6a-9c1b-3c9c4d2f1a00"),
        ("x-stainless-os", "MacOS"),
        ("x-stainless-arch", "x64"),
        ("x-stainless-lang", "python"),
        ("x-stainless-runtime", "CPython"),
        ("x-stainless-runtime-version", "3.12.0.1"),
        ("x-stainless-package-version", "1.40.0"),
        ("openai-organization", "org-AbCdEfGhIjKlMnOpQrStUvWx"),
        ("openai-beta", "assistants=v2"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "prompt-caching-2024-07-31,output-128k-2025-02-19"),
        ("x-goog-api-client", "gl-python/3.11.4 grpc/1.59.3 gax/2.12.0"),
        ("x-goog-api-client", "google-genai-sdk/1.2.3.4 gl-python/3.12.0.1"),
        ("x-datadog-trace-id", "4111111111111111"),
        ("x-b3-traceid", "4111111111111111"),
        ("sentry-trace", "4111111111111111-4111111111111111"),
        ("x-cloud-trace-context", "105445aa7843bc8bf206b12000100000/4111111111111111;o=1"),
        ("x-stainless-package-version", "1.2.3.4"),
        ("x-amz-date", "20260503T102030Z"),
        ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("sec-ch-ua", "\"Not_A Brand\";v=\"8\", \"Chromium\";v=\"120\", \"Google Chrome\";v=\"120\""),
        ("sec-ch-ua-full-version-list", "\"Chromium\";v=\"120.0.99.109\", \"Google Chrome\";v=\"120.0.99.109\""),
        ("sec-ch-ua-platform", "\"Windows\""),
        ("sec-ch-ua-platform-version", "\"15.0.0.0\""),
        ("sec-fetch-site", "cross-site"),
        ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90"),
        ("x-amzn-trace-id", "Root=1-67891233-abcdef012345678912345678"),
        ("x-requested-with", "XMLHttpRequest"),
        ("cache-control", "max-age=0"),
        ("dnt", "1"),
        ("priority", "u=1, i"),
        ("cookie", "_ga=GA1.2.1234567890.1700000000; _gid=GA1.1.99.1700000001; _fbp=fb.1.1596403881668.1116446470"),
        (
            "cookie",
            "JSESSIONID=0A1B2C3D4E5F60718293A4B5C6D7E8F9; __utma=96992031.1234567890.1600000000.1600000000.1600000001.1",
        ),
        (
            "cookie",
            "OptanonConsent=isGpcEnabled=0&datestamp=Tue+May+05+2026+10%3A00%3A00+GMT%2B0100+(Central+European+Standard+Time)&version=202304.1.0",
        ),
        ("cookie", "sid=s%3Ab7Kx.Jq%2F9; theme=dark; lang=de-DE; cart=8d3f"),
        // Keys and what is said of the body, whatever they hold.
        ("authorization", "Bearer ana.lopez@example.com"),
        ("x-api-key", "ana.lopez@example.com"),
        ("api-key", "ana.lopez@example.com"),
        ("x-goog-api-key", "ana.lopez@example.com"),
        ("traceparent", "ana.lopez@example.com"),
        ("tracestate", "ana.lopez@example.com"),
        ("accept", "ana.lopez@example.com"),
        ("accept-language", "ana.lopez@example.com"),
        ("content-type", "text/plain; name=\"ana.lopez@example.com\""),
    ];

    fn marked(name: &str, value: &str) -> String {
        let (engine, mut scratch) = (Engine::builtin().unwrap(), Scratch::default());
        let mut look = Look::new(&engine, &mut scratch);
        let header = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        let name = name.parse().unwrap();
        if Policy::new(&Headers::default()).of(&name) == Treatment::Scan {
            inspect(&name, &header, &mut look).unwrap();
        }
        let mut marked = value.to_owned();
        for found in look.findings.list.iter().rev() {
            marked.insert(found.at.end, '»');
            marked.insert(found.at.start, '«');
        }
        marked
    }

    #[test]
    fn personal_data_is_found_where_it_stands() {
        for (name, want) in FOUND {
            assert_eq!(marked(name, &want.replace(['«', '»'], "")), *want, "{name}");
        }
    }

    #[test]
    fn a_secret_that_a_rule_forbids_is_found_in_headers_too() {
        let rule = "[[rule]]\nid = \"launch\"\nentity = \"SECRET\"\npattern = 'launch-[0-9]{6}'\noperator = \"block\"\nscore = 1.0\n";
        let mut rules = RuleSet::builtin().unwrap();
        rules.add("own.toml", rule).unwrap();
        let (engine, mut scratch) = (Engine::compile(&rules).unwrap(), Scratch::default());
        for name in ["cookie", "x-note"] {
            let mut look = Look::new(&engine, &mut scratch);
            let value = HeaderValue::from_static("a=launch-482913; b=ghp_EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE");
            inspect(&HeaderName::from_static(name), &value, &mut look).unwrap();
            let found: Vec<_> = look.findings.list.iter().map(|found| found.operator).collect();
            assert_eq!(found, [Operator::Block], "{name}");
        }
    }

    #[test]
    fn what_programs_send_is_left_alone() {
        for (name, value) in UNTOUCHED {
            assert_eq!(marked(name, value), *value, "{name}");
        }
    }

    #[test]
    fn a_value_that_is_no_text_is_refused() {
        let (engine, mut scratch) = (Engine::builtin().unwrap(), Scratch::default());
        let mut look = Look::new(&engine, &mut scratch);
        let value = HeaderValue::from_bytes(b"M\xfcller").unwrap();
        assert_eq!(inspect(&HeaderName::from_static("x-name"), &value, &mut look), Err(NotUtf8));
    }
}
