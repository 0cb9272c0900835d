//! The ways out of a request besides its body: address, cookies, headers. And
//! forms, which are written like a query.

use crate::support::{Answer, Dialogue, Recorded, Reply, Wire, chat, scratch_folder, tokens};

const EMAIL: &str = "ana.lopez@example.com";
const CONSENT: (&str, &str) = ("privet-consent", "support");
const SUBJECT: (&str, &str) = ("privet-subject", "u1");

/// Sends a request without a body and gives what the chatbot received.
async fn got(dialogue: &Dialogue, path: &str, headers: &[(&str, &str)]) -> (Reply, Recorded) {
    let mut all = vec![CONSENT, SUBJECT];
    all.extend_from_slice(headers);
    let reply = dialogue.client.send("GET", path, &all, "").await;
    assert_eq!(reply.status, 200, "{path} {headers:?}: {}", reply.text());
    (reply, dialogue.upstream.last())
}

/// The token of an address in the body, by which others are judged.
async fn token_of(dialogue: &Dialogue, value: &str) -> String {
    dialogue.ask_with("/", &[SUBJECT], format!("[\"{value}\"]")).await;
    let found = tokens(dialogue.upstream.last().text());
    assert_eq!(found.len(), 1, "{value}");
    found[0].clone()
}

fn encoded(token: &str) -> String {
    token.replace('[', "%5B").replace(']', "%5D")
}

#[tokio::test]
async fn an_address_keeps_all_bytes_but_its_findings() {
    let dialogue = Dialogue::new("").await;
    let email = encoded(&token_of(&dialogue, EMAIL).await);
    let person = encoded(&token_of(&dialogue, "I am Anna Kowalska").await);
    for (sent, want) in [
        ("/v1/models?to=ana.lopez@example.com", "/v1/models?to=@@"),
        ("/v1/models?to=ana.lopez%40example.com&x=%2f%20+", "/v1/models?to=@@&x=%2f%20+"),
        ("/?a=1&&to=write+to+ana.lopez%40example%2Ecom%20now&=&b", "/?a=1&&to=write+to+@@%20now&=&b"),
        ("/?ana.lopez%40example.com=1", "/?@@=1"),
        ("/?ana.lopez%40example.com", "/?@@"),
        ("/users/ana.lopez%40example.com/chats", "/users/@@/chats"),
        ("/users/ana.lopez@example.com?to=%61na.lopez@example.com", "/users/@@?to=@@"),
        ("/a//b/./c;ana.lopez%40example.com?", "/a//b/./c;@@?"),
        ("/?customer_name=Anna+Kowalska", "/?customer_name=~~"),
        ("/?q=I%20am+Anna%20Kowalska", "/?q=I%20am+~~"),
        ("/notes/I%20am%20Anna%20Kowalska", "/notes/I%20am%20~~"),
        // Keys of the API are never touched.
        ("/?key=ana.lopez@example.com", "/?key=ana.lopez@example.com"),
        (
            "/?api_key=ana.lopez@example.com&a%70i_key=ana.lopez@example.com&to=ana.lopez@example.com",
            "/?api_key=ana.lopez@example.com&a%70i_key=ana.lopez@example.com&to=@@",
        ),
    ] {
        let (reply, seen) = got(&dialogue, sent, &[]).await;
        let want_target = want.replace("@@", &email).replace("~~", &person);
        assert_eq!(seen.target, want_target, "{sent}");
        let counts: Vec<String> = [("email", "@@"), ("person", "~~")]
            .iter()
            .filter(|(_, mark)| want.contains(mark))
            .map(|(entity, mark)| format!("{entity}={}", want.matches(mark).count()))
            .collect();
        assert_eq!(reply.header("privet-redacted").unwrap_or_default(), counts.join(", "), "{sent}");
    }
}

