//! Live connections and the ones that ended.

use axum::http::Method;
use serde_json::{Value, json};

use crate::client::World;

fn id(number: u32) -> String {
    format!("ws.{number:024x}")
}

fn clients(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|it| it["ext_client_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn connections_are_listed_and_shown() {
    let world = World::new();
    let all = world.get("/connections").await.expect(200);
    assert_eq!(clients(&all.json), ["client-0", "client-1", "client-2"]);
    assert_eq!(all.header("x-total-count"), Some("3"));
    let some = world.get("/connections?attr.site=b&channel_name=crm&limit=1").await.expect(200);
    assert_eq!(clients(&some.json), ["client-1"]);
    assert_eq!(some.header("x-total-count"), Some("2"));
    let next = "</api/v1/connections?attr.site=b&channel_name=crm&limit=1&offset=1>; rel=\"next\"";
    assert_eq!(some.header("link"), Some(next));
    for query in ["channel=x", "attr.=x", "attrs.site=b", "limit=x"] {
        world.get(&format!("/connections?{query}")).await.expect(400).problem();
    }
    let one = world.get(&format!("/connections/{}", id(1))).await.expect(200);
    assert_eq!(one.json["ext_client_id"], "client-1");
    world.get("/connections/ws.none").await.expect(404).problem();
}

#[tokio::test]
async fn a_client_is_asked() {
    let world = World::new();
    let path = format!("/connections/{}/invoke", id(0));
    let answer =
        world.post(&path, json!({"request": {"a": [1]}, "timeout": 0.5})).await.expect(200);
    assert_eq!(answer.json["response"], json!({"request": {"a": [1]}, "timeout": 0.5}));
    let answer = world.post(&path, json!({})).await.expect(200);
    assert_eq!(answer.json["response"], json!({"request": null, "timeout": 5.0}));
    world.post(&path, json!({"request": 1, "timeout": null})).await.expect(200);
    let late = world.post(&path, json!({"request": "late"})).await.expect(504);
    assert_eq!(late.json["cid"], "c1d");
    for timeout in [json!(0), json!(-1), json!(3601), json!("5"), json!(1e300), json!([])] {
        let refused = world.post(&path, json!({"timeout": timeout})).await.expect(422).problem();
        assert!(refused.contains("a number of seconds above 0, at most 3600"), "{refused}");
    }
    world.post(&path, json!({"data": 1})).await.expect(422).problem();
    world.post("/connections/x/invoke", json!({})).await.expect(404).problem();
}

#[tokio::test]
async fn one_connection_is_closed() {
    let world = World::new();
    let path = format!("/connections/{}", id(0));
    for query in [
        "code=1005",
        "code=99",
        "code=x",
        "code=70000",
        "code=",
        "force=1",
        "reason=a%0Ab",
        &format!("reason={}", "x".repeat(124)),
    ] {
        world.delete(&format!("{path}?{query}")).await.expect(400).problem();
    }
    world.delete(&format!("{path}?code=4001&reason=bye")).await.expect(204);
    let closed = (id(0), Some(4001), "bye".to_owned());
    assert_eq!(*world.fake.closed.lock().unwrap(), [closed]);
    world.delete(&path).await.expect(404).problem();
    world.delete(&format!("/connections/{}", id(1))).await.expect(204);
    assert_eq!(world.fake.closed.lock().unwrap()[1], (id(1), None, String::new()));
}

#[tokio::test]
async fn several_connections_are_closed() {
    let world = World::new();
    let path = "/connections/disconnect";
    let filter = json!({"filter": {"attr.site": "b"}, "dry_run": true});
    let preview = world.post(path, filter).await.expect(200);
    let both = json!({"dry_run": true, "count": 2, "connections": [id(1), id(2)]});
    assert_eq!(preview.json, both);
    assert!(world.fake.closed.lock().unwrap().is_empty());
    let body = json!({"filter": {"attr.site": "b"}, "code": 4010, "reason": "x", "all": false});
    let done = world.post(path, body).await.expect(200);
    assert_eq!(done.json["count"], 2);
    let closed = (id(1), Some(4010), "x".to_owned());
    assert_eq!(world.fake.closed.lock().unwrap()[0], closed);
    let rest = world.post(path, json!({"all": true, "code": null})).await.expect(200);
    assert_eq!(rest.json["connections"], json!([id(0)]));
    assert_eq!(world.post(path, json!({"all": true})).await.json["count"], 0);
}

#[tokio::test]
async fn a_careless_disconnect_closes_nothing() {
    let world = World::new();
    for (body, why) in [
        (json!({}), "is empty, which means every connection"),
        (json!({"filter": {}}), "set all to true"),
        (json!({"filter": {}, "dry_run": true}), "set all to true"),
        (json!({"filter": {"channel": "crm"}}), "unknown attribute 'channel': known are"),
        (json!({"filter": {"limit": "1"}}), "unknown attribute"),
        (json!({"filter": {"attr.": "1"}}), "unknown attribute"),
        (json!({"filter": {"username": 1}}), "expected attributes with texts"),
        (json!({"filter": []}), "expected attributes with texts"),
        (json!({"filter": null, "all": true}), "expected attributes with texts"),
        (json!({"all": "yes"}), "expected true or false"),
        (json!({"all": true, "code": 1006}), "expected 1000 to 1003"),
        (json!({"all": true, "code": 4000.5}), "expected 1000 to 1003"),
        (json!({"all": true, "reason": "ä".repeat(62)}), "at most 123 bytes"),
        (json!({"all": true, "dryrun": true}), "unknown key: known are"),
    ] {
        let text = world.post("/connections/disconnect", body).await.expect(422).problem();
        assert!(text.contains(why), "{text}");
    }
    assert!(world.fake.closed.lock().unwrap().is_empty());
    world.send(Method::GET, "/connections/disconnect", &[], None).await.expect(405);
}

#[tokio::test]
async fn ended_connections_are_listed() {
    let world = World::new();
    let all = world.get("/connection-history?limit=3").await.expect(200);
    assert_eq!((clients(&all.json).len(), all.header("x-total-count")), (3, Some("4")));
    let one = world.get("/connection-history?ext_client_id=client-1").await.expect(200);
    assert_eq!(clients(&one.json), ["client-1", "client-1"]);
    world.get("/connection-history?username=x").await.expect(400).problem();
}
