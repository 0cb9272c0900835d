//! With TLS.

use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio_rustls::client::TlsStream;

use super::*;

struct Encrypted {
    rig: Rig,
    roots: RootCertStore,
}

impl Encrypted {
    async fn start(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, pair.cert.pem()).unwrap();
        std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(pair.cert.der().clone()).unwrap();
        let config = crate::server::tls::server_config(&certificate, &key).unwrap();
        Self { rig: Rig::start_tls(limits, Some(config)).await, roots }
    }

    async fn connect(
        &self,
        version: &'static SupportedProtocolVersion,
        alpn: &[&str],
    ) -> io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.rig.connect().await).await
    }
}

#[tokio::test]
async fn http2_and_http1_by_alpn() {
    let server = Encrypted::start(limits()).await;
    let io = server.connect(&TLS13, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(h2(io, &["/a", "/peer"]).await, [(200, "HTTP/2.0 /a".into()), (200, "127.0.0.1 true".into())]);
    for alpn in [&["http/1.1"][..], &[]] {
        let mut io = server.connect(&TLS13, alpn).await.unwrap();
        assert!(talk(&mut io, GET, "/a").await.ends_with("HTTP/1.1 /a"));
    }
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let server = Encrypted::start(limits()).await;
    let error = server.connect(&TLS12, &[]).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
}

#[tokio::test]
async fn plain_text_and_a_stalled_handshake_are_cut() {
    let server = Encrypted::start(hasty()).await;
    let mut plain = server.rig.connect().await;
    assert!(!talk(&mut plain, GET, "/a").await.contains("HTTP/1.1"));
    let mut stalled = server.rig.connect().await;
    let begun = Instant::now();
    assert!(is_closed(&mut stalled).await);
    assert!((250..8_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_drain_ends_it() {
    let server = Encrypted::start(limits()).await;
    let mut io = server.connect(&TLS13, &["http/1.1"]).await.unwrap();
    talk(&mut io, GET, "/a").await;
    server.rig.shutdown.trigger();
    assert!(is_closed(&mut io).await);
    assert_eq!(server.rig.drained().await, Drained { cut: 0 });
}
