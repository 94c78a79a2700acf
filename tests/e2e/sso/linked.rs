//! Credentials of channels that are linked to users (reference sso 1.7).

use serde_json::json;
use spanwire_tests::http::{Answer, admin, basic, request};

use super::World;
use crate::live::{delete, patch};

const OBJECTS: &str = "\
    security: [{name: crm, type: basic_auth, username: crm, password: secret1}, {name: erp, type: basic_auth, username: erp, password: secret2}]\n\
    channel_rest: [{name: ping, url_path: /ping, service: zato.ping, security_name: crm}, {name: erp, url_path: /erp, service: zato.ping, security_name: erp}]\n";

async fn ping(world: &World, path: &str, authorization: &str) -> Answer {
    let headers = [("Authorization", authorization)];
    request(world.server.address(), "GET", path, &headers, "").await
}

#[tokio::test]
async fn a_call_with_linked_credentials_has_a_session_of_the_user() {
    let world = World::with("", OBJECTS).await;
    let id = world.create("joe").await;
    let crm = basic("crm", "secret1");
    assert_eq!(ping(&world, "/ping", &crm).await.header("x-zato-sso-ust"), "");
    let link = json!({"ust": world.root, "user_id": id, "auth_type": "basic_auth", "auth_username": "crm", "is_active": true});
    world.ok("POST", "/user/linked", link.clone()).await;
    assert_eq!(world.refused("POST", "/user/linked", link.clone()).await, "E008002");
    let unknown = json!({"ust": world.root, "user_id": id, "auth_type": "basic_auth", "auth_username": "nobody"});
    assert_eq!(world.refused("POST", "/user/linked", unknown).await, "E008002");
    let answer = ping(&world, "/ping", &crm).await;
    let ust = answer.header("x-zato-sso-ust").to_owned();
    assert_eq!((answer.status, answer.json()), (200, json!({"pong": "zato"})));
    assert_eq!(world.ok("GET", "/user", json!({"ust": ust})).await["username"], "joe");
    // The same session each time, and none for others.
    let again = ping(&world, "/ping", &crm).await.header("x-zato-sso-ust").to_owned();
    let sessions = world.ok("GET", "/user/session/list", json!({"ust": again})).await;
    assert_eq!(sessions["result"].as_array().unwrap().len(), 1, "{sessions}");
    assert_eq!(sessions["result"][0]["auth_type"], "basic_auth");
    assert_eq!(ping(&world, "/erp", &basic("erp", "secret2")).await.header("x-zato-sso-ust"), "");
    // Whoever may not log in may not call, either; and codes are not gone around.
    let target = json!({"ust": world.root, "user_id": id});
    world.ok("POST", "/user/lock", target.clone()).await;
    assert_eq!(ping(&world, "/ping", &crm).await.status, 403);
    world.ok("DELETE", "/user/lock", target).await;
    world
        .ok("PATCH", "/user", json!({"ust": world.root, "user_id": id, "is_totp_enabled": true}))
        .await;
    assert_eq!(ping(&world, "/ping", &crm).await.status, 403);
    world
        .ok("PATCH", "/user", json!({"ust": world.root, "user_id": id, "is_totp_enabled": false}))
        .await;
    assert_eq!(ping(&world, "/ping", &crm).await.status, 200);
    world.ok("DELETE", "/user/linked", link.clone()).await;
    assert_eq!(ping(&world, "/ping", &crm).await.header("x-zato-sso-ust"), "");
    assert_eq!(world.refused("GET", "/user", json!({"ust": again})).await, "E007001");
}

/// Credentials that come later under a name are not the user's.
#[tokio::test]
async fn a_link_goes_with_its_credentials() {
    let world = World::with("", OBJECTS).await;
    let id = world.create("joe").await;
    let link = json!({"ust": world.root, "user_id": id, "auth_type": "basic_auth", "auth_username": "erp", "is_active": true});
    world.ok("POST", "/user/linked", link).await;
    delete(&world.server, "channel_rest", "erp").await;
    delete(&world.server, "security", "erp").await;
    let again =
        json!({"name": "erp", "type": "basic_auth", "username": "erp", "password": "other"})
            .to_string();
    assert_eq!(admin(&world.server, "POST", "/api/v1/objects/security", &again).await.status, 201);
    patch(&world.server, "channel_rest", "ping", json!({"security_name": "erp"})).await;
    let answer = ping(&world, "/ping", &basic("erp", "other")).await;
    assert_eq!((answer.status, answer.header("x-zato-sso-ust")), (200, ""));
    let links = world.ok("GET", "/user/linked", json!({"ust": world.root, "user_id": id})).await;
    assert_eq!(links["result"], json!([]));
}
