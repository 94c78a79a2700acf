//! Entity tags and conditional requests.

use axum::http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, World};

const PATH: &str = "/objects/wsx_gateway/gate";

async fn sent(world: &World, method: Method, condition: (&str, &str)) -> Answer {
    let body = match method {
        Method::PUT => Some(json!({"services_allowed": ["demo.*"]})),
        Method::PATCH => Some(json!({"labels": ["x"]})),
        _ => None,
    };
    world.send(method, PATH, &[condition], body).await
}

fn version(answer: &Answer) -> &Value {
    &answer.json["meta"]["version"]
}

#[tokio::test]
async fn a_known_version_is_not_sent_again() {
    let world = World::with_channel().await;
    for (tag, status) in [("\"1\"", 304), ("W/\"1\"", 304), ("*", 304), ("\"2\"", 200)] {
        let answer = sent(&world, Method::GET, ("if-none-match", tag)).await.expect(status);
        assert_eq!(answer.header("etag"), Some("\"1\""));
        assert_eq!(answer.text.is_empty(), status == 304);
    }
}

#[tokio::test]
async fn writes_are_tied_to_a_version() {
    let world = World::with_channel().await;
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        for tag in ["\"9\"", "\"01\"", "W/\"1\"", "\"abc\""] {
            let refused = sent(&world, method.clone(), ("if-match", tag)).await.expect(412);
            assert!(refused.problem().contains("version 1"), "{method} {tag}");
        }
        for tag in ["1", "", "\"1", "* , \"1\"", "\"1\" \"2\""] {
            sent(&world, method.clone(), ("if-match", tag)).await.expect(400).problem();
        }
        sent(&world, method.clone(), ("if-none-match", "*")).await.expect(412).problem();
        sent(&world, method.clone(), ("if-none-match", "\"1\"")).await.expect(412).problem();
    }
    assert_eq!(world.fake.revision(), 3);
    let replaced = sent(&world, Method::PUT, ("if-match", "\"1\"")).await.expect(200);
    assert_eq!(version(&replaced), 2);
    sent(&world, Method::PUT, ("if-match", "\"1\"")).await.expect(412);
    let patched = sent(&world, Method::PATCH, ("if-match", "\"1\", \"2\"")).await.expect(200);
    assert_eq!((version(&patched), patched.header("etag")), (&json!(3), Some("\"3\"")));
    world.delete("/objects/web_socket/crm").await.expect(200);
    sent(&world, Method::DELETE, ("if-match", "*")).await.expect(200);
}

#[tokio::test]
async fn what_is_not_there_matches_nothing() {
    let world = World::new();
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        for tag in ["*", "\"1\""] {
            sent(&world, method.clone(), ("if-match", tag)).await.expect(412).problem();
        }
    }
    sent(&world, Method::PUT, ("if-none-match", "*")).await.expect(201);
    sent(&world, Method::PUT, ("if-none-match", "*")).await.expect(412);
}

#[tokio::test]
async fn a_rival_between_look_and_write_is_noticed() {
    let world = World::with_channel().await;
    let kind = spanwire_config::Kind::WsxGateway;
    let other = json!({"name": "gate", "services_allowed": ["other.*"]});
    let object = spanwire_config::Object::from_json(kind, &other).unwrap();
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let version = world.get(PATH).await.json["meta"]["version"].as_u64().unwrap();
        let labelled = {
            let mut object = object.clone();
            object.add_label(&format!("v{version}")).unwrap();
            object
        };
        let rival = spanwire_config::Edit::Replace {
            kind,
            name: "gate".to_owned(),
            object: labelled,
            expect: None,
        };
        *world.fake.rival.lock().unwrap() = Some(vec![rival]);
        let tag = format!("\"{version}\"");
        sent(&world, method, ("if-match", &tag)).await.expect(412).problem();
    }
}
