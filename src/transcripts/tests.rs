//! Of the queue, of what is redacted, and of both places.

use super::*;
use crate::clock::Time;
use crate::config::TranscriptPlace;
use crate::detect::{Engine, State, Wish, Wishes};
use crate::store::Space;
use crate::token::Token;
use crate::vault::{Key, Options, Owner, Subject};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| Arc::new(Engine::builtin().unwrap()));

async fn vault() -> Vault {
    Vault::open(&"memory:".parse().unwrap(), Key::generate(), Options::default()).await.unwrap()
}

fn config(to: TranscriptPlace) -> config::Transcripts {
    let retention = Duration::from_hours(24 * 90);
    config::Transcripts { to, retention, max_bytes: 1_000, file_bytes: 4_096 }
}

fn in_folder(folder: &Path) -> config::Transcripts {
    config(TranscriptPlace::Folder(folder.to_owned()))
}

fn open(config: &config::Transcripts, vault: &Vault) -> Transcripts {
    Transcripts::open(config, vault, &Metrics::new().unwrap()).unwrap()
}

fn place() -> Arc<Place> {
    Arc::new(Place { tenant: "shop".into(), route: "/".into(), purpose: "analytics".into(), recipient: "eu".into() })
}

fn redactor(wishes: &Wishes) -> Arc<Redactor> {
    Arc::new(crate::proxy::transcribe::redactor(&ENGINE, &ENGINE.plan(wishes)))
}

async fn ana(vault: &Vault) -> Subject {
    let subject = vault.subject("shop", "visitor-7").await.unwrap();
    subject.tokenize(&[("EMAIL".parse().unwrap(), "ana@example.org")]).await.unwrap();
    subject
}

fn lines(folder: &Path) -> Vec<Transcript> {
    let mut read = Vec::new();
    files::read(folder, |one| read.push(one)).unwrap();
    read
}

async fn one(make: impl FnOnce(&Draft)) -> Transcript {
    let (folder, vault) = (tempfile::tempdir().unwrap(), vault().await);
    let all = open(&in_folder(folder.path()), &vault);
    let email = "EMAIL".parse().unwrap();
    let wish = Wish { state: Some(State::Off), ..Wish::default() };
    let redactor = redactor(&Wishes { entities: vec![(email, wish)], ..Wishes::default() });
    let draft = all.begin(&place(), &redactor);
    draft.is_of(&ana(&vault).await, "visitor-7");
    make(&draft);
    drop(draft);
    all.close().await;
    let mut read = lines(folder.path());
    assert_eq!(read.len(), 1);
    read.remove(0)
}

