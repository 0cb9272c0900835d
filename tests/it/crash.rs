//! The power fails while people chat: whatever token the chatbot ever
//! received, the vault still knows its value afterwards. `PRIVET_CRASH_ROUNDS`
//! asks for more rounds, `PRIVET_CRASH_SEED` for those of an earlier run.

use crate::random::Random;
use crate::support::{Client, PATIENCE, Recorded, Setup, Upstream, chat, scratch_folder, tokens};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SUBJECTS: usize = 40;
const CLIENTS: usize = 8;

/// What the clients set out to send, by number: whose it is, and the new value.
type Sent = Arc<Mutex<Vec<(usize, String)>>>;

/// All tokens that a chatbot ever received, by subject, and their values.
type Known = BTreeMap<usize, HashMap<String, String>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_token_that_was_forwarded_is_restored_after_a_crash() {
    let rounds =
        std::env::var("PRIVET_CRASH_ROUNDS").map_or(20, |n| n.parse().expect("PRIVET_CRASH_ROUNDS is a number"));
    let seed = std::env::var("PRIVET_CRASH_SEED").map_or_else(|_| Random::seed_of_now(), |n| n.parse().unwrap());
    println!("to have this run again: PRIVET_CRASH_SEED={seed} PRIVET_CRASH_ROUNDS={rounds}");
    let mut random = Random::new(seed);
    let folder = scratch_folder();
    let (sent, mut known, mut cut_off, mut forwarded) = (Sent::default(), Known::new(), 0, 0);
    let mut starts = Vec::new();
    for round in 0..rounds {
        let (upstream, failed) = chat_until_the_crash(folder.path(), &sent, round, &mut random).await;
        let received = upstream.recorded();
        println!("round {round}: {} requests were forwarded, {failed} cut off", received.len());
        cut_off += usize::from(failed > 0);
        forwarded += received.len();
        learn(&mut known, &received, &sent);
        starts.push(hold_to_account(folder.path(), &known).await);
    }
    starts.sort();
    let (usual, longest) = (starts[starts.len() / 2], starts[starts.len() - 1]);
    let held: usize = known.values().map(HashMap::len).sum();
    println!("{held} tokens, none lost; ready again after {usual:?} usually, {longest:?} at most");
    assert!(cut_off * 2 > rounds, "the crash hit requests in flight in {cut_off} of {rounds} rounds only");
    assert!(forwarded > rounds * CLIENTS, "too few requests came through to show anything: {forwarded}");
}

/// Clients chat, each with new values for its subjects, until the gateway is
/// killed. Gives the chatbot, and how many requests were cut off.
async fn chat_until_the_crash(folder: &Path, sent: &Sent, round: usize, random: &mut Random) -> (Upstream, usize) {
    let upstream = Upstream::echo().await;
    let privet = Setup::new(&upstream).vault(folder).start();
    let (killed, cut_off) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let (gateway, sent) = (Client::new(&privet.gateway), Arc::clone(sent));
        let (killed, cut_off) = (Arc::clone(&killed), Arc::clone(&cut_off));
        let mut random = Random::new(random.next());
        clients.push(tokio::spawn(async move {
            loop {
                let subject = random.below(SUBJECTS);
                let number = {
                    let mut sent = sent.lock().unwrap();
                    let value = format!("r{round}.c{client}.n{}@example.com", sent.len());
                    sent.push((subject, value));
                    sent.len() - 1
                };
                let (_, value) = sent.lock().unwrap()[number].clone();
                let headers = [("privet-subject", &*name(subject)), ("x-number", &*number.to_string())];
                let begun_before = !killed.load(Ordering::SeqCst);
                let Ok(reply) = gateway.try_chat(&chat(&format!("write to {value}")), &headers).await else {
                    cut_off.fetch_add(usize::from(begun_before), Ordering::SeqCst);
                    break;
                };
                assert_eq!(reply.says(), format!("write to {value}"));
            }
        }));
    }
    if random.once_in(2) {
        // Just as a request arrives at the chatbot: its token has to be safe by now.
        let arrivals = random.between(1, 200);
        println!("round {round}: the crash comes with request {arrivals}");
        let patience = Instant::now() + PATIENCE;
        while upstream.recorded().len() < arrivals && Instant::now() < patience {
            tokio::task::yield_now().await;
        }
    } else {
        let after = Duration::from_micros(random.between(5_000, 400_000) as u64);
        println!("round {round}: the crash comes after {after:?}");
        tokio::time::sleep(after).await;
    }
    killed.store(true, Ordering::SeqCst);
    privet.kill_and_read();
    for client in clients {
        client.await.unwrap();
    }
    (upstream, cut_off.load(Ordering::SeqCst))
}

/// Adds the tokens that the chatbot received, with the values they stand for.
fn learn(known: &mut Known, received: &[Recorded], sent: &Sent) {
    let sent = sent.lock().unwrap();
    for request in received {
        let number: usize = request.headers["x-number"].to_str().unwrap().parse().unwrap();
        let (subject, value) = &sent[number];
        let tokens = tokens(&request.said());
        assert_eq!(tokens.len(), 1, "{}", request.text());
        known.entry(*subject).or_default().insert(tokens[0].clone(), value.clone());
    }
}

/// Starts the gateway again on what the crash left, and asks for every token.
/// Gives how long the start took.
async fn hold_to_account(folder: &Path, known: &Known) -> Duration {
    let upstream = Upstream::echo().await;
    let started = Instant::now();
    let privet = Setup::new(&upstream).vault(folder).start();
    let admin = Client::new(&privet.admin);
    while admin.get("/readyz").await.status != 200 {
        assert!(started.elapsed() < PATIENCE, "not ready after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let start = started.elapsed();

    let client = Client::new(&privet.gateway);
    for (subject, tokens) in known {
        let (quoted, values): (Vec<&str>, Vec<&str>) = tokens.iter().map(|(t, v)| (t.as_str(), v.as_str())).unzip();
        let (quoted, values) = (quoted.join(" and "), values.join(" and "));
        // Asked before anything of this subject could be made anew.
        let reply = client.chat(&chat(&quoted), &[("privet-subject", &name(*subject))]).await;
        assert_eq!(reply.says(), values, "tokens of subject {subject} are lost");
        client.chat(&chat(&values), &[("privet-subject", &name(*subject))]).await;
        assert_eq!(upstream.last().said(), quoted, "values of subject {subject} have other tokens now");
        let other = client.chat(&chat(&quoted), &[("privet-subject", &name(*subject + 1))]).await;
        assert_eq!(other.says(), quoted, "tokens of subject {subject} are told to another");
    }
    start
}

fn name(subject: usize) -> String {
    format!("subject-{subject}")
}
