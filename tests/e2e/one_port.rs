//! One port, over TLS: probes of load balancers, REST and WebSockets at once; new certificates without a restart.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use spanwire_tests::http::{admin, basic};
use spanwire_tests::tls::Certificate;
use spanwire_tests::{Client, PATIENCE, Server, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const OBJECTS: &str = "\
    security: [{name: app1, type: basic_auth, username: app1, password: secret1}]\n\
    web_socket: [{name: crm, address: /ws/crm, service: helpers.web-sockets-gateway, sec_def: app1}]\n\
    channel_rest:\n\
    \x20 - {name: echo, url_path: /echo, service: zato.helpers.echo, security_name: app1, data_format: json}\n\
    \x20 - {name: read, url_path: '/read/{id}', method: GET, service: zato.helpers.echo, data_format: json}\n";

fn start(certificate: &Certificate, more: &str) -> Server {
    let path = |path: &Path| path.display().to_string();
    let settings = format!(
        "tls_certificate = \"{}\"\ntls_key = \"{}\"\n{more}",
        path(&certificate.certificate),
        path(&certificate.key)
    );
    Server::setup().settings(&settings).objects(OBJECTS).start()
}

async fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

/// Sends bytes and reads until the server closes: the head, the body, and how it ended.
async fn exchange_until_end(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    text: &str,
) -> (String, String, std::io::Result<usize>) {
    let mut answer = Vec::new();
    let exchange = async {
        let mut stream = connect(address, config).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.read_to_end(&mut answer).await
    };
    let end = tokio::time::timeout(PATIENCE, exchange).await.expect("the server answers");
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head.to_ascii_lowercase(), body.to_owned(), end)
}

/// The same, with a proper end: without it a client could not tell an answer from a part of it.
async fn exchange(address: SocketAddr, config: &Arc<ClientConfig>, text: &str) -> (String, String) {
    let (head, body, end) = exchange_until_end(address, config, text).await;
    end.unwrap_or_else(|error| panic!("{text}: {head}: {error}"));
    (head, body)
}

