//! Import and export.

use axum::http::Method;
use serde_json::{Value, json};

use crate::client::World;

fn bundle(text: &str) -> Value {
    json!({"roots": ["objects.yaml"], "files": [{"path": "objects.yaml", "text": text}],
        "environment": {"URL": "http://h/env"}})
}

const FILE: &str =
    "service:\n  - {name: a, url: Spanwire_Env.URL}\n  - {name: b, url: 'http://h/b'}\n";

#[tokio::test]
async fn files_are_imported_as_one_change() {
    let world = World::new();
    let preview = world.post("/import?dry_run=true", bundle(FILE)).await.expect(200);
    assert_eq!((&preview.json["dry_run"], world.fake.revision()), (&json!(true), 0));
    let done = world.post("/import?reason=start", bundle(FILE)).await.expect(200);
    assert_eq!(
        (&done.json["revision"], &done.json["changes"][1]["name"]),
        (&json!(1), &json!("b"))
    );
    assert_eq!(world.get("/objects/service/a").await.json["url"], "http://h/env");
    let again = world.post("/import?replace=true", bundle(FILE)).await.expect(200);
    assert_eq!((&again.json["revision"], &again.json["changes"]), (&json!(null), &json!([])));
}

#[tokio::test]
async fn existing_objects_are_replaced_only_when_asked_for() {
    let world = World::new();
    world.post("/import", bundle(FILE)).await.expect(200);
    let other = FILE.replace("h/b", "h/other");
    let kept = world.post("/import", bundle(&other)).await.expect(200);
    assert_eq!(kept.json["changes"], json!([]));
    assert!(kept.json["warnings"][0].as_str().unwrap().contains("'b' exists already"));
    let replaced = world.post("/import?replace=true", bundle(&other)).await.expect(200);
    assert_eq!(replaced.json["changes"][0]["action"], "updated");
}

#[tokio::test]
async fn labels_selections_and_pruning() {
    let world = World::new();
    let path = "/import?label=team-a&prune=true&replace=true";
    world.post(path, bundle(FILE)).await.expect(200);
    let labels = &world.get("/objects/service/a").await.json["labels"];
    assert_eq!(labels, &json!(["team-a"]));
    let less = "service: [{name: a, url: 'http://h/env'}]";
    let pruned = world.post(path, bundle(less)).await.expect(200);
    assert_eq!(pruned.json["changes"][0]["action"], "deleted");
    let some = world.post("/import?include_type=security&include_name=*", bundle(FILE)).await;
    assert_eq!(some.expect(200).json["changes"], json!([]));
    for (query, why) in [
        ("prune=true", "needs 'label'"),
        ("label=a%20b", "a label is 1 to 63"),
        ("include_type=websocket", "did you mean 'web_socket'"),
        ("replace=yes", "expected true or false"),
        ("pruen=true", "unknown query key 'pruen'"),
    ] {
        let refused = world.post(&format!("/import?{query}"), bundle(FILE)).await.expect(400);
        let text = refused.problem();
        assert!(text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn every_mistake_in_files_is_told_with_its_place() {
    let world = World::new();
    let wrong = "service:\n  - {name: a}\n  - {name: b, url: nowhere, x: 1}\n";
    let refused = world.post("/import", bundle(wrong)).await.expect(422);
    let error = &refused.json["errors"][0];
    assert_eq!(
        (&error["file"], &error["line"], &error["field"]),
        (&json!("objects.yaml"), &json!(2), &json!("url"))
    );
    assert_eq!(refused.json["errors"].as_array().unwrap().len(), 3);
    assert_eq!(world.fake.revision(), 0);
    for path in ["/etc/passwd", "a\u{0}\u{1b}[31m"] {
        let missing = json!({"roots": [path], "files": []});
        let refused = world.post("/import", missing).await.expect(422);
        assert!(!refused.problem().contains(char::is_control), "{}", refused.text);
        assert!(!refused.text.contains("\\u00"), "{}", refused.text);
    }
}

#[tokio::test]
async fn odd_bundles_are_refused() {
    let world = World::new();
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("[]", 422),
        ("{}", 422),
        ("null", 422),
        (r#"{"roots": [], "files": [], "extra": 1}"#, 422),
        (r#"{"roots": [], "roots": [], "files": []}"#, 400),
        (r#"{"roots": [], "files": [], "environment": {"A": "1", "A": "2"}}"#, 400),
        (r#"{"roots": [], "files": [{"path": 1, "text": ""}]}"#, 422),
        (r#"{"roots": [], "files": [{"path": "a", "text": "", "mode": 1}]}"#, 422),
    ] {
        let refused = world.send_text(Method::POST, "/import", body.as_bytes()).await;
        refused.expect(status).problem();
    }
    let deep = format!("{{\"roots\": {}", "[".repeat(100_000));
    world.send_text(Method::POST, "/import", deep.as_bytes()).await;
    let large = vec![b' '; 20 * 1024 * 1024 + 1];
    world.send_text(Method::POST, "/import", &large).await.expect(413).problem();
}

#[tokio::test]
async fn an_export_is_imported_again() {
    let world = World::with_channel().await;
    for (format, content_type) in [("yaml", "application/yaml"), ("json", "application/json")] {
        let path = format!("/export?format={format}&reveal_secrets=true");
        let exported = world.get(&path).await.expect(200);
        assert_eq!(exported.header("content-type"), Some(content_type));
        let other = World::new();
        other.post("/import", bundle(&exported.text)).await.expect(200);
        assert_eq!(other.get(&path).await.text, exported.text);
    }
    let some = world.get("/export?include_type=websockets&include_name=c*,x").await.expect(200);
    assert!(some.text.contains("crm") && !some.text.contains("wsx_gateway"), "{}", some.text);
    for query in ["format=xml", "include_type=x", "reveal_secrets=1", "secrets=true"] {
        world.get(&format!("/export?{query}")).await.expect(400).problem();
    }
}
