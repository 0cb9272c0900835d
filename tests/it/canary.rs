//! The canary: two hundred made-up people chat through the gateway in every
//! way there is, and fail in every way there is. Afterwards all that the
//! gateway sent, wrote, logged and stored is searched for them.

mod chatbot;
mod identity;
pub(crate) mod search;
mod ways;

use crate::random::Random;
use crate::support::{Client, KEY, Privet, Setup, scratch_folder, streamed_text};
use chatbot::{Chatbot, PLAY};
use identity::Identity;
use memchr::memmem;
use search::{Search, forms};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use ways::{BODY_LIMIT, FORBIDDEN, Got, Way, chat_slowly, chat_with_nobody, plant, tell};

/// Another crowd: `PRIVET_CANARY_SEED`.
const SEED: u64 = 20_260_501;
const PEOPLE: usize = 200;
/// Of each life of the gateway, how many are in the middle of a reply at its end.
const AT_THE_END: usize = 4;
const AT_ONCE: usize = 8;

/// Nobody's data: no rule finds it, so it may travel.
const CONTROL: &str = "windowsill of Möbius";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_people_leave_no_trace_behind_the_gateway() {
    let seed =
        std::env::var("PRIVET_CANARY_SEED").map_or(SEED, |seed| seed.parse().expect("PRIVET_CANARY_SEED is a number"));
    let crowd: Arc<[Identity]> = Identity::crowd(PEOPLE, &mut Random::new(seed)).into();
    let search = Search::new(traces(&crowd));
    let (vault, rules, chatbot) = (scratch_folder(), scratch_folder(), Chatbot::start().await);
    write_rule(rules.path());
    let setup = |upstream: &str| {
        let rules = rules.path().display();
        let toml = format!(
            "rules = \"{rules}\"\n[[routes]]\npath = \"/anon\"\nwithout_consent = \"anonymize\"\n\
             [[routes]]\npath = \"/raw\"\nbinary = \"pass\"\n[limits]\nrequest_body = {BODY_LIMIT}\n[log]\nlevel = \"debug\"\nformat = \"json\"\n"
        );
        Setup::at(upstream).vault(vault.path()).toml(&toml)
    };
    let mut life = Life { search, vault: vault.path(), restored: BTreeSet::new() };

    for crashing in [0..75, 75..140] {
        let privet = setup(&chatbot.url()).start();
        let slow = life.lead(&crowd, crashing, &privet).await;
        life.search_where_anyone_may_look(&privet).await;
        let left = privet.kill_and_read();
        life.search_what_it_wrote(&left);
        life.search_vault();
        for (_, stream) in slow.join_all().await {
            assert!(!stream.contains("[DONE]"), "the crash came too late to hit a reply");
        }
    }

    let privet = setup("http://127.0.0.1:1").start();
    for one in &crowd[140..150] {
        life.take_in(one, &chat_with_nobody(one, &privet.gateway).await);
    }
    life.search_where_anyone_may_look(&privet).await;
    life.search_what_it_wrote(&privet.kill_and_read());

    let mut privet = setup(&chatbot.url()).start();
    let slow = life.lead(&crowd, 150..PEOPLE, &privet).await;
    life.search_where_anyone_may_look(&privet).await;
    show_that_it_would_be_found(&chatbot, &privet.gateway).await;
    privet.terminate();
    for (at, stream) in slow.join_all().await {
        assert_eq!(streamed_text(&stream, 0), crowd[at].says(), "a reply was cut by a peaceful end");
    }
    assert!(privet.wait(Duration::from_secs(20)).success());
    let left = privet.kill_and_read();
    life.search_what_it_wrote(&left);
    life.search_vault();
    let heard = chatbot.heard();
    life.search.expect_nothing("what the chatbot received", &heard);
    assert!(memmem::find_iter(&heard, b"[IBAN_").count() > PEOPLE / 4, "the chatbot received too little to search");
    life.show_that_all_was_there(&crowd);
}

