//! Users on WebSocket channels.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_runtime::{App, Context, ServiceError, Settings};
use spanwire_sso::{Call, NewUser, Secret};
use spanwire_tests::{Client, eventually};

use super::{PASSWORD, World};
use crate::cli::on;

const OBJECTS: &str = "\
    security: [{name: users, type: sso}]\n\
    web_socket: [{name: ws, address: /ws/users, service: helpers.web-sockets-gateway, sec_def: users}]\n";

async fn world() -> World {
    World::with("", OBJECTS).await
}

/// Tries to log in, perhaps with a code.
async fn log_in(world: &World, name: &str, secret: &str, code: Option<&str>) -> (Client, Value) {
    let mut client = Client::connect(&world.server.ws("/ws/users")).await;
    let mut meta = json!({
        "action": "create-session", "id": "login", "timestamp": "2026-01-01T00:00:00", "username": name, "secret": secret,
        "client_id": "c", "client_name": "C",
    });
    if let Some(code) = code {
        meta["totp_code"] = json!(code);
    }
    client.send(&json!({"meta": meta, "data": {}})).await;
    let reply = client.receive().await;
    client.token = reply["data"]["token"].as_str().unwrap_or_default().to_owned();
    (client, reply)
}

async fn is_closed_soon(client: &mut Client) {
    let begun = Instant::now();
    let (_, frame) = client.receive_close().await;
    assert_eq!(frame.map(|frame| u16::from(frame.code)), Some(1008));
    assert!(
        begun.elapsed() < Duration::from_millis(1_500),
        "a second, and a half for a busy machine: {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_user_logs_in_with_a_password_or_with_a_session() {
    let world = world().await;
    world.create("joe").await;
    let (mut client, reply) = log_in(&world, "joe", PASSWORD, None).await;
    assert_eq!(reply["meta"]["status"], 200, "{reply}");
    assert_eq!(client.invoke("zato.ping", &json!({})).await["data"], json!({"pong": "zato"}));
    let ust = world.login("joe").await;
    for name in ["joe", ""] {
        let (_, reply) = log_in(&world, name, &ust, None).await;
        assert_eq!(reply["meta"]["status"], 200, "{reply}");
    }
    for (name, secret) in [
        ("joe", "wrong password 12345"),
        ("root", ust.as_str()),
        ("joe", "gAAAAnothing"),
        ("nobody", PASSWORD),
    ] {
        let (_, reply) = log_in(&world, name, secret, None).await;
        assert_eq!(reply["meta"]["status"], 403, "{name}: {reply}");
    }
    // A session that was opened for a connection ends with it.
    client.close(1000, "").await;
    let root = json!({"ust": ust});
    eventually("one session is left", async || {
        world.ok("GET", "/user/session/list", root.clone()).await["result"]
            .as_array()
            .unwrap()
            .len()
            == 1
    })
    .await;
}

#[tokio::test]
async fn a_user_with_codes_needs_one() {
    let world = world().await;
    world.create("joe").await;
    let ust = world.login("joe").await;
    let key = world
        .ok("PATCH", "/user/totp", json!({"ust": ust, "totp_key": "", "totp_label": "phone"}))
        .await["totp_key"]
        .clone();
    world.ok("PATCH", "/user", json!({"ust": ust, "is_totp_enabled": true})).await;
    let key = Secret::new(key.as_str().unwrap().to_owned());
    let (_, reply) = log_in(&world, "joe", PASSWORD, None).await;
    assert_eq!(reply["meta"]["status"], 403, "{reply}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let code = spanwire_crypto::totp::code(&key, spanwire_crypto::totp::step(now)).unwrap();
    let (_, reply) = log_in(&world, "joe", PASSWORD, Some(&code)).await;
    assert_eq!(reply["meta"]["status"], 200, "{reply}");
}

/// Whatever ends a session closes what depends on it, within a second; other sockets stay.
#[tokio::test]
async fn what_ends_a_session_closes_its_sockets() {
    let world = world().await;
    world.create("ann").await;
    let (mut other, _) = log_in(&world, "ann", PASSWORD, None).await;
    for (number, ending) in
        ["logout", "lock", "reject", "delete", "password", "revoke"].into_iter().enumerate()
    {
        let name = format!("joe{number}");
        let id = world.create(&name).await;
        let ust = world.login(&name).await;
        let (mut by_token, _) = log_in(&world, "", &ust, None).await;
        let (mut by_password, _) = log_in(&world, &name, PASSWORD, None).await;
        assert_eq!(by_token.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
        let target = json!({"ust": world.root, "user_id": id});
        match ending {
            "logout" => drop(world.ok("POST", "/user/logout", json!({"ust": ust})).await),
            "lock" => drop(world.ok("POST", "/user/lock", target).await),
            "reject" => drop(world.ok("POST", "/user/reject", target).await),
            "delete" => drop(world.ok("DELETE", "/user", target).await),
            "password" => {
                let body = json!({"ust": world.root, "user_id": id, "new_password": "another horse another staple"});
                world.ok("PATCH", "/user/password", body).await;
            }
            _ => assert_eq!(on(&world.server, &["sso", "revoke-sessions", &name]).await.code, 0),
        }
        is_closed_soon(&mut by_token).await;
        if ending == "logout" {
            // Its session is another one.
            assert_eq!(by_password.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
        } else {
            is_closed_soon(&mut by_password).await;
        }
    }
    assert_eq!(other.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
}

#[tokio::test]
async fn only_websocket_channels_have_users_as_their_security() {
    let world = world().await;
    let rest =
        json!({"name": "r", "url_path": "/r", "service": "zato.ping", "security_name": "users"});
    let answer = spanwire_tests::http::admin(
        &world.server,
        "POST",
        "/api/v1/objects/channel_rest",
        &rest.to_string(),
    )
    .await;
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.body.contains("single sign-on"), "{answer:?}");
}

/// Services know who calls, and forget nothing when that changes.
#[tokio::test]
async fn a_service_sees_the_user() {
    let mut settings = Settings { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    settings.sso.hash.rounds = 1_000;
    let objects = "\
        security: [{name: users, type: sso}]\n\
        web_socket: [{name: ws, address: /ws/users, service: who, sec_def: users}]\n";
    let app = App::builder()
        .settings(settings)
        .objects(objects)
        .service_fn("who", async |ctx: Context, _: Value| {
            let user = ctx.user().ok_or_else(ServiceError::forbidden)?;
            assert_eq!(ctx.username(), user.username);
            Ok(json!({"id": user.user_id, "name": user.username, "super": user.is_super_user}))
        })
        .start()
        .await
        .unwrap();
    let call = Call::internal("test");
    let new = NewUser {
        username: "joe".to_owned(),
        password: Some(Secret::new(PASSWORD.to_owned())),
        is_super_user: true,
        ..NewUser::default()
    };
    let sso = app.sso().unwrap();
    let id = sso.create_user_as_operator(&call, &new, true).unwrap().full.unwrap().user_id;
    let mut client =
        Client::log_in(&format!("ws://{}/ws/users", app.address()), "joe", PASSWORD).await;
    let told = client.call(&json!({})).await["data"].clone();
    assert_eq!(told, json!({"id": id, "name": "joe", "super": true}));
    let token = sso.login_as_operator(&call, "joe").unwrap().token;
    let rename = json!({"username": "joseph"});
    let here = Call::new("CRM", [std::net::Ipv4Addr::LOCALHOST.into()]);
    sso.update_user(&here, &token, None, rename.as_object().unwrap()).unwrap();
    let client = tokio::sync::Mutex::new(client);
    eventually("the new name is known", async || {
        client.lock().await.call(&json!({})).await["data"]["name"] == "joseph"
    })
    .await;
    drop(client);
    app.shutdown().await;
}
