//! Each right from request to proof, on every kind of vault.

use super::*;
use crate::entity::Entity;
use crate::store::Space;
use crate::vault::{Key, Options, Owner};
use std::collections::BTreeSet;

const EMAIL: Entity = Entity::constant("EMAIL");
const PERSON: Entity = Entity::constant("PERSON");

struct Rig {
    rights: Arc<Rights>,
    vault: Vault,
    _folder: Option<tempfile::TempDir>,
}

async fn rigs() -> Vec<Rig> {
    rigs_with("").await
}

async fn rigs_with(more: &str) -> Vec<Rig> {
    let folder = tempfile::tempdir().unwrap();
    let embedded = format!("embedded:{}", folder.path().display());
    let mut rigs = Vec::new();
    let places = [
        ("memory:".to_owned(), None),
        (embedded, Some(folder)),
        #[cfg(feature = "postgres")]
        (crate::store::postgres::tests::CLUSTER.database(), None),
    ];
    for (url, folder) in places {
        let vault = Vault::open(&url.parse().unwrap(), Key::generate(), Options::default()).await.unwrap();
        let toml = format!("upstream = \"http://bot.example\"\n{more}");
        let config = Config::parse(&toml).unwrap().config;
        let rights = Rights::new(vault.clone(), &config).unwrap();
        rigs.push(Rig { rights, vault, _folder: folder });
    }
    rigs
}

impl Rig {
    async fn mint(&self, subject: &str, entity: Entity, value: &str) -> Token {
        let held = self.vault.subject("shop", subject).await.unwrap();
        held.tokenize(&[(entity, value)]).await.unwrap().remove(0)
    }

    async fn restored(&self, subject: &str, token: &Token) -> Option<String> {
        let held = self.vault.subject("shop", subject).await.unwrap();
        held.restore(&[*token]).await.unwrap().remove(0).map(|value| value.expose().to_owned())
    }

    async fn file(&self, subject: &str, format: Format, by: By) -> (String, Case) {
        let mut export = self.rights.export("shop", subject, format, by).await.unwrap();
        let mut file = Vec::new();
        while let Some(piece) = export.next().await.unwrap() {
            file.extend_from_slice(&piece);
        }
        (String::from_utf8(file).unwrap(), export.case().clone())
    }

    async fn values(&self, subject: &str) -> BTreeSet<String> {
        let (file, _) = self.file(subject, Format::Json, by()).await;
        let file: Value = serde_json::from_str(&file).unwrap();
        file["values"].as_array().unwrap().iter().map(|line| line["value"].as_str().unwrap().to_owned()).collect()
    }
}

fn by() -> By {
    By::person(Verification::AccountToken)
}

fn whats(case: &Case) -> Vec<&str> {
    case.history.iter().map(|event| event.what.as_str()).collect()
}

#[tokio::test]
async fn an_export_holds_what_was_planted_and_nothing_of_others() {
    for rig in rigs().await {
        let mut planted = BTreeSet::new();
        for n in 0..600 {
            let value = format!("ana{n}@example.org");
            rig.mint("ana", EMAIL, &value).await;
            planted.insert(value);
        }
        rig.mint("ben", PERSON, "Ben Other").await;
        assert_eq!(rig.values("ana").await, planted);
        let (table, case) = rig.file("ana", Format::Csv, by()).await;
        assert_eq!(table.lines().filter(|line| line.starts_with("value,")).count(), 600);
        assert!(!table.contains("Ben Other"));
        assert_eq!(case.state, State::Confirmed);
        assert_eq!(whats(&case), ["received", "verified", "located", "done", "confirmed"]);
        assert_eq!(case.located, BTreeMap::from([("EMAIL".to_owned(), 600)]));
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, table.as_bytes());
        assert_eq!(case.proof.unwrap().sha256.unwrap(), crate::hex::encode(hash.as_ref()), "the file can be proved");
        let (file, _) = rig.file("ana", Format::Json, by()).await;
        let file: Value = serde_json::from_str(&file).unwrap();
        assert_eq!(file["cases"].as_array().unwrap().len(), 3, "the cases of the person stand in the file too");
        assert_eq!(file["cases"][0].get("subject"), None);
    }
}

