//! Holds the layering of the modules: a module may use its own layer and the
//! ones below it. It reads the sources, so an edge is found whether it stands
//! in a `use` or in the middle of a line.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The table of ARCHITECTURE.md, lowest layer first.
const LAYERS: &[(&str, &[&str])] = &[
    ("pure", &["detect", "entity", "framing", "hex", "json", "problem", "report", "surrogate", "token"]),
    (
        "state",
        &[
            "audit",
            "clock",
            "config",
            "consent",
            "ledger",
            "incident",
            "protocol",
            "rights",
            "sensitive",
            "store",
            "telemetry",
            "transcripts",
            "trust",
            "vault",
        ],
    ),
    ("data path", &["proxy", "server", "widget"]),
    ("control", &["admin"]),
    ("shell", &["cli", "main"]),
];

/// Edges that the layers would allow and that are wrong all the same.
const FORBIDDEN: &[(&str, &str)] = &[("detect", "token"), ("detect", "json"), ("json", "detect")];

/// What the pure layer knows nothing of: the time, files, the environment,
/// sockets (addresses are mere numbers), the runtime, logs.
const IMPURE: &[&str] = &[
    "std::time",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "ToSocketAddrs",
    "tokio",
    "hyper",
    "axum",
    "tracing",
];

/// What talks to a socket byte by byte. HTTP is read and written by hyper
/// alone; the server accepts a connection and hands it over.
const RAW: &[&str] = &["TcpStream", "UnixStream", "AsyncReadExt", "AsyncWriteExt", "httparse"];
/// Syslog is no HTTP: its frames are written here.
const RAW_EXCEPTIONS: &[(&str, &str)] = &[("server", "TcpStream"), ("audit", "TcpStream"), ("audit", "AsyncWriteExt")];

#[test]
fn every_module_uses_its_own_layer_and_lower_ones() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources: Vec<(PathBuf, String)> = rust_files(&src)
        .into_iter()
        .map(|file| (file.strip_prefix(&src).unwrap().to_owned(), fs::read_to_string(&file).unwrap()))
        .collect();
    let test_only: Vec<PathBuf> = sources.iter().flat_map(|(file, source)| test_modules(file, source)).collect();
    let mut violations = Vec::new();
    for (file, source) in &sources {
        let module = file.with_extension("");
        if file != Path::new("lib.rs") && !test_only.iter().any(|t| module.starts_with(t)) {
            violations.extend(check(file, source));
        }
    }
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "\n{}\n", list.join("\n"));
    assert!(sources.len() > 10, "the sources were not found");
}

#[test]
fn an_upward_edge_is_found_however_it_is_written() {
    for (source, line) in [
        ("use crate::vault::Vault;", 1),
        ("\nuse crate::{entity::Entity, proxy};", 2),
        ("use crate::{\n    entity::{Entity, vault},\n    admin::router,\n};", 3),
        ("fn f() {\n    let _ = crate::config::Config::default();\n}", 2),
        ("pub(crate) use crate :: vault;", 1),
        ("use super::vault::Vault;", 1),
        ("/* a\n comment */ fn f(_: crate::cli::Failure) {}", 2),
        ("const A: char = '\"'; use crate::vault; const B: char = '\"';", 1),
    ] {
        let found = check(Path::new("token.rs"), source);
        assert_eq!(found.iter().map(|v| v.line).collect::<Vec<_>>(), [line], "{source}");
    }
}

#[test]
fn what_is_impure_is_found_in_the_pure_layer_alone() {
    for source in [
        "use std::time::Instant;",
        "use std::{fmt, fs};",
        "let x = tokio::spawn(y);",
        "use tracing::info;",
        "use std::net::TcpListener;",
    ] {
        assert_eq!(check(Path::new("json/walk.rs"), source).len(), 1, "{source}");
        assert_eq!(check(Path::new("proxy/body.rs"), source).len(), 0, "{source}");
    }
    assert_eq!(check(Path::new("detect/ip.rs"), "use std::net::Ipv4Addr;").len(), 0);
    assert_eq!(check(Path::new("detect/load.rs"), "use std::fs;\nuse std::time;").len(), 2);
}

