//! Whom this process trusts as a server: TLS towards chatbots and key
//! services.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// Trusts the system's roots, where they are `needed`, and those in `ca`, a PEM
/// file (RFC 7468).
///
/// # Errors
///
/// Says what is wrong with the file, or that there are no roots.
pub fn client_config(needed: bool, ca: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if needed {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
    }
    if let Some(file) = ca {
        let problem = |why: String| format!("ca file {}: {why}", file.display());
        for certificate in CertificateDer::pem_file_iter(file).map_err(|e| problem(e.to_string()))? {
            let certificate = certificate.map_err(|e| problem(e.to_string()))?;
            roots.add(certificate).map_err(|e| problem(e.to_string()))?;
        }
    }
    if needed && roots.is_empty() {
        return Err("no trusted certificates: install ca-certificates, or name a PEM file as `ca`".to_owned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|e| e.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
