//! The server, its services and settings; health and metrics; the token.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use crate::client::{DOCUMENT, World, request};

#[tokio::test]
async fn health_and_metrics_need_no_token() {
    let world = World::new();
    let get =
        |path: &'static str| world.raw(request(Method::GET, path).body(Body::empty()).unwrap());
    assert_eq!(get("/livez").await.expect(200).json, json!({"status": "ok"}));
    assert_eq!(get("/readyz").await.expect(200).json, json!({"status": "ok"}));
    world.fake.is_ready.store(false, Ordering::Relaxed);
    let unready = json!({"status": "unavailable", "reason": "the store refuses"});
    assert_eq!(get("/readyz").await.expect(503).json, unready);
    let metrics = get("/metrics").await.expect(200);
    assert_eq!(metrics.text, "spanwire_up 1\n");
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    get("/").await.expect(404).problem();
    get("/apis/v1/server").await.expect(404).problem();
}

#[tokio::test]
async fn everything_of_the_api_needs_the_token() {
    let world = World::new();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let api = paths.iter().filter(|(path, _)| path.starts_with("/api"));
    let mut count = 0;
    for (path, item) in api {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            // Neither a wrong query nor a wrong body is looked at before the token.
            let path = format!("{}?x=%ff", path.replace(['{', '}'], ""));
            let sent = request(method, &path).header("content-length", "999999999");
            world.raw(sent.body(Body::from("{")).unwrap()).await.expect(401).problem();
            count += 1;
        }
    }
    assert!(count > 80);
    for path in ["/api", "/api/", "/api/v1", "/api/v1/none", "/api/v2/server", "/api/v1/%ff"] {
        let sent = request(Method::TRACE, path).body(Body::empty()).unwrap();
        world.raw(sent).await.expect(401).problem();
    }
}

#[tokio::test]
async fn only_one_right_token_is_right() {
    let world = World::new();
    for values in [
        &["Bearer wrong"][..],
        &["Bearer"],
        &["Bearer "],
        &["bearer"],
        &["Basic right-token"],
        &["right-token"],
        &["Bearer right-token x"],
        &["Bearer right-token", "Bearer right-token"],
        &["Bearer \u{e4}"],
    ] {
        let mut sent = request(Method::GET, "/api/v1/server");
        for value in values {
            sent = sent.header("authorization", *value);
        }
        world.raw(sent.body(Body::empty()).unwrap()).await.expect(401).problem();
    }
    assert_eq!(world.fake.tokens.lock().unwrap().len(), 9, "each refusal can be counted");
    for value in ["Bearer right-token", "bearer right-token", "BEARER  right-token "] {
        let sent = request(Method::GET, "/api/v1/server").header("authorization", value);
        world.raw(sent.body(Body::empty()).unwrap()).await.expect(200);
    }
}

#[tokio::test]
async fn services_are_listed_and_called() {
    let world = World::new();
    let all = world.get("/services").await.expect(200);
    assert_eq!(
        (all.json[1]["name"].as_str(), all.header("x-total-count")),
        (Some("zato.ping"), Some("2"))
    );
    let one = world.get("/services?q=PING").await.expect(200);
    assert_eq!(one.json.as_array().unwrap().len(), 1);
    let page = world.get("/services?limit=1&offset=1").await.expect(200);
    assert_eq!((&page.json[0]["name"], page.header("link")), (&json!("zato.ping"), None));
    world.get("/services?kind=x").await.expect(400).problem();

    let path = "/services/demo.echo/invoke";
    let answer =
        world.post(&format!("{path}?timeout=2.5"), json!([1, {"a": "b"}])).await.expect(200);
    assert_eq!(answer.json["response"], json!({"input": [1, {"a": "b"}], "timeout": 2.5}));
    let answer = world.send(Method::POST, path, &[], None).await.expect(200);
    assert_eq!(answer.json["response"]["input"], json!(null));
    let missing = world.post("/services/none/invoke", json!(1)).await.expect(404);
    assert_eq!(missing.json["cid"], "c1d");
    for query in ["timeout=0", "timeout=-1", "timeout=NaN", "timeout=inf", "timeout=3601", "t=1"] {
        world.post(&format!("{path}?{query}"), json!(1)).await.expect(400).problem();
    }
    for body in ["{", "1 2", "nope"] {
        world.send_text(Method::POST, path, body.as_bytes()).await.expect(400).problem();
    }
    let deep = "[".repeat(1_000_000);
    world.send_text(Method::POST, path, deep.as_bytes()).await.expect(400).problem();
    let text = [("content-type", "text/plain")];
    world.send(Method::POST, path, &text, Some(json!(1))).await.expect(415).problem();
    let large = vec![b'1'; 16 * 1024 * 1024 + 1];
    world.send_text(Method::POST, path, &large).await.expect(413).problem();
}

#[tokio::test]
async fn settings_are_shown_and_read_again() {
    let world = World::new();
    let all = world.get("/settings").await.expect(200);
    assert_eq!(all.json.as_array().unwrap().len(), 2);
    assert_eq!(world.get("/settings/log.level").await.expect(200).json["key"], "log.level");
    let missing = world.get("/settings/log.levle").await.expect(404).problem();
    assert!(missing.contains("did you mean 'log.level'?"), "{missing}");
    let reloaded = world.post("/settings/reload", json!({})).await.expect(200);
    assert_eq!(reloaded.json["changed"], json!(["log.level"]));
    world.fake.fails_to_reload.store(true, Ordering::Relaxed);
    let refused = world.send(Method::POST, "/settings/reload", &[], None).await.expect(422);
    assert_eq!(refused.json["errors"][1]["message"], "another");
    let rotated = world.post("/secret-key/rotate", json!({})).await.expect(200);
    assert_eq!(rotated.json, json!({"encrypted_again": 1, "keys": 2}));
    world.post("/secret-key/rotate?force=1", json!({})).await.expect(400).problem();
}

#[tokio::test]
async fn the_server_says_what_it_is() {
    let world = World::with_channel().await;
    let server = world.get("/server").await.expect(200);
    assert_eq!((&server.json["revision"], &server.json["objects"]), (&json!(3), &json!(3)));
    world.get("/server?x=1").await.expect(400).problem();
    let document = world.get("/openapi.json").await.expect(200);
    assert_eq!(document.json, *DOCUMENT);
}
