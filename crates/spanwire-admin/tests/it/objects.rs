//! Making, replacing, patching, renaming and deleting objects.

use axum::http::Method;
use serde_json::json;

use crate::client::World;

#[tokio::test]
async fn an_object_is_made_and_shown() {
    let world = World::new();
    let topic = json!({"name": "/a/b", "labels": ["x"]});
    let made = world.post("/objects/pubsub_topic", topic.clone()).await.expect(201);
    assert_eq!(made.header("etag"), Some("\"1\""));
    let location = "/api/v1/objects/pubsub_topic/%2Fa%2Fb";
    assert_eq!(made.header("location"), Some(location));
    assert_eq!(made.json["meta"]["changed_by"], "admin");
    assert_eq!(made.json["max_depth_gd"], 10_000, "defaults are filled in");
    let shown = world.get("/objects/pubsub_topic/%2Fa%2Fb").await.expect(200);
    assert_eq!(shown.json, made.json);
    assert_eq!(shown.header("etag"), Some("\"1\""));
    assert_eq!(
        (&shown.json["meta"]["state"], &shown.json["meta"]["error"]),
        (&json!("failed"), &json!("the port is taken"))
    );
    world.get("/objects/pubsub_topic/a").await.expect(404).problem();
}

#[tokio::test]
async fn a_create_can_be_repeated_and_takes_no_name_that_is_taken() {
    let world = World::with_channel().await;
    let (kind, object) = &crate::client::CHANNEL[0];
    let path = format!("/objects/{kind}");
    let again = world.post(&path, object.clone()).await.expect(200);
    assert_eq!((again.header("etag"), again.header("location").is_some()), (Some("\"1\""), true));
    assert_eq!(world.fake.revision(), 3);
    let mut other = object.clone();
    other["username"] = json!("other");
    let taken = world.post(&path, other).await.expect(409).problem();
    assert!(taken.contains("there is a security 'app1' already"), "{taken}");
}

#[tokio::test]
async fn put_makes_replaces_and_renames() {
    let world = World::with_channel().await;
    let path = "/objects/web_socket/shop";
    let channel = json!({"address": "/ws/shop", "service": "gate", "sec_def": "app1"});
    let made = world.put(path, channel.clone()).await.expect(201);
    assert_eq!((&made.json["name"], made.header("etag")), (&json!("shop"), Some("\"1\"")));
    let same = world.put(path, channel.clone()).await.expect(200);
    assert_eq!((same.header("etag"), same.header("location")), (Some("\"1\""), None));

    let mut longer = channel.clone();
    longer["token_ttl"] = json!(60);
    let replaced = world.put(path, longer.clone()).await.expect(200);
    assert_eq!((&replaced.json["token_ttl"], replaced.header("etag")), (&json!(60), Some("\"2\"")));
    // A whole object: what is not said has its default.
    let replaced = world.put(path, channel).await.expect(200);
    assert_eq!(replaced.json["token_ttl"], 3600);

    longer["name"] = json!("shop/2");
    let renamed = world.put(path, longer.clone()).await.expect(200);
    assert_eq!(renamed.header("location"), Some("/api/v1/objects/web_socket/shop%2F2"));
    assert_eq!((&renamed.json["name"], renamed.header("etag")), (&json!("shop/2"), Some("\"4\"")));
    world.get(path).await.expect(404);
    let gone = world.put(path, longer).await.expect(404).problem();
    assert!(gone.contains("no web_socket 'shop' that could be renamed"), "{gone}");
    // What the path says is a name like any other.
    world
        .put(
            "/objects/web_socket/..",
            json!({"address": "/x", "service": "gate",
        "sec_def": "app1"}),
        )
        .await
        .expect(201);
    world.get("/objects/web_socket/..").await.expect(200);
}

