//! Outgoing REST connections as objects: pings.

use serde_json::json;
use spanwire_tests::Server;
use spanwire_tests::endpoint::Endpoint;

use crate::cli::on;
use crate::live::patch;

/// With its own method; whatever is answered, the server is there.
#[tokio::test]
async fn a_ping_asks_the_server_with_the_method_of_the_object() {
    let server = Server::setup();
    let peer = Endpoint::start(|_| (404, String::new())).await;
    let address = peer.url("/").trim_end_matches('/').to_owned();
    let objects = json!({"outgoing_rest": [
        {"name": "crm", "host": address, "url_path": "/customers/{id}", "ping_method": "OPTIONS", "pool_size": 2},
        {"name": "nobody", "host": "http://127.0.0.1:1", "url_path": "/", "timeout": 2},
    ]});
    let server = server.objects(&objects.to_string()).start();
    let pinged = on(&server, &["outconn", "ping", "crm"]).await;
    assert_eq!(pinged.code, 0, "{pinged:?}");
    assert!(pinged.out.contains("404"), "{pinged:?}");
    let asked = peer.received();
    assert!(asked[0].head.starts_with("OPTIONS /customers/ HTTP/1.1"), "{}", asked[0].head);
    assert_ne!(on(&server, &["outconn", "ping", "nobody"]).await.code, 0);
    patch(&server, "outgoing_rest", "crm", json!({"is_active": false})).await;
    let pinged = on(&server, &["outconn", "ping", "crm"]).await;
    assert!(pinged.code != 0 && pinged.err.contains("not active"), "{pinged:?}");
    assert_ne!(on(&server, &["outconn", "ping", "unknown"]).await.code, 0);
}
