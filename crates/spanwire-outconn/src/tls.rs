//! Whom a connection trusts, and who it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};

/// TLS of `wss://` connections.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// A PEM file with certificate authorities that are trusted beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// PEM files with a certificate and its key, presented to peers that ask for one.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Whether the certificate has to be for the host of the address; true. Without it anybody with any certificate
    /// of a trusted authority is taken for the peer.
    pub checks_host_name: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { ca_file: None, client_certificate: None, checks_host_name: true }
    }
}

/// TLS options cannot be used.
#[derive(Debug, Error)]
#[error("{path} cannot be used: {problem}")]
pub struct TlsOptionsError {
    path: String,
    problem: String,
}

impl TlsOptions {
    /// Reads the files. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what it has to be.
    pub fn load(&self) -> Result<Arc<ClientConfig>, TlsOptionsError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = &self.ca_file {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| unusable(path, &error))?;
            }
        }
        let provider = Arc::new(ring::default_provider());
        let nothing = Path::new("(none)");
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(nothing, &error))?;
        let builder = if self.checks_host_name {
            builder.with_root_certificates(roots)
        } else {
            let inner =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .map_err(|error| unusable(nothing, &error))?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyName { inner, provider }))
        };
        let config = match &self.client_certificate {
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let key_path = key;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unusable(key_path, &error))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| unusable(key_path, &error))?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsOptionsError> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, &error))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| unusable(path, &error))?;
    if found.is_empty() { Err(unusable(path, &"it holds no PEM certificate")) } else { Ok(found) }
}

fn unusable(path: &Path, problem: &dyn std::fmt::Display) -> TlsOptionsError {
    TlsOptionsError { path: path.display().to_string(), problem: problem.to_string() }
}

/// Checks certificates in everything but the name.
#[derive(Debug)]
struct AnyName {
    inner: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        match self.inner.verify_server_cert(certificate, chain, name, ocsp, now) {
            // The name is looked at last, once the chain is found to be good.
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
