//! File, variables and flags: which outweighs which, and how each is named.

use super::*;

#[test]
fn later_layers_win() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("privet.toml");
    fs::write(&file, "upstream = \"http://file\"\nlisten = \"a:1\"\nadmin = \"a:2\"\nvault = \"memory:\"\n").unwrap();
    let sources = Sources {
        file: Some(file),
        text: None,
        environment: vec![
            ("PRIVET_LISTEN".to_owned(), "b:1".into()),
            ("PRIVET_ADMIN".to_owned(), "b:2".into()),
            ("PRIVET_VAULT".to_owned(), "".into()),
        ],
        flags: vec![
            Flag { flag: "--listen", key: "listen", value: "c:1".to_owned() },
            Flag { flag: "--upstream", key: "upstream", value: "http://flag".to_owned() },
        ],
    };
    let config = Config::load(&sources).unwrap().config;
    assert_eq!((config.listen.as_str(), config.admin.as_str(), config.vault.expose()), ("c:1", "b:2", "memory:"));
    assert_eq!(config.upstreams[0].url, "http://flag");
}

#[test]
fn a_flag_replaces_the_listed_upstreams() {
    let text = "[[upstreams]]\nname = \"a\"\nurl = \"http://a\"".to_owned();
    let flags = vec![Flag { flag: "--upstream", key: "upstream", value: "http://flag".to_owned() }];
    let config = Config::load(&Sources { text: Some(text), flags, ..Sources::default() }).unwrap().config;
    assert_eq!(config.upstreams.len(), 1);
    assert_eq!(config.upstreams[0].url, "http://flag");
}

#[test]
fn flags_and_variables_are_named_in_problems() {
    let flags = vec![Flag { flag: "--listen", key: "listen", value: "8080".to_owned() }];
    let sources = Sources { text: Some(UPSTREAM.to_owned()), flags, ..Sources::default() };
    let said = Config::load(&sources).unwrap_err().to_string();
    assert!(said.starts_with("--listen: the address has no port"), "{said}");
    let said = with_environment(UPSTREAM, &[("PRIVET_LOG__LEVEL", "loud")]).unwrap_err().to_string();
    assert!(said.starts_with("PRIVET_LOG__LEVEL (environment): `log.level` does not take this word"), "{said}");
}

#[test]
fn variables_reach_lists() {
    let variables = [
        ("PRIVET_ROUTES__0__PATH", "/a"),
        ("PRIVET_ROUTES__1__PATH", "/b"),
        ("PRIVET_ROUTES__1__REPLY", "pass"),
        ("PRIVET_CORS__ORIGINS", "https://a, https://b"),
        ("PRIVET_SUBJECT__FROM", "[\"cookie:a\"]"),
        ("PRIVET_PURPOSES", "[{ name = \"x\" }, { name = \"support\", basis = \"contract\" }]"),
    ];
    let config = with_environment(UPSTREAM, &variables).unwrap().config;
    assert_eq!(config.routes.iter().map(|route| route.path.as_str()).collect::<Vec<_>>(), ["/a", "/b", "/"]);
    assert_eq!(config.routes[1].reply, Reply::Pass);
    assert_eq!(config.cors.origins, ["https://a", "https://b"]);
    assert_eq!(config.subject.from, [SubjectSource::Cookie("a".to_owned())]);
    assert_eq!(config.purpose("support").unwrap().basis, Basis::Contract);
    // A whole list leaves nothing of the one it replaces.
    let file = format!("{UPSTREAM}[[routes]]\npath = \"/x\"\nreply = \"pass\"\n[[routes]]\npath = \"/y\"\n");
    let config = with_environment(&file, &[("PRIVET_ROUTES", "[{ path = \"/a\" }]")]).unwrap().config;
    assert_eq!(config.routes.iter().map(|route| route.path.as_str()).collect::<Vec<_>>(), ["/a", "/"]);
    assert_eq!(config.routes[0].reply, Reply::Restore);
    let said = with_environment(UPSTREAM, &[("PRIVET_ROUTES__1__PATH", "/a")]).unwrap_err().to_string();
    assert!(said.contains("`routes` has no entry before this one; number the entries from 0"), "{said}");
    let said = with_environment(UPSTREAM, &[("PRIVET_ROUTES", "[{ pth = \"/a\" }]")]).unwrap_err().to_string();
    assert!(said.contains("PRIVET_ROUTES (environment): there is no key `pth` in [[routes]]; write `path`"), "{said}");
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let variables = [
        ("PRIVET_LISEN", "x"),
        ("PRIVET_SERVICE_PORT_HTTP", "80"),
        ("PRIVET_CONSENT", "x"),
        ("PRIVET_listen", "x"),
        ("PRIVET_FOO", "x"),
        ("HOME", "/"),
    ];
    let warnings = with_environment(UPSTREAM, &variables).unwrap().warnings;
    let said: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("PRIVET_FOO") && line.contains("; unset it, or see")), "{said:?}");
    assert!(
        said.iter().any(|line| line.starts_with("PRIVET_LISEN (environment): no setting has this name")
            && line.ends_with("write PRIVET_LISTEN, or unset it")),
        "{said:?}"
    );
}

