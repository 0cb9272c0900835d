//! The rights of persons over real sockets: what passed through the gateway is
//! given, corrected, erased and restricted, by commands beside it and by its
//! admin API, and systems behind are told.

use crate::admin::{command, operator, output};
use crate::support::{Answer, Client, KEY, PATIENCE, Privet, Recorded, Reply, Setup, Upstream, privet, scratch_folder};
use privet::rights::signature;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

struct Rig {
    privet: Privet,
    upstream: Upstream,
    client: Client,
    vault: PathBuf,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn new(toml: &str) -> Self {
        let folder = scratch_folder();
        let vault = folder.path().join("vault");
        let upstream = Upstream::echo().await;
        let privet = Setup::at(&upstream.url()).vault(&vault).toml(toml).start();
        let client = Client::new(&privet.gateway);
        Self { privet, upstream, client, vault, _folder: folder }
    }

    async fn say(&self, subject: &str, text: &str) -> Reply {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
        self.client.chat(&body, &[("privet-subject", subject)]).await
    }

    fn export(&self, subject: &str) -> Value {
        serde_json::from_str(&output(&self.vault, &["subject", "export", subject])).unwrap()
    }

    /// A command whose standard input is this.
    fn told(&self, arguments: &[&str], input: &str) -> std::process::Output {
        let vault = format!("embedded:{}", self.vault.display());
        let mut command = privet();
        command.args(arguments).args(["--vault", &vault]).env("PRIVET_KEY", KEY);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

fn values(export: &Value) -> Vec<&str> {
    let lines = export["values"].as_array().unwrap();
    let mut values: Vec<_> = lines.iter().map(|line| line["value"].as_str().unwrap()).collect();
    values.sort_unstable();
    values
}

fn token_of<'e>(export: &'e Value, value: &str) -> &'e str {
    let lines = export["values"].as_array().unwrap();
    lines.iter().find(|line| line["value"] == value).unwrap()["token"].as_str().unwrap()
}

const EMAIL: &str = "ana.silva@example.org";

#[tokio::test]
async fn what_passed_is_exported_beside_and_after_the_gateway() {
    let rig = Rig::new("").await;
    assert_eq!(rig.say("u1", &format!("I am at {EMAIL}")).await.status, 200);
    assert_eq!(rig.say("u2", "I am at ben.other@example.net").await.status, 200);
    let export = rig.export("u1");
    assert_eq!(values(&export), [EMAIL]);
    assert_eq!((&export["subject"], &export["tenant"]), (&json!("u1"), &json!("default")));
    assert!(rig.upstream.recorded()[0].said().contains(token_of(&export, EMAIL)), "the token that the chatbot got");
    let table = output(&rig.vault, &["subject", "export", "u1", "--format", "csv"]);
    assert!(table.contains(EMAIL) && !table.contains("ben.other"), "{table}");
    let found = output(&rig.vault, &["subject", "export", "Ana.Silva@example.org", "--find"]);
    assert!(found.contains("\"subject\":\"u1\""), "{found}");
    assert_eq!(command(&rig.vault, &["subject", "export", "x@example.org", "--find"]).status.code(), Some(1));
    let Rig { privet, vault, _folder, .. } = rig;
    privet.terminate();
    drop(privet);
    let after: Value = serde_json::from_str(&output(&vault, &["subject", "export", "u1"])).unwrap();
    assert_eq!(values(&after), [EMAIL]);
    assert_eq!(after["cases"].as_array().unwrap().len(), 4, "each export is a case of its own, this one too");
}