#[tokio::test]
async fn a_corrected_value_is_what_old_tokens_restore_to() {
    for rig in rigs().await {
        let token = rig.mint("ana", EMAIL, "old@example.org").await;
        let of_ben = rig.mint("ben", EMAIL, "old@example.org").await;
        let case = rig.rights.rectify("shop", "ana", &token.to_string(), "new@example.org", &by()).await.unwrap();
        assert_eq!((case.kind, case.state), (Kind::Rectification, State::Confirmed));
        assert_eq!(rig.restored("ana", &token).await.as_deref(), Some("new@example.org"));
        assert_eq!(rig.restored("ben", &of_ben).await.as_deref(), Some("old@example.org"));
        let again = rig.mint("ana", EMAIL, "old@example.org").await;
        assert_ne!(again, token);
        assert_eq!(rig.restored("ana", &token).await.as_deref(), Some("new@example.org"));
        let unknown = Token::new(PERSON, 1);
        let refused = rig.rights.rectify("shop", "ana", &unknown.to_string(), "x", &by()).await;
        assert!(matches!(refused, Err(RightsError::NoToken)));
        let empty = rig.rights.rectify("shop", "ana", &token.to_string(), "", &by()).await;
        assert!(matches!(empty, Err(RightsError::Value)));
    }
}

#[tokio::test]
async fn erasure_takes_all_and_leaves_a_signed_proof_that_names_nobody() {
    for rig in rigs().await {
        let token = rig.mint("ana-7781", EMAIL, "ana@example.org").await;
        rig.mint("ana-7781", PERSON, "Ana Berg").await;
        let of_ben = rig.mint("ben", EMAIL, "ben@example.org").await;
        let case = rig.rights.erase("shop", "ana-7781", &by()).await.unwrap();
        let proof = case.proof.clone().unwrap();
        assert_eq!(proof.counts, BTreeMap::from([("statements".to_owned(), 0), ("values".to_owned(), 2)]));
        assert!(proof.confirmation.is_some());
        let text = serde_json::to_string(&case).unwrap();
        assert!(!text.contains("ana"), "{text}");
        assert_eq!(rig.restored("ana-7781", &token).await, None);
        assert!(rig.values("ana-7781").await.is_empty());
        assert!(rig.rights.find("shop", "ana@example.org").await.unwrap().is_empty());
        assert_eq!(rig.restored("ben", &of_ben).await.as_deref(), Some("ben@example.org"));
        let kept = rig.rights.register().case("shop", &case.id).await.unwrap();
        assert_eq!(kept, case, "the case outlives the person");
        assert_ne!(rig.mint("ana-7781", EMAIL, "ana@example.org").await, token, "no old token can be linked again");
    }
}

#[tokio::test]
async fn what_is_restricted_is_kept_and_given_to_nobody_else() {
    for rig in rigs().await {
        rig.mint("ana", EMAIL, "ana@example.org").await;
        rig.rights.restrict("shop", "ana", true, &by()).await.unwrap();
        assert!(rig.rights.restrictions().hold("shop", "ana").await.unwrap());
        assert!(!rig.rights.restrictions().hold("shop", "ben").await.unwrap());
        assert!(!rig.rights.restrictions().hold("bank", "ana").await.unwrap());
        let refused = rig.rights.export("shop", "ana", Format::Json, By::operator("dana")).await;
        assert!(matches!(refused, Err(RightsError::Restricted)));
        assert_eq!(rig.values("ana").await.len(), 1, "the person may have it");
        let other = Rights::new(rig.vault.clone(), &Config::parse("upstream = \"http://b.example\"").unwrap().config);
        let other = other.unwrap();
        assert!(!other.restrictions().hold("shop", "ana").await.unwrap(), "nothing is read before it is loaded");
        other.restrictions().load().await.unwrap();
        assert!(other.restrictions().hold("shop", "ana").await.unwrap(), "it outlives the process");
        let case = rig.rights.restrict("shop", "ana", false, &by()).await.unwrap();
        assert_eq!(case.proof.unwrap().counts, BTreeMap::from([("released".to_owned(), 1)]));
        assert!(!rig.rights.restrictions().hold("shop", "ana").await.unwrap());
        assert!(rig.rights.export("shop", "ana", Format::Json, By::operator("dana")).await.is_ok());
    }
}