#[test]
fn a_variable_that_is_not_utf8_is_an_error() {
    use std::os::unix::ffi::OsStringExt as _;
    let value = std::ffi::OsString::from_vec(vec![b'2', 0xff]);
    let environment = vec![("PRIVET_CONSENT__POLICY".to_owned(), value)];
    let sources = Sources { text: Some(UPSTREAM.to_owned()), environment, ..Sources::default() };
    let said = Config::load(&sources).unwrap_err().to_string();
    assert!(said.starts_with("PRIVET_CONSENT__POLICY (environment): the value is not UTF-8"), "{said}");
}

#[test]
fn the_key_comes_from_the_environment_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (good, other) =
        ("P5ocB9LmtUiBPmrwyVsn1A5xrDj1khZNuwKH7s9TQKk=", "xFILj+cxnWos+EZ+ENOrlVgPcuw7uWHUCp4l98iDFkc=");
    let file = folder.path().join("key");
    fs::write(&file, format!("{other}\n")).unwrap();
    let file = file.display().to_string();
    let key = |variables: &[(&str, &str)]| with_environment(UPSTREAM, variables).unwrap().config.key;
    assert_eq!(key(&[]), None);
    assert_eq!(key(&[("PRIVET_KEY", good)]).unwrap().expose(), good);
    assert_eq!(key(&[("PRIVET_KEY_FILE", &file)]).unwrap().expose(), other);
    assert_eq!(key(&[("PRIVET_KEY", good), ("PRIVET_KEY_FILE", &file)]).unwrap().expose(), good);
    for bad in ["short", "MDEyMzQ1Njc4OQ==", "not base64 at all!!!!!!!!!!!!!!!!!!!!!!!!!!!!"] {
        let said = with_environment(UPSTREAM, &[("PRIVET_KEY", bad)]).unwrap_err().to_string();
        assert_eq!(
            said,
            "PRIVET_KEY (environment): the key is not 32 bytes in base64; make one with: openssl rand -base64 32"
        );
    }
    let typed = "cGFzc3dvcmRwYXNzd29yZHBhc3N3b3JkcGFzc3dvcmQ=";
    let said = with_environment(UPSTREAM, &[("PRIVET_KEY", typed)]).unwrap_err().to_string();
    assert!(said.starts_with("PRIVET_KEY (environment): the key follows a pattern") && !said.contains(typed), "{said}");
}

#[test]
fn other_keys_come_from_the_environment_or_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) =
        ("P5ocB9LmtUiBPmrwyVsn1A5xrDj1khZNuwKH7s9TQKk=", "xFILj+cxnWos+EZ+ENOrlVgPcuw7uWHUCp4l98iDFkc=");
    let file = folder.path().join("key");
    fs::write(&file, second).unwrap();
    let toml = format!("{UPSTREAM}old_key_files = [{file:?}]\nsensitive_key_file = {file:?}\n");
    let both = format!("{first},\n{second}");
    let variables = [("PRIVET_OLD_KEYS", both.as_str()), ("PRIVET_SENSITIVE_KEY", first)];
    let keys = |variables: &[(&str, &str)]| with_environment(&toml, variables).unwrap().config.keys;
    let old = |keys: &super::Keys| keys.old.iter().map(|key| key.expose().to_owned()).collect::<Vec<_>>();
    let from_files = keys(&[]);
    assert_eq!((old(&from_files), from_files.sensitive.unwrap().expose()), (vec![second.to_owned()], second));
    let from_both = keys(&variables);
    assert_eq!(old(&from_both), [first, second, second]);
    assert_eq!(from_both.sensitive.unwrap().expose(), first);
    let said = with_environment(UPSTREAM, &[("PRIVET_OLD_KEYS", "short")]).unwrap_err().to_string();
    assert!(said.starts_with("PRIVET_OLD_KEYS (environment)"), "{said}");
}

#[test]
fn a_key_service_needs_a_token_and_a_safe_address() {
    let transit = |lines: &str, variables: &[(&str, &str)]| {
        with_environment(&format!("{UPSTREAM}[transit]\n{lines}"), variables).map(|loaded| loaded.config.keys.transit)
    };
    let token = [("VAULT_TOKEN", "s.canary")];
    let engine = transit("address = \"https://vault.example:8200\"\n", &token).unwrap().unwrap();
    assert_eq!((engine.mount.as_str(), engine.key.as_str()), ("transit", "privet"));
    assert_eq!(engine.token.as_ref().unwrap().expose(), "s.canary");
    assert!(!format!("{engine:?}").contains("canary"));
    let file = "address = \"https://vault.example:8200\"\ntoken_file = \"/run/token\"\n";
    assert_eq!(transit(file, &token).unwrap().unwrap().token, None, "the file is used");
    for (lines, variables) in [
        ("address = \"https://vault.example:8200\"\n", &[][..]),
        ("mount = \"x\"\n", &token),
        ("address = \"vault.example:8200\"\n", &token),
        ("address = \"https://user@vault.example\"\n", &token),
        ("address = \"https://vault.example\"\nkey = \"../sys\"\n", &token),
        ("address = \"https://vault.example\"\nmount = \"a?b\"\n", &token),
    ] {
        transit(lines, variables).unwrap_err();
    }
}
