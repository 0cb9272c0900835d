//! `privet serve` as a process: how it starts and refuses to, what it shows of
//! itself, and how it ends.

use crate::support::{
    Answer, Client, KEY, Privet, RawUpstream, Setup, Step, Upstream, Wire, chat, chat_stream, port_of_nobody, privet,
    scratch_folder, streamed_text, without_settings,
};
use http_body_util::BodyExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const CHAT: &str = "/v1/chat/completions";
const HEADERS: [(&str, &str); 2] = [("content-type", "application/json"), ("privet-consent", "support")];
const TEN_SECONDS: Duration = Duration::from_secs(10);

/// Runs a command that must end by itself.
fn ends(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > TEN_SECONDS {
            child.kill().unwrap();
            panic!("it does not end: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn port_0_prints_the_real_addresses() {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    let privet = Setup::new(&upstream).start();
    for address in [&privet.gateway, &privet.admin] {
        let port = address.strip_prefix("http://127.0.0.1:").unwrap_or_else(|| panic!("{address}"));
        assert_ne!(port.parse::<u16>().unwrap(), 0);
    }
    assert_ne!(privet.gateway, privet.admin);
    assert_eq!(Client::new(&privet.gateway).chat(&chat("hi"), &[]).await.says(), "ok");
    assert_eq!(Client::new(&privet.admin).get("/healthz").await.status, 200);
}

#[tokio::test]
async fn the_listeners_share_no_page() {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    let privet = Setup::new(&upstream).start();
    let (data, admin) = (Client::new(&privet.gateway), Client::new(&privet.admin));
    for path in ["/", "/metrics", "/healthz", "/readyz"] {
        assert_eq!(admin.get(path).await.status, 200, "{path}");
        let before = upstream.recorded().len();
        assert_eq!(data.get(path).await.status, 403, "{path}");
        let forwarded = data.send("GET", path, &HEADERS, "").await;
        assert_eq!(forwarded.json()["choices"][0]["message"]["content"], "ok", "{path} is the chatbot's there");
        assert_eq!(upstream.recorded().len(), before + 1);
    }
    let before = upstream.recorded().len();
    for (method, path) in [("POST", CHAT), ("GET", CHAT), ("GET", "/.privet/notice")] {
        let reply = admin.send(method, path, &HEADERS, chat("hi").to_string()).await;
        assert!([404, 405].contains(&reply.status.as_u16()), "{method} {path}: {}", reply.status);
    }
    assert_eq!(upstream.recorded().len(), before);
}

#[tokio::test]
async fn flags_alone_are_enough_and_outweigh_variables_and_the_file() {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    // The file and the variable name a chatbot that is not there.
    let nobody = format!("http://{}", port_of_nobody());
    let folder = scratch_folder();
    let file = folder.path().join("privet.toml");
    std::fs::write(&file, format!("upstream = \"{nobody}\"\n[consent]\npolicy = \"of the file\"\n")).unwrap();
    let mut command = privet();
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--vault", "memory:", "--upstream"]);
    command.arg(upstream.url()).arg("--config").arg(&file);
    command.env("PRIVET_KEY", KEY).env("PRIVET_UPSTREAM", &nobody).env("PRIVET_CONSENT__POLICY", "of the variable");
    let privet = Privet::start(command);
    let client = Client::new(&privet.gateway);
    assert_eq!(client.chat(&chat("hi"), &[]).await.says(), "ok");
    assert_eq!(client.get("/.privet/notice").await.json()["policy"], "of the variable");
}

#[test]
fn without_a_key_it_says_how_to_make_one() {
    let output = ends(privet().args(["serve", "--upstream", "http://127.0.0.1:9", "--vault", "memory:"]));
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("openssl rand -base64 32"), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_key_that_is_none_is_refused_and_not_shown() {
    for key in [
        "short",
        "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJ",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "no base 64 at all!",
    ] {
        let mut command = privet();
        command.args([
            "serve",
            "--upstream",
            "http://127.0.0.1:9",
            "--vault",
            "memory:",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ]);
        let output = ends(command.env("PRIVET_KEY", key));
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("PRIVET_KEY") && !stderr(&output).contains(key), "{}", stderr(&output));
    }
}

#[test]
fn a_wrong_configuration_is_told_by_line_and_column_before_a_port_is_bound() {
    // The ports are taken: whoever tries to bind them says so instead.
    let taken = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let [listen, admin] = taken.each_ref().map(|socket| socket.local_addr().unwrap());
    let folder = scratch_folder();
    let file = folder.path().join("privet.toml");
    let run = |text: &str| {
        let head = format!("listen = \"{listen}\"\nadmin = \"{admin}\"\nvault = \"memory:\"\n");
        std::fs::write(&file, head + text).unwrap();
        let output = ends(privet().args(["serve", "--config"]).arg(&file).env("PRIVET_KEY", KEY));
        (output.status.code(), stderr(&output))
    };
    for (text, place, says) in [
        ("upstream = \"http://x\"\nupstraem = \"http://y\"\n", "5:1", "upstream"),
        ("upstream = \"http://x\"\n[consent]\n  polcy = \"1\"\n", "6:3", "policy"),
        ("upstream = \"ftp://x\"\n", "4:1", "http"),
        ("upstream = \"http://x\"\n[[routes]]\npath = \"/\"\nwithout_consent = \"allow\"\n", "7:1", "anonymize"),
        ("upstream = \"http://x\"\n[[routes]]\npath = \"/\"\nprotocol = \"telepathy\"\n", "", "openai-chat"),
        ("upstream = \"http://x\"\n[limits]\nrequest_body = \"many\"\n", "6:1", "MiB"),
        ("upstream = \"http://x\"\n[consent]\nrequire_signed = true\n", "6:1", ""),
        ("upstream = \"http://x\n", "4:", ""),
        ("", "", "upstream"),
    ] {
        let (code, said) = run(text);
        assert_eq!(code, Some(2), "{text}: {said}");
        assert!(place.is_empty() || said.contains(&format!("privet.toml:{place}")), "{text}: {said}");
        assert!(said.contains(says), "{text}: {said}");
        assert!(!said.contains("listens there"), "a port was bound first: {said}");
    }
    // The same file put right gets as far as the ports.
    let (code, said) = run("upstream = \"http://x\"\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("listens there"), "{said}");
}

#[tokio::test]
async fn an_unknown_variable_is_a_warning() {
    let upstream = Upstream::start(|_| Answer::says("ok")).await;
    let privet = Setup::new(&upstream).env("PRIVET_CONSNT__POLICY", "a secret of theirs").start();
    assert_eq!(Client::new(&privet.gateway).chat(&chat("hi"), &[]).await.says(), "ok");
    // The nearest one is named.
    let log = privet.log_becomes("PRIVET_CONSENT__POLICY").await;
    assert!(log.contains("warning") && log.contains("PRIVET_CONSNT__POLICY"), "{log}");
    assert!(!log.contains("a secret of theirs"), "{log}");
}

fn serve_with_vault(vault: &str, key: &str) -> Output {
    let mut command = privet();
    command.args(["serve", "--upstream", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    ends(command.args(["--vault", vault]).env("PRIVET_KEY", key))
}

#[test]
fn a_vault_that_cannot_be_used_is_told() {
    let folder = scratch_folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let unreachable = "postgres://127.0.0.1:1/privet".to_owned();
    for vault in [format!("embedded:{}/vault", file.display()), "embedded:/proc/privet".to_owned(), unreachable] {
        let output = serve_with_vault(&vault, KEY);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{vault}: {}", stderr(&output));
        assert!(stderr(&output).contains("vault") && output.stdout.is_empty(), "{vault}: {}", stderr(&output));
    }
    for vault in ["embedded:", "memory:x", "sqlite:x", "postgres:"] {
        let output = serve_with_vault(vault, KEY);
        assert_eq!(output.status.code(), Some(2), "{vault}: {}", stderr(&output));
        assert!(stderr(&output).contains("embedded:"), "{vault}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn a_vault_has_one_process_and_one_key() {
    use std::os::unix::fs::PermissionsExt;
    const OTHER: &str = "P5ocB9LmtUiBPmrwyVsn1A5xrDj1khZNuwKH7s9TQKk=";
    let folder = scratch_folder();
    let place = folder.path().join("vault");
    let upstream = Upstream::echo().await;
    let mut running = Setup::new(&upstream).vault(&place).start();
    let client = Client::new(&running.gateway);
    let say = chat("ana.lopez@example.com");
    client.chat(&say, &[("privet-subject", "u1")]).await;
    let token = upstream.last().said();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&place), mode(&place.join("vault.redb"))), (0o700, 0o600));

    let vault = format!("embedded:{}", place.display());
    let second = tokio::task::spawn_blocking({
        let vault = vault.clone();
        move || serve_with_vault(&vault, KEY)
    });
    let second = second.await.unwrap();
    assert_eq!(second.status.code(), Some(1), "{}", stderr(&second));
    assert!(stderr(&second).contains("in use by another process"), "{}", stderr(&second));
    assert_eq!(client.chat(&say, &[("privet-subject", "u1")]).await.says(), "ana.lopez@example.com");

    running.terminate();
    assert_eq!(running.wait(TEN_SECONDS).code(), Some(0));
    let wrong = tokio::task::spawn_blocking(move || serve_with_vault(&vault, OTHER)).await.unwrap();
    assert_ne!(wrong.status.code(), Some(0));
    assert!(stderr(&wrong).contains("made with the key") && !stderr(&wrong).contains(OTHER), "{}", stderr(&wrong));

    // After a restart with its key the value has the same token.
    let again = Setup::new(&upstream).vault(&place).start();
    let reply = Client::new(&again.gateway).chat(&say, &[("privet-subject", "u1")]).await;
    assert_eq!((upstream.last().said(), reply.says()), (token, "ana.lopez@example.com".to_owned()));
}

#[tokio::test]
async fn sigterm_lets_a_running_stream_end_and_takes_no_more() {
    let words = ["one", " two", " three", " four"];
    let upstream = Upstream::start(move |_| Answer::streams(&words).pause(Duration::from_millis(200))).await;
    let mut privet = Setup::new(&upstream).start();
    let client = Client::new(&privet.gateway);
    let stream = client.open("POST", CHAT, &HEADERS, chat_stream("ana.lopez@example.com").to_string()).await;
    let mut idle = Wire::connect(&privet.gateway).await;
    idle.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    idle.problem().await;

    privet.terminate();
    for _ in 0..200 {
        if Wire::try_connect(&privet.gateway).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for address in [&privet.gateway, &privet.admin] {
        assert!(Wire::try_connect(address).await.is_err(), "it takes connections while it drains");
    }
    assert!(idle.rest().await.is_empty(), "an idle connection is closed");
    let whole = stream.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(streamed_text(std::str::from_utf8(&whole).unwrap(), 0), words.concat());
    let status = tokio::task::spawn_blocking(move || privet.wait(TEN_SECONDS)).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let upstream = RawUpstream::start(vec![
        Step::Send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hi\n\n"),
        Step::Hold,
    ])
    .await;
    let mut privet = Setup::at(&upstream.url()).toml("[timeouts]\ndrain = \"300ms\"\n").start();
    let mut stream =
        Client::new(&privet.gateway).open("POST", CHAT, &HEADERS, chat_stream("hi").to_string()).await.into_body();
    stream.frame().await.unwrap().unwrap();
    privet.terminate();
    let status = tokio::task::spawn_blocking(move || privet.wait(TEN_SECONDS)).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(stream.collect().await.is_err());
}

/// A gateway that is told of a file's limit by an error, not by a signal that
/// ends it; no shell of its own stays.
pub fn without_file_signal(upstream: &str, vault: &Path) -> Command {
    let mut command = without_settings("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(privet().get_program());
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", upstream, "--vault"]);
    command.arg(format!("embedded:{}", vault.display())).env("PRIVET_KEY", KEY);
    command
}

/// Sets how large a file the process may write from now on; reading, sockets and
/// pipes go on.
pub fn limit_files(process: u32, bytes: &str) {
    let (process, limit) = (process.to_string(), format!("--fsize={bytes}:"));
    assert!(Command::new("prlimit").args(["--pid", &process, &limit]).status().unwrap().success());
}

#[tokio::test]
async fn it_is_ready_only_while_the_vault_can_be_written() {
    let folder = scratch_folder();
    let upstream = Upstream::echo().await;
    let privet = Privet::start(without_file_signal(&upstream.url(), folder.path()));
    let (client, admin) = (Client::new(&privet.gateway), Client::new(&privet.admin));
    let becomes = async |status: u16| {
        for _ in 0..100 {
            if admin.get("/readyz").await.status == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("/readyz does not become {status}: {}", privet.log());
    };
    let say = chat("ana.lopez@example.com");
    assert_eq!(admin.get("/readyz").await.status, 200);
    assert_eq!(client.chat(&say, &[("privet-subject", "u1")]).await.says(), "ana.lopez@example.com");

    // As with a full disk, every write fails from now on.
    limit_files(privet.id(), "0");
    becomes(503).await;
    admin.get("/readyz").await.problem(503, "vault-unavailable");
    assert_eq!(admin.get("/healthz").await.status, 200, "alive it is all the same");
    // What would need a new mapping is not forwarded, neither with its value nor with a token that is lost.
    let before = upstream.recorded().len();
    let refused = client.chat(&chat("bo@example.org"), &[("privet-subject", "u1")]).await;
    refused.problem(503, "vault-unavailable");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(upstream.recorded().len(), before);
    privet.metric_becomes("privet_requests_total{outcome=\"vault_failed\",route=\"/\"}", 1).await;
    assert!(privet.metric("privet_vault_operations_total{op=\"tokenize\",result=\"error\"}").await >= 1);
    assert!(privet.metric("privet_vault_operations_total{op=\"check\",result=\"error\"}").await >= 1);
    // What needs none is.
    assert_eq!(client.chat(&chat("hello"), &[]).await.says(), "hello");

    limit_files(privet.id(), "unlimited");
    becomes(200).await;
    assert_eq!(client.chat(&chat("bo@example.org"), &[("privet-subject", "u1")]).await.says(), "bo@example.org");
    assert!(!privet.log().contains("example.org"), "{}", privet.log());
}

#[tokio::test]
async fn the_metrics_of_the_contract_are_there() {
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).start();
    Client::new(&privet.gateway).chat(&chat("ana.lopez@example.com"), &[]).await;
    privet.metric_becomes("privet_requests_total{outcome=\"forwarded\",route=\"/\"}", 1).await;
    let page = Client::new(&privet.admin).get("/metrics").await;
    assert!(page.header("content-type").unwrap().starts_with("text/plain"));
    for series in [
        "privet_requests_total{outcome=\"forwarded\",route=\"/\"} 1",
        "privet_findings_total{direction=\"request\",entity=\"EMAIL\",rule=\"email\"} 1",
        "privet_findings_total{direction=\"reply\",entity=\"EMAIL\",rule=\"email\"} 0",
        "privet_restored_total{entity=\"EMAIL\"} 1",
        "privet_consent_denied_total{purpose=\"support\"} 0",
        "privet_stage_seconds_count{stage=\"scan\"} 1",
        "privet_stage_seconds_count{stage=\"vault\"} 1",
        "privet_stage_seconds_count{stage=\"upstream\"} 1",
        "privet_stage_seconds_count{stage=\"restore\"} 1",
        "privet_vault_operations_total{op=\"tokenize\",result=\"ok\"} 1",
        "privet_in_flight_requests 0",
        "privet_rules_info{version=\"",
        "privet_build_info{",
        "privet_panics_total 0",
    ] {
        assert!(page.text().lines().any(|line| line.starts_with(series)), "{series}\n{}", page.text());
    }
    assert!(!page.text().contains("ana.lopez"));
}

#[tokio::test]
async fn the_log_is_json_with_the_id_of_the_request_and_nothing_personal() {
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).toml("[log]\nformat = \"json\"\nlevel = \"debug\"\n").start();
    let client = Client::new(&privet.gateway);
    let forwarded = client.chat(&chat("ana.lopez@example.com"), &[("privet-subject", "subject-17")]).await;
    let headers =
        [("content-type", "application/json"), ("privet-subject", "subject-17"), ("x-forwarded-for", "192.0.2.7")];
    let refused =
        client.send("POST", "/orders/ana.lopez@example.com?q=ana.lopez@example.com", &headers, "{\"ana.lopez").await;
    refused.problem(403, "consent-required");
    for (reply, outcome) in [(&forwarded, "forwarded"), (&refused, "refused_consent")] {
        privet.metric_becomes(&format!("privet_requests_total{{outcome=\"{outcome}\",route=\"/\"}}"), 1).await;
        let id = reply.header("privet-request-id").unwrap();
        let log = privet.log_becomes(&format!("\"outcome\":\"{outcome}\"")).await;
        let lines: Vec<serde_json::Value> =
            log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
        let of_request: Vec<_> = lines.iter().filter(|line| line["request_id"] == id).collect();
        assert!(of_request.iter().any(|line| line["outcome"] == outcome), "{id}: {log}");
        assert!(lines.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()), "{log}");
    }
    for personal in ["ana.lopez", "subject-17", "192.0.2.7", "/orders"] {
        assert!(!privet.log().contains(personal), "{personal}: {}", privet.log());
    }
}

#[tokio::test]
async fn the_log_level_holds() {
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).toml("[log]\nlevel = \"error\"\n").start();
    Client::new(&privet.gateway).send("GET", "/", &[], "").await.problem(403, "consent-required");
    privet.metric_becomes("privet_requests_total{outcome=\"refused_consent\",route=\"/\"}", 1).await;
    assert_eq!(privet.log(), "");
}
