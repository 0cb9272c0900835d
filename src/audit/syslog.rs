//! Sends the access log to a SIEM as syslog (RFC 5424): over TCP with octet
//! counting (RFC 6587), or over UDP (RFC 5426).
//!
//! It reads the chain, not the queue, behind a mark in the vault. So nothing
//! is lost while the server is away; what was sent and not yet marked when a
//! process or a connection ends is sent again: each line has its number.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Audit;
use super::chain::Chain;
use super::line::Line;
use crate::config::Syslog;
use crate::store::Space;
use crate::vault::{Expected, Owner, RecordChange, Records, VaultError};

/// Lines of one write.
const BATCH: usize = 256;
/// How often other replicas' lines are looked for.
const EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Facility 13, log audit; severity 6, informational (RFC 5424 section 6.2.1).
const PRIORITY: u8 = 13 * 8 + 6;

const MARK: &[u8] = b"syslog";

enum Link {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Audit {
    /// Sends every line from now on, and what has not been sent before. Runs
    /// until it is dropped.
    pub async fn forward(self, to: Syslog) {
        let mut written = self.written();
        let mut pause = FIRST_PAUSE;
        loop {
            let failed = match send_all(&self.0.chain, &to, &mut written, &mut pause).await {
                Ok(never) => match never {},
                Err(failed) => failed,
            };
            tracing::warn!(error = %failed, "The access log cannot be sent to the syslog server; it is sent later.");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Why sending broke off.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Network(#[from] io::Error),
    #[error("{0}")]
    Vault(#[from] VaultError),
    #[error("the server takes nothing")]
    Stuck(#[from] tokio::time::error::Elapsed),
}

async fn send_all(
    chain: &Chain,
    to: &Syslog,
    written: &mut watch::Receiver<u64>,
    pause: &mut Duration,
) -> Result<std::convert::Infallible, Failed> {
    let mut link = connect(to).await?;
    loop {
        let (seen, mark) = mark(chain.records()).await?;
        let lines = chain.page(seen, BATCH).await?;
        let Some(last) = lines.last().map(|line| line.seq) else {
            // New lines of this process wake; those of others are looked for.
            let _ = timeout(EVERY, written.changed()).await;
            continue;
        };
        timeout(PATIENCE, send(&mut link, &lines)).await??;
        set_mark(chain.records(), mark.as_deref(), last).await?;
        *pause = FIRST_PAUSE;
    }
}

async fn connect(to: &Syslog) -> Result<Link, Failed> {
    Ok(if to.udp {
        let server = lookup_host(&to.address).await?.next();
        let server = server.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let from = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(from).await?;
        socket.connect(server).await?;
        Link::Udp(socket)
    } else {
        Link::Tcp(timeout(PATIENCE, TcpStream::connect(&to.address)).await??)
    })
}

async fn send(link: &mut Link, lines: &[Line]) -> io::Result<()> {
    match link {
        Link::Tcp(stream) => {
            let mut framed = String::new();
            for message in lines.iter().map(message) {
                let _ = write!(framed, "{} {message}", message.len());
            }
            stream.write_all(framed.as_bytes()).await?;
            // What the server has closed is told by reading alone.
            let mut none = [0; 1];
            match stream.try_read(&mut none) {
                Ok(0) => Err(io::ErrorKind::ConnectionReset.into()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                _ => Ok(()),
            }
        }
        Link::Udp(socket) => {
            for line in lines {
                socket.send(message(line).as_bytes()).await?;
            }
            Ok(())
        }
    }
}

/// `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`; the
/// message is the line as it is exported.
fn message(line: &Line) -> String {
    let text = serde_json::to_string(line).unwrap_or_default();
    format!("<{PRIORITY}>1 {} - privet - {} - {text}", line.at, line.action.as_str())
}

/// The number of the last line that was sent.
pub(super) async fn sent(records: &Records) -> Result<u64, VaultError> {
    Ok(mark(records).await?.0)
}

async fn mark(records: &Records) -> Result<(u64, Option<Vec<u8>>), VaultError> {
    let mark = records.get(Owner::Deployment, Space::Checkpoint, MARK).await?;
    let seen = mark.as_deref().and_then(|mark| mark.first_chunk()).map_or(0, |mark| u64::from_be_bytes(*mark));
    Ok((seen, mark))
}

/// Where another replica has set it meanwhile, that one stands.
async fn set_mark(records: &Records, old: Option<&[u8]>, seen: u64) -> Result<(), VaultError> {
    let (owner, space, value) = (Owner::Deployment, Space::Checkpoint, seen.to_be_bytes());
    let expected = old.map_or(Expected::Absent, Expected::Unchanged);
    records.write(&[RecordChange { owner, space, key: MARK, expected, value: Some(&value) }], None).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::audit::{Action, Look, Options};
    use crate::vault::{Key, Vault, VaultUrl};

    async fn audit() -> Audit {
        let vault = Vault::open(&VaultUrl::Memory, Key::generate(), crate::vault::Options::default()).await.unwrap();
        Audit::open(&vault, Options::default()).await.unwrap()
    }

    fn look(reason: &str) -> Look {
        Look { actor: "operator:anna".into(), action: Action::Show, reason: reason.into(), ..Look::default() }
    }

    /// Frames by their octet counts (RFC 6587 section 3.4.1).
    async fn frames(stream: &mut TcpStream, least: usize) -> Vec<String> {
        let (mut bytes, mut all) = (Vec::new(), Vec::new());
        while all.len() < least {
            if let Some(at) = bytes.iter().position(|byte| *byte == b' ') {
                let length: usize = std::str::from_utf8(&bytes[..at]).unwrap().parse().unwrap();
                if bytes.len() > at + length {
                    all.push(String::from_utf8(bytes[at + 1..=at + length].to_vec()).unwrap());
                    bytes.drain(..=at + length);
                    continue;
                }
            }
            assert!(timeout(PATIENCE, stream.read_buf(&mut bytes)).await.unwrap().unwrap() > 0);
        }
        all
    }

    #[tokio::test]
    async fn nothing_is_lost_while_the_server_is_away() {
        let audit = audit().await;
        audit.record(look("before")).await.unwrap();
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap().to_string();
        let to = Syslog { udp: false, address: address.clone() };
        let task = tokio::spawn(audit.clone().forward(to.clone()));
        let (mut stream, _) = server.accept().await.unwrap();
        let first = frames(&mut stream, 2).await;
        assert!(first[0].starts_with("<110>1 20") && first[0].contains(" - privet - show - {\"seq\":1,"), "{first:?}");
        assert!(first[1].contains("\"action\":\"checkpoint\""), "{first:?}");
        task.abort();
        drop((stream, server));
        audit.record(look("away")).await.unwrap();
        let server = TcpListener::bind(&address).await.unwrap();
        let task = tokio::spawn(audit.clone().forward(to));
        audit.record(look("back")).await.unwrap();
        let (mut stream, _) = server.accept().await.unwrap();
        let rest = frames(&mut stream, 2).await.concat();
        assert!(rest.contains("\"away\"") && rest.contains("\"back\"") && !rest.contains("\"before\""), "{rest}");
        task.abort();
    }

    #[tokio::test]
    async fn a_datagram_is_a_line() {
        let audit = audit().await;
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap().to_string();
        let task = tokio::spawn(audit.clone().forward(Syslog { udp: true, address }));
        audit.record(look("udp")).await.unwrap();
        let mut datagram = [0; 4096];
        let length = timeout(PATIENCE, server.recv(&mut datagram)).await.unwrap().unwrap();
        let text = std::str::from_utf8(&datagram[..length]).unwrap();
        assert!(text.starts_with("<110>1 ") && text.ends_with('}') && text.contains("\"udp\""), "{text}");
        task.abort();
    }
}
