//! Matching request paths against the paths of routes.

use std::borrow::Cow;

/// The plain form of a request's path (RFC 3986 section 6.2.2): unreserved
/// characters decoded, dot segments resolved, empty segments left out. It
/// chooses who answers, and the route; what is forwarded is the path as it
/// came. An encoded slash stays encoded: it is data within a segment.
pub(crate) fn normalize(path: &str) -> Cow<'_, str> {
    let plain = !path.contains('%') && !path.contains("//") && !path.contains("/.") && !path.starts_with('.');
    if plain { Cow::Borrowed(path) } else { Cow::Owned(rebuild(path)) }
}

/// The path as the most liberal of servers read it: parameters of segments
/// (`;x`) cut off, encoded slashes and backslashes taken for slashes, blanks at
/// ends of segments left out, in small letters. None where it reads as written.
pub(super) fn liberal(plain: &str) -> Option<String> {
    if !plain.bytes().any(|b| b.is_ascii_uppercase() || matches!(b, b'%' | b'\\' | b';')) {
        return None;
    }
    let slashes = ["%2f", "%5c", "\\"].iter().fold(plain.to_ascii_lowercase(), |path, sign| path.replace(sign, "/"));
    let blanks =
        |segment: &str| segment.split(';').next().unwrap_or_default().replace("%20", " ").trim_end().to_owned();
    let segments: Vec<String> = slashes.split('/').map(blanks).collect();
    Some(normalize(&segments.join("/")).into_owned())
}

/// Whether `path` is `prefix` or lies under it, by whole segments.
pub(super) fn is_under(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn rebuild(path: &str) -> String {
    let mut segments: Vec<Cow<'_, str>> = Vec::new();
    for segment in path.split('/') {
        let segment = decode(segment);
        match segment.as_ref() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    segments.iter().fold(String::with_capacity(path.len()), |mut plain, segment| {
        plain.push('/');
        plain.push_str(segment);
        plain
    })
}

fn decode(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut plain = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        match after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).map(char::from) {
            Some(c) if c.is_ascii_alphanumeric() || "-._~".contains(c) => {
                plain.push(c);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                plain.push('%');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_plain_form_is_one() {
        for (path, plain) in [
            ("/v1/chat", "/v1/chat"),
            ("/v1/%65mbeddings", "/v1/embeddings"),
            ("/v1//embeddings", "/v1/embeddings"),
            ("/v1/./embeddings", "/v1/embeddings"),
            ("/v1/x/../embeddings", "/v1/embeddings"),
            ("/v1/x/%2e%2E/embeddings", "/v1/embeddings"),
            ("/../../v1", "/v1"),
            ("//", ""),
            ("../v1", "/v1"),
            ("/a%2Fb", "/a%2Fb"),
            ("/a%20b%", "/a%20b%"),
            ("/a%+6b", "/a%+6b"),
            ("/a%c3%a9", "/a%c3%a9"),
            ("/100%é", "/100%é"),
            ("", ""),
            ("*", "*"),
        ] {
            assert_eq!(normalize(path), plain, "{path}");
        }
    }

    #[test]
    fn whole_segments_match() {
        for (path, prefix, expected) in [
            ("/v1", "/v1", true),
            ("/v1/", "/v1", true),
            ("/v1/x", "/v1", true),
            ("/v1x", "/v1", false),
            ("/v", "/v1", false),
            ("/v1", "/", true),
            ("/", "/", true),
            ("", "/", true),
            ("*", "/", false),
        ] {
            assert_eq!(is_under(path, prefix), expected, "{path} {prefix}");
        }
    }

    #[test]
    fn liberal_servers_read_more_into_a_path() {
        for (path, read) in [
            ("/v1/chat", None),
            ("/v1/embeddings;x=1", Some("/v1/embeddings")),
            ("/v1;a/embeddings;x=1/", Some("/v1/embeddings/")),
            ("/v1%2Fembeddings", Some("/v1/embeddings")),
            ("/v1\\embeddings", Some("/v1/embeddings")),
            ("/v1/x%5c..%2fembeddings", Some("/v1/embeddings")),
            ("/V1/Embeddings%20", Some("/v1/embeddings")),
        ] {
            assert_eq!(liberal(path).as_deref(), read, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_read(path in "(/|%|\\.|%2e|%2F|2|f|é|a){0,20}") {
            let plain = normalize(&path).into_owned();
            prop_assert!(!plain.contains("//"));
            prop_assert!(!plain.split('/').any(|segment| matches!(segment, "." | "..")));
        }
    }
}