#[tokio::test]
async fn a_corrected_value_comes_back_in_the_next_reply() {
    let rig = Rig::new("").await;
    rig.say("u1", &format!("I am at {EMAIL}")).await;
    let token = token_of(&rig.export("u1"), EMAIL).to_owned();
    let done = rig.told(&["subject", "rectify", "u1", "--token", &token], "ana.sousa@example.org\n");
    assert!(done.status.success(), "{done:?}");
    let case: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&case["kind"], &case["state"]), (&json!("rectification"), &json!("confirmed")));
    assert!(!case.to_string().contains("ana.s"), "a case holds no value");
    let says = rig.say("u1", &format!("Write to {token}.")).await.says();
    assert_eq!(says, "Write to ana.sousa@example.org.");
    assert_eq!(rig.say("u1", &format!("I was at {EMAIL}")).await.says(), format!("I was at {EMAIL}"));
    let unknown = rig.told(&["subject", "rectify", "u2", "--token", &token, "--value", "x"], "");
    assert_eq!(unknown.status.code(), Some(1));
    let empty = rig.told(&["subject", "rectify", "u1", "--token", &token], "");
    assert_eq!(empty.status.code(), Some(2));
}

#[tokio::test]
async fn an_erased_subject_is_nowhere_any_more() {
    let rig = Rig::new("").await;
    rig.say("u1", &format!("I am at {EMAIL}")).await;
    let token = token_of(&rig.export("u1"), EMAIL).to_owned();
    let nobody = command(&rig.vault, &["subject", "erase", "u-1", "--yes"]);
    let told = String::from_utf8(nobody.stderr).unwrap();
    assert!(nobody.status.success() && told.contains("nothing was held of this subject"), "{told}");
    let refused = command(&rig.vault, &["subject", "erase", "u1"]);
    assert_eq!(refused.status.code(), Some(2), "nobody can be asked");
    assert_eq!(values(&rig.export("u1")), [EMAIL]);
    let case: Value = serde_json::from_str(&output(&rig.vault, &["subject", "erase", "u1", "--yes"])).unwrap();
    assert_eq!(case["proof"]["counts"]["values"], 1);
    assert!(case["proof"]["confirmation"].as_str().unwrap().split('.').count() == 3, "{case}");
    assert!(values(&rig.export("u1")).is_empty());
    let says = rig.say("u1", &format!("Write to {token}.")).await.says();
    assert_eq!(says, format!("Write to {token}."), "the old token stands for nothing");
    rig.say("u1", &format!("I am at {EMAIL}")).await;
    assert_ne!(token_of(&rig.export("u1"), EMAIL), token);
}