#[test]
fn raw_sockets_are_found_outside_the_server() {
    for (file, source, times) in [
        ("proxy/upstream.rs", "use tokio::net::TcpStream;", 1),
        ("admin.rs", "use tokio::io::{AsyncReadExt, AsyncWriteExt as _};", 2),
        ("server/connection.rs", "use tokio::io::AsyncWriteExt;", 1),
        ("server.rs", "use tokio::net::{TcpListener, TcpStream};", 0),
        ("proxy.rs", "#[cfg(test)]\nmod tests {\n    use tokio::net::TcpStream;\n}", 0),
    ] {
        assert_eq!(check(Path::new(file), source).len(), times, "{source}");
    }
}

#[test]
fn edges_that_no_layer_forbids_are_found() {
    assert_eq!(check(Path::new("detect/scan.rs"), "use crate::json::walk;").len(), 1);
    assert_eq!(check(Path::new("json.rs"), "use crate::detect;").len(), 1);
    assert_eq!(check(Path::new("vault.rs"), "use crate::{json, detect, token};").len(), 0);
}

#[test]
fn what_stands_outside_the_code_is_no_edge() {
    for source in [
        "//! See [`crate::proxy`].",
        "/// `crate::vault::Vault`\nfn f() {}",
        "const A: &str = \"use crate::vault;\";",
        "const A: &str = r#\"\"use crate::vault;\"#;",
        "use crate::entity::Entity;\nfn f<'a>(s: &'a str) -> &'a str { s }",
        "#[cfg(test)]\nmod tests {\n    use crate::vault::Vault;\n    fn f() { { std::fs::read(\"}\"); } }\n}",
        "use super::token::Token;",
    ] {
        assert_eq!(check(Path::new("framing/sse.rs"), source).len(), 0, "{source}");
    }
    let after = "#[cfg(test)]\nmod tests {\n}\nuse crate::vault;";
    assert_eq!(check(Path::new("framing.rs"), after).len(), 1, "code after the tests counts");
}

#[test]
fn files_that_are_compiled_for_tests_alone_are_known() {
    let source =
        "mod walk;\n#[cfg(test)]\nmod properties;\n#[cfg(test)]\npub(crate) mod suite;\n#[cfg(test)]\nmod tests {}";
    let known = test_modules(Path::new("json.rs"), source);
    assert_eq!(known, [Path::new("json/properties"), Path::new("json/suite")]);
}

#[test]
fn a_module_that_is_in_no_layer_is_found() {
    assert_eq!(check(Path::new("novel.rs"), "fn f() {}").len(), 1);
    assert_eq!(check(Path::new("cli.rs"), "use crate::novel;").len(), 1);
}

struct Violation {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// What a source file uses that it may not. `file` is its path below `src`.
fn check(file: &Path, source: &str) -> Vec<Violation> {
    let mut out = Vec::new();
    let mut found = |line, what| out.push(Violation { file: file.to_owned(), line, what });
    let module = file.iter().next().and_then(|first| Path::new(first).file_stem()).unwrap().to_str().unwrap();
    let Some(own) = layer_of(module) else {
        found(1, format!("the module `{module}` is in no layer; give it one in tests/it/layers.rs"));
        return out;
    };
    let code = without_tests(&code_only(source));

    // `super` names the crate where the file is a module of its root.
    let roots: &[&str] = if file.iter().count() == 1 { &["crate", "super"] } else { &["crate"] };
    for root in roots {
        for (at, used) in members_of(&code, root) {
            let line = line_of(&code, at);
            match layer_of(&used) {
                Some(layer) if layer > own => {
                    let (low, high) = (LAYERS[own].0, LAYERS[layer].0);
                    found(line, format!("`{module}` ({low} layer) uses `{used}` ({high} layer)"));
                }
                Some(_) if FORBIDDEN.contains(&(module, &*used)) => {
                    found(line, format!("`{module}` must not know `{used}`"));
                }
                // What is in no layer after `super` is something of the file
                // itself, named by a module within it.
                None if *root == "crate" => found(line, format!("`crate::{used}` is in no layer")),
                Some(_) | None => {}
            }
        }
    }
    // The pure layer may not even know the runtime.
    for name in RAW.iter().filter(|name| own > 0 && !RAW_EXCEPTIONS.contains(&(module, **name))) {
        for at in words(&code, name) {
            found(line_of(&code, at), format!("`{module}` must leave HTTP to hyper and not use `{name}`"));
        }
    }
    if own == 0 {
        for path in IMPURE {
            let uses = match path.split_once("::") {
                Some((root, member)) => {
                    members_of(&code, root).into_iter().filter(|(_, used)| used == member).map(|(at, _)| at).collect()
                }
                None => words(&code, path),
            };
            for at in uses {
                found(line_of(&code, at), format!("`{module}` is pure and must not use `{path}`"));
            }
        }
    }
    out
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, modules)| modules.contains(&module))
}