#[tokio::test]
async fn what_is_taken_is_written_and_what_is_withdrawn_is_not() {
    let (folder, vault) = (tempfile::tempdir().unwrap(), vault().await);
    let all = open(&in_folder(&folder.path().join("t")), &vault);
    let redactor = redactor(&Wishes::default());
    for n in 0..100 {
        all.begin(&place(), &redactor).asked(&format!("turn {n}"));
    }
    let withdrawn = CancellationToken::new();
    let draft = all.begin(&place(), &redactor).unless(withdrawn.clone());
    draft.asked("I take it back");
    withdrawn.cancel();
    drop(draft);
    // Nothing was said here.
    drop(all.begin(&place(), &redactor));
    all.close().await;
    let mut read: Vec<_> = lines(&folder.path().join("t")).into_iter().map(|one| one.request).collect();
    read.sort();
    let mut wanted: Vec<_> = (0..100).map(|n| format!("turn {n}")).collect();
    wanted.sort();
    assert_eq!(read, wanted);
    assert_eq!(all.0.metrics.transcripts_kept.get(), 100);
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_keeps_them_counts_them_and_forgets_them() {
    let url = crate::store::postgres::tests::CLUSTER.database();
    let (config, vault) = (config(TranscriptPlace::Postgres(crate::sensitive::Sensitive::from(&*url))), vault().await);
    let redactor = redactor(&Wishes::default());
    // Two replicas make the table at once.
    let replicas = [open(&config, &vault), open(&config, &vault)];
    for n in 0..120 {
        let subject = vault.subject("shop", &format!("visitor-{}", n % 60)).await.unwrap();
        subject.tokenize(&[("EMAIL".parse().unwrap(), "ana@example.org")]).await.unwrap();
        let draft = replicas[n % 2].begin(&place(), &redactor);
        draft.is_of(&subject, &format!("visitor-{}", n % 60));
        draft.asked(&format!("I'm visitor-{}, ana{n}@example.org\0, said \"turn {n}\"", n % 60));
        if n % 60 < 3 {
            draft.found("IBAN".parse().unwrap(), 2);
        }
        draft.found("EMAIL".parse().unwrap(), 1);
    }
    for replica in &replicas {
        replica.close().await;
        assert_eq!(replica.0.metrics.transcripts_kept.get(), 60);
    }
    let counts = count(&config).await.unwrap();
    let table = counts.tables(5, "9999-01-01").remove(0);
    let day = Time::now().day();
    let rows = [(day.clone(), "EMAIL".to_owned(), Some(60)), (day, "IBAN".to_owned(), None)];
    assert_eq!((table.tenant.as_str(), table.purpose.as_str(), &*table.rows), ("shop", "analytics", &rows[..]));
    let rest = url.split_once(':').unwrap().1;
    let database =
        crate::store::postgres::Database::new(crate::store::postgres::PostgresUrl::parse(rest).unwrap()).unwrap();
    let rows = database.query("select request from privet_transcripts", &[]).await.unwrap();
    assert_eq!(rows.len(), 120);
    for row in rows {
        let text: String = row.get(0);
        assert!(text.starts_with("I'm [IDENTITY], [EMAIL]\u{fffd}, said \"turn "), "{text}");
    }
    let Keep::Table(table) = Keep::open(&config).unwrap() else { panic!() };
    let tomorrow = Time(Time::now().0 + 86_400).day();
    table.remove_before(&Time::now().day()).await.unwrap();
    assert_eq!(count(&config).await.unwrap(), counts, "those of today stay");
    table.remove_before(&tomorrow).await.unwrap();
    assert_eq!(count(&config).await.unwrap(), Counts::default());
}

#[tokio::test]
async fn nothing_of_a_person_is_left() {
    let token = Token::new("PERSON".parse().unwrap(), 77).to_string();
    let (left, right) = token.split_at(6);
    let written = one(|draft| {
        // The route leaves addresses as they are; here they are not.
        draft.asked("I am visitor-7, at ana.silva@example.org, as visitor-77 knows");
        draft.answered(1, &format!("Hello {left}"));
        draft.answered(1, &format!("{right}, write to ben.other@exa"));
        draft.answered(1, "mple.net");
        draft.answered_whole("nothing but a word or two");
        draft.answered_whole("a word or two");
        draft.answered_whole("chatcmpl-1");
    })
    .await;
    assert_eq!(written.request, "I am [IDENTITY], at [EMAIL], as visitor-77 knows");
    assert_eq!(written.reply, "Hello [PERSON], write to [EMAIL]\nnothing but a word or two");
    assert_eq!((written.purpose.as_str(), written.person.len()), ("analytics", 16));
}

/// What a request is read for is read for here too.
#[tokio::test]
async fn nothing_of_a_person_is_left_in_disguise() {
    use base64::Engine as _;
    let encode = |text: &str| base64::prelude::BASE64_STANDARD.encode(text);
    let address = encode("my mail is dora@example.net");
    let token = Token::new("PERSON".parse().unwrap(), 77).to_string();
    let echoed = encode(&format!("this is what {token} has said"));
    let written = one(|draft| {
        draft.asked(&format!("{address} and {echoed}"));
        draft.answered(1, &format!("or bo<b>ris</b>@example.net, {address} or fred@exam<wbr>ple.net, {echoed}."));
    })
    .await;
    assert_eq!(written.request, "[EMAIL] and [PERSON]");
    assert!(!written.reply.contains("ris") && !written.reply.contains("fred"), "{}", written.reply);
    assert!(!written.reply.contains(&address[..12]) && !written.reply.contains(&echoed[..12]), "{}", written.reply);
}

#[tokio::test]
async fn surrogates_are_no_more_than_kinds() {
    let matcher = {
        let value = Arc::new(crate::sensitive::Sensitive::from("Ana Silva"));
        let surrogate = crate::vault::Surrogate { entity: "PERSON".parse().unwrap(), value };
        Arc::new(crate::vault::SurrogateMatcher::new([("Zoryx Quillan".to_owned(), surrogate)]))
    };
    let written = one(|draft| {
        draft.knows(&matcher);
        draft.answered(1, "Dear Zoryx ");
        draft.answered(1, "Quillan!");
    })
    .await;
    assert_eq!(written.reply, "Dear [PERSON]!");
}

#[tokio::test]
async fn what_is_cut_off_hides_nothing() {
    let written = one(|draft| {
        for _ in 0..100 {
            draft.asked("write to ana.silva@example.org and to +49 30 901820");
            draft.answered(1, "write to ana.silva@example.org and so on. ");
        }
    })
    .await;
    for text in [&written.request, &written.reply] {
        assert!((500..=1_000).contains(&text.len()), "{}", text.len());
        assert!(!text.contains('@') && !text.contains("9018"), "{text}");
    }
}

#[tokio::test]
async fn a_full_queue_delays_nobody() {
    let (folder, vault) = (tempfile::tempdir().unwrap(), vault().await);
    let all = open(&in_folder(folder.path()), &vault);
    let redactor = redactor(&Wishes::default());
    // The writer has no turn meanwhile: nothing is awaited here.
    for _ in 0..QUEUE + 10 {
        all.begin(&place(), &redactor).asked("hello there");
    }
    assert_eq!(all.0.metrics.transcripts_dropped.get(), 10);
}

#[tokio::test]
async fn what_cannot_be_written_is_counted_and_stops_nothing() {
    let (folder, vault) = (tempfile::tempdir().unwrap(), vault().await);
    let all = open(&in_folder(&folder.path().join("t")), &vault);
    std::fs::remove_dir(folder.path().join("t")).unwrap();
    std::fs::write(folder.path().join("t"), "no folder").unwrap();
    all.begin(&place(), &redactor(&Wishes::default())).asked("hello there");
    all.close().await;
    assert_eq!((all.0.metrics.transcripts_kept.get(), all.0.metrics.transcripts_dropped.get()), (0, 1));
}

#[tokio::test]
async fn a_person_has_another_number_every_day_and_after_an_erasure() {
    let vault = vault().await;
    let (records, subject) = (vault.records(), ana(&vault).await);
    let monday = number::DayKey::of(records, "2026-01-05").await.unwrap();
    let ana_on_monday = monday.number("shop", &subject.alias());
    let elsewhere = number::DayKey::of(records, "2026-01-05").await.unwrap();
    assert_eq!(elsewhere.number("shop", &subject.alias()), ana_on_monday, "on every replica");
    assert_ne!(monday.number("bank", &subject.alias()), ana_on_monday);
    let tuesday = number::DayKey::of(records, "2026-01-06").await.unwrap();
    assert_ne!(tuesday.number("shop", &subject.alias()), ana_on_monday);

    vault.erase("shop", "visitor-7").await.unwrap();
    let again = ana(&vault).await;
    assert_ne!(monday.number("shop", &again.alias()), ana_on_monday, "an erasure leaves no link");

    let kept = async |now: &str| {
        number::forget(records, now.parse().unwrap()).await.unwrap();
        let keys = records.scan(Owner::Deployment, Space::Daily, None, 9).await.unwrap();
        keys.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(kept("2026-01-06T23:00:00Z").await, ["2026-01-05", "2026-01-06"]);
    assert_eq!(kept("2026-01-07T00:00:00Z").await, ["2026-01-06"]);
    let forgotten = number::DayKey::of(records, "2026-01-05").await.unwrap();
    assert_ne!(forgotten.number("shop", &subject.alias()), ana_on_monday);
}

#[tokio::test]
async fn old_files_go() {
    let (folder, vault) = (tempfile::tempdir().unwrap(), vault().await);
    let now = Time::now();
    let name = |days: u64| format!("transcripts-{}-000000.jsonl", Time(now.0 - days * 86_400).day());
    for days in [89, 90, 91] {
        std::fs::write(folder.path().join(name(days)), "").unwrap();
    }
    let left = || {
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        left
    };
    let all = open(&in_folder(folder.path()), &vault);
    all.begin(&place(), &redactor(&Wishes::default())).asked("hello");
    all.close().await;
    assert_eq!(left().len(), 4, "only who knows that the clock is right lets them go");
    all.sweep(now).await.unwrap();
    assert_eq!(left()[..2], [name(90), name(89)].map(std::ffi::OsString::from));
}
