//! The ways out of a request besides its body: address, cookies, headers. And
//! forms, which are written like a query.

use crate::support::{Dialogue, Recorded, Reply, tokens};

const EMAIL: &str = "ana.lopez@example.com";
const CONSENT: (&str, &str) = ("privet-consent", "support");
const SUBJECT: (&str, &str) = ("privet-subject", "u1");

/// Sends a request without a body and gives what the chatbot received.
async fn got(dialogue: &Dialogue, path: &str, headers: &[(&str, &str)]) -> (Reply, Recorded) {
    let mut all = vec![CONSENT, SUBJECT];
    all.extend_from_slice(headers);
    let reply = dialogue.client.send("GET", path, &all, "").await;
    assert_eq!(reply.status, 200, "{path} {headers:?}: {}", reply.text());
    (reply, dialogue.upstream.last())
}

/// The token of an address in the body, by which others are judged.
async fn token_of(dialogue: &Dialogue, value: &str) -> String {
    dialogue.ask_with("/", &[SUBJECT], format!("[\"{value}\"]")).await;
    let found = tokens(dialogue.upstream.last().text());
    assert_eq!(found.len(), 1, "{value}");
    found[0].clone()
}

fn encoded(token: &str) -> String {
    token.replace('[', "%5B").replace(']', "%5D")
}

#[tokio::test]
async fn an_address_keeps_all_bytes_but_its_findings() {
    let dialogue = Dialogue::new("").await;
    let email = encoded(&token_of(&dialogue, EMAIL).await);
    let person = encoded(&token_of(&dialogue, "I am Anna Kowalska").await);
    for (sent, want) in [
        ("/v1/models?to=ana.lopez@example.com", "/v1/models?to=@@"),
        ("/v1/models?to=ana.lopez%40example.com&x=%2f%20+", "/v1/models?to=@@&x=%2f%20+"),
        ("/?a=1&&to=write+to+ana.lopez%40example%2Ecom%20now&=&b", "/?a=1&&to=write+to+@@%20now&=&b"),
        ("/?ana.lopez%40example.com=1", "/?@@=1"),
        ("/?ana.lopez%40example.com", "/?@@"),
        ("/users/ana.lopez%40example.com/chats", "/users/@@/chats"),
        ("/users/ana.lopez@example.com?to=%61na.lopez@example.com", "/users/@@?to=@@"),
        ("/a//b/./c;ana.lopez%40example.com?", "/a//b/./c;@@?"),
        ("/?customer_name=Anna+Kowalska", "/?customer_name=~~"),
        ("/?q=I%20am+Anna%20Kowalska", "/?q=I%20am+~~"),
        ("/notes/I%20am%20Anna%20Kowalska", "/notes/I%20am%20~~"),
        // Keys of the API are never touched.
        ("/?key=ana.lopez@example.com", "/?key=ana.lopez@example.com"),
        (
            "/?api_key=ana.lopez@example.com&a%70i_key=ana.lopez@example.com&to=ana.lopez@example.com",
            "/?api_key=ana.lopez@example.com&a%70i_key=ana.lopez@example.com&to=@@",
        ),
    ] {
        let (reply, seen) = got(&dialogue, sent, &[]).await;
        let want_target = want.replace("@@", &email).replace("~~", &person);
        assert_eq!(seen.target, want_target, "{sent}");
        let counts: Vec<String> = [("email", "@@"), ("person", "~~")]
            .iter()
            .filter(|(_, mark)| want.contains(mark))
            .map(|(entity, mark)| format!("{entity}={}", want.matches(mark).count()))
            .collect();
        assert_eq!(reply.header("privet-redacted").unwrap_or_default(), counts.join(", "), "{sent}");
    }
}
