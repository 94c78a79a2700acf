//! Clients behind proxies, and TLS: who the application takes the client for, and with which certificate.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use spanwire_channel::transport::{ListenerSettings, TlsFiles, TrustedProxies};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::{Client, TEXT, Wire, frame, good_handshake, within};
use crate::server::{Options, Server};

const WHOAMI: &str = "GET /whoami HTTP/1.1\r\nHost: localhost\r\n";
const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";

fn server(change: impl FnOnce(&mut ListenerSettings)) -> Server {
    Server::with_listener(Options::default(), change)
}

fn trusting(settings: &mut ListenerSettings) {
    settings.trusted_proxies = Arc::new(TrustedProxies::parse(["127.0.0.0/8"]).unwrap());
}

fn proxied(settings: &mut ListenerSettings) {
    trusting(settings);
    settings.proxy_protocol = true;
}

/// A version 2 header with a command, a family and a body.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, body].concat()
}

fn v2_ipv4() -> Vec<u8> {
    v2(0x21, 0x11, &[192, 0, 2, 9, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb])
}

fn v2_ipv6() -> Vec<u8> {
    let mut body = [0; 36];
    body[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    body[15] = 7;
    body[31] = 1;
    body[32..].copy_from_slice(&[0xdc, 0x04, 0x01, 0xbb]);
    v2(0x21, 0x21, &body)
}

/// Headers and the address that the application is to see; none is the TCP peer's own.
fn headers() -> Vec<(Vec<u8>, Option<&'static str>)> {
    vec![
        (V1.to_vec(), Some("192.0.2.1:56324")),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n".to_vec(), Some("[2001:db8::7]:56324")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
        (v2_ipv4(), Some("192.0.2.9:56324")),
        (v2_ipv6(), Some("[2001:db8::7]:56324")),
        // A health check of the proxy, and something that is not TCP.
        (v2(0x20, 0, &[]), None),
        (v2(0x21, 0, &[]), None),
        // A TLV behind the addresses.
        (
            v2(0x21, 0x11, &[192, 0, 2, 9, 198, 51, 100, 1, 0xdc, 0x04, 1, 0xbb, 4, 0, 1, 0]),
            Some("192.0.2.9:56324"),
        ),
    ]
}

async fn whoami<S: Wire>(client: &mut Client<S>, headers: &str) -> String {
    client.send(format!("{WHOAMI}{headers}\r\n").as_bytes()).await;
    client.answer().await.unwrap().body
}

#[tokio::test]
async fn announced_clients_are_seen_and_nothing_behind_the_header_is_lost() {
    let server = server(proxied);
    for (header, expected) in headers() {
        let request = [&header[..], WHOAMI.as_bytes(), b"\r\n"].concat();
        // Together, a byte at a time, and cut in the header and right behind it.
        for piece in [request.len(), 1, header.len() - 1, header.len()] {
            let mut client = Client::connect(server.address).await;
            let own = client.stream.local_addr().unwrap().to_string();
            for piece in request.chunks(piece) {
                client.send(piece).await;
            }
            let answer = client.answer().await.unwrap().body;
            assert_eq!(answer, expected.unwrap_or(&own), "{}", header.escape_ascii());
        }
        let mut client = Client::connect(server.address).await;
        client.send(&[header, good_handshake(), frame(TEXT, "x")].concat()).await;
        assert_eq!(client.answer().await.unwrap().status, 101);
        assert_eq!(client.frame().await.unwrap().payload, b"x");
    }
}

#[tokio::test]
async fn connections_of_proxies_start_with_a_whole_header_or_end() {
    let server = server(proxied);
    let plain = format!("{WHOAMI}\r\n");
    let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 5000]].concat();
    let unfit = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 99999\r\n".to_vec();
    let mixed = b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec();
    let lower = b"proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n".to_vec();
    let wrong_version = v2(0x31, 0x11, &[0; 12]);
    let too_short = v2(0x21, 0x11, &[0; 4]);
    let big = v2(0x21, 0x11, &[0; 5000]);
    let bad =
        [vec![], endless, unfit, mixed, lower, wrong_version, too_short, big, vec![22, 3, 1, 0, 1]];
    for header in bad {
        let mut client = Client::connect(server.address).await;
        client.send(&[&header[..], plain.as_bytes()].concat()).await;
        assert!(client.answer().await.is_none(), "{}", header.escape_ascii());
    }
    let refused = |seen: &crate::server::Seen| seen.refused == ["handshake-failed"; 9];
    server.saw(refused, |_| ()).await;
}

#[tokio::test]
async fn strangers_may_not_announce_anybody() {
    for trusted in ["192.0.2.0/24", "127.0.0.0/8"] {
        let server = server(|settings| {
            settings.trusted_proxies = Arc::new(TrustedProxies::parse([trusted]).unwrap());
            // Either the peer is no proxy, or no proxy is expected to announce clients.
            settings.proxy_protocol = trusted == "192.0.2.0/24";
        });
        for header in [V1.to_vec(), v2_ipv4(), v2(0x20, 0, &[])] {
            let mut client = Client::connect(server.address).await;
            client.send(&[&header[..], WHOAMI.as_bytes(), b"\r\n"].concat()).await;
            assert_eq!(client.answer().await.unwrap().status, 400);
            client.end().await;
        }
        let mut client = Client::connect(server.address).await;
        let own = client.stream.local_addr().unwrap().to_string();
        assert_eq!(whoami(&mut client, "").await, own);
    }
}

