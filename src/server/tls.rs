//! TLS on the listeners: TLS 1.3 alone (RFC 8446), HTTP/2 and HTTP/1.1 by ALPN
//! (RFC 7301).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a listener cannot speak TLS with the files it was given.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is no PEM (RFC 7468), or its base64 is broken.
    #[error("{}: is no valid PEM file", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
    },
    /// The file of the chain holds no certificate.
    #[error("{}: holds no certificate (a section BEGIN CERTIFICATE)", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file of the key holds no private key.
    #[error("{}: holds no private key (a section BEGIN PRIVATE KEY)", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate do not belong together, or are of a kind that is
    /// not supported.
    #[error("{}: cannot be used with the certificate {}: {source}", key.display(), certificate.display())]
    Pair {
        /// The file of the certificate chain.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
}

/// Reads a certificate chain (the listener's own first) and its private key
/// (PKCS#8, SEC1 or PKCS#1) from PEM files.
pub fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|e| read_error(certificate, e))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: certificate.to_owned() });
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| match e {
        pem::Error::NoItemsFound => TlsError::NoKey { path: key.to_owned() },
        e => read_error(key, e),
    })?;
    let pair_error = |source| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), source };

    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(pair_error)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(pair_error)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

// The source of a PEM error can quote the line it stumbled over, which may be
// key material: only an I/O error is passed on.
fn read_error(path: &Path, error: pem::Error) -> TlsError {
    match error {
        pem::Error::Io(source) => TlsError::Read { path: path.to_owned(), source },
        _ => TlsError::Pem { path: path.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            files.write("cert.pem", &pair.cert.pem());
            files.write("key.pem", &pair.signing_key.serialize_pem());
            files
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.path(name), text).unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn error(&self, certificate: &str, key: &str) -> String {
            server_config(&self.path(certificate), &self.path(key)).unwrap_err().to_string()
        }
    }

    #[test]
    fn a_pair_makes_a_configuration() {
        let files = Files::new();
        let config = server_config(&files.path("cert.pem"), &files.path("key.pem")).unwrap();
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }

    #[test]
    fn errors_name_the_file_and_what_is_wrong() {
        let files = Files::new();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        files.write("other.pem", &other.signing_key.serialize_pem());
        files.write("empty.pem", "");
        files.write("broken.pem", "-----BEGIN CERTIFICATE-----\nsecret!\n-----END CERTIFICATE-----\n");
        files.write("broken-key.pem", "-----BEGIN PRIVATE KEY-----\nsecret!\n-----END PRIVATE KEY-----\n");

        assert!(files.error("none.pem", "key.pem").contains("none.pem: cannot be read"));
        assert!(files.error("empty.pem", "key.pem").contains("empty.pem: holds no certificate"));
        assert!(files.error("broken.pem", "key.pem").contains("broken.pem: is no valid PEM"));
        assert!(files.error("cert.pem", "none.pem").contains("none.pem: cannot be read"));
        assert!(files.error("cert.pem", "cert.pem").contains("cert.pem: holds no private key"));
        assert!(files.error("cert.pem", "broken-key.pem").contains("broken-key.pem: is no valid PEM"));
        assert!(files.error("cert.pem", "other.pem").contains("other.pem: cannot be used with the certificate"));
        for (certificate, key) in [("broken.pem", "key.pem"), ("cert.pem", "broken-key.pem")] {
            assert!(!files.error(certificate, key).contains("secret"));
        }
    }
}