/// Whatever an operator puts in place of a value: the value is gone behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_operator_lets_anybody_through() {
    let crowd = Identity::crowd(PEOPLE / 20, &mut Random::new(SEED + 1));
    let search = Search::new(traces(&crowd));
    for operator in ["token", "surrogate", "mask", "hash", "remove"] {
        let (vault, chatbot) = (scratch_folder(), Chatbot::start().await);
        let entities = ["PERSON", "EMAIL", "PHONE", "IP", "CREDIT_CARD", "IBAN"];
        let toml: String =
            entities.map(|entity| format!("[detection.entities.{entity}]\noperator = \"{operator}\"\n")).concat();
        let privet = Setup::at(&chatbot.url()).vault(vault.path()).toml(&toml).start();
        for (at, one) in crowd.iter().enumerate() {
            tell(one, &privet.gateway).await;
            if operator == "token" || operator == "surrogate" {
                // These have a way back; a surrogate not from an address that is
                // quoted in its percent-encoding.
                let way = Way::ALL[at % (Way::NumbersAndKeys as usize + 1)];
                let got = plant(way, one, &privet.gateway).await;
                let found = search.find(&got.body);
                let back = |(what, _): &(&str, &str)| found.contains_key(&name_of(one, what)) || *what == "card";
                assert!(one.values().iter().all(back), "{operator}: {found:?}");
            }
        }
        let heard = chatbot.heard();
        search.expect_nothing(&format!("what the chatbot received by {operator}"), &heard);
        assert!(heard.len() > crowd.len() * 2000, "{operator}: the chatbot received too little to search");
        let (stdout, stderr) = privet.kill_and_read();
        search.expect_nothing(operator, &[stdout, stderr].concat());
        for file in std::fs::read_dir(vault.path()).unwrap() {
            search.expect_nothing(operator, &std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}

/// The gateway from its start to its end, and what is known of it.
struct Life<'l> {
    search: Search,
    vault: &'l Path,
    /// The values that came back to clients.
    restored: BTreeSet<String>,
}

impl Life<'_> {
    /// People of this range chat, some at once. The last ones are in the middle
    /// of a reply when this ends.
    async fn lead(
        &mut self,
        crowd: &Arc<[Identity]>,
        range: std::ops::Range<usize>,
        privet: &Privet,
    ) -> JoinSet<(usize, String)> {
        let slow = range.end - AT_THE_END..range.end;
        let mut waiting = (range.start..slow.start).zip(Way::ALL.into_iter().cycle());
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_ONCE
                && let Some((at, way)) = waiting.next()
            {
                let (crowd, gateway) = (Arc::clone(crowd), privet.gateway.clone());
                running.spawn(async move { (at, way, plant(way, &crowd[at], &gateway).await) });
            }
            let Some(done) = running.join_next().await else { break };
            let (at, _, got) = done.unwrap();
            self.take_in(&crowd[at], &got);
        }
        let mut streaming = JoinSet::new();
        for at in slow {
            let (crowd, gateway) = (Arc::clone(crowd), privet.gateway.clone());
            streaming.spawn(async move { (at, chat_slowly(&crowd[at], &gateway).await) });
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        streaming
    }

    /// What a client was sent holds all of the person, or nothing of anybody.
    fn take_in(&mut self, one: &Identity, got: &Got) {
        self.search.expect_nothing("headers of a reply", &got.head);
        if !got.restored {
            return self.search.expect_nothing("the body of a reply", &got.body);
        }
        let found = self.search.find(&got.body);
        for (what, _) in one.values() {
            let mut name = name_of(one, what);
            if what == "card" && !found.contains_key(&name) {
                // As a number it has no spaces.
                name.push_str(" digits");
            }
            assert!(found.contains_key(&name), "{name} did not come back, or the search fails to find it");
            self.restored.insert(name);
        }
        let others = found.keys().filter(|name| !name.starts_with(&format!("{} ", one.number)));
        assert_eq!(others.count(), 0, "a client was sent another's data: {found:?}");
    }

    async fn search_where_anyone_may_look(&self, privet: &Privet) {
        let (admin, data) = (Client::new(&privet.admin), Client::new(&privet.gateway));
        for (client, path) in
            [(&admin, "/"), (&admin, "/metrics"), (&admin, "/healthz"), (&admin, "/readyz"), (&data, "/.privet/notice")]
        {
            let page = client.get(path).await;
            assert_eq!(page.status, 200, "{path}");
            self.search.expect_nothing(path, &[format!("{:?}", page.headers).as_bytes(), &page.body].concat());
        }
        let nowhere = admin.get("/ana?mail=ana@example.com").await;
        assert_eq!(nowhere.status, 404);
        assert!(!nowhere.text().contains("ana"), "the admin listener repeats what it was asked");
        let metrics = admin.get("/metrics").await;
        assert!(
            metrics.text().contains("privet_findings_total{direction=\"request\",entity=\"IBAN\""),
            "{}",
            metrics.text()
        );
        self.search_vault();
    }

    fn search_what_it_wrote(&self, (stdout, stderr): &(Vec<u8>, Vec<u8>)) {
        self.search.expect_nothing("standard output", stdout);
        self.search.expect_nothing("the log", stderr);
        let log = std::str::from_utf8(stderr).unwrap();
        assert!(
            log.contains("\"level\":\"DEBUG\"") && log.contains("\"request_id\""),
            "the log says too little: {log}"
        );
    }

    fn search_vault(&self) {
        let mut files = 0;
        for file in std::fs::read_dir(self.vault).unwrap() {
            let path = file.unwrap().path();
            self.search.expect_nothing(&path.display().to_string(), &std::fs::read(&path).unwrap());
            files += 1;
        }
        assert!(files > 0, "the vault left no files");
    }

    /// The search had something to find: what it did not find behind the
    /// gateway it found in front of it.
    fn show_that_all_was_there(&self, crowd: &[Identity]) {
        let ways_back = Way::ALL.iter().filter(|way| (**way as usize) < Way::Anonymized as usize).count();
        let least = PEOPLE * ways_back / Way::ALL.len() / 2 * crowd[0].values().len();
        assert!(self.restored.len() > least, "only {} values came back", self.restored.len());
    }
}

