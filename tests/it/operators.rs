//! What is done with findings, by entity, rule and route, in every place of a
//! request; and that surrogates come back, however the reply is cut.

use crate::support::{Answer, CONSENT, Client, Dialogue, Recorded, Setup, Upstream, chat, chat_stream, streamed_text};
use crate::support::{scratch_folder, tokens};
use regex::Regex;
use serde_json::{Value, json};

const EMAIL: &str = "ana.lopez@mail.test.example.org";
const CARD: &str = "4111 1111 1111 1111";

fn operators(email: &str, card: &str) -> String {
    format!(
        "[detection.entities.EMAIL]\noperator = \"{email}\"\n[detection.entities.CREDIT_CARD]\noperator = \"{card}\"\n\
         mask = {{ keep_last = 4, character = \"•\" }}\n"
    )
}

/// One request with findings in all places: its target, a header, and the body.
async fn everywhere(dialogue: &Dialogue, path: &str) -> (Recorded, Option<String>) {
    let encoded = EMAIL.replace('@', "%40");
    let target = format!("{path}/u/{encoded}?mail={encoded}&card=4111111111111111");
    let cookie = format!("m={encoded}");
    let headers = [("content-type", "application/json"), CONSENT, ("x-mail", EMAIL), ("cookie", &cookie)];
    let inner = json!({ "to": EMAIL }).to_string();
    let body = json!({"messages": [{"role": "user", "content": format!("mail {EMAIL}, card {CARD}")}],
        "card_number": 4_111_111_111_111_111_u64, "arguments": inner});
    let reply = dialogue.client.send("POST", &target, &headers, body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = dialogue.upstream.last();
    let all = std::str::from_utf8(&seen.everything()).unwrap().replace("%40", "@");
    assert!(!all.contains(EMAIL) && !all.replace(' ', "").contains("4111111111111111"), "{all}");
    (seen, reply.header("privet-redacted").map(str::to_owned))
}

#[tokio::test]
async fn each_operator_holds_in_every_place() {
    for (email, in_text, in_address, card, number) in [
        ("remove", r"\[EMAIL\]", "%5BEMAIL%5D", "mask", r#""••••1111""#),
        ("mask", r"\*{4}", r"\*{4}", "remove", r#""\[CREDIT_CARD\]""#),
        ("hash", r"EMAIL#[0-9a-f]{16}", "EMAIL%23[0-9a-f]{16}", "hash", r#""CREDIT_CARD#[0-9a-f]{16}""#),
        (
            "surrogate",
            r"[a-z]+\.[a-z]+@example\.(?:com|org|net)",
            r"[a-z]+\.[a-z]+%40example\.(?:com|org|net)",
            "surrogate",
            r#""40000000\d{8}""#,
        ),
    ] {
        let dialogue = Dialogue::new(&operators(email, card)).await;
        let (seen, counts) = everywhere(&dialogue, "").await;
        let holds = |pattern: &str, text: &str| {
            assert!(Regex::new(&format!("^(?s:{pattern})$")).unwrap().is_match(text), "{email}: {pattern}\n{text}");
        };
        holds(&format!(r"/u/{in_address}\?mail={in_address}&card=.+"), &seen.target);
        let header = |name: &str| String::from_utf8(seen.headers[name].as_bytes().to_vec()).unwrap();
        holds(in_text, &header("x-mail"));
        let body = seen.json();
        holds(&format!("mail {in_text}, card .+"), body["messages"][0]["content"].as_str().unwrap());
        holds(number, &body["card_number"].to_string());
        let inner: Value = serde_json::from_str(body["arguments"].as_str().unwrap()).unwrap();
        holds(in_text, inner["to"].as_str().unwrap());
        assert!(counts.is_some_and(|counts| counts.contains("email=6")));
        // Of equal values the stand-ins are equal, where there is more than one.
        assert_eq!(header("x-mail"), inner["to"].as_str().unwrap());
    }
}

#[tokio::test]
async fn hashes_are_those_of_the_tenant_after_a_restart_too() {
    let folder = scratch_folder();
    let upstream = Upstream::echo().await;
    let toml = "[detection.entities.EMAIL]\noperator = \"hash\"\n[[routes]]\npath = \"/other\"\ntenant = \"other\"\n";
    let mut hashes = Vec::new();
    for subject in ["u1", "u2"] {
        let privet = Setup::new(&upstream).vault(folder.path()).toml(toml).start();
        let client = Client::new(&privet.gateway);
        let reply = client.chat(&chat(EMAIL), &[("privet-subject", subject)]).await;
        assert_eq!(reply.says(), upstream.last().said(), "there is no way back");
        hashes.push(upstream.last().said());
        let headers = [("content-type", "application/json"), CONSENT, ("privet-subject", subject)];
        client.send("POST", "/other/v1/chat/completions", &headers, chat(EMAIL).to_string()).await;
        assert_ne!(upstream.last().said(), hashes[0]);
    }
    assert_eq!(hashes[0], hashes[1]);
}

#[tokio::test]
async fn a_blocked_entity_is_named_and_nothing_is_forwarded() {
    let dialogue = Dialogue::new(&operators("surrogate", "block")).await;
    for body in [chat(&format!("my card {CARD}")), json!({"card_number": 4_111_111_111_111_111_u64})] {
        let reply = dialogue.ask("/v1/chat/completions", body.to_string()).await;
        let problem = reply.problem(422, "blocked").to_string();
        assert!(problem.contains("CREDIT_CARD") && !problem.contains("1111"), "{problem}");
    }
    assert!(dialogue.upstream.recorded().is_empty());
}

#[tokio::test]
async fn each_route_has_its_plan() {
    let folder = scratch_folder();
    let rule = "[[rule]]\nid = \"unsure\"\nentity = \"CODE\"\npattern = 'unsure-[0-9]+'\nscore = 0.6\n\
        [[rule]]\nid = \"guess\"\nentity = \"CODE\"\npattern = 'guess-[0-9]+'\nscore = 0.4\n";
    std::fs::write(folder.path().join("codes.toml"), rule).unwrap();
    let routes = "[detection.entities.EMAIL]\noperator = \"remove\"\n[detection.entities.CODE]\noperator = \"mask\"\n\
        [[routes]]\npath = \"/keep\"\ndetection.entities.EMAIL.operator = \"keep\"\n\
        [[routes]]\npath = \"/off\"\ndetection.rules.email.state = \"off\"\n\
        [[routes]]\npath = \"/shadow\"\ndetection.rules.email.state = \"shadow\"\n\
        [[routes]]\npath = \"/strict\"\nlevel = \"strict\"\n\
        [[routes]]\npath = \"/lenient\"\nlevel = \"lenient\"\n";
    let dialogue = Dialogue::new(&format!("rules = \"{}\"\n{routes}", folder.path().display())).await;
    // The same header each time: what one route knows to be clean another looks at.
    for (path, text, wanted) in [
        ("/keep", EMAIL, EMAIL),
        ("/off", EMAIL, EMAIL),
        ("/shadow", EMAIL, EMAIL),
        ("/", EMAIL, "[EMAIL]"),
        ("/lenient", "unsure-1 guess-1", "unsure-1 guess-1"),
        ("/", "unsure-1 guess-1", "**** guess-1"),
        ("/strict", "unsure-1 guess-1", "**** ****"),
    ] {
        let headers = [("content-type", "application/json"), CONSENT, ("x-text", text)];
        let reply = dialogue.client.send("POST", path, &headers, json!({ "x": text }).to_string()).await;
        assert_eq!(reply.status, 200);
        let seen = dialogue.upstream.last();
        assert_eq!(
            (seen.headers["x-text"].to_str().unwrap(), seen.json()["x"].as_str().unwrap()),
            (wanted, wanted),
            "{path}"
        );
    }
    let series = "privet_findings_total{direction=\"request\",entity=\"EMAIL\",rule=\"email\"}";
    assert!(dialogue.privet.metric(series).await >= 2);
}

#[tokio::test]
async fn a_wrong_name_is_told_before_a_port_is_bound() {
    let folder = scratch_folder();
    let file = folder.path().join("privet.toml");
    std::fs::write(&file, "upstream = \"http://127.0.0.1:9\"\n[detection.entities.PERSN]\noperator = \"hash\"\n")
        .unwrap();
    let run = |verb: &str| {
        let mut command = crate::support::privet();
        let output =
            command.arg(verb).arg("--config").arg(&file).env("PRIVET_KEY", crate::support::KEY).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (verb, code) in [("check", 1), ("serve", 2)] {
        let (status, said) = run(verb);
        assert_eq!(status, Some(code), "{said}");
        assert!(said.contains("privet.toml:2:21: no rule finds the entity `PERSN`; write `PERSON`"), "{said}");
    }
}

const PEOPLE: &str = "[detection.entities.PERSON]\noperator = \"surrogate\"\n[detection.entities.PHONE]\noperator = \"surrogate\"\n\
    [detection.entities.EMAIL]\noperator = \"surrogate\"\n";
const MESSAGE: &str =
    "My name is Jana Novakova, call me on +44 7911 123456 or write to ana.lopez@mail.test.example.org";

#[tokio::test]
async fn a_surrogate_comes_back_however_the_reply_is_cut() {
    let upstream = Upstream::start(|request| {
        let said = request.said();
        let letters: Vec<char> = said.chars().collect();
        let size = request.headers["x-size"].to_str().unwrap().parse().unwrap();
        Answer::streams(&letters.chunks(size).map(String::from_iter).collect::<Vec<_>>())
    })
    .await;
    let privet = Setup::new(&upstream).toml(PEOPLE).start();
    let client = Client::new(&privet.gateway);
    let mut sent = Vec::new();
    for size in 1..24 {
        let size = size.to_string();
        let reply = client.chat(&chat_stream(MESSAGE), &[("privet-subject", "u1"), ("x-size", &size)]).await;
        assert_eq!(streamed_text(reply.text(), 0), MESSAGE);
        sent.push(upstream.last().said());
    }
    let shape = Regex::new(
        r"^My name is [A-Z][a-z]+ [A-Z][a-z]+ova, call me on \+44 7700 900\d{3} or write to [a-z]+\.[a-z]+@example\.(com|org|net)$",
    );
    assert!(shape.unwrap().is_match(&sent[0]), "{}", sent[0]);
    assert!(sent.iter().all(|said| *said == sent[0]), "a person keeps the same surrogate");
    assert!(tokens(&sent[0]).is_empty());
}

#[tokio::test]
async fn a_name_alone_is_restored_in_text_and_in_arguments() {
    let dialogue = Dialogue::new(PEOPLE).await;
    dialogue.answers(|request| {
        let said = request.said();
        let given = said.split(' ').nth(3).unwrap().to_owned();
        let arguments = json!({ "name": said, "dear": given }).to_string();
        Answer::json(&json!({"choices": [{"index": 0, "message": {"role": "assistant",
            "content": format!("Dear {given}, {given}'s and {given}s"),
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "greet", "arguments": arguments}}]}}]}))
    });
    let reply = dialogue.ask("/v1/chat/completions", chat("My name is Zoë Novakova").to_string()).await;
    let given = dialogue.upstream.last().said().split(' ').nth(3).unwrap().to_owned();
    assert_ne!(given, "Zoë");
    assert_eq!(reply.says(), format!("Dear Zoë, Zoë's and {given}s"));
    let arguments = reply.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].clone();
    let arguments: Value = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"name": "My name is Zoë Novakova", "dear": "Zoë"}));
}

