//! An engine that speaks `PostgreSQL`'s protocol and lacks what such engines
//! lack: in front of a real server, it refuses these statements.
//!
//! `CockroachDB` has neither `LISTEN` nor `NOTIFY` and makes nothing of advisory
//! locks, `YugabyteDB` takes `LISTEN` and tells nothing; sequences, triggers,
//! temporary tables and locks of tables are apart from one to the other.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const LACKING: &[&str] = &[
    "listen ",
    "notify",
    "advisory",
    "nextval",
    "sequence",
    "trigger",
    "temporary",
    "temp table",
    "lock table",
    "skip locked",
    "savepoint",
    "create function",
    "do $$",
    "deferrable",
];

/// The code of a message that asks for TLS.
const ASKS_FOR_TLS: u32 = 80_877_103;

/// What it was asked for and has not.
#[derive(Clone, Default)]
pub(crate) struct Refused(Arc<Mutex<Vec<String>>>);

pub(crate) struct Engine {
    pub(crate) port: u16,
    pub(crate) refused: Refused,
    /// Statements that were given a name, which a session would have to keep.
    pub(crate) named: Refused,
}

impl Refused {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, what: &str) {
        self.0.lock().unwrap().push(what.to_owned());
    }
}

impl Engine {
    /// In front of the server on this port.
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine = Self {
            port: listener.local_addr().unwrap().port(),
            refused: Refused::default(),
            named: Refused::default(),
        };
        let (refused, named) = (engine.refused.clone(), engine.named.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
                tokio::spawn(connection(client, server, refused.clone(), named.clone()));
            }
        });
        engine
    }
}

async fn connection(client: TcpStream, server: TcpStream, refused: Refused, named: Refused) -> Option<()> {
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
    // The first message has no kind. It may ask for TLS, which is not to be had.
    let mut first = body(&mut from_client).await?;
    if first.get(4..) == Some(ASKS_FOR_TLS.to_be_bytes().as_slice()) {
        to_client.lock().await.write_all(b"N").await.ok()?;
        first = body(&mut from_client).await?;
    }
    to_server.write_all(&first).await.ok()?;
    tokio::spawn(answers(from_server, Arc::clone(&to_client)));
    loop {
        let kind = from_client.read_u8().await.ok()?;
        let message = body(&mut from_client).await?;
        let text = |from: usize| {
            let text = message[from..].split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8(text.to_vec()).unwrap().to_lowercase()
        };
        let sql = match kind {
            b'Q' => text(4),
            b'P' => {
                let name = message[4..].iter().position(|byte| *byte == 0)?;
                if name > 0 {
                    named.note(&text(4));
                }
                text(4 + name + 1)
            }
            _ => String::new(),
        };
        if LACKING.iter().any(|lacking| sql.contains(lacking)) {
            refused.note(&sql);
            // Up to the end of the exchange nothing is heeded.
            while kind == b'P' && from_client.read_u8().await.ok()? != b'S' {
                body(&mut from_client).await?;
            }
            if kind == b'P' {
                body(&mut from_client).await?;
            }
            to_client.lock().await.write_all(&refusal()).await.ok()?;
            continue;
        }
        to_server.write_u8(kind).await.ok()?;
        to_server.write_all(&message).await.ok()?;
    }
}

async fn answers(mut from: OwnedReadHalf, to: Arc<tokio::sync::Mutex<OwnedWriteHalf>>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(len) = from.read(&mut buffer).await {
        if len == 0 || to.lock().await.write_all(&buffer[..len]).await.is_err() {
            break;
        }
    }
    let _ = to.lock().await.shutdown().await;
}

/// A message with its length in front.
async fn body(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let len = from.read_u32().await.ok()?;
    let mut message = len.to_be_bytes().to_vec();
    message.resize(len as usize, 0);
    from.read_exact(&mut message[4..]).await.ok()?;
    Some(message)
}

/// As `CockroachDB` says it, and that it is ready for the next.
fn refusal() -> Vec<u8> {
    let fields = b"SERROR\0C0A000\0Munimplemented: this syntax\0\0";
    let mut message = vec![b'E'];
    message.extend_from_slice(&(fields.len() as u32 + 4).to_be_bytes());
    message.extend_from_slice(fields);
    message.extend_from_slice(b"Z\0\0\0\x05I");
    message
}