#[tokio::test]
async fn cookies_and_headers_become_tokens_in_place() {
    let dialogue = Dialogue::new("").await;
    let email = token_of(&dialogue, EMAIL).await;
    let before = dialogue.privet.metric(FOUND).await;
    let sent = [
        ("cookie", "sid=s%3A8d3f; mail=ana.lopez%40example.com;theme=dark"),
        ("x-customer", "<@@> \"vip\""),
        ("x-customer", "second"),
        ("x-customer", "@@, @@"),
        ("user-agent", "Bot/1.0 Chrome/120.0.0.0 (@@)"),
        ("authorization", "Bearer @@"),
        ("x-api-key", "@@"),
        ("accept", "@@"),
        ("traceparent", "@@"),
    ];
    let values: Vec<(&str, String)> = sent.iter().map(|(name, value)| (*name, value.replace("@@", EMAIL))).collect();
    let headers: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (reply, seen) = got(&dialogue, "/v1/models", &headers).await;
    assert_eq!(reply.header("privet-redacted"), Some("email=5"));
    assert_eq!(dialogue.privet.metric(FOUND).await, before + 5);
    let all = |name: &str| seen.headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("cookie"), [format!("sid=s%3A8d3f; mail={email};theme=dark")]);
    assert_eq!(all("x-customer"), [format!("<{email}> \"vip\""), "second".to_owned(), format!("{email}, {email}")]);
    assert_eq!(all("user-agent"), [format!("Bot/1.0 Chrome/120.0.0.0 ({email})")]);
    for (name, value) in &headers[5..] {
        assert_eq!(all(name), [*value], "{name}");
    }
    // The same once more: what is remembered of a head is only what holds nothing.
    let (_, again) = got(&dialogue, "/v1/models", &headers).await;
    assert_eq!(again.headers, seen.headers);
}

const FOUND: &str = "privet_findings_total{direction=\"request\",entity=\"EMAIL\",rule=\"email\"}";

#[tokio::test]
async fn all_parts_of_a_request_are_one_batch_and_come_back() {
    let dialogue = Dialogue::new("").await;
    dialogue.answers(|request| {
        let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
        let query = request.target.split_once("to=").unwrap().1.replace("%5B", "[").replace("%5D", "]");
        Answer::says(&format!("{query} {} {} {}", header("x-ip"), header("cookie"), request.said()))
    });
    let headers = [("x-ip", "203.0.113.7"), ("cookie", "name=Anna%20Kowalska")];
    let asked = chat("bo@example.org").to_string();
    let reply = dialogue.ask_with("/v1/chat/completions?to=ana.lopez%40example.com", &headers, asked).await;
    assert_eq!(reply.says(), "ana.lopez@example.com 203.0.113.7 name=Anna Kowalska bo@example.org");
    assert_eq!(reply.header("privet-redacted"), Some("email=2, ip=1, person=1"));
    let batches = dialogue.privet.metric("privet_vault_operations_total{op=\"tokenize\",result=\"ok\"}").await;
    assert_eq!(batches, 1);
    let everything = dialogue.upstream.only().everything();
    for value in ["ana.lopez", "203.0.113.7", "Kowalska", "bo@"] {
        assert!(memchr::memmem::find(&everything, value.as_bytes()).is_none(), "{value}");
    }
}

#[tokio::test]
async fn whose_it_is_is_read_before_it_is_replaced() {
    let dialogue = Dialogue::new("[subject]\nfrom = [\"header:X-User\", \"cookie:user\"]\n").await;
    let headers = |how| match how {
        0 => ("x-user", EMAIL),
        1 => ("cookie", "a=1; user=ana.lopez@example.com"),
        _ => ("x-user", "bo@example.org"),
    };
    let mut seen = Vec::new();
    for how in [0, 1, 2, 0] {
        dialogue.ask_with("/", &[headers(how)], "[\"ana.lopez@example.com\"]").await;
        seen.push(tokens(dialogue.upstream.last().text())[0].clone());
        let (name, _) = headers(how);
        assert!(!dialogue.upstream.last().headers[name].to_str().unwrap().contains("@example"));
    }
    assert_eq!((&seen[0], &seen[0]), (&seen[1], &seen[3]), "one subject has one token");
    assert_ne!(seen[0], seen[2]);
}

