//! Whom an outgoing connection trusts, and who it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use spanwire_outconn::{
    ClientOptions, ConnectError, PlainHandler, PlainMessage, PlainSocket, TlsOptions,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async;

/// A certificate for a name, in files.
struct Made {
    certificate: PathBuf,
    key: PathBuf,
}

impl Made {
    fn new(folder: &Path, name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let file = |end: &str| folder.join(format!("{name}.{end}"));
        let (certificate, key) = (file("pem"), file("key"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { certificate, key }
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_file(&self.certificate).unwrap()]
    }
}

/// A WebSocket server with this certificate; it lets in who has that of `client`, if there is one.
async fn serve(own: &Made, client: Option<&Made>) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(&own.key).unwrap();
    let builder = match client {
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.chain().remove(0)).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(own.chain(), key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let Ok(mut socket) = accept_async(stream).await else { return };
                while let Some(Ok(_)) = socket.next().await {}
            });
        }
    });
    format!("wss://localhost:{}/", address.port())
}

struct Nobody;

impl PlainHandler for Nobody {
    fn received(&self, _: PlainMessage) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

async fn connect(address: &str, tls: &TlsOptions) -> Result<PlainSocket, ConnectError> {
    let mut options = ClientOptions::new(address.parse().unwrap());
    options.tls = Some(tls.load().unwrap());
    PlainSocket::connect(&options, Nobody).await
}

#[tokio::test]
async fn a_peer_has_to_be_who_it_says_unless_its_name_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let (local, other) =
        (Made::new(folder.path(), "localhost"), Made::new(folder.path(), "other.example"));
    let trusts = |made: &Made| TlsOptions {
        ca_file: Some(made.certificate.clone()),
        ..TlsOptions::default()
    };
    let any_name = |tls: TlsOptions| TlsOptions { checks_host_name: false, ..tls };
    let (right, wrong) = (serve(&local, None).await, serve(&other, None).await);
    connect(&right, &trusts(&local)).await.unwrap().close().await;
    connect(&wrong, &any_name(trusts(&other))).await.unwrap().close().await;
    for (what, address, tls) in [
        ("an authority that is not trusted", &right, TlsOptions::default()),
        ("another one is", &right, trusts(&other)),
        ("the name is not that of the address", &wrong, trusts(&other)),
        ("any name, but of a trusted authority", &right, any_name(TlsOptions::default())),
        ("any name, but of the right one", &right, any_name(trusts(&other))),
    ] {
        let refused = connect(address, &tls).await.unwrap_err();
        assert!(matches!(refused, ConnectError::Tls { .. }), "{what}: {refused}");
    }
}

#[tokio::test]
async fn a_peer_that_asks_for_a_certificate_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let (local, me) =
        (Made::new(folder.path(), "localhost"), Made::new(folder.path(), "me.example"));
    let address = serve(&local, Some(&me)).await;
    let tls = TlsOptions { ca_file: Some(local.certificate.clone()), ..TlsOptions::default() };
    assert!(connect(&address, &tls).await.is_err(), "without one");
    let own = Some((me.certificate.clone(), me.key.clone()));
    let with_it = TlsOptions { client_certificate: own, ..tls.clone() };
    connect(&address, &with_it).await.unwrap().close().await;
    let stranger = Some((local.certificate.clone(), local.key.clone()));
    let with_another = TlsOptions { client_certificate: stranger, ..tls.clone() };
    assert!(connect(&address, &with_another).await.is_err(), "with another's");
    // Files that are none say which.
    let missing = TlsOptions { ca_file: Some("/none.pem".into()), ..tls.clone() };
    assert!(missing.load().unwrap_err().to_string().contains("/none.pem"));
    let swapped = Some((me.key, me.certificate));
    let error = TlsOptions { client_certificate: swapped, ..tls }.load().unwrap_err().to_string();
    assert!(error.contains("me.example.key"), "{error}");
}