#[tokio::test]
async fn a_restricted_subject_is_served_by_no_route() {
    let rig =
        Rig::new("[[routes]]\npath = \"/\"\n[[routes]]\npath = \"/anonymous\"\nwithout_consent = \"anonymize\"\n")
            .await;
    let officer = format!("Bearer {}", operator(&rig.vault, "dana", "officer"));
    let admin = Client::new(&rig.privet.admin);
    let headers = [("authorization", officer.as_str()), ("content-type", "application/json")];
    let set = async |restricted: bool| {
        let body = json!({"restricted": restricted}).to_string();
        let reply = admin.send("POST", "/api/v1/subjects/u1/restriction", &headers, body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    rig.say("u1", &format!("I am at {EMAIL}")).await;
    set(true).await;
    let before = rig.upstream.recorded().len();
    rig.say("u1", "Hello").await.problem(403, "restricted");
    assert_eq!(rig.upstream.recorded().len(), before, "nothing is forwarded");
    assert_eq!(rig.say("u2", "Hello").await.status, 200);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": format!("I am at {EMAIL}")}]});
    let sent = [("content-type", "application/json"), ("privet-consent", "support"), ("privet-subject", "u1")];
    let reply = rig.client.send("POST", "/anonymous/v1/chat/completions", &sent, body.to_string()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(rig.upstream.last().said(), "I am at [EMAIL]", "beyond recovery");
    let refused = command(&rig.vault, &["subject", "export", "u1"]);
    assert_eq!(refused.status.code(), Some(1), "it is given to nobody but the person");
    set(false).await;
    assert_eq!(rig.say("u1", "Hello").await.status, 200);
    output(&rig.vault, &["subject", "restrict", "u1"]);
    rig.say("u1", "Hello").await.problem(403, "restricted");
    output(&rig.vault, &["subject", "restrict", "u1", "--lift"]);
    assert_eq!(rig.say("u1", "Hello").await.status, 200);
    assert_eq!(values(&rig.export("u1")), [EMAIL], "it was kept");
}

#[tokio::test]
async fn a_case_is_walked_from_request_to_proof_over_the_api() {
    let rig = Rig::new("").await;
    rig.say("u1", &format!("I am at {EMAIL}")).await;
    let officer = format!("Bearer {}", operator(&rig.vault, "dana", "officer"));
    let admin = Client::new(&rig.privet.admin);
    let headers = [("authorization", officer.as_str()), ("content-type", "application/json")];
    let post = async |path: &str, body: Value| {
        let reply = admin.send("POST", &format!("/api/v1{path}"), &headers, body.to_string()).await;
        (reply.status.as_u16(), reply.json())
    };
    let found = post("/subjects/find", json!({"contact": EMAIL})).await;
    assert_eq!(found, (200, json!({"subjects": ["u1"]})));
    let (status, case) = post("/cases", json!({"subject": "u1", "kind": "erasure"})).await;
    assert_eq!(status, 201);
    let id = case["id"].as_str().unwrap();
    let erase = format!("/subjects/u1/erase?case={id}");
    assert_eq!(post(&erase, json!({})).await.0, 409, "nobody was verified");
    assert_eq!(post(&format!("/cases/{id}/verify"), json!({"method": "document-seen"})).await.0, 200);
    assert_eq!(post(&format!("/cases/{id}/extend"), json!({"reason": "Many systems."})).await.0, 200);
    let (_, located) = post(&format!("/cases/{id}/locate"), json!({})).await;
    assert_eq!(located["located"], json!({"EMAIL": 1}));
    let due = admin.send("GET", "/api/v1/cases/due", &headers[..1], "").await.json();
    assert_eq!((&due["items"][0]["id"], &due["items"][0]["urgency"]), (&json!(id), &json!("open")));
    let (status, done) = post(&erase, json!({})).await;
    assert_eq!((status, &done["state"]), (200, &json!("done")), "{done}");
    let (_, confirmed) = post(&format!("/cases/{id}/confirm"), json!({})).await;
    assert_eq!(confirmed["state"], "confirmed");
    let shown = admin.send("GET", &format!("/api/v1/cases/{id}"), &headers[..1], "").await.json();
    assert_eq!(shown["name"], Value::Null, "the case names nobody");
    let by: Vec<&str> = shown["history"].as_array().unwrap().iter().map(|e| e["by"].as_str().unwrap()).collect();
    assert!(by.iter().all(|by| *by == "operator:dana"), "{by:?}");
    let key = admin.send("GET", "/api/v1/cases/key", &headers[..1], "").await.json();
    assert_eq!((&key["crv"], &key["kty"]), (&json!("Ed25519"), &json!("OKP")));
}

#[tokio::test]
async fn systems_behind_are_told_until_they_listen() {
    const SECRET: &str = "a secret of the crm system";
    let status = Arc::new(AtomicU16::new(500));
    let receiver = Upstream::start({
        let status = Arc::clone(&status);
        move |_| Answer::json(&json!({})).status(status.load(Ordering::Relaxed))
    })
    .await;
    let toml = format!("[[webhooks]]\nurl = \"{}/hooks/s3cret\"\nsecret = \"{SECRET}\"\n", receiver.url());
    let rig = Rig::new(&toml).await;
    rig.say("u1", &format!("I am at {EMAIL}")).await;
    let case: Value = serde_json::from_str(&output(&rig.vault, &["subject", "erase", "u1", "--yes"])).unwrap();
    let wait = async |count: usize| {
        for _ in 0..300 {
            if receiver.recorded().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} messages", receiver.recorded().len());
    };
    wait(2).await;
    status.store(204, Ordering::Relaxed);
    let failed = receiver.recorded().len();
    wait(failed + 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let all = receiver.recorded();
    let bodies: Vec<Value> = all.iter().map(Recorded::json).collect();
    assert!(bodies.iter().all(|body| body["id"] == bodies[0]["id"]), "it is one message, and known again");
    assert_eq!((&bodies[0]["event"], &bodies[0]["subject"]), (&json!("subject.erased"), &json!("u1")));
    assert_eq!(bodies[0]["case"], case["id"]);
    for message in &all {
        let header = message.headers["privet-signature"].to_str().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(signature::holds(SECRET, header, &message.body, now, 60));
        assert!(!message.everything().windows(9).any(|part| part == b"ana.silva"), "no values");
    }
    let officer = format!("Bearer {}", operator(&rig.vault, "dana", "officer"));
    let admin = Client::new(&rig.privet.admin);
    let path = format!("/api/v1/cases/{}", case["id"].as_str().unwrap());
    let shown = admin.send("GET", &path, &[("authorization", &officer)], "").await.json();
    assert_eq!(shown["notices"][0]["delivered"], true, "{shown}");
    assert_eq!(shown["notices"][0]["system"], receiver.url(), "its path is a secret");
}

/// A person at the page of their own.
struct Person<'a> {
    client: &'a Client,
    session: String,
}

impl Person<'_> {
    async fn ask(&self, method: &str, path: &str, body: Value) -> Reply {
        let bearer = format!("Bearer {}", self.session);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.client.send(method, &format!("/.privet/me{path}"), &headers, body).await
    }
}

#[tokio::test]
async fn a_person_serves_themselves_after_a_code() {
    let receiver = Upstream::start(|_| Answer::json(&json!({}))).await;
    let toml = format!(
        "[[webhooks]]\nurl = \"{}/code\"\nevents = [\"code.issued\"]\nsecret = \"a secret of the site\"\n",
        receiver.url()
    );
    let rig = Rig::new(&toml).await;
    rig.say("u1", &format!("I am at {EMAIL}")).await;
    rig.say("u2", "I am at ben.other@example.net").await;
    let page = rig.client.get("/.privet/me").await;
    assert!(page.text().contains("<h1") && page.header("content-security-policy").unwrap().contains("'none'"));
    for asset in ["/.privet/me/me.js", "/.privet/me/me.css"] {
        assert_eq!(rig.client.get(asset).await.status, 200);
    }
    let json_type = [("content-type", "application/json")];
    let code = async |who: &str| {
        rig.client.send("POST", "/.privet/me/code", &json_type, json!({"who": who}).to_string()).await
    };
    let (known, unknown) = (code(EMAIL).await, code("nobody@example.org").await);
    assert_eq!((known.status, unknown.status), (http::StatusCode::ACCEPTED, http::StatusCode::ACCEPTED));
    assert_eq!(known.body.len(), unknown.body.len(), "nobody can tell who is known");
    for _ in 0..200 {
        if !receiver.recorded().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let message = receiver.only();
    assert!(!message.text().contains("ana.silva"), "the site knows the address by itself");
    let issued = message.json();
    assert_eq!((&issued["event"], &issued["subject"]), (&json!("code.issued"), &json!("u1")));
    let question = known.json()["question"].as_str().unwrap().to_owned();
    let open = async |code: &str| {
        let body = json!({"question": question, "code": code}).to_string();
        rig.client.send("POST", "/.privet/me/session", &json_type, body).await
    };
    open("AAAAAAAA").await.problem(401, "unauthorized");
    let session = open(issued["code"].as_str().unwrap()).await.json()["session"].as_str().unwrap().to_owned();
    let person = Person { client: &rig.client, session };

    let data = person.ask("GET", "/data", Value::Null).await.json();
    assert_eq!(values(&data), [EMAIL]);
    let token = token_of(&data, EMAIL).to_owned();
    let file = person.ask("GET", "/export?format=json", Value::Null).await;
    assert!(file.header("content-disposition").unwrap().contains("my-data.json"));
    assert_eq!(values(&file.json()), [EMAIL]);
    let table = person.ask("GET", "/export?format=csv", Value::Null).await;
    assert!(table.text().contains(EMAIL) && !table.text().contains("ben.other"));

    let corrected = json!({"token": token, "value": "ana.sousa@example.org"});
    assert_eq!(person.ask("POST", "/rectify", corrected).await.status, 200);
    assert_eq!(rig.say("u1", &token).await.says(), "ana.sousa@example.org");
    assert_eq!(person.ask("POST", "/restrict", json!({"restricted": true})).await.status, 200);
    rig.say("u1", "Hello").await.problem(403, "restricted");
    assert_eq!(person.ask("POST", "/restrict", json!({"restricted": false})).await.status, 200);
    assert_eq!(rig.say("u1", "Hello").await.status, 200);
    assert_eq!(person.ask("POST", "/object", json!({"purposes": ["support"]})).await.status, 200);
    let data = person.ask("GET", "/data", Value::Null).await.json();
    assert_eq!(data["purposes"][0]["withdrawn"], true, "{data}");

    let erased = person.ask("POST", "/erase", json!({})).await.json();
    assert_eq!((&erased["kind"], &erased["proof"]["counts"]["values"]), (&json!("erasure"), &json!(1)));
    person.ask("GET", "/data", Value::Null).await.problem(401, "unauthorized");
    assert!(values(&rig.export("u1")).is_empty());
    assert_eq!(values(&rig.export("u2")), ["ben.other@example.net"]);

    // Each look is in the access log, before it was answered.
    let log = output(&rig.vault, &["audit", "export"]);
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let own: Vec<Value> = lines.filter(|line| line["actor"] == "subject").collect();
    let actions: Vec<&str> = own.iter().map(|line| line["action"].as_str().unwrap()).collect();
    let all = ["show", "export", "export", "rectify", "restrict", "restrict", "object", "show", "erase"];
    assert_eq!(actions, all);
    assert!(own.iter().all(|line| line["subject"] == own[0]["subject"] && line["request_id"].is_string()), "{own:?}");
    assert!(!log.contains("ana.") && !log.contains("\"u1\""), "no values, and no ids");
}

#[tokio::test]
async fn the_page_of_a_person_opens_for_nobody_else() {
    let rig = Rig::new("").await;
    rig.say("u1", &format!("I am at {EMAIL}")).await;
    for path in ["/data", "/export"] {
        for session in ["", "x", &"0".repeat(64), &"f".repeat(64)] {
            let person = Person { client: &rig.client, session: session.to_owned() };
            person.ask("GET", path, Value::Null).await.problem(401, "unauthorized");
        }
    }
    let headers = [("privet-subject", "u1"), ("content-type", "application/json")];
    let reply = rig.client.send("POST", "/.privet/me/erase", &headers, "{}").await;
    reply.problem(401, "unauthorized");
    let form = [("content-type", "text/plain")];
    let reply = rig.client.send("POST", "/.privet/me/session", &form, "{\"question\":\"\",\"code\":\"\"}").await;
    reply.problem(415, "unsupported-body");
    let reply = rig.client.send("POST", "/.privet/me/code", &headers[1..], "{\"who\":\"u1\"}").await;
    reply.problem(404, "not-found");
    assert_eq!(rig.client.send("PUT", "/.privet/me", &[], "").await.status, 405);
    assert_eq!(values(&rig.export("u1")), [EMAIL]);
}

#[tokio::test]
async fn the_page_speaks_the_language_of_its_reader() {
    let toml = "[consent]\npolicy = \"1\"\n[[notices]]\nlang = \"de\"\ntitle = \"t\"\ntext = \"x\"\n\
                [notices.purposes.support]\ntitle = \"Hilfe im Chat\"\n";
    let rig = Rig::new(toml).await;
    for (query, accepted, lang, title) in [
        ("", "de-AT, en;q=0.8", "de", "Meine Daten"),
        ("?lang=fr", "de", "fr", "Mes données"),
        ("", "pl, es;q=0.5", "es", "Mis datos"),
        ("", "it", "it", "I miei dati"),
        ("", "nl-BE", "nl", "Mijn gegevens"),
        ("?lang=tlh", "", "en", "My data"),
    ] {
        let reply = rig.client.send("GET", &format!("/.privet/me{query}"), &[("accept-language", accepted)], "").await;
        assert_eq!(reply.header("content-language"), Some(lang));
        assert!(reply.text().contains(&format!("<html lang=\"{lang}\">")) && reply.text().contains(title), "{lang}");
        assert!(!reply.text().contains("{{"));
    }
}

const TENANTS: &str = "tenant = \"shop\"\n[[routes]]\npath = \"/\"\n[[routes]]\npath = \"/bank\"\ntenant = \"bank\"\n";

#[tokio::test]
async fn each_tenant_has_persons_of_its_own() {
    let receiver = Upstream::start(|_| Answer::json(&json!({}))).await;
    let toml = format!(
        "{TENANTS}[[webhooks]]\nurl = \"{}/code\"\nevents = [\"code.issued\"]\nsecret = \"a secret of the site\"\n",
        receiver.url()
    );
    let rig = Rig::new(&toml).await;
    let json_type = ("content-type", "application/json");
    for (path, text) in [("", EMAIL), ("/bank", "ana.bank@example.org")] {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": format!("I am at {text}")}]});
        let headers = [json_type, ("privet-consent", "support"), ("privet-subject", "u1")];
        let path = format!("{path}/v1/chat/completions");
        assert_eq!(rig.client.send("POST", &path, &headers, body.to_string()).await.status, 200);
    }
    let code = async |body: Value| rig.client.send("POST", "/.privet/me/code", &[json_type], body.to_string()).await;
    code(json!({"who": "u1", "tenant": "nobody"})).await.problem(400, "bad-request");
    let asked = code(json!({"who": "u1", "tenant": "bank"})).await.json();
    for _ in 0..200 {
        if !receiver.recorded().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let issued = receiver.only().json();
    assert_eq!(issued["tenant"], "bank");
    let body = json!({"question": asked["question"], "code": issued["code"]}).to_string();
    let opened = rig.client.send("POST", "/.privet/me/session", &[json_type], body).await.json();
    let person = Person { client: &rig.client, session: opened["session"].as_str().unwrap().to_owned() };
    assert_eq!(values(&person.ask("GET", "/data", Value::Null).await.json()), ["ana.bank@example.org"]);
    assert_eq!(person.ask("POST", "/erase", json!({})).await.status, 200);
    let of = |tenant: &str| output(&rig.vault, &["subject", "export", "u1", "--tenant", tenant]);
    assert!(of("shop").contains(EMAIL) && !of("bank").contains('@'), "only those of the bank went");
}

#[tokio::test]
async fn an_erasure_ends_streams_that_rest_on_no_consent() {
    use http_body_util::BodyExt as _;
    let event = bytes::Bytes::from_static(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi \"}}]}\n\n");
    let gates: Arc<std::sync::Mutex<Vec<Arc<tokio::sync::Semaphore>>>> = Arc::default();
    let upstream = Upstream::start({
        let gates = Arc::clone(&gates);
        move |_| {
            let gate = Arc::new(tokio::sync::Semaphore::new(1));
            gates.lock().unwrap().push(Arc::clone(&gate));
            Answer::new("text/event-stream", vec![event.clone(); 100]).gate(&gate)
        }
    })
    .await;
    let folder = scratch_folder();
    let vault = folder.path().join("vault");
    let toml =
        "[[purposes]]\nname = \"orders\"\nbasis = \"contract\"\n[[routes]]\npath = \"/\"\npurpose = \"orders\"\n";
    let gateway = Setup::new(&upstream).vault(&vault).toml(toml).start();
    let client = Client::new(&gateway.gateway);
    let mut streams = Vec::new();
    for subject in ["u1", "u2"] {
        let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": EMAIL}]});
        let headers = [("content-type", "application/json"), ("privet-subject", subject)];
        let reply = client.open("POST", "/v1/chat/completions", &headers, body.to_string()).await;
        assert_eq!(reply.status(), 200);
        let mut stream = reply.into_body();
        stream.frame().await.unwrap().unwrap();
        streams.push(stream);
    }
    output(&vault, &["subject", "erase", "u1", "--yes"]);
    let ended = tokio::time::timeout(PATIENCE, streams[0].frame()).await.expect("it goes on");
    assert!(ended.is_none_or(|frame| frame.is_err()));
    gates.lock().unwrap()[1].add_permits(10);
    streams[1].frame().await.unwrap().expect("another person's stream goes on");
}