#[tokio::test]
async fn what_refers_to_a_renamed_object_follows() {
    let world = World::with_channel().await;
    let renamed = world.patch("/objects/security/app1", json!({"name": "app2"})).await.expect(200);
    assert_eq!(renamed.json["meta"]["id"], 1);
    assert_eq!(renamed.header("location"), Some("/api/v1/objects/security/app2"));
    let channel = world.get("/objects/web_socket/crm").await.expect(200);
    assert_eq!(
        (&channel.json["sec_def"], &channel.json["meta"]["version"]),
        (&json!("app2"), &json!(2))
    );
    let taken = json!({"name": "app2", "type": "apikey"});
    world.post("/objects/security", taken).await.expect(409).problem();
}

#[tokio::test]
async fn subscriptions_are_found_by_endpoint_and_topic() {
    let world = World::new();
    world.put("/objects/pubsub_topic/%2Ft", json!({})).await.expect(201);
    world.put("/objects/pubsub_endpoint/e", json!({"endpoint_type": "internal"})).await.expect(201);
    let subscription = json!({"endpoint_name": "e", "topic_name": "/t"});
    let made = world.post("/objects/pubsub_subscription", subscription).await.expect(201);
    let path = "/objects/pubsub_subscription/e%2F%2Ft";
    assert_eq!(made.header("location"), Some(&*format!("/api/v1{path}")));
    let replaced = world.put(path, json!({"delivery_batch_size": 5})).await.expect(200);
    assert_eq!(replaced.json["topic_name"], "/t");
    let missing = world.put("/objects/pubsub_subscription/e%2F%2Fu", json!({})).await;
    assert!(missing.expect(422).problem().contains("endpoint_name"));
}

#[tokio::test]
async fn a_patch_merges() {
    let world = World::with_channel().await;
    let path = "/objects/web_socket/crm";
    let types = [("content-type", "application/merge-patch+json")];
    let patch = json!({"token_ttl": 60, "labels": ["a", "b"]});
    let patched = world.send(Method::PATCH, path, &types, Some(patch)).await.expect(200);
    assert_eq!(
        (&patched.json["token_ttl"], &patched.json["sec_def"]),
        (&json!(60), &json!("app1"))
    );
    let patched = world.patch(path, json!({"token_ttl": null, "labels": ["c"]})).await.expect(200);
    assert_eq!(
        (&patched.json["token_ttl"], &patched.json["labels"]),
        (&json!(3600), &json!(["c"]))
    );
    assert_eq!(patched.header("etag"), Some("\"3\""));
    let same = world.patch(path, json!({})).await.expect(200);
    assert_eq!(same.header("etag"), Some("\"3\""));
    let missing = world.patch(path, json!({"address": null})).await.expect(422).problem();
    assert!(missing.contains("is missing"), "{missing}");
    world.patch("/objects/web_socket/none", json!({})).await.expect(404).problem();
}

