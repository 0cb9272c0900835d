//! Transcripts over real sockets: what was said is kept without whoever said
//! it, where what it rests on holds, and counted for nobody to be told by.

use crate::support::{Answer, Client, KEY, Setup, Socket, SocketUpstream, Upstream, privet, scratch_folder};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

const EMAIL: &str = "ana.silva@example.org";

/// What a configuration has to say.
fn toml(folder: &Path) -> String {
    let to = format!("file:{}", folder.display());
    format!(
        "[transcripts]\nto = {to:?}\nfile_bytes = 4096\n[sweep]\nevery = \"1s\"\n[[purposes]]\nname = \"support\"\ntranscripts = true\n\
         [[purposes]]\nname = \"sales\"\n[[routes]]\npath = \"/\"\nwithout_consent = \"anonymize\"\n\
         [[routes]]\npath = \"/sales\"\npurpose = \"sales\"\n"
    )
}

fn say(text: &str, stream: bool) -> String {
    json!({"model": "m", "stream": stream, "user": "acct-5531", "messages": [{"role": "user", "content": text}]})
        .to_string()
}

/// The lines of all files, once there are so many.
async fn lines(folder: &Path, wanted: usize) -> Vec<Value> {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let files = std::fs::read_dir(folder).into_iter().flatten();
        let files = files.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
        let all: Vec<Value> = files
            .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
            .collect();
        if all.len() >= wanted || Instant::now() > patience {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn forms_parts_and_arguments_of_tools_are_kept_too() {
    let scratch = scratch_folder();
    let (folder, vault) = (scratch.path().join("transcripts"), scratch.path().join("vault"));
    let upstream = Upstream::start(|_| Answer::json(&json!({"ok": true}))).await;
    let gateway = Setup::new(&upstream).vault(&vault).toml(&toml(&folder)).start();
    let client = Client::new(&gateway.gateway);
    let arguments = json!({"query": format!("look for {EMAIL} now")}).to_string();
    let tool = json!({"messages": [{"role": "assistant", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "find", "arguments": arguments}}]}]});
    let form = format!("id=abc&text=It+is+caf%C3%A9+and+{}%2C+yes", EMAIL.replace('@', "%40"));
    let part = |name: &str, text: &str| format!("--b\r\ncontent-disposition: form-data; {name}\r\n\r\n{text}\r\n");
    let parts = part("name=\"id\"", "abc")
        + &part("name=\"text\"", &format!("Write to {EMAIL} please"))
        + &part("name=\"f\"; filename=\"a.txt\"", "a file of many words")
        + "--b--\r\n";
    for (kind, body, wanted) in [
        ("application/json", tool.to_string(), "{\"query\":\"look for [EMAIL] now\"}"),
        ("application/x-www-form-urlencoded", form, "It is caf\u{e9} and [EMAIL], yes"),
        ("multipart/form-data; boundary=b", parts, "Write to [EMAIL] please"),
    ] {
        let before = lines(&folder, 0).await.len();
        let headers = [("content-type", kind), ("privet-subject", "visitor-7"), ("privet-consent", "support")];
        let reply = client.send("POST", "/v1/chat/completions", &headers, body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let read = lines(&folder, before + 1).await;
        assert_eq!(read.last().unwrap()["request"], json!(wanted), "{kind}");
    }
}