#[tokio::test]
async fn without_consent_all_parts_are_anonymized() {
    let dialogue = Dialogue::new("[[routes]]\npath = \"/\"\nwithout_consent = \"anonymize\"\n").await;
    let headers = [("x-mail", EMAIL), SUBJECT, ("content-type", "application/x-www-form-urlencoded")];
    let path = "/u/ana.lopez%40example.com?to=ana.lopez@example.com";
    let reply = dialogue.client.send("POST", path, &headers, "to=ana.lopez%40example.com").await;
    assert_eq!(reply.header("privet-redacted"), Some("email=4"));
    let seen = dialogue.upstream.last();
    assert_eq!(seen.target, "/u/%5BEMAIL%5D?to=%5BEMAIL%5D");
    assert_eq!((seen.headers["x-mail"].to_str().unwrap(), seen.text()), ("[EMAIL]", "to=%5BEMAIL%5D"));
}

#[tokio::test]
async fn other_operators_hold_there_too() {
    let folder = scratch_folder();
    let rule = |id: &str, operator: &str| {
        format!(
            "[[rule]]\nid = \"{id}\"\nentity = \"CODE\"\npattern = \"{id}-[0-9]+\"\noperator = \"{operator}\"\nscore = 1.0\n"
        )
    };
    let rules = [rule("hidden", "mask"), rule("gone", "remove"), rule("never", "block")].concat();
    std::fs::write(folder.path().join("codes.toml"), rules).unwrap();
    let dialogue = Dialogue::new(&format!("rules = \"{}\"\n", folder.path().display())).await;
    let (reply, seen) = got(&dialogue, "/a?b=hidden-1&c=gone-2", &[("x-code", "hidden-3 gone-4")]).await;
    assert_eq!(seen.target, "/a?b=****&c=%5BCODE%5D");
    assert_eq!(seen.headers["x-code"], "**** [CODE]");
    assert_eq!(reply.header("privet-redacted"), Some("code=4"));
    for (path, headers) in
        [("/never-1", &[CONSENT][..]), ("/?a=never-1", &[CONSENT]), ("/", &[CONSENT, ("x-code", "never-1")])]
    {
        dialogue.client.send("GET", path, headers, "").await.problem(422, "blocked");
    }
    assert_eq!(dialogue.upstream.recorded().len(), 1);
}

#[tokio::test]
async fn what_is_not_utf8_is_refused_without_being_shown() {
    let dialogue = Dialogue::new("").await;
    for (path, line, status, names) in [
        ("/", &b"x-name: M\xfcller-ana\r\n"[..], 400, "`x-name`"),
        ("/", b"cookie: a=1; b=M\xfcller-ana\r\n", 400, "`cookie`"),
        ("/?name=M%FCller-ana", b"", 400, "address"),
        ("/M%FCller-ana", b"", 400, "address"),
        ("/", b"content-type: application/x-www-form-urlencoded\r\n", 415, "form"),
    ] {
        let mut wire = Wire::connect(&dialogue.privet.gateway).await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nprivet-consent: support\r\ncontent-length: 13\r\n");
        wire.send([head.as_bytes(), line, b"\r\na=M%FCller-ana"].concat()).await;
        let (found, problem) = wire.problem().await;
        assert_eq!(found, status, "{path} {problem}");
        assert!(problem.contains(names) && !problem.contains("ller"), "{problem}");
    }
    // Other text outside ASCII is looked at like any.
    let (_, seen) =
        got(&dialogue, "/?q=%C3%A9%20ana.lopez%40example.com", &[("x-text", "é \u{1f600} ana.lopez@example.com")])
            .await;
    assert!(!seen.target.contains("ana") && seen.target.starts_with("/?q=%C3%A9%20%5BEMAIL_"), "{}", seen.target);
    let text = std::str::from_utf8(seen.headers["x-text"].as_bytes()).unwrap();
    assert!(text.starts_with("é \u{1f600} [EMAIL_") && text.ends_with(']'), "{text}");
    assert_eq!(dialogue.upstream.recorded().len(), 1);
}