#[tokio::test]
async fn a_patch_is_decided_again_when_somebody_else_was_faster() {
    let world = World::with_channel().await;
    let object = json!({"name": "crm", "address": "/ws/crm", "service": "gate",
        "sec_def": "app1", "token_ttl": 61});
    let kind = spanwire_config::Kind::WebSocket;
    let object = spanwire_config::Object::from_json(kind, &object).unwrap();
    let rival =
        spanwire_config::Edit::Replace { kind, name: "crm".to_owned(), object, expect: None };
    *world.fake.rival.lock().unwrap() = Some(vec![rival]);
    let patched =
        world.patch("/objects/web_socket/crm", json!({"labels": ["a"]})).await.expect(200);
    assert_eq!(patched.json["token_ttl"], 61, "nothing of the other is lost");
    assert_eq!(patched.header("etag"), Some("\"3\""));
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let world = World::with_channel().await;
    let used = world.delete("/objects/security/app1").await.expect(409);
    assert_eq!(used.json["errors"][0]["name"], "crm");
    assert_eq!(used.json["errors"][0]["field"], "sec_def");
    used.problem();
    let deleted = world.delete("/objects/web_socket/crm?reason=over").await.expect(200);
    assert_eq!((&deleted.json["dry_run"], &deleted.json["revision"]), (&json!(false), &json!(4)));
    assert_eq!(deleted.json["changes"][0]["action"], "deleted");
    world.delete("/objects/security/app1").await.expect(200);
    world.delete("/objects/security/app1").await.expect(404).problem();
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let world = World::with_channel().await;
    let (hash, kind) = (world.get("/server").await.json["state_hash"].clone(), "web_socket");
    let path = format!("/objects/{kind}/crm");
    let channel = json!({"address": "/x", "service": "gate", "sec_def": "app1"});
    let mut named = channel.clone();
    named["name"] = json!("new");
    for (method, path, body, action) in [
        (Method::PUT, format!("{path}?dry_run=true"), channel.clone(), "updated"),
        (Method::PUT, format!("/objects/{kind}/new?dry_run=true"), channel, "created"),
        (Method::POST, format!("/objects/{kind}?dry_run=true"), named, "created"),
        (Method::PATCH, format!("{path}?dry_run=true"), json!({"token_ttl": 60}), "updated"),
        (Method::DELETE, format!("{path}?dry_run=true"), json!({}), "deleted"),
        (Method::POST, "/history/3/revert?dry_run=true".to_owned(), json!({}), "deleted"),
    ] {
        let answer = world.send(method.clone(), &path, &[], Some(body)).await.expect(200);
        assert_eq!(answer.json["dry_run"], true, "{method} {path}");
        assert_eq!(answer.json["revision"], json!(null));
        assert_eq!(answer.json["changes"][0]["action"], action, "{method} {path}");
        assert!(!answer.json["changes"][0]["diff"].as_array().unwrap().is_empty());
    }
    assert_eq!(world.fake.revision(), 3);
    assert_eq!(world.get("/server").await.json["state_hash"], hash);
    let refused = world.delete("/objects/security/app1?dry_run=true").await;
    refused.expect(409).problem();
}

#[tokio::test]
async fn every_mistake_is_told() {
    let world = World::with_channel().await;
    let wrong = json!({"name": "x", "address": "nowhere", "service": 5, "sec_def": "nobody",
        "token_tll": 1, "id": 7, "meta": {"version": 3}});
    let refused = world.post("/objects/web_socket", wrong).await.expect(422);
    let fields: Vec<_> = refused.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap_or_default())
        .collect();
    for field in ["address", "token_tll", "id", "meta"] {
        assert!(fields.contains(&field), "{fields:?}");
    }
    let wrong = json!({"address": "/x", "service": "gate", "sec_def": "nobody"});
    let refused = world.put("/objects/web_socket/x", wrong).await.expect(422).problem();
    assert!(refused.contains("there is no security 'nobody'"), "{refused}");
    assert_eq!(world.fake.revision(), 3);
}

#[tokio::test]
async fn only_the_server_says_what_it_says() {
    let world = World::with_channel().await;
    for key in ["meta", "id", "version", "revision", "state", "kind", "changed_by", "MAX_DEPTH"] {
        for (method, path) in [
            (Method::POST, "/objects/wsx_gateway"),
            (Method::PUT, "/objects/wsx_gateway/gate"),
            (Method::PATCH, "/objects/wsx_gateway/gate"),
        ] {
            for value in [json!(99), json!(null)] {
                let mut body = json!({"name": "gate"});
                body[key] = value;
                let refused = world.send(method.clone(), path, &[], Some(body)).await.expect(422);
                assert_eq!(refused.json["errors"][0]["field"], key);
            }
        }
    }
    // What is shown with the object cannot simply be sent back with it.
    let shown = world.get("/objects/wsx_gateway/gate").await.json;
    let refused = world.put("/objects/wsx_gateway/gate", shown.clone()).await.expect(422);
    assert!(refused.problem().contains("is what the server says about the object"));
    let mut own = shown;
    own.as_object_mut().unwrap().remove("meta");
    world.put("/objects/wsx_gateway/gate", own).await.expect(200);
}