/// A text that no rule finds is sent in each form; each of them arrives, and is
/// found by the same search in the same capture.
async fn show_that_it_would_be_found(chatbot: &Chatbot, gateway: &str) {
    let control = Search::new([("control".to_owned(), CONTROL.to_owned())]);
    assert!(control.find(&chatbot.heard()).is_empty());
    let headers = [("content-type", "text/plain"), ("privet-consent", "support"), (PLAY, "body")];
    for (form, bytes) in forms(CONTROL) {
        let before = chatbot.heard().len();
        let reply = Client::new(gateway).send("POST", "/raw", &headers, [b"<", &*bytes, b">"].concat()).await;
        assert_eq!(reply.status, 200, "{form}: {}", reply.text());
        let found = control.find(&chatbot.heard());
        assert!(found["control"].contains(form), "the control was not found: {form}");
        assert!(chatbot.heard().len() > before);
    }
}

fn traces(crowd: &[Identity]) -> Vec<(String, String)> {
    let mut traces = vec![("the key".to_owned(), KEY.trim_end_matches('=').to_owned())];
    for one in crowd {
        traces.extend(one.traces().into_iter().map(|(what, value)| (name_of(one, what), value)));
        traces.push((name_of(one, "subject"), one.subject.clone()));
    }
    traces
}

fn name_of(one: &Identity, what: &str) -> String {
    format!("{} {what}", one.number)
}

fn write_rule(folder: &Path) {
    let rule = format!(
        "[[rule]]\nid = \"forbidden\"\nentity = \"SECRET\"\npattern = \"{FORBIDDEN}-[0-9]+\"\noperator = \"block\"\n\
         score = 1.0\nmatch = [\"so «{FORBIDDEN}-1» is\"]\n"
    );
    std::fs::write(folder.join("forbidden.toml"), rule).unwrap();
}