#[tokio::test]
async fn a_form_keeps_all_bytes_but_its_findings() {
    let dialogue = Dialogue::new("").await;
    let (email, person) =
        (encoded(&token_of(&dialogue, EMAIL).await), encoded(&token_of(&dialogue, "I am Anna Kowalska").await));
    dialogue.answers(|request| {
        Answer::new(
            "text/plain",
            vec![tokens(&request.text().replace("%5B", "[").replace("%5D", "]")).join(" ").into()],
        )
    });
    let form = [CONSENT, SUBJECT, ("content-type", "application/x-www-form-urlencoded; charset=UTF-8")];
    for (sent, want, back) in [
        ("to=ana.lopez%40example.com", "to=@@", EMAIL),
        ("a=1&b=%2f+%20&full_name=Anna+Kowalska&=&c", "a=1&b=%2f+%20&full_name=~~&=&c", "Anna Kowalska"),
        (
            "ana.lopez%40example.com=x&key=ana.lopez@example.com",
            "@@=x&key=@@",
            "ana.lopez@example.com ana.lopez@example.com",
        ),
        ("text=write+to+%61na.lopez@example.com%0d%0anow", "text=write+to+@@%0d%0anow", EMAIL),
        ("text=nothing+to+find%21&n=%zz", "text=nothing+to+find%21&n=%zz", ""),
    ] {
        let reply = dialogue.client.send("POST", "/form", &form, sent).await;
        assert_eq!(dialogue.upstream.last().text(), want.replace("@@", &email).replace("~~", &person));
        assert_eq!((reply.status.as_u16(), reply.text()), (200, back));
    }
}

#[tokio::test]
async fn a_hash_of_what_was_replaced_does_not_travel() {
    let dialogue = Dialogue::new("").await;
    let names = ["content-md5", "digest", "content-digest", "repr-digest"];
    let mut headers = vec![CONSENT, ("content-type", "text/plain")];
    headers.extend(names.map(|name| (name, "sha-256=:x:")));
    for (body, kept) in [("nothing to find", true), ("write to ana.lopez@example.com", false)] {
        dialogue.client.send("POST", "/", &headers, body).await;
        let seen = dialogue.upstream.last().headers;
        assert!(names.iter().all(|name| seen.contains_key(*name) == kept), "{body}: {seen:?}");
    }
}

#[tokio::test]
async fn a_preflight_keeps_nothing() {
    // It is forwarded without consent, so its tokens are nobody's.
    let dialogue = Dialogue::new("").await;
    let headers = [SUBJECT, ("origin", "https://shop.example"), ("access-control-request-method", "POST")];
    let reply = dialogue.client.send("OPTIONS", "/u/ana.lopez@example.com", &headers, "").await;
    assert_eq!(reply.status, 200);
    let first = dialogue.upstream.last().target;
    assert!(first.starts_with("/u/%5BEMAIL_"), "{first}");
    assert_ne!(first, format!("/u/{}", encoded(&token_of(&dialogue, EMAIL).await)));
}

