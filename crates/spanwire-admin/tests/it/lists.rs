//! Lists of objects: filters and pages.

use serde_json::json;

use crate::client::{Answer, World};

async fn world() -> World {
    let world = World::new();
    for number in 0..5 {
        let topic = json!({"name": format!("/T/{number}"), "has_gd": number % 2 == 0,
            "max_depth_gd": 10 + number, "labels": ["all", format!("l{number}")]});
        world.post("/objects/pubsub_topic", topic).await.expect(201);
    }
    world
}

fn names(answer: &Answer) -> Vec<&str> {
    let list = answer.json.as_array().unwrap();
    list.iter().map(|object| object["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn objects_are_filtered_by_what_is_shown() {
    let world = world().await;
    for (query, expected) in [
        ("", &["/T/0", "/T/1", "/T/2", "/T/3", "/T/4"][..]),
        ("q=t%2F3", &["/T/3"]),
        ("q=nothing", &[]),
        ("has_gd=true&q=T", &["/T/0", "/T/2", "/T/4"]),
        ("max_depth_gd=11", &["/T/1"]),
        ("labels=l2", &["/T/2"]),
        ("labels=all&has_gd=false", &["/T/1", "/T/3"]),
        ("hook_service_name=&name=/T/4", &["/T/4"]),
        ("state=failed", &["/T/0"]),
        ("state=running&limit=1", &["/T/1"]),
        ("state=inactive", &[]),
    ] {
        let list = world.get(&format!("/objects/pubsub_topic?{query}")).await.expect(200);
        assert_eq!(names(&list), expected, "{query}");
    }
    assert_eq!(world.get("/objects/security").await.expect(200).json, json!([]));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = world().await;
    let mut path = "/objects/pubsub_topic?q=/T/&limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = world.get(&path).await.expect(200);
        assert_eq!(page.header("x-total-count"), Some("5"));
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let Some(link) = page.header("link") else { break };
        let next = link.strip_prefix("</api/v1").unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        path = next.to_owned();
    }
    assert_eq!(path, "/objects/pubsub_topic?q=%2FT%2F&limit=2&offset=4");
    assert_eq!(seen, ["/T/0", "/T/1", "/T/2", "/T/3", "/T/4"]);
    let beyond = world.get("/objects/pubsub_topic?offset=1000000000").await.expect(200);
    assert_eq!((beyond.header("x-total-count"), beyond.header("link")), (Some("5"), None));
}

#[tokio::test]
async fn odd_queries_are_refused_by_name() {
    let world = world().await;
    for (query, why) in [
        ("nme=x", "unknown query key 'nme': known are q, state, limit, offset, name"),
        ("q=1&q=2", "query key 'q' is given twice"),
        ("limit=0", "query key 'limit': expected a whole number from 1 to 10000"),
        ("limit=10001", "from 1 to 10000"),
        ("limit=99999999999999999999999", "from 1 to 10000"),
        ("offset=-1", "from 0 to"),
        ("offset=1e3", "from 0 to"),
        ("state=broken", "expected running, inactive or failed"),
        ("q=%ff", "not UTF-8"),
        ("meta=x", "unknown query key 'meta'"),
    ] {
        let refused = world.get(&format!("/objects/pubsub_topic?{query}")).await.expect(400);
        let text = refused.problem();
        assert!(text.contains(why), "{query}: {text}");
    }
    let secret = world.get("/objects/security?password=x").await.expect(400).problem();
    assert!(secret.contains("unknown query key 'password'"), "{secret}");
}