#[tokio::test]
async fn what_is_said_is_kept_without_whoever_said_it() {
    let scratch = scratch_folder();
    let (folder, vault) = (scratch.path().join("transcripts"), scratch.path().join("vault"));
    let upstream = Upstream::echo().await;
    let gateway = Setup::new(&upstream).vault(&vault).toml(&toml(&folder)).start();
    // What is over its time goes with the next sweep.
    let old = folder.join("transcripts-2020-01-01-000000.jsonl");
    std::fs::write(&old, "").unwrap();
    let client = Client::new(&gateway.gateway);
    let ask = async |path: &str, consent: &str, subject: &str, body: String| {
        let path = format!("{path}/v1/chat/completions");
        let mut headers = vec![("content-type", "application/json"), ("privet-subject", subject)];
        if !consent.is_empty() {
            headers.push(("privet-consent", consent));
        }
        let reply = client.send("POST", &path, &headers, body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply
    };
    let text = format!("Caf\u{e9}: I am visitor-7 and write from {EMAIL}, is that \"fine\"?");
    let kept = "Caf\u{e9}: I am [IDENTITY] and write from [EMAIL], is that \"fine\"?";
    for stream in [false, true] {
        let reply = ask("", "support", "visitor-7", say(&text, stream)).await;
        // The client has its own back all the same.
        let said = if stream { crate::support::streamed_text(reply.text(), 0) } else { reply.text().to_owned() };
        assert!(said.contains(EMAIL), "{said}");
    }
    let read = lines(&folder, 2).await;
    assert_eq!(read.len(), 2);
    for line in &read {
        let said = [&line["request"], &line["reply"], &line["purpose"], &line["route"], &line["entities"]];
        assert_eq!(said, [&json!(kept), &json!(kept), &json!("support"), &json!("/"), &json!({"EMAIL": 1})]);
        assert_eq!(line["person"], read[0]["person"]);
    }
    // Of what is not agreed to, or is for something else, nothing is kept.
    ask("", "", "visitor-8", say("hello without consent", false)).await;
    ask("/sales", "sales", "visitor-8", say("hello for sales alone", false)).await;
    for n in 0..30 {
        ask(
            "",
            "support",
            &format!("visitor-{n}"),
            say(&format!("My address is person{n}@example.net. {}", "Yes. ".repeat(60)), true),
        )
        .await;
    }
    let read = lines(&folder, 32).await;
    assert_eq!(read.len(), 32);
    let patience = Instant::now() + Duration::from_secs(20);
    while old.exists() && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!old.exists());
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let file = std::fs::metadata(&path).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        assert!(file.len() <= 4_096, "{}", file.len());
        let text = std::fs::read_to_string(&path).unwrap();
        for personal in ["@", "visitor-", "acct-5531", "without consent", "sales"] {
            assert!(!text.contains(personal), "{personal}: {text}");
        }
        files += 1;
    }
    assert!(files > 3, "a long file is followed by the next");
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);

    let config = scratch.path().join("beside.toml");
    let vault_url = format!("embedded:{}", vault.display());
    std::fs::write(&config, format!("upstream = \"http://127.0.0.1:1\"\nvault = {vault_url:?}\n{}", toml(&folder)))
        .unwrap();
    let report = |k: &str| {
        let mut command = privet();
        command.args(["report", "transcripts", "--k", k, "--config"]).arg(&config).env("PRIVET_KEY", KEY);
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", done.stderr.escape_ascii());
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(report("5").contains("| EMAIL | 30 |"), "{}", report("5"));
    assert!(report("31").contains("fewer than 31") && !report("31").contains("| 30 |"), "{}", report("31"));
}

/// Of a WebSocket there is one transcript, of both sides, when it ends.
#[tokio::test]
async fn a_socket_is_one_transcript() {
    let folder = scratch_folder();
    let upstream = SocketUpstream::echo().await;
    let gateway = Setup::at(&upstream.url()).toml(&toml(&folder.path().join("t"))).start();
    let path = "/chat?privet-consent=support&privet-subject=visitor-7";
    let mut socket = Socket::open(&gateway.gateway, path, &[]).await;
    for text in [format!("It is visitor-7, and my address is {EMAIL}"), "And that is all".to_owned()] {
        socket.send(&*text).await;
        assert_eq!(socket.text().await, text);
    }
    assert!(lines(&folder.path().join("t"), 0).await.is_empty(), "it goes on");
    socket.close(1000, "").await;
    socket.closed().await;
    let read = lines(&folder.path().join("t"), 1).await;
    let both = "It is [IDENTITY], and my address is [EMAIL]\nAnd that is all";
    assert_eq!((read.len(), &read[0]["request"], &read[0]["reply"]), (1, &json!(both), &json!(both)));
}