/// What the chatbot answers, in which `@@` stands for the token of an address
/// and `~~` for that of a name, and what the client gets for it.
const ANSWERED: &[(&str, &str, &str)] = &[
    ("location", "/chat?to=%5B@@%5D&x=[1]", "/chat?to=ana.lopez%40example.com&x=[1]"),
    ("location", "/chat?to=%5b@@%5d", "/chat?to=ana.lopez%40example.com"),
    ("location", "https://x.example/[~~]?to=[@@]", "https://x.example/Anna%20Kowalska?to=ana.lopez%40example.com"),
    (
        "location",
        "/login?next=%2Fchat%3Fto%3D%255B@@%255D%26n%3D1",
        "/login?next=%2Fchat%3Fto%3Dana.lopez%2540example.com%26n%3D1",
    ),
    ("location", "/a%20b/[@@]?x=%252541", "/a%20b/ana.lopez%40example.com?x=%252541"),
    ("x-next", "a%20b %255B@@%255D%252541", "a%20b ana.lopez%2540example.com%252541"),
    ("x-next", "a%2525 [@@]", "a%2525 ana.lopez@example.com"),
    ("content-location", "/u/%5B@@%5D", "/u/ana.lopez%40example.com"),
    ("link", "</u/%5B@@%5D>; rel=\"self\"", "</u/ana.lopez%40example.com>; rel=\"self\""),
    ("refresh", "0; url=/?to=%5B@@%5D", "0; url=/?to=ana.lopez%40example.com"),
    ("set-cookie", "mail=[@@]; Path=/; Max-Age=9", "mail=ana.lopez@example.com; Path=/; Max-Age=9"),
    ("set-cookie", "name=[~~]; Path=/", "name=Anna%20Kowalska; Path=/"),
    ("set-cookie", "name=%5B~~%5D", "name=Anna%20Kowalska"),
    ("x-user", "[~~] <[@@]>", "Anna Kowalska <ana.lopez@example.com>"),
    ("x-user", "100% [@@]", "100% ana.lopez@example.com"),
    ("x-nobody", "[EMAIL_ZZZZZZZZ] and [EMAIL_7K3FQ2MZ]", "[EMAIL_ZZZZZZZZ] and [EMAIL_7K3FQ2MZ]"),
    ("x-odd", "_ [] %5B %zz %", "_ [] %5B %zz %"),
];

#[tokio::test]
async fn the_headers_of_a_reply_are_restored_as_their_place_demands() {
    let dialogue = Dialogue::new("[[routes]]\npath = \"/pass\"\nreply = \"pass\"\n").await;
    let bare = |token: &str| token.trim_matches(['[', ']']).to_owned();
    let email = bare(&token_of(&dialogue, EMAIL).await);
    let person = bare(&token_of(&dialogue, "I am Anna Kowalska").await);
    let filled = |text: &str| text.replace("@@", &email).replace("~~", &person);
    for (status, content_type) in [(200, "application/json"), (200, "image/png"), (302, ""), (204, "")] {
        for (name, sent, want) in ANSWERED {
            let (name, value) = (*name, filled(sent));
            let told = value.clone();
            dialogue.answers(move |_| {
                let pieces = if status == 200 { vec!["{}".into()] } else { Vec::new() };
                Answer::new(content_type, pieces).status(status).header(name, told.clone())
            });
            let reply = dialogue.client.send("GET", "/any", &[CONSENT, SUBJECT], "").await;
            assert_eq!((reply.status.as_u16(), reply.header(name)), (status, Some(*want)), "{name}: {sent}");
            // To others it tells nothing, and where nothing is restored it passes.
            for (path, subject) in [("/any", "u2"), ("/pass", "u1")] {
                let reply = dialogue.client.send("GET", path, &[CONSENT, ("privet-subject", subject)], "").await;
                assert_eq!(reply.header(name), Some(value.as_str()), "{path} {subject}");
            }
        }
    }
}

