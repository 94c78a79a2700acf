//! Certificates for tests, made on the spot.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A self-signed certificate for `localhost` and `127.0.0.1`, in files, and a client that trusts it.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The key's file.
    pub key: PathBuf,
    /// Settings of a client that trusts only this certificate.
    pub client: Arc<rustls::ClientConfig>,
}

impl Certificate {
    /// Makes a certificate in a folder.
    #[must_use]
    pub fn create(dir: &Path) -> Self {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let (certificate, key) = (dir.join("certificate.pem"), dir.join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { certificate, key, client: Arc::new(client) }
    }
}