/// The first segments that follow `root::`, also in `root::{a::b, c}`, each
/// with its place.
fn members_of(code: &str, root: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    for at in words(code, root) {
        let rest = at + root.len();
        let Some(path) = code[rest..].trim_start().strip_prefix("::") else { continue };
        let start = code.len() - path.trim_start().len();
        if let Some(group) = code[start..].strip_prefix('{') {
            let (mut depth, mut first) = (1, true);
            let offset = start + 1;
            for (i, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => first = true,
                    c if depth == 1 && first && is_word(c) => {
                        out.push((offset + i, word_at(&code[offset + i..])));
                        first = false;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            out.push((start, word_at(&code[start..])));
        }
    }
    out.retain(|(_, name)| !matches!(name.as_str(), "" | "self" | "super"));
    out
}

/// The places where `word` stands as a word.
fn words(code: &str, word: &str) -> Vec<usize> {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !code[..*at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word))
        .collect()
}

fn word_at(code: &str) -> String {
    code.chars().take_while(|c| is_word(*c)).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The source with blanks instead of comments and the insides of literals;
/// every line keeps its number.
fn code_only(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    let starts = |i: usize, text: &str| text.chars().enumerate().all(|(k, c)| chars.get(i + k) == Some(&c));
    while i < chars.len() {
        let end = if starts(i, "//") {
            (i..chars.len()).find(|k| chars[*k] == '\n').unwrap_or(chars.len())
        } else if starts(i, "/*") {
            let mut depth = 0;
            let mut k = i;
            loop {
                if starts(k, "/*") {
                    depth += 1;
                    k += 2;
                } else if starts(k, "*/") {
                    depth -= 1;
                    k += 2;
                } else {
                    k += 1;
                }
                if depth == 0 || k >= chars.len() {
                    break k;
                }
            }
        } else if let Some(hashes) = raw_string_hashes(&chars, i) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = i + 2 + hashes;
            (open..chars.len()).find(|k| starts(*k, &close)).map_or(chars.len(), |k| k + close.len())
        } else if chars[i] == '"' {
            quoted_end(&chars, i, '"')
        } else if chars[i] == '\'' && (chars.get(i + 1) == Some(&'\\') || chars.get(i + 2) == Some(&'\'')) {
            quoted_end(&chars, i, '\'')
        } else {
            out.push(chars[i]);
            i += 1;
            continue;
        };
        out.extend(chars[i..end.min(chars.len())].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        i = end;
    }
    out
}

/// The number of hashes where a raw string starts at `i`.
fn raw_string_hashes(chars: &[char], i: usize) -> Option<usize> {
    if chars[i] != 'r' || (i > 0 && is_word(chars[i - 1]) && chars[i - 1] != 'b') {
        return None;
    }
    let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(i + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn quoted_end(chars: &[char], start: usize, quote: char) -> usize {
    let mut k = start + 1;
    while k < chars.len() && chars[k] != quote {
        k += if chars[k] == '\\' { 2 } else { 1 };
    }
    k + 1
}

/// The modules in files of their own that are compiled for tests alone, as
/// paths below `src` without the ending.
fn test_modules(file: &Path, source: &str) -> Vec<PathBuf> {
    let code = code_only(source);
    let mut out = Vec::new();
    for (_, rest) in code.match_indices("#[cfg(test)]").map(|(at, tag)| (at, &code[at + tag.len()..])) {
        let item = rest.split_inclusive([';', '{']).next().unwrap_or_default();
        if let Some(name) = item.strip_suffix(';').and_then(|i| i.trim().rsplit_once("mod ")).map(|(_, name)| name) {
            out.push(file.with_extension("").join(name));
        }
    }
    out
}

/// The code without the modules that are compiled for tests alone.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let open = out[start..].find(['{', ';']).map_or(out.len(), |k| start + k);
        let mut depth = 0;
        let end = out[open..]
            .char_indices()
            .find(|(_, c)| {
                depth += i32::from(*c == '{') - i32::from(*c == '}');
                depth == 0
            })
            .map_or(out.len(), |(k, c)| open + k + c.len_utf8());
        let blank: String = out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
    }
    out
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    out.sort();
    out
}