#[tokio::test]
async fn forwarding_headers_count_when_they_come_from_a_proxy() {
    let (trusting, doubting) = (server(trusting), server(|_| {}));
    for (headers, expected) in [
        ("", None),
        ("X-Forwarded-For: 192.0.2.7\r\n", Some("192.0.2.7:0")),
        ("x-forwarded-for: 6.6.6.6, 192.0.2.7, 127.0.0.9\r\n", Some("192.0.2.7:0")),
        ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.7:99\r\n", Some("192.0.2.7:99")),
        ("Forwarded: for=\"[2001:db8::7]:4711\";proto=wss\r\n", Some("[2001:db8::7]:4711")),
        ("Forwarded: for=192.0.2.7\r\nX-Forwarded-For: 6.6.6.6\r\n", Some("192.0.2.7:0")),
        ("Forwarded: for=_hidden\r\n", None),
        ("X-Forwarded-For: nonsense\r\n", None),
        ("X-Forwarded-For: 6.6.6.6, \r\n", None),
        ("X-Forwarded-For: \u{ff}\r\n", None),
    ] {
        let mut client = Client::connect(trusting.address).await;
        let own = client.stream.local_addr().unwrap().to_string();
        assert_eq!(whoami(&mut client, headers).await, expected.unwrap_or(&own), "{headers}");
        // The next request of the connection may be somebody else's.
        assert_eq!(whoami(&mut client, "").await, own);
        let mut client = Client::connect(doubting.address).await;
        let own = client.stream.local_addr().unwrap().to_string();
        assert_eq!(whoami(&mut client, headers).await, own, "{headers}");
    }
}

#[tokio::test]
async fn both_ways_of_telling_go_together() {
    let server = server(proxied);
    let mut client = Client::connect(server.address).await;
    // The announced client is no trusted proxy: its own headers mean nothing.
    client.send(V1).await;
    assert_eq!(whoami(&mut client, "X-Forwarded-For: 6.6.6.6\r\n").await, "192.0.2.1:56324");
    let mut client = Client::connect(server.address).await;
    client.send(b"PROXY TCP4 127.0.0.5 127.0.0.1 5 6\r\n").await;
    assert_eq!(whoami(&mut client, "X-Forwarded-For: 192.0.2.7\r\n").await, "192.0.2.7:0");
}

/// Certificate files that can be replaced.
struct Certificates {
    dir: TempDir,
}

impl Certificates {
    fn new() -> Self {
        let certificates = Self { dir: tempfile::tempdir().unwrap() };
        certificates.replace();
        certificates
    }

    fn files(&self) -> TlsFiles {
        let path = |name| Path::join(self.dir.path(), name);
        TlsFiles { certificate: path("cert.pem"), key: path("key.pem") }
    }

    /// Writes new ones, the key first.
    fn replace(&self) {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(self.files().key, pair.signing_key.serialize_pem()).unwrap();
        std::fs::write(self.files().certificate, pair.cert.pem()).unwrap();
    }

    fn current(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.files().certificate).unwrap()
    }

    /// A client that trusts what the files hold now, behind a PROXY header if there is one; `None` if the server
    /// shows something else.
    async fn connect(
        &self,
        address: SocketAddr,
        proxy: &[u8],
    ) -> Option<Client<TlsStream<TcpStream>>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.current()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = Client::connect(address).await;
        client.send(proxy).await;
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost").unwrap();
        let stream = within("TLS", connector.connect(name, client.stream)).await.ok()?;
        Some(Client::over(stream))
    }
}

#[tokio::test]
async fn tls_carries_everything() {
    let certificates = Certificates::new();
    let server = server(|settings| settings.tls = Some(certificates.files()));
    let mut client = certificates.connect(server.address, b"").await.unwrap();
    let own = client.stream.get_ref().0.local_addr().unwrap().to_string();
    assert_eq!(whoami(&mut client, "X-Forwarded-For: 6.6.6.6\r\n").await, own);
    client.send(&good_handshake()).await;
    assert_eq!(client.answer().await.unwrap().status, 101);
    let text = "x".repeat(50_000);
    client.send(&frame(TEXT, &text)).await;
    assert_eq!(client.frame().await.unwrap().payload, text.as_bytes());
    client.send(&crate::client::close(1000, "")).await;
    assert_eq!(client.frame().await.unwrap().payload, 1000_u16.to_be_bytes());
    client.end().await;
    // Whoever speaks no TLS gets no HTTP.
    let mut plain = Client::connect(server.address).await;
    plain.send(format!("{WHOAMI}\r\n").as_bytes()).await;
    assert!(!plain.raw_end().await.starts_with(b"HTTP"));
}

#[tokio::test]
async fn proxies_announce_clients_in_front_of_tls() {
    let certificates = Certificates::new();
    let server = server(|settings| {
        proxied(settings);
        settings.tls = Some(certificates.files());
    });
    for (header, expected) in headers() {
        let mut client = certificates.connect(server.address, &header).await.unwrap();
        let own = client.stream.get_ref().0.local_addr().unwrap().to_string();
        assert_eq!(whoami(&mut client, "").await, expected.unwrap_or(&own));
    }
    assert!(certificates.connect(server.address, b"").await.is_none(), "no header");
}

#[tokio::test]
async fn new_certificates_are_for_new_connections() {
    let certificates = Certificates::new();
    let server = server(|settings| settings.tls = Some(certificates.files()));
    let mut open = certificates.connect(server.address, b"").await.unwrap();
    open.send(&good_handshake()).await;
    assert_eq!(open.answer().await.unwrap().status, 101);
    let old = certificates.current();
    certificates.replace();
    assert!(certificates.current() != old);
    // The files are looked at every two seconds.
    let renewed = async {
        while certificates.connect(server.address, b"").await.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(6), renewed).await.expect("the new certificate");
    open.send(&frame(TEXT, "still here")).await;
    assert_eq!(open.frame().await.unwrap().payload, b"still here");
}
