//! Every look stands in the access log before it is one: whoever was shown a
//! value is told of after a kill, on every vault that outlives the process.

use crate::support::{
    Answer, CONSENT, Client, KEY, Setup, Socket, SocketUpstream, Upstream, chat, chat_stream, privet, scratch_folder,
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Semaphore;

const VALUE: &str = "ana.lopez@example.com";

/// What a command says of this vault.
async fn output(url: &str, arguments: &[&str]) -> String {
    let mut command = privet();
    command.args(arguments).args(["--vault", url]).env("PRIVET_KEY", KEY);
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8(done.stderr).unwrap());
    String::from_utf8(done.stdout).unwrap()
}

/// Lines of the access log, which is whole.
async fn lines(url: &str) -> Vec<Value> {
    let export = output(url, &["audit", "export"]).await;
    assert!(!export.contains(VALUE) && !export.contains("customer"), "{export}");
    export.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn headers(subject: &str) -> [(&str, &str); 3] {
    [("content-type", "application/json"), CONSENT, ("privet-subject", subject)]
}

/// Streams, sockets and whole replies that show a value, each just before the
/// process is killed.
async fn a_kill_loses_no_look(url: &str) {
    let pieces = |said: &str| vec![format!("{said} "), "and".to_owned()];
    // The end of a stream never comes.
    let streaming =
        Upstream::start(move |request| Answer::streams(&pieces(&request.said())).gate(&Arc::new(Semaphore::new(3))))
            .await;
    let (whole, sockets) = (Upstream::echo().await, SocketUpstream::echo().await);
    let mut shown = BTreeSet::new();
    for round in 0..3 {
        let subject = format!("customer-{round}");
        let message = format!("write to {round}.{VALUE}");

        let privet = Setup::new(&streaming).vault_at(url).start();
        let body = chat_stream(&message).to_string();
        let reply = Client::new(&privet.gateway).open("POST", "/v1/chat/completions", &headers(&subject), body).await;
        let id = reply.headers()["privet-request-id"].to_str().unwrap().to_owned();
        let (mut stream, mut text) = (reply.into_body(), String::new());
        while !text.contains(VALUE) {
            let frame = stream.frame().await.unwrap().unwrap().into_data().unwrap();
            text.push_str(std::str::from_utf8(&frame).unwrap());
        }
        privet.kill_and_read();
        shown.insert(id);

        let privet = Setup::new(&whole).vault_at(url).start();
        let client = Client::new(&privet.gateway);
        let reply = client.send("POST", "/v1/chat/completions", &headers(&subject), chat(&message).to_string()).await;
        privet.kill_and_read();
        assert_eq!(reply.says(), message);
        shown.insert(reply.header("privet-request-id").unwrap().to_owned());

        let privet = Setup::at(&sockets.url()).vault_at(url).start();
        let path = format!("/chat?privet-consent=support&privet-subject={subject}");
        let mut socket = Socket::open(&privet.gateway, &path, &[]).await;
        socket.send("hello").await;
        assert_eq!(socket.text().await, "hello");
        socket.send(message.as_str()).await;
        assert_eq!(socket.text().await, message);
        privet.kill_and_read();
        shown.insert(socket.head["privet-request-id"].to_str().unwrap().to_owned());
    }
    let verdict = output(url, &["audit", "verify"]).await;
    assert!(verdict.starts_with("whole: ") && verdict.contains(" have no end"), "{verdict}");
    let lines = lines(url).await;
    let told: BTreeSet<String> = lines
        .iter()
        .filter(|line| ["begin", "exchange"].contains(&line["action"].as_str().unwrap_or_default()))
        .filter(|line| line["subject"].as_str().is_some_and(|alias| alias.len() == 32))
        .filter(|line| line["entities"]["EMAIL"].as_u64().is_some() && line["recipient"] == "127.0.0.1")
        .map(|line| line["request_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, shown, "{lines:#?}");
    let report = output(url, &["report", "breach", "--format", "markdown"]).await;
    assert!(report.contains("Exchanges concerned | 9 |") && report.contains("EMAIL"), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_look_on_an_embedded_vault() {
    let folder = scratch_folder();
    a_kill_loses_no_look(&format!("embedded:{}", folder.path().display())).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_look_on_postgres() {
    a_kill_loses_no_look(&crate::postgres::CLUSTER.database()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_in_order_has_an_end() {
    let (upstream, folder) = (Upstream::echo().await, scratch_folder());
    let url = format!("embedded:{}", folder.path().display());
    let mut privet = Setup::new(&upstream).vault_at(&url).start();
    let client = Client::new(&privet.gateway);
    let message = format!("write to {VALUE}");
    let reply = client.send("POST", "/v1/chat/completions", &headers("customer"), chat(&message).to_string()).await;
    assert_eq!(reply.says(), message);
    privet.terminate();
    privet.wait(std::time::Duration::from_secs(20));
    let is_of_exchange = |line: &Value| line["actor"] == "gateway" && line["action"] != "checkpoint";
    let of_exchange: Vec<Value> = lines(&url).await.into_iter().filter(is_of_exchange).collect();
    let [begin, exchange] = &of_exchange[..] else { panic!("{of_exchange:?}") };
    assert_eq!((&begin["action"], &exchange["action"]), (&json!("begin"), &json!("exchange")));
    assert_eq!((&begin["restored"], &exchange["restored"]["EMAIL"]), (&Value::Null, &json!(1)));
    assert_eq!(begin["request_id"], exchange["request_id"]);
    assert!(!output(&url, &["audit", "verify"]).await.contains("no end"));
}