#[tokio::test]
async fn a_value_never_breaks_a_header() {
    // It holds what would end a header, or a part of it.
    let rule = "[[rule]]\nid = \"note\"\nentity = \"NOTE\"\npattern = '(?s)<<.*>>'\nscore = 1.0\n";
    let folder = scratch_folder();
    std::fs::write(folder.path().join("note.toml"), rule).unwrap();
    let dialogue = Dialogue::new(&format!("rules = \"{}\"\n", folder.path().display())).await;
    for (value, in_cookie, in_header) in [
        ("<<a\r\nset-cookie: x=1>>", "<<a%0D%0Aset-cookie:%20x=1>>", None),
        ("<<a; path=/>>", "<<a%3B%20path=/>>", Some("<<a; path=/>>")),
        ("<<a\"b\\>>", "<<a%22b%5C>>", None),
        ("<<é\u{7f}\0>>", "<<%C3%A9%7F%00>>", None),
    ] {
        let asked = serde_json::json!([value]).to_string();
        dialogue.answers_with(|token| {
            let answer = Answer::new("application/json", vec!["{}".into()]);
            let answer = answer.header("x-note", format!("a {token}")).header("location", format!("/?n={token}"));
            answer.header("set-cookie", format!("n={token}; Path=/"))
        });
        let reply = dialogue.ask("/any", asked).await;
        let token = tokens(dialogue.upstream.last().text())[0].clone();
        assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 1);
        assert_eq!(reply.header("set-cookie"), Some(&*format!("n={in_cookie}; Path=/")));
        let encoded = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string();
        assert_eq!(
            reply.header("location").unwrap().replace("%2E", "."),
            format!("/?n={}", encoded.replace("%2D", "-"))
        );
        assert_eq!(reply.header("x-note"), Some(&*format!("a {}", in_header.unwrap_or(&token))), "{value:?}");
    }
}

#[tokio::test]
async fn the_configuration_says_which_headers_travel() {
    let toml = "[headers]\ndrop = [\"cookie\", \"x-internal-*\"]\nscan = [\"referer\", \"x-forwarded-for\", \"accept-language\"]\nkeep = [\"x-internal-id\", \"x-forwarded-proto\", \"*-mail\"]\n";
    let dialogue = Dialogue::new(toml).await;
    let sent = [
        ("cookie", "a=1"),
        ("x-internal-note", "1"),
        ("x-internal-id", EMAIL),
        ("x-work-mail", EMAIL),
        ("x-other", EMAIL),
        ("referer", "https://shop.example/?to=ana.lopez%40example.com"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("x-real-ip", "203.0.113.7"),
        ("accept-language", EMAIL),
        ("authorization", EMAIL),
        ("via", "1.1 edge"),
        ("te", "trailers"),
    ];
    let (_, seen) = got(&dialogue, "/", &sent).await;
    let email = token_of(&dialogue, EMAIL).await;
    let value = |name: &str| seen.headers.get(name).map(|value| value.to_str().unwrap());
    for name in ["cookie", "x-internal-note", "x-forwarded-host", "x-real-ip", "via", "te", "privet-subject"] {
        assert_eq!(value(name), None, "{name}");
    }
    for name in ["x-internal-id", "x-work-mail", "authorization"] {
        assert_eq!(value(name), Some(EMAIL), "{name}");
    }
    assert_eq!((value("x-other"), value("accept-language")), (Some(&*email), Some(&*email)));
    assert_eq!(value("referer"), Some(&*format!("https://shop.example/?to={email}")));
    assert!(value("x-forwarded-for").unwrap().starts_with("[IP_"));
    assert_eq!(value("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn a_value_in_markup_is_the_same_as_elsewhere() {
    let dialogue = Dialogue::new("").await;
    let email = token_of(&dialogue, EMAIL).await;
    let person = token_of(&dialogue, "I am Zoë Müller").await;
    dialogue.answers(|request| Answer::new("text/html", vec![tokens(request.text()).join(" ").into()]));
    for (content_type, sent, want, back) in [
        ("text/html", "<b>ana.lopez&#64;example&period;com</b> &amp; co", "<b>@@</b> &amp; co", EMAIL),
        ("application/xml", "<to>ana.lopez&#x40;example.com</to>", "<to>@@</to>", EMAIL),
        ("text/html", "I am Zo&euml; M&uuml;ller &lt;", "I am ~~ &lt;", "Zoë Müller"),
    ] {
        let headers = [CONSENT, SUBJECT, ("content-type", content_type)];
        let reply = dialogue.client.send("POST", "/any", &headers, sent).await;
        assert_eq!(dialogue.upstream.last().text(), want.replace("@@", &email).replace("~~", &person));
        assert_eq!(reply.text(), back);
    }
}