async fn probe(address: SocketAddr, config: Arc<ClientConfig>, count: usize) {
    for n in 0..count {
        let (request, has_body) = match n % 4 {
            0 => ("GET /zato/ping HTTP/1.0\r\n\r\n", true),
            1 => ("GET /zato/ping HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n", true),
            2 => ("HEAD /zato/ping HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n", false),
            _ => ("GET /readyz HTTP/1.0\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n", true),
        };
        let (head, body) = exchange(address, &config, request).await;
        assert!(head.lines().next().unwrap().contains(" 200 "), "{request}: {head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        assert_eq!(!body.is_empty(), has_body, "{request}: {body}");
    }
}

async fn call_rest(address: SocketAddr, config: Arc<ClientConfig>, count: usize) {
    let authorization = basic("app1", "secret1");
    for n in 0..count {
        let body = json!({"n": n, "text": "ż".repeat(100)}).to_string();
        let (head, answer) = exchange(
            address,
            &config,
            &format!(
                "POST /echo HTTP/1.1\r\nHost: api\r\nAuthorization: {authorization}\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        )
        .await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["n"], n);
    }
}

async fn call_wsx(address: SocketAddr, config: Arc<ClientConfig>, count: usize) {
    let mut client = Client::connect_tls(address, "/ws/crm", config).await;
    client.create_session("app1", "secret1").await;
    for n in 0..count {
        let request = json!({"n": n, "text": "ż".repeat(n)});
        assert_eq!(client.invoke("zato.helpers.echo", &request).await["data"], request);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = Certificate::create(dir.path());
    let server = start(&certificate, "[limits]\nhandshake_timeout = \"2s\"\n");
    let address = server.address();
    let mut all = JoinSet::new();
    for _ in 0..4 {
        all.spawn(probe(address, Arc::clone(&certificate.client), 24));
        all.spawn(call_rest(address, Arc::clone(&certificate.client), 20));
    }
    for _ in 0..10 {
        all.spawn(call_wsx(address, Arc::clone(&certificate.client), 100));
    }
    // Somebody who speaks no TLS, and somebody who never finishes the handshake.
    for n in 0..10 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if n % 2 == 0 {
            all.spawn(async move {
                stream.write_all(b"GET /zato/ping HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
                let mut answer = Vec::new();
                let read = stream.read_to_end(&mut answer);
                let _ = tokio::time::timeout(PATIENCE, read).await.expect("it is cut");
                assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
            });
        } else {
            all.spawn(async move {
                stream.write_all(&[0x16, 3, 1, 2]).await.unwrap();
                let mut answer = Vec::new();
                let read = stream.read_to_end(&mut answer);
                let _ = tokio::time::timeout(PATIENCE, read).await.expect("it is cut");
            });
        }
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    let services = admin(&server, "GET", "/metrics", "").await.body;
    let calls = services.lines().find(|line| {
        line.starts_with("spanwire_calls_total{service=\"zato.helpers.echo\",status=\"200\"}")
    });
    assert!(calls.is_some_and(|line| line.ends_with(" 1080")), "{services}");
}

#[tokio::test]
async fn each_path_answers_what_it_is_for() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = Certificate::create(dir.path());
    let server = start(&certificate, "");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let close = "Connection: close\r\n";
    let table = [
        ("GET /ws/crm", close, 426, "upgrade: websocket"),
        ("HEAD /ws/crm", close, 426, "upgrade: websocket"),
        ("POST /ws/crm", "Connection: close\r\nContent-Length: 0\r\n", 426, ""),
        ("GET /ws/crm/", upgrade, 404, "application/json"),
        ("GET /echo", upgrade, 404, "application/json"),
        ("GET /ws/nothing", upgrade, 404, "application/json"),
        ("GET /nothing", close, 404, "x-zato-cid"),
        ("GET /echo", close, 401, "www-authenticate: basic realm="),
        ("GET /read/7", close, 200, "application/json"),
        ("HEAD /read/7", close, 200, "content-length: 10"),
        ("POST /read/7", "Connection: close\r\nContent-Length: 0\r\n", 404, ""),
        ("DELETE /zato/ping", close, 200, ""),
        ("POST /livez", "Connection: close\r\nContent-Length: 0\r\n", 405, ""),
        ("HEAD /livez", close, 200, "content-length"),
        ("BREW /echo", close, 405, "application/json"),
    ];
    for (line, headers, status, expected) in table {
        // A refused upgrade leaves the connection open: the next request closes it.
        let tail = if headers == upgrade { "GET /livez HTTP/1.0\r\n\r\n" } else { "" };
        let text = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{tail}");
        let (head, body, _) =
            exchange_until_end(server.address(), &certificate.client, &text).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{line}: {head}");
        assert!(head.contains(expected), "{line}: {expected} is not in {head}");
        assert!(!line.starts_with("HEAD") || body.is_empty(), "{line}: {body:?}");
    }
}

#[tokio::test]
async fn a_connection_with_a_refused_upgrade_ends_properly() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = Certificate::create(dir.path());
    let server = start(&certificate, "");
    let text = "GET /ws/nothing HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\
                GET /livez HTTP/1.0\r\n\r\n";
    let (head, rest) = exchange(server.address(), &certificate.client, text).await;
    assert!(head.starts_with("http/1.1 404") && rest.contains("HTTP/1.0 200"), "{head}\n{rest}");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = Certificate::create(dir.path());
    let server = start(&certificate, "");
    let ping = "GET /zato/ping HTTP/1.1\r\nHost: lb\r\n\r\n";
    // All in one write, which is pipelining.
    let text = ping.repeat(20) + "GET /zato/ping HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n";
    let (_, rest) = exchange(server.address(), &certificate.client, &text).await;
    assert_eq!(rest.matches("HTTP/1.1 200").count() + 1, 21, "{rest}");
    // One by one, and then upgraded on the same connection.
    let mut stream = connect(server.address(), &certificate.client).await.unwrap();
    for _ in 0..3 {
        stream.write_all(ping.as_bytes()).await.unwrap();
        let mut buffer = vec![0; 4096];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
    }
    let request = "GET /ws/crm HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&buffer[..read]).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
    for never in ["sec-websocket-protocol", "sec-websocket-extensions"] {
        assert!(!answer.contains(never), "{answer}");
    }
}

#[tokio::test]
async fn new_certificates_are_taken_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = Certificate::create(dir.path());
    let server = start(&first, "");
    let address = server.address();
    let mut open = Client::connect_tls(address, "/ws/crm", Arc::clone(&first.client)).await;
    open.create_session("app1", "secret1").await;
    open.invoke("zato.ping", &json!({})).await;

    let second = Certificate::create(dir.path());
    let is_taken =
        |config: Arc<ClientConfig>| async move { connect(address, &config).await.is_ok() };
    eventually("the new certificate is used", || is_taken(Arc::clone(&second.client))).await;
    // A resumed session would show no certificate at all.
    let mut anew = (*first.client).clone();
    anew.resumption = rustls::client::Resumption::disabled();
    assert!(!is_taken(Arc::new(anew)).await, "the old certificate is still used");
    assert_eq!(open.invoke("zato.ping", &json!({})).await["data"], json!({"pong": "zato"}));
    let mut new = Client::connect_tls(address, "/ws/crm", Arc::clone(&second.client)).await;
    new.create_session("app1", "secret1").await;

    // Rubbish is not taken: the last good one stays, and the log says so.
    std::fs::write(&second.certificate, "rubbish").unwrap();
    eventually("the log says so", || async { server.log().contains("the old one stays") }).await;
    assert!(is_taken(Arc::clone(&second.client)).await);
    let third = Certificate::create(dir.path());
    eventually("the third is used", || is_taken(Arc::clone(&third.client))).await;
    for client in [&mut open, &mut new] {
        assert_eq!(client.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
    }
}