#[tokio::test]
async fn only_its_own_subject_gets_the_value_of_a_surrogate() {
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).toml(PEOPLE).start();
    let client = Client::new(&privet.gateway);
    client.chat(&chat("write to ana.lopez@mail.test.example.org"), &[("privet-subject", "u1")]).await;
    let surrogate = upstream.last().said().replace("write to ", "");
    // Another subject, and nobody in particular, who write it themselves.
    for headers in [&[("privet-subject", "u2")][..], &[]] {
        let reply = client.chat(&chat(&format!("who is {surrogate}?")), headers).await;
        assert_eq!(reply.says(), format!("who is {surrogate}?"));
    }
    // The subject itself: what it wrote stays what it wrote, and its own value comes back too.
    let both = format!("{surrogate} is not ana.lopez@mail.test.example.org");
    let reply = client.chat(&chat(&both), &[("privet-subject", "u1")]).await;
    assert_eq!(reply.says(), both);
    assert!(!upstream.last().said().contains(&surrogate), "{}", upstream.last().said());
}

#[tokio::test]
async fn in_a_large_body_what_the_client_wrote_stays_too() {
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).toml(PEOPLE).start();
    let client = Client::new(&privet.gateway);
    let subject = [("privet-subject", "u1")];
    client.chat(&chat("write to ana.lopez@mail.test.example.org"), &subject).await;
    let surrogate = upstream.last().said().replace("write to ", "");
    let large = format!("{surrogate} {} ana.lopez@mail.test.example.org", "and so on ".repeat(40_000));
    let reply = client.chat(&chat(&large), &subject).await;
    assert!(reply.says() == large);
    assert!(!upstream.last().said().contains(&surrogate));
}

