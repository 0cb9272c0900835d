//! Many gateways over one `PostgreSQL`: real servers, a real pooler, and what
//! can happen to them.

mod failover;
mod faults;
mod upkeep;

use crate::signed;
use crate::support::{
    Answer, Bouncer, CONSENT, Client, Cluster, Durability, Identity, KEY, PATIENCE, Privet, Recorded, Setup, Socket,
    SocketUpstream, Upstream, chat, chat_stream, own, privet, tokens,
};
use http_body_util::BodyExt as _;
use privet::config::Config;
use privet::ledger::{Act, Channel, Ledger, Notices, What};
use privet::rights::{By, Rights};
use privet::store::Store;
use privet::store::postgres::{Postgres, PostgresUrl};
use privet::vault::{Key, Options, Vault};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::process::Stdio;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A server for all tests that do it no harm.
pub(crate) static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(Durability::None, &[]));

/// Within this time every replica knows what one of them changed.
const SOON: Duration = Duration::from_secs(1);

/// All tokens that a chatbot ever received, by subject, and their values.
type Known = BTreeMap<String, HashMap<String, String>>;

fn replica(upstream: &Upstream, url: &str) -> Privet {
    Setup::new(upstream).vault_at(url).start()
}

fn of(subject: &str) -> [(&str, &str); 1] {
    [("privet-subject", subject)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_restore_each_others_tokens() {
    let (upstream, url) = (Upstream::echo().await, CLUSTER.database());
    let replicas = [replica(&upstream, &url), replica(&upstream, &url)];
    let clients = [0, 1].map(|n: usize| Client::new(&replicas[n].gateway));
    let text = "write to ana@example.com or call +49 30 901820";
    let mut quoted = String::new();
    for client in &clients {
        assert_eq!(client.chat(&chat(text), &of("ana")).await.says(), text);
        let said = upstream.last().said();
        assert_eq!(tokens(&said).len(), 2, "{said}");
        assert!(quoted.is_empty() || quoted == said, "replicas have the same tokens: {quoted} and {said}");
        quoted = said;
    }
    // What only the first has met, and what the second asks for first.
    clients[0].chat(&chat("my account is DE02 1203 0000 0000 2020 51"), &of("ana")).await;
    let account = upstream.last().said();
    tokio::time::sleep(SOON).await;
    assert!(clients[1].chat(&chat(&account), &of("ana")).await.says().contains("DE02 1203"), "{account}");
    assert_eq!(clients[1].chat(&chat(&quoted), &of("ben")).await.says(), quoted, "not to another person");
    for privet in &replicas {
        assert_eq!(Client::new(&privet.admin).get("/readyz").await.status, 200);
        assert!(!privet.log().contains("WARN"), "{}", privet.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_transaction_mode_may_stand_in_between() {
    let (upstream, url) = (Upstream::echo().await, CLUSTER.database());
    let (_, database) = url.rsplit_once('/').unwrap();
    let bouncer = Bouncer::start(&CLUSTER);
    let privet = replica(&upstream, &bouncer.url(database));
    let client = Client::new(&privet.gateway);
    let chats = (0..60).map(|n| {
        let client = client.clone();
        tokio::spawn(async move {
            let text = format!("write to p{n}@example.com");
            for _ in 0..3 {
                assert_eq!(client.chat(&chat(&text), &of(&format!("s{}", n % 7))).await.says(), text);
            }
        })
    });
    for chat in chats.collect::<Vec<_>>() {
        chat.await.unwrap();
    }
    assert!(upstream.recorded().iter().all(|request| tokens(&request.said()).len() == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_erases_no_other_restores() {
    let (upstream, url) = (Upstream::echo().await, CLUSTER.database());
    let privet = replica(&upstream, &url);
    let client = Client::new(&privet.gateway);
    let vault = Vault::open(&url.parse().unwrap(), Key::from_base64(KEY).unwrap(), Options::default()).await.unwrap();
    let row = vault.row("default", "ana");
    let other = Postgres::open(&PostgresUrl::parse(url.strip_prefix("postgres:").unwrap()).unwrap(), 7).await.unwrap();
    let (_, database) = url.rsplit_once('/').unwrap();
    let mut killed = 0;
    for round in 0..4 {
        client.chat(&chat("write to ana@example.com"), &of("ana")).await;
        let quoted = upstream.last().said();
        assert_eq!(client.chat(&chat(&quoted), &of("ana")).await.says(), "write to ana@example.com");
        if round % 2 == 1 {
            // Whoever listens is cut off, just then.
            let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = \
                        current_database() and pid <> pg_backend_pid() and query ~ 'from privet_(lanes|events)'";
            killed += CLUSTER.primary.ask_in(database, kill).parse::<usize>().unwrap();
        }
        assert_eq!(other.erase(row).await.unwrap(), 1);
        let erased = Instant::now();
        loop {
            let reply = client.chat(&chat(&quoted), &of("ana")).await;
            // What is under way as the news comes is ended.
            if reply.status != 403 && reply.says() == quoted {
                break;
            }
            assert!(erased.elapsed() < PATIENCE, "it is still restored");
        }
        println!("not restored any more after {:?}", erased.elapsed());
    }
    assert!(killed >= 2, "nobody was cut off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_known_by_its_certificate() {
    let (identity, stranger) = (Identity::new(), Identity::new());
    let cluster = Cluster::start(Durability::None, &[]);
    for (name, file) in [("server.crt", identity.certificate()), ("server.key", identity.key())] {
        let copy = cluster.folder().join("primary").join(name);
        std::fs::copy(file, &copy).unwrap();
        std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        own(&copy);
    }
    // Nobody gets in without TLS.
    let rules = "hostnossl all all 127.0.0.1/32 reject\nhostssl all all 127.0.0.1/32 trust\n";
    let url = cluster.database();
    cluster.primary.stop();
    cluster.primary.configure(Durability::None, &["ssl = on"]);
    std::fs::write(cluster.folder().join("primary/pg_hba.conf"), rules).unwrap();
    cluster.primary.start();

    let upstream = Upstream::echo().await;
    let at = |parameters: &str| format!("{}?{parameters}", url.replace("127.0.0.1", "localhost"));
    let root = |identity: &Identity| format!("sslrootcert={}", identity.certificate().display());
    for parameters in [format!("sslmode=verify-full&{}", root(&identity)), root(&identity), "sslmode=require".into()] {
        let privet = replica(&upstream, &at(&parameters));
        let reply = Client::new(&privet.gateway).chat(&chat("write to ana@example.com"), &of("ana")).await;
        assert_eq!(reply.says(), "write to ana@example.com");
    }
    for parameters in [format!("sslmode=verify-full&{}", root(&stranger)), "sslmode=disable".into()] {
        let url = at(&parameters).replace("postgres@", "postgres:s3cret@");
        let mut command = privet();
        command.args(["serve", "--upstream", &upstream.url(), "--vault", &url]).env("PRIVET_KEY", KEY);
        let done = command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).stdin(Stdio::null()).output();
        let done = done.unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(!done.status.success() && said.contains("PostgreSQL"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

/// Adds the tokens that a chatbot received, with the values they stand for.
/// Each request tells its value in a header; of one value there is one token.
fn learn(known: &mut Known, received: &[Recorded]) {
    for request in received {
        let [subject, name] = ["x-subject", "x-name"].map(|name| request.headers[name].to_str().unwrap().to_owned());
        let value = format!("{name}@example.com");
        assert!(!request.text().contains(&value), "a value was forwarded");
        let found = tokens(&request.said());
        assert_eq!(found.len(), 1, "{}", request.text());
        let values = known.entry(subject).or_default();
        values.insert(found[0].clone(), value.clone());
        let of_value: Vec<_> = values.iter().filter(|(_, other)| **other == value).collect();
        assert_eq!(of_value.len(), 1, "a value has two tokens: {of_value:?}");
    }
}

/// A request with one value, named so that [`learn`] knows it.
async fn write_to(client: &Client, subject: &str, name: &str) -> Result<crate::support::Reply, String> {
    let headers = [("privet-subject", subject), ("x-subject", subject), ("x-name", name)];
    client.try_chat(&chat(&format!("write to {name}@example.com")), &headers).await.map_err(|e| e.to_string())
}

/// A gateway without any memory restores every token.
async fn hold_to_account(url: &str, known: &Known) {
    hold_to_account_with(KEY, url, known).await;
}

async fn hold_to_account_with(key: &str, url: &str, known: &Known) {
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).vault_at(url).env("PRIVET_KEY", key).start();
    let client = Client::new(&privet.gateway);
    for (subject, tokens) in known {
        let (quoted, values): (Vec<&str>, Vec<&str>) = tokens.iter().map(|(t, v)| (t.as_str(), v.as_str())).unzip();
        for (quoted, values) in quoted.chunks(50).zip(values.chunks(50)) {
            let (quoted, values) = (quoted.join(" and "), values.join(" and "));
            let reply = client.chat(&chat(&quoted), &of(subject)).await;
            assert_eq!(reply.says(), values, "tokens of {subject} are lost");
            client.chat(&chat(&values), &of(subject)).await;
            assert_eq!(upstream.last().said(), quoted, "values of {subject} have other tokens now");
        }
    }
}

/// A replica whose connection that listens is cut off, and cannot be made anew,
/// is told of nothing; so it asks, and believes nothing that it remembers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_that_is_cut_off_cannot_hear_binds_it_all_the_same() {
    let (upstream, url) = (Upstream::echo().await, CLUSTER.database());
    let (_, database) = url.rsplit_once('/').unwrap();
    let vault = Vault::open(&url.parse().unwrap(), Key::from_base64(KEY).unwrap(), Options::default()).await.unwrap();
    let config = Config::parse("upstream = \"http://bot.example\"").unwrap().config;
    let (rights, ledger) = (Rights::new(vault.clone(), &config).unwrap(), Ledger::new(&vault, Notices::new(&[])));
    let withdrawn =
        What { purposes: [("support".to_owned(), false)].into(), ..What::new(Act::Withdrawn, Channel::Operator) };
    let act = async |subject: &str| match subject {
        "ana" => _ = rights.restrict("default", "ana", true, &By::operator("dana")).await.unwrap(),
        _ => _ = ledger.withdraw(ledger.row("default", subject), withdrawn.clone()).await.unwrap(),
    };
    // Connections for all that follows are made while they can be, and stay.
    tokio::join!(act("dora"), act("eli"), act("fay"), act("gus"));
    let here =
        format!("select coalesce(string_agg(pid::text, ','), '0') from pg_stat_activity where datname = '{database}'");
    let own = CLUSTER.primary.ask(&here);
    let privet = replica(&upstream, &url);
    let client = Client::new(&privet.gateway);
    for subject in ["ana", "bo", "cy"] {
        assert_eq!(client.chat(&chat("write to ana@example.com"), &of(subject)).await.status, 200);
    }
    CLUSTER.primary.run(&format!("alter database {database} allow_connections false"));
    let kill = format!(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity \
         where datname = '{database}' and query ~ 'from privet_(lanes|events)' and pid not in ({})",
        own.trim()
    );
    assert!(CLUSTER.primary.ask(&kill).parse::<usize>().unwrap() >= 1, "nobody was cut off");
    tokio::time::sleep(SOON).await;
    for (subject, problem) in [("ana", "restricted"), ("bo", "consent-required")] {
        act(subject).await;
        client.chat(&chat("hello"), &of(subject)).await.problem(403, problem);
    }
    assert_eq!(client.chat(&chat("hello"), &of("cy")).await.status, 200, "others are served");
    CLUSTER.primary.run(&format!("alter database {database} allow_connections true"));
}

/// A chatbot whose streams begin and do not go on.
async fn endless() -> Upstream {
    Upstream::start(|_| {
        let event =
            bytes::Bytes::from_static(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi \"}}]}\n\n");
        Answer::new("text/event-stream", vec![event; 100]).gate(&Arc::new(Semaphore::new(1)))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_is_told_ends_streams_and_sockets_of_another() {
    let url = CLUSTER.database();
    let upstream = endless().await;
    let echo = SocketUpstream::echo().await;
    let (here, there) = (replica(&upstream, &url), replica(&upstream, &url));
    let sockets = Setup::at(&echo.url()).vault_at(&url).start();
    let client = Client::new(&there.gateway);
    let headers = [("content-type", "application/json"), CONSENT, ("privet-subject", "ana")];
    let body = chat_stream("hi").to_string();
    let mut stream = client.open("POST", "/v1/chat/completions", &headers, body).await.into_body();
    stream.frame().await.unwrap().unwrap();
    let mut socket = Socket::open(&sockets.gateway, "/chat?privet-consent=support&privet-subject=ana", &[]).await;
    socket.send("hello").await;
    assert_eq!(socket.text().await, "hello");
    let told = Client::new(&here.gateway).send("DELETE", "/.privet/consent", &of("ana"), "").await;
    assert_eq!(told.status, 200);
    let cut = tokio::time::timeout(PATIENCE, stream.frame()).await.expect("the stream goes on");
    assert!(cut.is_none_or(|frame| frame.is_err()));
    let closed = tokio::time::timeout(PATIENCE, socket.closed()).await.expect("the socket stays open");
    assert_eq!(closed, Some((1008, "urn:privet:problem:consent-required".to_owned())));
    client.chat(&chat("hello"), &of("ana")).await.problem(403, "consent-required");
}

const SALE: &str = "[[purposes]]\nname = \"support\"\n[[purposes]]\nname = \"marketing\"\nsale = true\n\
                    [[routes]]\npath = \"/\"\npurpose = \"support\"\n[[routes]]\npath = \"/ads\"\npurpose = \"marketing\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_at_one_replica_ends_streams_and_sockets_of_another() {
    let url = CLUSTER.database();
    let upstream = endless().await;
    let echo = SocketUpstream::echo().await;
    let start = || Setup::new(&upstream).vault_at(&url).toml(SALE).start();
    let (here, there) = (start(), start());
    let sockets = Setup::at(&echo.url()).vault_at(&url).toml(SALE).start();
    let (one, other) = (Client::new(&here.gateway), Client::new(&there.gateway));
    let ana =
        [("content-type", "application/json"), ("privet-consent", "support, marketing"), ("privet-subject", "ana")];
    let events = async || {
        let (_, database) = url.rsplit_once('/').unwrap();
        let last = CLUSTER.primary.ask_in(database, "select coalesce(max(id), 0) from privet_events");
        last.trim().parse::<u64>().unwrap()
    };
    for round in 0..3 {
        // A signal of just before may be one of just after.
        tokio::time::sleep(SOON + Duration::from_millis(500)).await;
        let mut stream = other.open("POST", "/ads", &ana, chat_stream("hi").to_string()).await.into_body();
        stream.frame().await.unwrap().unwrap();
        let address = "/ads?privet-consent=marketing&privet-subject=ana";
        let mut socket = Socket::open(&sockets.gateway, address, &[]).await;
        socket.send("hello").await;
        assert_eq!(socket.text().await, "hello");
        // The signal comes at once, or later; on the route of another purpose too.
        tokio::time::sleep(Duration::from_millis(700 * (round % 2))).await;
        let signal = [&ana[..], &[("sec-gpc", "1")]].concat();
        let path = if round == 2 { "/ads" } else { "/v1/chat/completions" };
        let status = one.open("POST", path, &signal, chat_stream("hi").to_string()).await.status();
        assert_eq!(status == 403, round == 2);
        let cut = tokio::time::timeout(PATIENCE, stream.frame()).await.expect("the stream goes on");
        assert!(cut.is_none_or(|frame| frame.is_err()));
        let closed = tokio::time::timeout(PATIENCE, socket.closed()).await.expect("the socket stays open");
        assert_eq!(closed, Some((1008, "urn:privet:problem:consent-required".to_owned())));
    }
    // Who signals with each request costs nobody a write for each.
    let signal = [&ana[..], &[("sec-gpc", "1")]].concat();
    tokio::time::sleep(SOON).await;
    let before = events().await;
    for _ in 0..20 {
        one.send("POST", "/ads", &signal, chat_stream("hi").to_string()).await.problem(403, "consent-required");
    }
    let after = events().await;
    assert!(before > 0 && after <= before + 1, "{before} events, then {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_id_of_a_consent_token_is_taken_once_by_all_replicas() {
    let (upstream, url) = (Upstream::echo().await, CLUSTER.database());
    let replicas = [0, 1].map(|_| Setup::new(&upstream).vault_at(&url).toml(signed::SIGNED).start());
    for round in 0..8 {
        let token = signed::hs256(signed::SECRET, &signed::claims(json!({"jti": format!("{round}")})));
        let headers = [("privet-consent-token", token.as_str())];
        let [one, other] = [0, 1].map(|n: usize| Client::new(&replicas[n].gateway));
        let (one, other) = tokio::join!(
            one.send("POST", "/.privet/consent", &headers, ""),
            other.send("POST", "/.privet/consent", &headers, "")
        );
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 403], "at the same time");
    }
}
