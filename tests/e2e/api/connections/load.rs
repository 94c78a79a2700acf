//! What a connection has to do: calls that run, bytes that wait, and its end that is not confirmed yet.

use futures_util::SinkExt;
use serde_json::json;
use spanwire_tests::http::admin;
use spanwire_tests::{Server, eventually};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use super::{CHANNELS, Direct, crm, id_of, login, record, welcome};

#[tokio::test]
async fn calls_that_run_are_counted() {
    // An endpoint that takes requests, and answers none.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let objects = format!(
        "service: [{{name: hanging, url: 'http://{}/', timeout: 60}}]\n\
         web_socket: [{{name: slow, address: /ws/slow, service: hanging, sec_def: zato-no-security, service_timeout: 60}}]\n",
        listener.local_addr().unwrap()
    );
    let server = Server::setup().objects(&objects).start();
    let mut client = spanwire_tests::Client::connect(&server.ws("/ws/slow")).await;
    welcome(&mut client, &login("a", "", "", "", "")).await;
    assert_eq!(record(&server, "a").await["in_flight"], 0);
    let mut held = Vec::new();
    for count in 1..=3 {
        client.start_call(&json!({})).await;
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        held.push(stream);
        assert_eq!(record(&server, "a").await["in_flight"], count);
    }
    // Who hangs up does not answer, and a call that failed does not run.
    held.clear();
    drop(listener);
    for _ in 0..3 {
        assert_ne!(client.receive().await["meta"]["status"], 200);
    }
    eventually("no call runs", || async { record(&server, "a").await["in_flight"] == 0 }).await;
}

#[tokio::test]
async fn bytes_that_a_client_does_not_read_are_counted() {
    let server = Server::setup().objects(CHANNELS).start();
    let mut client = Direct::connect(&server, "/ws/open", "", &[]).await;
    let token = client.log_in(&login("a", "", "", "", "")).await;
    assert_eq!(record(&server, "a").await["outgoing_queue_bytes"], 0);
    let call = json!({"meta": {"action": "invoke-service", "id": "1", "token": token}, "data": "x".repeat(200_000)});
    let call = call.to_string();
    // More than the kernel takes on both sides; the server stops reading, and then nothing can be written any more.
    let mut writing = tokio::spawn(async move {
        while client.socket.send(Message::text(call.clone())).await.is_ok() {}
        client
    });
    eventually("bytes wait", || async {
        record(&server, "a").await["outgoing_queue_bytes"].as_u64().unwrap() > 100_000
    })
    .await;
    // The kernel may take more of them before it takes none.
    eventually("they are in the metrics", || async {
        let address = server.admin_address();
        let answer = spanwire_tests::http::request(address, "GET", "/metrics", &[], "").await;
        let metrics = answer.body;
        let mut lines = metrics.lines();
        lines
            .any(|line| line.starts_with("spanwire_outgoing_queue_bytes ") && !line.ends_with(" 0"))
    })
    .await;
    // Others notice nothing.
    let mut other = crm(&server, "b", "", "").await;
    assert_eq!(other.call(&json!(1)).await["data"], 1);
    assert!(!writing.is_finished());
    writing.abort();
    let _ = (&mut writing).await;
    eventually("it is gone", || async {
        spanwire_tests::http::connections(&server).await.len() == 1
    })
    .await;
}

#[tokio::test]
async fn an_end_that_is_not_confirmed_is_told() {
    let server = Server::setup().objects(CHANNELS).start();
    // It reads nothing, so that it does not answer the close.
    let mut client = Direct::connect(&server, "/ws/open", "", &[]).await;
    client.log_in(&login("a", "", "", "", "")).await;
    let path = format!("/api/v1/connections/{}", id_of(&server, "a").await);
    assert_eq!(admin(&server, "DELETE", &path, "").await.status, 204);
    eventually("it is closing, or gone", || async {
        let shown = admin(&server, "GET", &path, "").await;
        shown.status == 404 || shown.json()["state"] == "closing"
    })
    .await;
    // The server does not wait for it for ever.
    eventually("it is gone", || async { admin(&server, "GET", &path, "").await.status == 404 })
        .await;
    drop(client);
}
