//! The pooled HTTP client that all HTTP-backed services share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use spanwire_protocol::Status;
use spanwire_protocol::limits::DEFAULT_MAX_MESSAGE_SIZE;

use super::{HttpServiceError, bad_gateway};
use crate::error::ServiceError;

/// A client with connection pooling and TLS by rustls. Cloning shares the pool.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpClient {
    /// Trusts the public certificate authorities and, if given, those in a PEM file.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, HttpServiceError> {
        Self::with_pool_size(ca_file, POOL_SIZE)
    }

    /// The same, keeping this many idle connections to a host; 64 is the default. More are made when more are needed, and
    /// closed after use.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_pool_size(
        ca_file: Option<&Path>,
        pool_size: usize,
    ) -> Result<Self, HttpServiceError> {
        let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = ca_file {
            for certificate in read_certificates(path)? {
                roots.add(certificate).map_err(|e| unusable(path, &e))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| unusable(Path::new("(none)"), &e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(pool_size)
            .build(connector);
        Ok(Self { client })
    }

    pub(super) async fn send(
        &self,
        request: Request<Bytes>,
    ) -> Result<(StatusCode, Bytes), ServiceError> {
        let answer = self.exchange(request).await?;
        Ok((answer.status(), answer.into_body()))
    }

    /// Sends a request and reads the whole answer, up to the limit of a message. Whatever the answer is, it is `Ok`.
    ///
    /// # Errors
    /// 503 when there is no connection, 502 when the answer cannot be read.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the request may have been received.
    pub async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ServiceError> {
        let answer = self.client.request(request.map(Full::new)).await.map_err(|error| {
            if error.is_connect() { unavailable(error) } else { bad_gateway().with_source(error) }
        })?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, DEFAULT_MAX_MESSAGE_SIZE);
        let body = body.collect().await.map_err(|e| bad_gateway().with_source(e))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

fn unavailable(source: hyper_util::client::legacy::Error) -> ServiceError {
    ServiceError::new(Status::UNAVAILABLE, Status::UNAVAILABLE.default_text()).with_source(source)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpServiceError> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|e| unusable(path, &e))?.collect();
    let certificates = certificates.map_err(|e| unusable(path, &e))?;
    if certificates.is_empty() {
        return Err(unusable(path, &"it holds no PEM certificate"));
    }
    Ok(certificates)
}

fn unusable(path: &Path, problem: &dyn std::fmt::Display) -> HttpServiceError {
    HttpServiceError::CaFile { path: path.display().to_string(), problem: problem.to_string() }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than what servers and balancers commonly keep an idle connection for, so that a pooled one is rarely dead.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);
const POOL_SIZE: usize = 64;
