//! What `compat` switches back for existing applications (reference sso 3), and what production refuses (section 9, 62).

use serde_json::{Value, json};
use spanwire_tests::Server;

use super::World;
use crate::process::run_server;

/// A short password, twice the same code, a sign-up without an address whose answer has the token.
#[tokio::test]
async fn existing_applications_work_in_compat() {
    let mails = tempfile::tempdir().unwrap();
    // `signup_allowed` and all the others are left to the profile.
    let settings = super::settings(mails.path(), "").replace("signup_allowed = ['CRM']", "");
    let server = Server::setup().settings(&settings).arguments(&["--profile", "compat"]).start();
    let world = World::of(server, mails);
    let short = "short.one";
    let created = crate::cli::passwords::with_stdin(
        &world.server,
        &["sso", "create-super-user", "root", "--password-stdin"],
        &format!("{short}\n"),
    )
    .await;
    assert_eq!(created.code, 0, "{created:?}");
    let login = async |name: &str, code: Value| {
        let body = json!({"username": name, "password": short, "totp_code": code});
        world.ok("POST", "/user/login", body).await["ust"].as_str().unwrap().to_owned()
    };
    let root = login("root", Value::Null).await;
    let signed = world
        .ok(
            "POST",
            "/user/signup",
            json!({"username": "joe", "password": short, "app_list": ["CRM"]}),
        )
        .await;
    world.ok("PATCH", "/user/signup", json!({"confirm_token": signed["confirm_token"]})).await;
    let found = world.ok("GET", "/user/search", json!({"ust": root, "username": "joe"})).await;
    let id = found["result"][0]["user_id"].clone();
    world.ok("POST", "/user/approve", json!({"ust": root, "user_id": id})).await;
    let ust = login("joe", Value::Null).await;
    let second = login("joe", Value::Null).await;
    // Any text is an address, and twice the same.
    for user in ["ann", "eve"] {
        let body = json!({"ust": root, "username": user, "password": short, "email": "no address", "auto_approve": true});
        world.ok("POST", "/user", body).await;
    }
    let key = json!({"ust": ust, "totp_key": "JBSWY3DPEHPK3PXP", "totp_label": "x"});
    assert_eq!(world.ok("PATCH", "/user/totp", key).await["totp_key"], "JBSWY3DPEHPK3PXP");
    world.ok("PATCH", "/user", json!({"ust": ust, "is_totp_enabled": true})).await;
    let key = spanwire_sso::Secret::new("JBSWY3DPEHPK3PXP".to_owned());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let code = spanwire_crypto::totp::code(&key, spanwire_crypto::totp::step(now)).unwrap();
    for _ in 0..2 {
        login("joe", json!(code)).await;
    }
    // A former password may be set again, and sessions go on.
    let change =
        |old: &str, new: &str| json!({"ust": ust, "old_password": old, "new_password": new});
    world.ok("PATCH", "/user/password", change(short, "short.two")).await;
    world.ok("PATCH", "/user/password", change("short.two", short)).await;
    world.ok("GET", "/user", json!({"ust": second})).await;
}

#[tokio::test]
async fn inv_62_what_is_unsafe_or_wrong_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let table = [
        ("[sso.hash]\nrounds = 1000\n", "production", "sso.hash.rounds"),
        ("[sso.password]\nmin_length = 6\n", "production", "sso.password.min_length"),
        ("[sso.mail]\nserver = 'file:mails'\n", "production", "sso.mail.server"),
        ("[sso.mail]\nserver = 'smtp://mail.example.com'\n", "compat", "sso.mail.server"),
        ("[sso]\ncors_origins = ['*']\n", "production", "sso.cors_origins"),
        ("[sso.apps]\ndefault = 'Other'\n", "dev", "sso.apps.default"),
        ("[sso.user_address_list]\njoe = ['10.0.0.300']\n", "dev", "sso.user_address_list.joe"),
        ("[sso.login]\nfailurs = 3\n", "dev", "did you mean `sso.login.failures`"),
        ("[sso.hash]\nscheme = 'md5'\n", "dev", "md5"),
        ("[sso.password]\nmin_complexity = 9\n", "dev", "sso.password.min_complexity"),
    ];
    for (number, (text, profile, expected)) in table.into_iter().enumerate() {
        let data = dir.path().join(number.to_string());
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("spanwire.toml"), text).unwrap();
        let ended = run_server(&data, &["--profile", profile, "check"]).await;
        assert!(ended.code == 2 && ended.err.contains(expected), "{text}: {ended:?}");
    }
}

/// A ring that does not fit what is stored is no reason to begin anew.
#[tokio::test]
async fn inv_62_data_without_its_key_is_refused() {
    let mut world = World::start().await;
    assert!(world.server.stop().success());
    let ring = world.server.data().join("secret.key");
    std::fs::remove_file(&ring).unwrap();
    let ended = run_server(
        &world.server.data(),
        &["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
    )
    .await;
    assert_ne!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("secret.key"), "{ended:?}");
}

#[tokio::test]
async fn without_single_sign_on_there_is_none_of_it() {
    let server = Server::setup().settings("[sso]\nenabled = false\n").start();
    let body = r#"{"current_app": "CRM", "username": "x", "password": "y"}"#;
    let answer =
        spanwire_tests::http::request(server.address(), "POST", "/zato/sso/user/login", &[], body)
            .await;
    assert_eq!(answer.status, 404, "{answer:?}");
    let ended = crate::cli::on(&server, &["sso", "list"]).await;
    assert!(ended.code == 1 && ended.err.contains("sso.enabled"), "{ended:?}");
}
