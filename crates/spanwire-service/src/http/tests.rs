use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::{Call, ChannelType, ClientOrigin, Origin, Ports, Registry, Source};

/// An endpoint that answers every request with the same bytes, and remembers what it was sent.
async fn endpoint(answer: &'static str) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(String::new()));
    let remember = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let read = stream.read(&mut request).await.unwrap_or(0);
            *remember.lock().unwrap() = String::from_utf8_lossy(&request[..read]).into_owned();
            if !answer.is_empty() {
                stream.write_all(answer.as_bytes()).await.unwrap();
            } else {
                std::future::pending::<()>().await;
            }
        }
    });
    (url, seen)
}

async fn call(
    url: &str,
    credentials: Option<Credentials>,
    timeout: Duration,
) -> Result<Value, (u16, String)> {
    let client = HttpClient::new(None).unwrap();
    let service = HttpService::new(client, url, "POST", timeout, credentials).unwrap();
    let registry = Registry::new();
    registry.insert("crm.hook", Source::Http, Arc::new(service));
    let origin = Origin {
        channel_name: "crm.wsx".into(),
        channel_type: ChannelType::WebSocket,
        security_name: "app1".into(),
        username: "app1".into(),
        peer_address: "127.0.0.1:1".into(),
        content_type: None,
        client: Some(ClientOrigin {
            connection_id: spanwire_protocol::ConnectionId::from_random([0; 12]),
            client_id: "Zoë\r\nX-Evil: 1".into(),
            client_name: "".into(),
            peer_fqdn: "".into(),
        }),
        http: None,
        user: None,
    };
    let input = Payload::from_serialize(Codec::Json, &json!({"id": 7})).unwrap();
    let result =
        Ports::new(registry.into()).invoke(Call::new("crm.hook", input), origin.into()).await;
    result
        .map(|payload| payload.parse().unwrap())
        .map_err(|e| (e.status().0, e.message().to_owned()))
}

const WAIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn the_endpoint_is_told_everything_and_its_json_is_the_reply() {
    let (url, seen) =
        endpoint("HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"name\":\"A\"}").await;
    let key = Credentials::ApiKey { header: "X-API-Key".into(), key: Secret::new("k1".into()) };
    assert_eq!(call(&url, Some(key), WAIT).await, Ok(json!({"name": "A"})));
    let seen = seen.lock().unwrap().to_lowercase();
    for expected in [
        "post /hook?x=1 http/1.1\r\n",
        "\r\nx-spanwire-correlation-id: ",
        "\r\nx-spanwire-service: crm.hook\r\n",
        "\r\nx-spanwire-channel: crm.wsx\r\n",
        "\r\nx-spanwire-caller: app1\r\n",
        "\r\nx-spanwire-connection-id: ws.000000000000000000000000\r\n",
        "\r\nx-spanwire-client-id: zo%c3%ab%0d%0ax-evil: 1\r\n",
        "\r\nx-spanwire-deadline-ms: 5000\r\n",
        "\r\ntraceparent: 00-00000000",
        "\r\nx-api-key: k1\r\n",
        "\r\ncontent-type: application/json\r\n",
        "{\"id\":7}",
    ] {
        assert!(seen.contains(expected), "{expected} is missing in {seen}");
    }
}

#[tokio::test]
async fn statuses_follow_the_contract() {
    let table = [
        ("HTTP/1.1 204 No Content\r\n\r\n", Ok(Value::Null)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Ok(Value::Null)),
        (
            "HTTP/1.1 404 X\r\ncontent-length: 28\r\n\r\n{\"error\":\"No such customer\"}",
            Err((404, "No such customer")),
        ),
        ("HTTP/1.1 422 X\r\ncontent-length: 15\r\n\r\n{\"details\":\"d\"}", Err((422, "d"))),
        ("HTTP/1.1 409 X\r\ncontent-length: 15\r\n\r\n{\"message\":\"m\"}", Err((409, "m"))),
        (
            "HTTP/1.1 403 X\r\ncontent-length: 2\r\n\r\nno",
            Err((403, spanwire_protocol::status::NOT_ALLOWED)),
        ),
        (
            "HTTP/1.1 500 X\r\ncontent-length: 14\r\n\r\n{\"error\":\"xx\"}",
            Err((502, "Bad gateway")),
        ),
        ("HTTP/1.1 302 X\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", Err((502, "Bad gateway"))),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", Err((502, "Bad gateway"))),
        ("garbage\r\n\r\n", Err((502, "Bad gateway"))),
    ];
    for (answer, expected) in table {
        let (url, _) = endpoint(answer).await;
        let expected = expected.map_err(|(status, text)| (status, text.to_owned()));
        assert_eq!(call(&url, None, WAIT).await, expected, "{answer}");
    }
}

#[tokio::test]
async fn silence_is_504_and_no_connection_503() {
    let (url, _) = endpoint("").await;
    let status = call(&url, None, Duration::from_millis(50)).await.unwrap_err().0;
    assert_eq!(status, 504);
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(call(&format!("http://{port}/"), None, WAIT).await.unwrap_err().0, 503);
}

#[test]
fn unusable_definitions_are_refused() {
    let client = HttpClient::new(None).unwrap();
    for (url, method) in
        [("/path", "POST"), ("ftp://x/", "POST"), ("http://", "POST"), ("http://x/", "P ST")]
    {
        assert!(
            HttpService::new(client.clone(), url, method, WAIT, None).is_err(),
            "{url} {method}"
        );
    }
    assert!(HttpClient::new(Some(Path::new("/nonexistent.pem"))).is_err());
}
