//! Secrets are written and never read.

use axum::http::Method;
use serde_json::json;

use crate::client::World;

#[tokio::test]
async fn no_answer_shows_a_secret() {
    let world = World::with_channel().await;
    let path = "/objects/security/app1";
    let service = json!({"name": "s", "url": "http://h/?token=s3cret1"});
    let made = world.post("/objects/service", service).await.expect(201);
    assert_eq!(made.json["url"], "http://h/?token=***");
    let changed = json!({"password": "s3cret2"});
    let answers = [
        made,
        world.patch(path, changed.clone()).await.expect(200),
        world.patch(&format!("{path}?dry_run=true"), json!({"password": "s3cret3"})).await,
        world.post(&format!("{path}/password"), changed).await.expect(204),
        world.get(path).await,
        world.get("/objects/security").await,
        world.get("/history").await,
        world.get("/history/1").await,
        world.get(&format!("{path}/history")).await,
        world.get("/export").await,
        world.get("/export?format=json").await,
        world.get("/objects/service").await,
        // Wrong bodies are not repeated either.
        world.patch(path, json!({"password": "s3cret\n"})).await.expect(422),
        world.patch(path, json!({"password": ["s3cret"]})).await.expect(422),
        world.post(&format!("{path}/password"), json!({"password": ["s3cret"]})).await.expect(422),
        world.post(&format!("{path}/password"), json!({"password": "s3cret\n"})).await.expect(422),
        world.send_text(Method::PATCH, path, b"{\"password\": \"s3cret\", }").await.expect(400),
        world.send_text(Method::PATCH, path, b"\"s3cret\"").await.expect(422),
        world.post("/import", json!({"roots": "s3cret", "files": []})).await.expect(422),
        world.post("/import", json!({"s3cret": 1})).await.expect(422),
    ];
    for answer in answers {
        assert!(!answer.text.contains("s3cret"), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_mask_is_no_password() {
    let world = World::with_channel().await;
    let path = "/objects/security/app1";
    for answer in [
        world.patch(path, json!({"password": "***"})).await,
        world.post(&format!("{path}/password"), json!({"password": "***"})).await,
        world.post(&format!("{path}/password"), json!({"password": ""})).await,
        world.post(&format!("{path}/password"), json!({"password": null})).await,
        world.post(&format!("{path}/password"), json!({})).await,
        world.post(&format!("{path}/password"), json!({"password": "a", "x": 1})).await,
    ] {
        answer.expect(422).problem();
    }
    assert_eq!(world.fake.revision(), 3);
}

#[tokio::test]
async fn a_definition_without_a_password_keeps_the_one_it_has() {
    let world = World::with_channel().await;
    let path = "/objects/security/app1";
    let replaced = world.put(path, json!({"type": "basic_auth", "username": "other"})).await;
    assert_eq!(replaced.expect(200).json["password"], "***");
    let exported = world.get("/export?reveal_secrets=true").await.expect(200);
    assert!(exported.text.contains("s3cret1"), "{}", exported.text);
    let set = format!("{path}/password?reason=lost");
    let changed = world.post(&set, json!({"password": "n3w"})).await.expect(204);
    assert_eq!(changed.text, "");
    let exported = world.get("/export?reveal_secrets=true").await.expect(200);
    assert!(exported.text.contains("n3w"), "{}", exported.text);
    let last = world.get("/history/5").await.expect(200);
    assert_eq!(last.json["reason"], "lost");
    assert_eq!(last.json["changes"][0]["diff"][0]["to"], "*** (changed)");
}

#[tokio::test]
async fn only_security_definitions_have_passwords() {
    let world = World::with_channel().await;
    let body = json!({"password": "x"});
    world.post("/objects/security/none/password", body.clone()).await.expect(404).problem();
    world.post("/objects/web_socket/crm/password", body.clone()).await.expect(404);
    let stale = [("if-match", "\"9\"")];
    let path = "/objects/security/app1/password";
    world.send(Method::POST, path, &stale, Some(body)).await.expect(412);
}
