//! What the server knows about connections of the client from PyPI, while they are open and afterwards.

use serde_json::{Value, json};
use spanwire_tests::http::{connections, history};
use spanwire_tests::{Server, eventually};

use super::driver::Python;
use super::{assert_pings, start};

/// The one record of the history, once it is there.
async fn closed(server: &Server) -> Value {
    eventually("the connection is in the history", async || history(server).await.len() == 1).await;
    assert_eq!(connections(server).await, [] as [Value; 0]);
    history(server).await.remove(0)
}

fn assert_has(record: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(record[key], *value, "{key} in {record}");
    }
}

/// Times have microseconds and no zone, so that they compare as texts.
fn time<'a>(record: &'a Value, key: &str) -> &'a str {
    let text = record[key].as_str().unwrap();
    assert!(text.len() == 26 && !text.ends_with('Z'), "{key}: {text}");
    text
}

#[tokio::test]
async fn a_connection_has_all_its_attributes() {
    let server = Server::setup().objects(super::OBJECTS).settings("name = \"node-7\"\n").start();
    let mut client = Python::log_in(&server.ws("/ws/crm"), "crm.prod.1", "CRM produkcja ż").await;
    let record = connections(&server).await.remove(0);
    assert_has(
        &record,
        &json!({
            "ext_client_id": "crm.prod.1", "ext_client_name": "CRM produkcja ż", "client_attrs": {},
            "channel_name": "crm", "security_name": "app1", "local_address": server.address().to_string(),
            "server_name": "node-7", "server_proc_pid": server.pid(), "peer_forwarded_for": null,
            "peer_forwarded_for_fqdn": "(Unknown)", "pings_missed": 0, "outgoing_queue_bytes": 0,
            "is_internal": false,
        }),
    );
    let id = record["pub_client_id"].as_str().unwrap();
    assert!(id.strip_prefix("ws.").is_some_and(|hex| hex.len() == 24), "{id}");
    let peer: std::net::SocketAddr = record["peer_address"].as_str().unwrap().parse().unwrap();
    assert!(peer.ip().is_loopback() && peer != server.address(), "{peer}");
    assert!(!record["peer_fqdn"].as_str().unwrap().is_empty());
    assert!(time(&record, "connection_time") <= time(&record, "last_seen"));
    assert_pings(&mut client).await;
    let later = connections(&server).await.remove(0);
    assert_eq!(later["connection_time"], record["connection_time"]);
    assert!(time(&later, "last_seen") > time(&record, "last_seen"), "{later}");
    client.stop().await;
}

#[tokio::test]
async fn two_clients_of_one_name_are_two_connections() {
    let server = start();
    let mut first = Python::log_in(&server.ws("/ws/crm"), "crm.1", "CRM").await;
    let mut second = Python::log_in(&server.ws("/ws/crm"), "crm.2", "CRM").await;
    let found = connections(&server).await;
    let ids: Vec<_> =
        found.iter().map(|connection| connection["ext_client_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["crm.2", "crm.1"], "newest first");
    assert!(found.iter().all(|connection| connection["ext_client_name"] == "CRM"), "{found:?}");
    assert_ne!(found[0]["pub_client_id"], found[1]["pub_client_id"]);
    assert_pings(&mut first).await;
    assert_pings(&mut second).await;
    first.stop().await;
    eventually("one is left", async || connections(&server).await.len() == 1).await;
    assert_eq!(connections(&server).await[0]["ext_client_id"], "crm.2");
    assert_pings(&mut second).await;
}

#[tokio::test]
async fn the_close_of_a_client_is_recorded() {
    let server = start();
    let client = Python::log_in(&server.ws("/ws/crm"), "crm.1", "CRM").await;
    let record = connections(&server).await.remove(0);
    client.stop().await;
    let closed = closed(&server).await;
    for key in [
        "pub_client_id",
        "ext_client_id",
        "ext_client_name",
        "channel_name",
        "peer_address",
        "connection_time",
    ] {
        assert_eq!(closed[key], record[key], "{key}");
    }
    assert_has(
        &closed,
        &json!({"code": 1000, "reason": "", "closed_by": "client", "was_logged_in": true}),
    );
    assert!(time(&closed, "close_time") > time(&closed, "connection_time"), "{closed}");
}

/// The client from PyPI has no way to give a code and a reason; the scripted one does.
#[tokio::test]
async fn a_code_and_a_reason_are_recorded_and_echoed() {
    let server = start();
    let client = spanwire_tests::Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    let echoed = client.close(3001, "Koniec pracy ż").await.unwrap();
    assert_eq!((u16::from(echoed.code), echoed.reason.as_str()), (3001, "Koniec pracy ż"));
    let expected = json!({"code": 3001, "reason": "Koniec pracy ż", "closed_by": "client", "was_logged_in": true});
    assert_has(&closed(&server).await, &expected);
}

#[tokio::test]
async fn a_client_that_dies_is_recorded_as_lost() {
    let server = start();
    let client = Python::log_in(&server.ws("/ws/crm"), "crm.1", "CRM").await;
    client.kill().await;
    assert_has(
        &closed(&server).await,
        &json!({"ext_client_id": "crm.1", "code": 1006, "closed_by": "network", "was_logged_in": true}),
    );
}

#[tokio::test]
async fn after_a_crash_of_the_server_a_client_comes_back_with_its_id() {
    let mut server = start();
    let mut client = Python::log_in(&server.ws("/ws/crm"), "crm.1", "CRM").await;
    assert_pings(&mut client).await;
    let before = connections(&server).await.remove(0);
    let address = server.address();
    server.kill();
    server.start_again();
    assert_eq!(server.address(), address);
    assert_eq!(connections(&server).await, [] as [Value; 0], "a connection of the process before");
    client.command(&json!({"do": "connect"})).await;
    client.event("connected").await;
    assert_pings(&mut client).await;
    let found = connections(&server).await;
    assert_eq!(found.len(), 1);
    assert_has(&found[0], &json!({"ext_client_id": "crm.1", "server_proc_pid": server.pid()}));
    assert_ne!(found[0]["pub_client_id"], before["pub_client_id"]);
    assert_ne!(before["server_proc_pid"], json!(server.pid()));
}
