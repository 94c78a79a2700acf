//! Marked secrets: not in the store, not in the log, not in the audit, not in answers to others.

use serde_json::json;
use spanwire_tests::secrecy::{contains, files};

use super::World;
use crate::cli::on;

#[tokio::test]
async fn inv_01_and_03_marked_secrets_are_nowhere() {
    let mut world = World::with("[sso.audit]\nretention = 0\n", "security: []").await;
    let (password, second) = ("MARKED-secret-one-1", "MARKED-secret-two-2");
    let create = json!({
        "ust": world.root, "username": "joe", "password": password, "email": "MARKED-mail@example.com", "auto_approve": true,
    });
    let created = world.ok("POST", "/user", create).await;
    assert!(!created.to_string().contains(password));
    let login = json!({"username": "joe", "password": password});
    let ust = world.ok("POST", "/user/login", login).await["ust"].as_str().unwrap().to_owned();
    let totp = json!({"ust": ust, "totp_key": "", "totp_label": "MARKED-label"});
    let key = world.ok("PATCH", "/user/totp", totp).await["totp_key"].as_str().unwrap().to_owned();
    let attribute =
        json!({"ust": ust, "name": "tag", "value": "MARKED-attribute", "encrypt": true});
    world.ok("POST", "/user/attr", attribute).await;
    world.ok("POST", "/password/reset", json!({"credential": "joe"})).await;
    let mail = world.mail(0).await;
    let token = mail.lines().find(|line| line.starts_with("  ")).unwrap().trim().to_owned();
    let reset_key =
        world.ok("PATCH", "/password/reset", json!({ "token": token })).await["reset_key"]
            .as_str()
            .unwrap()
            .to_owned();
    // Mistakes are where secrets get into logs.
    for body in [
        json!({"ust": ust}),
        json!({"username": second, "password": second, "totp_code": second}),
        json!({"username": ["MARKED-list"], "password": password}),
    ] {
        let mut body = body;
        body["current_app"] = json!("CRM");
        world.send("POST", "/user/login", &body).await;
    }
    world.send("PATCH", "/user/password", &json!({"current_app": "CRM", "ust": ust, "new_password": second, "old_password": [password]})).await;
    let complete = json!({"token": token, "reset_key": reset_key, "password": second});
    world.ok("DELETE", "/password/reset", complete).await;
    let signup = json!({"username": "newbie", "password": "MARKED-signup-pass", "email": "MARKED-two@example.com"});
    world.ok("POST", "/user/signup", signup).await;
    world.mail(1).await;
    let audit = on(&world.server, &["sso", "audit", "list", "--output", "json", "--limit", "1000"])
        .await
        .out;
    let metrics = spanwire_tests::http::admin(&world.server, "GET", "/metrics", "").await.body;
    assert!(world.server.stop().success());
    let secrets = [
        "MARKED",
        &*key,
        &*ust,
        &*token,
        &*reset_key,
        &*world.root,
        "another horse",
        super::PASSWORD,
    ];
    let log = world.server.log();
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!audit.contains(secret), "{secret} is in the audit");
        assert!(!metrics.contains(secret), "{secret} is in the metrics");
        for file in files(&world.server.data()) {
            assert!(
                !contains(&std::fs::read(&file).unwrap(), secret),
                "{secret} is in {}",
                file.display()
            );
        }
    }
}