#[tokio::test]
async fn after_a_crash_a_surrogate_is_restored_and_stays_the_same() {
    let folder = scratch_folder();
    let upstream = Upstream::echo().await;
    let start = || Setup::new(&upstream).vault(folder.path()).toml(PEOPLE).start();
    let subject = [("privet-subject", "u1")];
    let privet = start();
    Client::new(&privet.gateway).chat(&chat(MESSAGE), &subject).await;
    let sent = upstream.last().said();
    privet.kill_and_read();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for text in ["Novakova", "123456", "ana.lopez", sent.split(' ').nth(3).unwrap()] {
            assert!(memchr::memmem::find(&bytes, text.as_bytes()).is_none(), "{text} stands in the vault's file");
        }
    }
    let privet = start();
    let reply = Client::new(&privet.gateway).chat(&chat(MESSAGE), &subject).await;
    assert_eq!(reply.says(), MESSAGE);
    assert_eq!(upstream.last().said(), sent);
}

#[tokio::test]
async fn a_chatbot_may_speak_of_a_surrogate_from_its_own_memory() {
    let folder = scratch_folder();
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).vault(folder.path()).toml(PEOPLE).start();
    Client::new(&privet.gateway).chat(&chat(MESSAGE), &[("privet-subject", "u1")]).await;
    let sent = upstream.last().said();
    privet.kill_and_read();
    let remembered = sent.clone();
    let late = Upstream::start(move |_| Answer::says(&remembered)).await;
    let privet = Setup::new(&late).vault(folder.path()).toml(PEOPLE).start();
    let client = Client::new(&privet.gateway);
    assert_eq!(client.chat(&chat("and now?"), &[("privet-subject", "u1")]).await.says(), MESSAGE);
    assert_eq!(client.chat(&chat("and now?"), &[("privet-subject", "u2")]).await.says(), sent);
}

#[tokio::test]
async fn without_consent_all_is_removed_whatever_the_operator() {
    for operator in ["surrogate", "hash", "mask", "token"] {
        let toml =
            format!("{}[[routes]]\npath = \"/\"\nwithout_consent = \"anonymize\"\n", operators(operator, operator));
        let dialogue = Dialogue::new(&toml).await;
        dialogue.answers(|request| Answer::says(&request.said()));
        let headers = [("content-type", "application/json")];
        let body = chat(&format!("{EMAIL} and {CARD}")).to_string();
        let reply = dialogue.client.send("POST", "/v1/chat/completions", &headers, body).await;
        assert_eq!(dialogue.upstream.last().said(), "[EMAIL] and [CREDIT_CARD]", "{operator}");
        assert_eq!(reply.says(), "[EMAIL] and [CREDIT_CARD]");
    }
}