/// A value that the chatbot comes up with by itself is of a person too.
#[tokio::test]
async fn what_the_chatbot_brings_up_is_redacted() {
    let folder = scratch_folder();
    let upstream =
        Upstream::start(|_| Answer::says("Ask ben.other@example.net, or call +49 30 901820. Bye now.")).await;
    let gateway = Setup::new(&upstream).toml(&toml(&folder.path().join("t"))).start();
    let client = Client::new(&gateway.gateway);
    let headers = [("content-type", "application/json"), ("privet-consent", "support"), ("privet-subject", "ana")];
    let reply = client.send("POST", "/v1/chat/completions", &headers, say("Whom do I ask?", false)).await;
    assert!(reply.text().contains("ben.other@example.net"));
    let read = lines(&folder.path().join("t"), 1).await;
    assert_eq!(read[0]["request"], "Whom do I ask?");
    assert_eq!(read[0]["reply"], "Ask [EMAIL], or call [PHONE]. Bye now.");
}

/// Nothing is kept of whoever has objected, withdrawn, or is restricted, and
/// an erasure leaves nobody who could be told by what was kept before.
#[tokio::test]
async fn nothing_is_kept_against_the_will_of_a_person() {
    let folder = scratch_folder();
    let (kept, vault) = (folder.path().join("t"), folder.path().join("vault"));
    let upstream = Upstream::echo().await;
    let config = toml(&kept).replace("name = \"support\"", "name = \"support\"\nbasis = \"legitimate-interest\"");
    let gateway = Setup::new(&upstream).vault(&vault).toml(&config).start();
    let client = Client::new(&gateway.gateway);
    let ask = async |subject: &str, text: &str| {
        let headers = [("content-type", "application/json"), ("privet-subject", subject)];
        let reply = client.send("POST", "/v1/chat/completions", &headers, say(text, false)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    let by_command = |arguments: &[&str]| crate::admin::output(&vault, arguments);
    for subject in ["ana", "ben", "cleo"] {
        ask(subject, &format!("This is {subject} at {subject}@example.org, before.")).await;
    }
    let before = lines(&kept, 3).await;
    let withdrawn = client.send("DELETE", "/.privet/consent", &[("privet-subject", "ben")], "").await;
    assert_eq!(withdrawn.status, 200, "{}", withdrawn.text());
    by_command(&["subject", "erase", "cleo", "--yes"]);
    ask("ben", "I have said no before.").await;
    let officer = format!("Bearer {}", crate::admin::operator(&vault, "dana", "officer"));
    let headers = [("authorization", officer.as_str()), ("content-type", "application/json")];
    let admin = Client::new(&gateway.admin);
    let restricted = admin.send("POST", "/api/v1/subjects/dora/restriction", &headers, r#"{"restricted":true}"#).await;
    assert_eq!(restricted.status, 200, "{}", restricted.text());
    ask("dora", "I have said no too.").await;
    for subject in ["cleo", "ana"] {
        ask(subject, &format!("This is {subject} at {subject}@example.org, after.")).await;
    }
    let read = lines(&kept, 5).await;
    assert_eq!(read.len(), 5);
    let of = |which: &str, all: &[Value]| {
        let found = all.iter().find(|line| line["request"].as_str().unwrap().contains(which));
        found.unwrap_or_else(|| panic!("{which}: {all:?}"))["person"].clone()
    };
    assert!(!read.iter().any(|line| line["request"].as_str().unwrap().contains("I have said")));
    let again: Vec<_> = read.iter().filter(|line| line["request"].as_str().unwrap().contains("after")).collect();
    let old: Vec<_> = before.iter().map(|line| &line["person"]).collect();
    assert_eq!(again.iter().filter(|line| old.contains(&&line["person"])).count(), 1, "ana's alone: {again:?}");
    assert!(of("before", &before).as_str().unwrap().len() == 16);
}
