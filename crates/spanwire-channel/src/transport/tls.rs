//! TLS by rustls, with certificate files that reload when they change. Open sockets keep what they started with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

/// A certificate chain and its key, in PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why certificate files cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file is missing, unreadable, or holds something else.
    #[error("the {what} in {path} cannot be used: {problem}; a PEM file is expected")]
    File {
        /// `certificate` or `private key`.
        what: &'static str,
        /// Where it is.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// Certificate and key do not belong together, or are of an unsupported kind.
    #[error("the certificate {certificate} and the private key {key} cannot be used together")]
    Pair {
        /// Where the certificate is.
        certificate: String,
        /// Where the key is.
        key: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// This build of rustls offers no protocol version.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// How often the files are looked at.
pub const RELOAD_EVERY: Duration = Duration::from_secs(2);

/// Accepts TLS connections with the newest usable certificate.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    files: TlsFiles,
    loaded: Mutex<Option<(SystemTime, SystemTime)>>,
}

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// Loads the files: TLS 1.2 and 1.3, `http/1.1`.
    pub(crate) fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let loaded = Mutex::new(modified(&files));
        let current = Arc::new(Current(ArcSwap::from_pointee(load(&files)?)));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), current, files, loaded })
    }

    pub(crate) fn files(&self) -> &TlsFiles {
        &self.files
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Takes the files again when they changed. Unusable files are reported and the old certificate stays.
    pub(crate) fn reload_if_changed(&self) {
        let found = modified(&self.files);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_none() || found == *loaded {
            return;
        }
        *loaded = found;
        let path = self.files.certificate.display();
        match load(&self.files) {
            Ok(key) => {
                self.current.0.store(Arc::new(key));
                tracing::info!(certificate = %path, "certificate reloaded");
            }
            Err(error) => {
                tracing::error!(certificate = %path, %error, "new certificate is unusable, the old one stays");
            }
        }
    }
}

fn modified(files: &TlsFiles) -> Option<(SystemTime, SystemTime)> {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    Some((modified(&files.certificate)?, modified(&files.key)?))
}

fn load(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let unusable = |what, path: &Path, problem: &dyn std::fmt::Display| TlsError::File {
        what,
        path: path.display().to_string(),
        problem: problem.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| unusable("certificate", &files.certificate, &e))?;
    if chain.is_empty() {
        return Err(unusable("certificate", &files.certificate, &"it holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|e| unusable("private key", &files.key, &e))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|source| TlsError::Pair {
        certificate: files.certificate.display().to_string(),
        key: files.key.display().to_string(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str) -> TlsFiles {
        let pair = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let files = TlsFiles { certificate: dir.join("cert.pem"), key: dir.join("key.pem") };
        std::fs::write(&files.certificate, pair.cert.pem()).unwrap();
        std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn files_are_taken_again_when_they_change_and_only_when_usable() {
        let dir = tempfile::tempdir().unwrap();
        let files = write(dir.path(), "a.test");
        let tls = Tls::open(files.clone()).unwrap();
        let first = tls.current.0.load_full();
        tls.reload_if_changed();
        assert!(Arc::ptr_eq(&first, &tls.current.0.load_full()));
        write(dir.path(), "b.test");
        *tls.loaded.lock().unwrap() = None;
        tls.reload_if_changed();
        let second = tls.current.0.load_full();
        assert!(first.cert != second.cert);
        std::fs::write(&files.key, "nonsense").unwrap();
        *tls.loaded.lock().unwrap() = None;
        tls.reload_if_changed();
        assert!(Arc::ptr_eq(&second, &tls.current.0.load_full()));
    }

    #[test]
    fn unusable_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let files = write(dir.path(), "a.test");
        let missing = TlsFiles { certificate: dir.path().join("none.pem"), ..files.clone() };
        assert!(Tls::open(missing).err().unwrap().to_string().contains("none.pem"));
        let other = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
        std::fs::write(&files.key, other.signing_key.serialize_pem()).unwrap();
        assert!(matches!(Tls::open(files), Err(TlsError::Pair { .. })));
    }
}
