//! Runs the README's examples.
//!
//! A block fenced as `console` holds commands after `$ ` (a `\` at the end
//! continues the line) and below each what it prints; a line `…` stands for
//! any number of lines. It runs in an empty folder of its own, top to bottom,
//! with `privet` on the path. A block fenced as `toml` is a configuration that
//! `privet check` must find right. Blocks fenced as `sh` are for people.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../README.md");

#[test]
fn the_readmes_commands_print_what_it_says() {
    let blocks = fenced(README, "console");
    assert!(!blocks.is_empty(), "README.md has no console block");
    let mut wrong = String::new();
    for (line, block) in blocks {
        let folder = tempfile::tempdir().unwrap();
        for (command, expected) in commands(&block) {
            let printed = run(folder.path(), &command);
            if !matches(&expected, &printed) {
                write!(wrong, "README.md:{line}: $ {command}\n--- says\n{expected}\n--- printed\n{printed}\n\n")
                    .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_readmes_configurations_are_right() {
    let blocks = fenced(README, "toml");
    assert!(!blocks.is_empty(), "README.md has no toml block");
    for (line, block) in blocks {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("privet.toml");
        // A value `env:NAME` is read from the environment.
        let secrets = block.split("\"env:").skip(1).filter_map(|rest| rest.split('"').next());
        let secrets: Vec<(&str, &str)> = secrets.map(|name| (name, "a-secret-of-some-length")).collect();
        fs::write(&file, &block).unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_privet"))
            .args(["check", "--config"])
            .arg(&file)
            .envs(secrets)
            .output()
            .unwrap();
        let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
        assert!(out.status.success(), "README.md:{line}: {said}");
    }
}

#[test]
fn blocks_and_commands_are_told_apart() {
    let text = "a\n```console\n$ one \\\n  two\nout\n\nmore\n$ three\n```\n```toml\nx = 1\n```\n";
    assert_eq!(fenced(text, "toml"), [(10, "x = 1\n".to_owned())]);
    let (line, block) = fenced(text, "console").remove(0);
    assert_eq!(line, 2);
    assert_eq!(
        commands(&block),
        [("one \n  two".to_owned(), "out\n\nmore".to_owned()), ("three".to_owned(), String::new())]
    );
}

#[test]
fn an_ellipsis_stands_for_any_lines() {
    for (expected, printed, right) in [
        ("a\nb", "a\nb\n", true),
        ("a\nb", "a\nc\n", false),
        ("a", "a\nb", false),
        ("a\n…\nd", "a\nb\nc\nd", true),
        ("a\n…", "a", true),
        ("…\nb\n…\nd", "a\nb\nc\nd", true),
        ("…\nx\n…", "a\nb", false),
        ("", "", true),
        ("", "a", false),
    ] {
        assert_eq!(matches(expected, printed), right, "{expected:?} against {printed:?}");
    }
}

/// The blocks fenced as `language`, each with the line of its fence.
fn fenced(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (i, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(tag)) => open = Some((i + 1, tag == language, String::new())),
            (Some(_), Some("")) => {
                if let Some((at, true, block)) = open.take() {
                    out.push((at, block));
                }
            }
            (Some((_, _, block)), _) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    out
}

/// Each command of a block with what it prints.
fn commands(block: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, Vec<&str>)> = Vec::new();
    let mut lines = block.lines();
    while let Some(line) = lines.next() {
        if let Some(first) = line.strip_prefix("$ ") {
            let mut command = first.to_owned();
            while command.ends_with('\\') {
                command.pop();
                command.push('\n');
                command.push_str(lines.next().expect("a continued line"));
            }
            out.push((command, Vec::new()));
        } else {
            out.last_mut().expect("a command before its output").1.push(line);
        }
    }
    out.into_iter().map(|(command, lines)| (command, lines.join("\n"))).collect()
}

/// What the command prints on both streams.
fn run(folder: &Path, command: &str) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_privet")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap_or_default());
    // A continued line lost its backslash: to the shell it is one line.
    let script = format!("exec 2>&1\n{}", command.replace('\n', " "));
    let out = Command::new("sh").args(["-c", &script]).current_dir(folder).env("PATH", path).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

fn matches(expected: &str, printed: &str) -> bool {
    fn lines_match(expected: &[&str], printed: &[&str]) -> bool {
        match (expected, printed) {
            ([], []) => true,
            (["…", rest @ ..], _) => (0..=printed.len()).any(|skip| lines_match(rest, &printed[skip..])),
            ([e, expected @ ..], [p, printed @ ..]) => e.trim_end() == p.trim_end() && lines_match(expected, printed),
            _ => false,
        }
    }
    lines_match(&expected.lines().collect::<Vec<_>>(), &printed.lines().collect::<Vec<_>>())
}
