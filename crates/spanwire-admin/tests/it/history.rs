//! The history: reading it, going back, checking it.

use axum::http::Method;
use serde_json::{Value, json};

use crate::client::World;

async fn world() -> World {
    let world = World::with_channel().await;
    let headers = [("x-spanwire-user", "ada"), ("user-agent", "curl/8")];
    let path = "/objects/web_socket/crm?reason=too%20short";
    let body = Some(json!({"token_ttl": 60}));
    world.send(Method::PATCH, path, &headers, body).await.expect(200);
    world
}

fn numbers(list: &Value) -> Vec<u64> {
    list.as_array().unwrap().iter().map(|it| it["revision"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn changes_are_listed_newest_first_without_diffs() {
    let world = world().await;
    let list = world.get("/history").await.expect(200);
    assert_eq!(numbers(&list.json), [4, 3, 2, 1]);
    let newest = &list.json[0];
    assert_eq!(
        (&newest["who"], &newest["from"], &newest["reason"]),
        (&json!("admin (ada)"), &json!("127.0.0.1:5000, curl/8"), &json!("too short"))
    );
    assert_eq!(newest["changes"][0]["diff"], json!([]));
    assert_eq!(newest["changes"][0]["action"], "updated");
    let one = world.get("/history/4").await.expect(200);
    let diff = json!([{"field": "token_ttl", "from": 3600, "to": 60}]);
    assert_eq!(one.json["changes"][0]["diff"], diff);
    assert_eq!(world.get("/history/1").await.json["changes"][0]["action"], "created");
}

#[tokio::test]
async fn changes_are_filtered_and_come_in_pages() {
    let world = world().await;
    for (query, expected) in [
        ("kind=web_socket", &[4, 3][..]),
        ("kind=web_socket&name=crm", &[4, 3]),
        ("kind=security&name=crm", &[]),
        ("name=app1", &[1]),
        ("who=ADA", &[4]),
        ("before=3", &[2, 1]),
        ("before=1", &[]),
        ("before=18446744073709551615&limit=1", &[4]),
        ("limit=2&before=4", &[3, 2]),
    ] {
        let list = world.get(&format!("/history?{query}")).await.expect(200);
        assert_eq!(numbers(&list.json), expected, "{query}");
    }
    let page = world.get("/history?limit=3").await.expect(200);
    let next = "</api/v1/history?limit=3&before=2>; rel=\"next\"";
    assert_eq!(page.header("link"), Some(next));
    assert_eq!(world.get("/history?limit=4").await.header("link"), None);
    for query in ["before=0", "limit=1001", "limit=0", "kind=def_sec", "kind=x", "whom=x"] {
        world.get(&format!("/history?{query}")).await.expect(400).problem();
    }
    let empty = World::new().get("/history").await.expect(200);
    assert_eq!(empty.json, json!([]));
}

#[tokio::test]
async fn revisions_that_are_none_are_refused() {
    let world = world().await;
    for (text, status) in [
        ("0", 404),
        ("99", 404),
        ("18446744073709551615", 404),
        ("x", 400),
        ("-1", 400),
        ("1.0", 400),
        ("+1", 400),
        ("99999999999999999999999", 400),
    ] {
        world.get(&format!("/history/{text}")).await.expect(status).problem();
        let path = format!("/history/{text}/revert");
        world.post(&path, json!({})).await.expect(status).problem();
    }
}

#[tokio::test]
async fn an_object_has_its_versions_and_goes_back_to_one() {
    let world = world().await;
    let path = "/objects/web_socket/crm";
    world.patch(path, json!({"name": "new"})).await.expect(200);
    // The former name still leads to it.
    let former = world.get(&format!("{path}/history")).await.expect(200).json;
    assert_eq!(former.as_array().unwrap().len(), 3);
    world.get("/objects/web_socket/never/history").await.expect(404).problem();
    let path = "/objects/web_socket/new";
    let versions = world.get(&format!("{path}/history")).await.expect(200).json;
    let seen: Vec<_> = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["version"].as_u64().unwrap(), it["name"].as_str().unwrap()))
        .collect();
    assert_eq!(seen, [(3, "new"), (2, "crm"), (1, "crm")]);
    assert_eq!(versions[1]["diff"][0]["field"], "token_ttl");
    assert_eq!(versions[2]["object"]["token_ttl"], 3600);

    let back = format!("{path}/revert");
    let preview = world.post(&format!("{back}?dry_run=true"), json!({"version": 1})).await;
    assert_eq!(preview.expect(200).json["dry_run"], true);
    let done = world.post(&format!("{back}?reason=oops"), json!({"version": 1})).await.expect(200);
    assert_eq!(
        (&done.json["revision"], &done.json["changes"][0]["name"]),
        (&json!(6), &json!("crm"))
    );
    assert_eq!(world.get("/objects/web_socket/crm").await.json["token_ttl"], 3600);

    let back = "/objects/web_socket/crm/revert";
    world.post(back, json!({"version": 99})).await.expect(404).problem();
    for body in [
        json!({}),
        json!({"version": 0}),
        json!({"version": -1}),
        json!({"version": "1"}),
        json!({"version": 1.5}),
        json!({"version": null}),
        json!({"version": 1, "x": 1}),
    ] {
        world.post(back, body).await.expect(422).problem();
    }
    world.post("/objects/web_socket/none/revert", json!({"version": 1})).await.expect(404);
}

#[tokio::test]
async fn a_change_is_undone() {
    let world = world().await;
    world.delete("/objects/web_socket/crm").await.expect(200);
    let undone = world.post("/history/5/revert?reason=no", json!({})).await.expect(200);
    assert_eq!(undone.json["changes"][0]["action"], "created");
    assert_eq!(world.get("/objects/web_socket/crm").await.json["meta"]["version"], 4);
    // What was made by a change cannot go while others use it.
    world.post("/history/1/revert", json!({})).await.expect(409).problem();
    let nothing = world.post("/history/6/revert?dry_run=true", json!({})).await.expect(200);
    assert_eq!(nothing.json["changes"][0]["action"], "deleted");
}

#[tokio::test]
async fn the_history_leads_to_what_holds() {
    let world = world().await;
    let verified = world.get("/history/verify").await.expect(200).json;
    assert_eq!((&verified["revision"], &verified["matches"]), (&json!(4), &json!(true)));
    assert_eq!(verified["state_hash"], world.get("/server").await.json["state_hash"]);
    let empty = World::new().get("/history/verify").await.expect(200).json;
    assert_eq!((&empty["revision"], &empty["matches"]), (&json!(0), &json!(true)));
}