#[tokio::test]
async fn a_restriction_reaches_other_replicas() {
    for rig in rigs().await {
        let config = Config::parse("upstream = \"http://b.example\"").unwrap().config;
        let other = Rights::new(rig.vault.clone(), &config).unwrap();
        let run = tokio::spawn({
            let other = Arc::clone(&other);
            async move { other.run(|_| {}, |_| {}).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        rig.rights.restrict("shop", "ana", true, &by()).await.unwrap();
        for _ in 0..100 {
            if other.restrictions().hold("shop", "ana").await.unwrap() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(other.restrictions().hold("shop", "ana").await.unwrap());
        run.abort();
    }
}

#[tokio::test]
async fn a_case_is_worked_on_step_by_step() {
    for rig in rigs().await {
        let register = rig.rights.register();
        rig.mint("ana", EMAIL, "ana@example.org").await;
        let case = register.open("shop", "ana", Kind::Erasure, "dana").await.unwrap();
        let id = case.id.clone();
        let in_case = |id: &str| By::operator("dana").in_case(id);
        let early = rig.rights.erase("shop", "ana", &in_case(&id)).await;
        assert!(matches!(early, Err(RightsError::Case(CaseError::Order { .. }))), "nobody was verified");
        assert_eq!(register.subject_of(&case).await.unwrap().unwrap().expose(), "ana");
        let due = register.due(None, 10).await.unwrap();
        assert_eq!(due, [Due { due: case.due, tenant: "shop".into(), id: id.clone() }]);
        let step = [Step::Verify(Verification::DocumentSeen), Step::Extend("many systems".into())];
        let case = register.take("shop", &id, &step, "dana").await.unwrap();
        assert_eq!(register.due(None, 10).await.unwrap()[0].due, case.due);
        let others = rig.rights.erase("shop", "ben", &in_case(&id)).await;
        assert!(matches!(others, Err(RightsError::OtherCase)));
        let wrong = rig.rights.restrict("shop", "ana", true, &in_case(&id)).await;
        assert!(matches!(wrong, Err(RightsError::OtherCase)));
        let case = rig.rights.erase("shop", "ana", &in_case(&id)).await.unwrap();
        assert_eq!(case.state, State::Done);
        assert_eq!(register.subject_of(&case).await.unwrap(), None, "the name went with the person");
        assert_eq!(register.due(None, 10).await.unwrap().len(), 1, "the person is still to be told");
        let case = rig.rights.confirm("shop", &id, "dana").await.unwrap();
        assert_eq!(whats(&case), ["received", "verified", "extended", "located", "done", "confirmed"]);
        assert!(register.due(None, 10).await.unwrap().is_empty());
        assert_eq!(register.page("shop", None, 10).await.unwrap(), std::slice::from_ref(&case));
        assert!(register.page("bank", None, 10).await.unwrap().is_empty());
        assert_eq!(register.of_subject("shop", "ana").await.unwrap(), [case]);
        assert!(matches!(register.case("bank", &id).await, Err(RightsError::NoCase)));
        assert!(matches!(register.case("shop", "../x").await, Err(RightsError::NoCase)));
    }
}

#[tokio::test]
async fn steps_that_come_at_once_are_all_taken_and_none_twice() {
    for rig in rigs().await {
        let case = rig.rights.register().open("shop", "ana", Kind::Access, "dana").await.unwrap();
        let verified = futures_util::future::join_all((0..8).map(|_| {
            rig.rights.register().take("shop", &case.id, &[Step::Verify(Verification::DocumentSeen)], "dana")
        }));
        let taken = verified.await.into_iter().flatten().count();
        assert_eq!(taken, 1);
    }
}

#[tokio::test]
async fn due_dates_are_counted_and_warned_of_once() {
    for rig in rigs_with(WEBHOOK).await {
        for subject in ["a", "b"] {
            rig.rights.register().open("shop", subject, Kind::Access, "dana").await.unwrap();
        }
        let (counts, now) = rig.rights.look_at_due(Time(0)).await.unwrap();
        assert_eq!(counts, [2, 0, 0]);
        assert!(now > Time(0));
    }
}

const WEBHOOK: &str = "[[webhooks]]\nurl = \"http://127.0.0.1:9/x\"\nevents = [\"code.issued\", \"case.due\"]\n\
                       secret = \"0123456789abcdef\"\n";

/// The codes that wait in the outbox, with their subjects.
async fn codes(rig: &Rig) -> Vec<(String, String)> {
    use crate::store::Space;
    use crate::vault::Owner;
    let waiting = rig.vault.records().scan(Owner::Deployment, Space::Outbox, None, 100).await.unwrap();
    let read = |(_, message): (Vec<u8>, Vec<u8>)| {
        let message: Value = serde_json::from_slice(&message).unwrap();
        let body: Value = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
        assert!(!body.to_string().contains('@'), "a message holds no value");
        (body["subject"].as_str().unwrap().to_owned(), body["code"].as_str().unwrap().to_owned())
    };
    waiting.into_iter().map(read).collect()
}

#[tokio::test]
async fn a_code_opens_a_session_once() {
    for rig in rigs_with(WEBHOOK).await {
        rig.mint("ana", EMAIL, "ana@example.org").await;
        let question = rig.rights.question().unwrap();
        assert_eq!(rig.rights.send_codes("shop", "Ana@example.org", &question).await.unwrap(), 1);
        let (subject, code) = codes(&rig).await.remove(0);
        assert_eq!((subject.as_str(), code.len()), ("ana", 8));
        let spelled = format!("{}-{}", &code[..4].to_lowercase(), &code[4..]);
        let (word, session) = rig.rights.answer(&question, &spelled).await.unwrap().unwrap();
        assert_eq!((session.subject.expose(), session.verification), ("ana", Verification::CodeOnFile));
        assert_eq!(rig.rights.session(word.expose()).await.unwrap().unwrap().subject.expose(), "ana");
        assert!(rig.rights.answer(&question, &code).await.unwrap().is_none(), "it is used once");
        rig.rights.close_session(word.expose()).await.unwrap();
        assert!(rig.rights.session(word.expose()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn codes_cannot_be_guessed() {
    for rig in rigs_with(WEBHOOK).await {
        rig.mint("ana", EMAIL, "ana@example.org").await;
        let question = rig.rights.question().unwrap();
        rig.rights.send_codes("shop", "ana", &question).await.unwrap();
        let (_, code) = codes(&rig).await.remove(0);
        // Many at once are no more than five.
        let guesses = (0..20).map(|n| {
            let (rights, question) = (Arc::clone(&rig.rights), question.clone());
            async move { rights.answer(&question, &format!("WRNG{n:04}")).await.unwrap().is_some() }
        });
        assert!(!futures_util::future::join_all(guesses).await.contains(&true));
        assert!(rig.rights.answer(&question, &code).await.unwrap().is_none(), "the tries are used up");
        assert!(rig.rights.answer(&rig.rights.question().unwrap(), &code).await.unwrap().is_none());
        for odd in ["", "zz", &"0".repeat(64), &"é".repeat(32)] {
            assert!(rig.rights.answer(odd, &code).await.unwrap().is_none());
            assert!(rig.rights.session(odd).await.unwrap().is_none());
        }
        // Nobody is flooded with codes.
        for _ in 0..2 {
            assert_eq!(rig.rights.send_codes("shop", "ana", &rig.rights.question().unwrap()).await.unwrap(), 1);
        }
        assert_eq!(rig.rights.send_codes("shop", "ana", &rig.rights.question().unwrap()).await.unwrap(), 0);
        assert_eq!(rig.rights.send_codes("shop", "nobody", &rig.rights.question().unwrap()).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn rights_hold_while_the_subject_chats() {
    for rig in rigs().await {
        let rig = Arc::new(rig);
        let chat = tokio::spawn({
            let rig = Arc::clone(&rig);
            async move {
                for n in 0..200 {
                    let value = format!("v{n}@example.org");
                    let token = rig.mint("ana", EMAIL, &value).await;
                    let restored = rig.restored("ana", &token).await;
                    assert!(restored.is_none_or(|restored| restored == value), "never a value of another");
                }
            }
        });
        for _ in 0..5 {
            rig.values("ana").await;
            rig.rights.erase("shop", "ana", &by()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        chat.await.unwrap();
        rig.rights.erase("shop", "ana", &by()).await.unwrap();
        assert!(rig.values("ana").await.is_empty());
        assert!(rig.rights.find("shop", "v3@example.org").await.unwrap().is_empty());
    }
}

/// The payload of a confirmation that this key verifies.
fn verified(jws: &str, key: &Value) -> Option<Value> {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
    let (signed, signature) = jws.rsplit_once('.')?;
    let (key, signature) = (BASE64.decode(key["x"].as_str()?).ok()?, BASE64.decode(signature).ok()?);
    UnparsedPublicKey::new(&ED25519, key).verify(signed.as_bytes(), &signature).ok()?;
    serde_json::from_slice(&BASE64.decode(signed.split_once('.')?.1).ok()?).ok()
}

#[tokio::test]
async fn every_right_is_walked_from_request_to_a_proof_that_verifies() {
    for rig in rigs().await {
        let key = rig.rights.public_key().await.unwrap();
        let token = rig.mint("ana", EMAIL, "ana@example.org").await.to_string();
        rig.mint("ben", EMAIL, "ben@example.org").await;
        let all =
            [Kind::Access, Kind::Portability, Kind::Rectification, Kind::Objection, Kind::Restriction, Kind::Erasure];
        for kind in all {
            let received = rig.rights.register().open("shop", "ana", kind, "person").await.unwrap();
            assert_eq!(received.due.0 - received.received.0, case::TIME_TO_ANSWER);
            let by = By::operator("dana").in_case(&received.id);
            let early = rig.rights.restrict("shop", "ana", true, &by).await;
            assert!(early.is_err(), "nobody was verified");
            let seen = [Step::Verify(Verification::DocumentSeen)];
            rig.rights.register().take("shop", &received.id, &seen, "dana").await.unwrap();
            let located = rig.rights.located("shop", "ana").await.unwrap();
            assert_eq!(located, BTreeMap::from([("EMAIL".to_owned(), 1)]));
            rig.rights.register().take("shop", &received.id, &[Step::Locate(located)], "dana").await.unwrap();
            let (counted, number) = match kind {
                Kind::Access | Kind::Portability => {
                    let (file, _) = rig.file("ana", Format::Json, by).await;
                    assert!(file.contains("ana@example.org") && !file.contains("ben@example.org"), "{file}");
                    ("values", 1)
                }
                Kind::Rectification => {
                    rig.rights.rectify("shop", "ana", &token, "ana@example.net", &by).await.unwrap();
                    rig.rights.rectify("shop", "ana", &token, "ana@example.org", &By::operator("d")).await.unwrap();
                    ("rectified", 1)
                }
                Kind::Objection => {
                    rig.rights.objected("shop", "ana", &["support".to_owned()], &by).await.unwrap();
                    ("purposes", 1)
                }
                Kind::Restriction => {
                    rig.rights.restrict("shop", "ana", true, &by).await.unwrap();
                    rig.rights.restrict("shop", "ana", false, &By::operator("d")).await.unwrap();
                    ("restricted", 1)
                }
                Kind::Erasure => {
                    rig.rights.erase("shop", "ana", &by).await.unwrap();
                    ("values", 1)
                }
            };
            let done = rig.rights.confirm("shop", &received.id, "dana").await.unwrap();
            assert_eq!(whats(&done), ["received", "verified", "located", "done", "confirmed"], "{kind:?}");
            let proof = done.proof.clone().unwrap();
            assert_eq!(proof.counts[counted], number, "{kind:?}");
            let confirmed = verified(&proof.confirmation.unwrap(), &key).expect("a signature that holds");
            let named = [&confirmed["case"], &confirmed["kind"], &confirmed["verification"]];
            assert_eq!(named, [&json!(received.id), &json!(kind.as_str()), &json!("document-seen")]);
            assert_eq!(confirmed["sha256"].is_string(), matches!(kind, Kind::Access | Kind::Portability));
            assert!(!serde_json::to_string(&done).unwrap().contains("ana@"), "a case holds no value");
        }
        assert_eq!(rig.values("ben").await.len(), 1);
    }
}

#[tokio::test]
async fn an_export_says_for_what_a_value_came_and_who_looked() {
    use crate::audit::{Action, Audit, Look, Options as AuditOptions};
    let purposes = "[[purposes]]\nname = \"support\"\n[[purposes]]\nname = \"orders\"\nbasis = \"contract\"\n";
    for rig in rigs_with(purposes).await {
        let audit = Audit::open(&rig.vault, AuditOptions::default()).await.unwrap();
        for (subject, purpose) in [("ana", "orders"), ("ben", "support")] {
            let held = rig.vault.subject("shop", subject).await.unwrap().for_purpose(purpose);
            held.tokenize(&[(EMAIL, &format!("{subject}@example.org"))]).await.unwrap();
            for (actor, reason) in [("gateway", "chat"), ("operator:dana", "a call")] {
                let look = Look {
                    actor: actor.to_owned(),
                    action: Action::Show,
                    tenant: "shop".to_owned(),
                    subject: held.alias(),
                    reason: format!("{reason} of {subject}"),
                    ..Look::default()
                };
                audit.record(look).await.unwrap();
            }
        }
        let (file, case) = rig.file("ana", Format::Json, by()).await;
        let file: Value = serde_json::from_str(&file).unwrap();
        assert_eq!((&file["values"][0]["purpose"], file["values"].as_array().unwrap().len()), (&json!("orders"), 1));
        let lines = file["audit"].as_array().unwrap();
        let told: Vec<_> = lines.iter().map(|line| [&line["actor"], &line["reason"]]).collect();
        let wanted = [[json!("gateway"), json!("chat of ana")], [json!("operator"), json!("a call of ana")]];
        assert_eq!(told, wanted.each_ref().map(|[actor, reason]| [actor, reason]));
        assert_eq!(case.proof.unwrap().counts["audit"], 2);
        let (table, _) = rig.file("ben", Format::Csv, by()).await;
        assert!(table.contains(",support,") && table.contains("chat of ben"), "{table}");
        assert!(!table.contains("ana") && !table.contains("dana"), "{table}");
        let (shown, _) = rig.rights.values("shop", "ana", None, 9).await.unwrap();
        assert_eq!(shown[0]["purpose"], "orders");
        audit.close().await;
    }
}

#[tokio::test]
async fn a_value_behind_a_surrogate_is_corrected() {
    use crate::surrogate::{Piece, Restorer};
    use crate::vault::Standing;
    let standing: &Standing<'_> = &|search| Box::pin(async move { vec![false; search.texts().len()] });
    for rig in rigs().await {
        let held = rig.vault.subject("shop", "ana").await.unwrap();
        let said = held.mint_surrogates(&[(PERSON, "Ana Berg")], standing).await.unwrap().remove(0).unwrap();
        let (first, last) = said.split_once(' ').unwrap();
        assert_eq!(rig.values("ana").await, BTreeSet::from(["Ana".to_owned(), "Berg".to_owned()]));
        let case = rig.rights.rectify("shop", "ana", last, "Bergmann", &by()).await.unwrap();
        assert_eq!(case.state, State::Confirmed);
        assert_eq!(rig.values("ana").await, BTreeSet::from(["Ana".to_owned(), "Bergmann".to_owned()]));
        let matcher = held.surrogates().await.unwrap().matcher(standing).await.unwrap();
        let mut restorer = Restorer::new(matcher);
        let mut back = String::new();
        let mut out = |piece: Piece<'_, crate::vault::Surrogate>| match piece {
            Piece::Text(text) => back.push_str(text),
            Piece::Surrogate { value, .. } => back.push_str(value.value.expose()),
        };
        restorer.push(&format!("Dear {first} {last}."), &mut out);
        restorer.finish(None, &mut out);
        assert_eq!(back, "Dear Ana Bergmann.");
        let again = held.mint_surrogates(&[(PERSON, "Ana Berg")], standing).await.unwrap().remove(0).unwrap();
        assert!(
            again.starts_with(first) && !again.ends_with(last),
            "the old value has a surrogate of its own: {again}"
        );
        for unknown in ["Nobody", "", "[PERSON_00000000]"] {
            let refused = rig.rights.rectify("shop", "ana", unknown, "x", &by()).await;
            assert!(matches!(refused, Err(RightsError::NoToken)), "{unknown}");
        }
        let of_ben = rig.rights.rectify("shop", "ben", last, "x", &by()).await;
        assert!(matches!(of_ben, Err(RightsError::NoToken)));
    }
}

#[tokio::test]
async fn what_was_used_once_is_used_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("embedded:{}", folder.path().display());
    let config = Config::parse(&format!("upstream = \"http://bot.example\"\n{WEBHOOK}")).unwrap().config;
    let key = Key::generate();
    let open = async || {
        let vault = Vault::open(&url.parse().unwrap(), key.clone(), Options::default()).await.unwrap();
        Rig { rights: Rights::new(vault.clone(), &config).unwrap(), vault, _folder: None }
    };
    let rig = open().await;
    rig.mint("ana", EMAIL, "ana@example.org").await;
    let questions = [rig.rights.question().unwrap(), rig.rights.question().unwrap()];
    for question in &questions {
        rig.rights.send_codes("shop", "ana", question).await.unwrap();
    }
    let codes = codes(&rig).await;
    let used = async |rig: &Rig, question: &str| {
        for (_, code) in &codes {
            if rig.rights.answer(question, code).await.unwrap().is_some() {
                return true;
            }
        }
        false
    };
    assert!(used(&rig, &questions[0]).await);
    let Rig { rights, vault, .. } = rig;
    drop(rights);
    vault.close().await;
    let rig = open().await;
    assert!(!used(&rig, &questions[0]).await, "it was used before");
    assert!(used(&rig, &questions[1]).await, "this one was not");
}

#[tokio::test]
async fn nobodys_questions_lock_a_person_out_or_flood_them() {
    for rig in rigs_with(WEBHOOK).await {
        rig.mint("ana", EMAIL, "ana@example.org").await;
        let (mut sent, mut theirs) = (0, Vec::new());
        for _ in 0..40 {
            let question = rig.rights.question().unwrap();
            sent += rig.rights.send_codes("shop", "ana", &question).await.unwrap();
            theirs.push(question);
        }
        assert_eq!(sent, 3, "messages of ten minutes");
        // None is left for her, and yet what lies in her box lets her in.
        let question = rig.rights.question().unwrap();
        assert_eq!(rig.rights.send_codes("shop", "ana", &question).await.unwrap(), 0);
        let codes = codes(&rig).await;
        assert_eq!(codes.len(), 3);
        let mut let_in = Vec::new();
        for (_, code) in &codes {
            let_in.push(rig.rights.answer(&question, code).await.unwrap().is_some());
        }
        let_in.sort_unstable();
        assert_eq!(let_in, [false, false, true], "one of them does");
        // Who has shown it is sent a new one the next time.
        let question = rig.rights.question().unwrap();
        assert_eq!(rig.rights.send_codes("shop", "ana", &question).await.unwrap(), 1);
        // The one that let her in answers no other question, nor does any before it.
        for question in theirs {
            for (_, code) in &codes {
                assert!(rig.rights.answer(&question, code).await.unwrap().is_none());
            }
        }
    }
}

#[tokio::test]
async fn nobody_has_anything_written_by_guesses() {
    for rig in rigs_with(WEBHOOK).await {
        assert!(rig.rights.answer(&rig.rights.question().unwrap(), "WRNG0000").await.unwrap().is_none());
        assert_eq!(rig.vault.records().scan(Owner::Deployment, Space::Code, None, 9).await.unwrap(), []);
    }
}

#[tokio::test]
async fn strangers_lock_nobody_out() {
    for rig in rigs_with(WEBHOOK).await {
        rig.mint("ana", EMAIL, "ana@example.org").await;
        let rights = Arc::clone(&rig.rights);
        let running = tokio::spawn(async move { rights.send_codes_asked_for().await });
        for n in 0..2_000 {
            rig.rights.ask_for_code("shop", &format!("stranger{n}@example.net"), &rig.rights.question().unwrap());
            rig.rights.answer(&rig.rights.question().unwrap(), "WRNG0000").await.unwrap();
        }
        let question = rig.rights.question().unwrap();
        for _ in 0..500 {
            if rig.rights.ask_for_code("shop", "ana@example.org", &question) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut sent = Vec::new();
        for _ in 0..500 {
            sent = codes(&rig).await;
            if !sent.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (_, code) = sent.first().expect("a code for ana");
        assert!(rig.rights.answer(&question, code).await.unwrap().is_some());
        running.abort();
    }
}
