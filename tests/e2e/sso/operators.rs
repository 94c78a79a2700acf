//! The command line, and super-users as administrators (reference sso 6; section 9, 61).

use serde_json::{Value, json};
use spanwire_tests::Server;
use spanwire_tests::http::request;

use super::{PASSWORD, World, settings};
use crate::cli::passwords::with_stdin;
use crate::cli::{on, parse};

#[tokio::test]
async fn inv_61_accounts_are_managed_from_the_command_line() {
    let world = World::start().await;
    let server = &world.server;
    let typed = format!("{PASSWORD}\n");
    let sso = async |arguments: &[&str]| on(server, &[&["sso"], arguments].concat()).await;
    let create = [
        "sso",
        "create-user",
        "joe",
        "--email",
        "joe@example.com",
        "--first-name",
        "Joe",
        "--password-stdin",
    ];
    let created = with_stdin(server, &create, &typed).await;
    assert_eq!((created.code, created.out.trim()), (0, "Created user `joe`"), "{created:?}");
    let again = with_stdin(server, &create, &typed).await;
    assert_eq!((again.code, again.err.trim()), (20, "User already exists `joe`"), "{again:?}");
    let short =
        with_stdin(server, &["sso", "create-user", "ann", "--password-stdin"], "short\n").await;
    assert!(short.code == 21 && short.err.contains("E003002"), "{short:?}");
    for arguments in [
        &["lock-user", "nobody"][..],
        &["unlock-user", "nobody"],
        &["delete-user", "nobody", "--yes"],
        &["login", "nobody"],
        &["reset-user-password", "nobody"],
        &["reset-totp-key", "nobody"],
        &["show", "nobody"],
        &["sessions", "nobody"],
    ] {
        let ended = sso(arguments).await;
        assert_eq!(
            (ended.code, ended.err.trim()),
            (22, "No such SSO user `nobody`"),
            "{arguments:?} {ended:?}"
        );
    }
    let said = async |arguments: &[&str]| {
        let ended = sso(arguments).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.out.trim().to_owned()
    };
    assert_eq!(said(&["lock-user", "joe"]).await, "Locked user account `joe`");
    assert_eq!(
        world
            .refused("POST", "/user/login", json!({"username": "joe", "password": PASSWORD}))
            .await,
        "E005002"
    );
    assert_eq!(said(&["unlock-user", "joe"]).await, "Unlocked user account `joe`");
    let ust = world.login("joe").await;
    let reset = said(&["reset-user-password", "joe"]).await;
    let password = reset
        .strip_prefix("Password for user `joe` reset to `")
        .unwrap()
        .trim_end_matches('`')
        .to_owned();
    assert_eq!(world.refused("GET", "/user", json!({"ust": ust})).await, "E007001");
    world.ok("POST", "/user/login", json!({"username": "joe", "password": password})).await;
    let change = [
        "sso",
        "change-user-password",
        "joe",
        "--expiry",
        "10",
        "--must-change",
        "true",
        "--password-stdin",
    ];
    let changed = with_stdin(server, &change, "another horse another staple\n").await;
    assert_eq!(changed.out.trim(), "Changed password for user `joe`", "{changed:?}");
    let must = json!({"username": "joe", "password": "another horse another staple"});
    assert_eq!(world.refused("POST", "/user/login", must).await, "E003007");
    assert!(
        said(&["reset-totp-key", "joe", "--key-label", "phone"])
            .await
            .starts_with("TOTP key for user `joe` reset to `")
    );
    let session = parse(&sso(&["login", "joe", "--output", "json"]).await);
    let ust = session["ust"].as_str().unwrap().to_owned();
    assert_eq!(world.ok("GET", "/user", json!({"ust": ust})).await["email"], "joe@example.com");
    let sessions = parse(&sso(&["sessions", "joe", "--output", "json"]).await);
    assert!(!sessions.as_array().unwrap().is_empty() && !sessions.to_string().contains(&ust));
    assert_eq!(
        with_stdin(server, &["sso", "logout"], &format!("{ust}\n")).await.out.trim(),
        "User logged out by UST"
    );
    assert_eq!(world.refused("GET", "/user", json!({"ust": ust})).await, "E007001");
    // Those who were not approved are managed as well.
    let waiting = json!({"ust": world.root, "username": "waiting", "password": PASSWORD});
    world.ok("POST", "/user", waiting).await;
    assert_eq!(said(&["lock-user", "waiting"]).await, "Locked user account `waiting`");
    let found =
        parse(&sso(&["search", "--approval-status", "before_decision", "--output", "json"]).await);
    assert_eq!(found[0]["username"], "waiting");
    let unasked = sso(&["delete-user", "waiting"]).await;
    assert!(unasked.code == 2 && unasked.err.contains("--yes"), "{unasked:?}");
    assert_eq!(said(&["delete-user", "waiting", "--yes"]).await, "Deleted user `waiting`");
    let exported = said(&["export"]).await;
    let names: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["username"].clone())
        .collect();
    assert_eq!(names, ["root", "joe"]);
    let calibrated =
        parse(&sso(&["hash-calibrate", "--milliseconds", "20", "--output", "json"]).await);
    assert!(calibrated["rounds"].as_u64().unwrap() >= 1_000, "{calibrated}");
    assert!(said(&["audit", "verify"]).await.ends_with("none changed or removed"));
    // One of them was of nobody.
    let records =
        parse(&sso(&["audit", "list", "--op", "user.lock_user", "--output", "json"]).await);
    assert_eq!(
        (records.as_array().unwrap().len(), &records[0]["current_user"]),
        (3, &json!("admin"))
    );
    assert!(said(&["audit", "export", "joe"]).await.lines().count() > 5);
}

#[tokio::test]
async fn users_come_from_files() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users.csv");
    // Made by passlib: the password is `correct horse`.
    let hash = spanwire_crypto::password::Scheme::Pbkdf2Sha512 { rounds: 1_200, salt_size: 64 };
    let hash = hash.hash(&spanwire_crypto::Secret::new("an old password".to_owned())).unwrap();
    let text = format!(
        "username,email,password,password_hash,is_locked\njoe,joe@example.com,{PASSWORD},,\nann,,,{},\nbad,,short,,\nold,,,md5:x,\nroot,,{PASSWORD},,yes\n",
        hash.expose()
    );
    std::fs::write(&file, &text).unwrap();
    let import = async |more: &[&str]| {
        let arguments =
            [&["sso", "import", file.to_str().unwrap(), "--output", "json"], more].concat();
        let ended = on(&world.server, &arguments).await;
        assert_eq!(ended.code, 21, "two lines are bad: {ended:?}");
        let reports: Value = serde_json::from_str(&ended.out).unwrap();
        reports
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["line"].as_u64().unwrap(), it["result"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let results = |first: &str| {
        [(2, first), (3, first), (4, "failed"), (5, "failed"), (6, "exists")]
            .map(|(line, result)| (line, result.to_owned()))
            .to_vec()
    };
    assert_eq!(import(&["--dry-run"]).await, results("would be created"));
    assert_eq!(world.ok("GET", "/user/search", json!({"ust": world.root})).await["total"], 1);
    assert_eq!(import(&[]).await, results("created"));
    world.login("joe").await;
    world
        .ok("POST", "/user/login", json!({"username": "ann", "password": "an old password"}))
        .await;
    let lines = dir.path().join("users.ndjson");
    std::fs::write(
        &lines,
        format!("{}\nnonsense\n", json!({"username": "eve", "password": PASSWORD})),
    )
    .unwrap();
    let ended = on(&world.server, &["sso", "import", lines.to_str().unwrap()]).await;
    assert!(
        ended.code == 21
            && ended.out.contains("line 1 eve created")
            && ended.out.contains("line 2  failed"),
        "{ended:?}"
    );
}

/// Whose password expires is said to operators and timers; a client that can name the service learns nothing.
#[tokio::test]
async fn expiring_passwords_are_handed_to_a_service_of_the_operator() {
    let objects = "channel_rest: [{name: asks, url_path: /asks, service: pub.zato.sso.password-expiry.handler, data_format: json}]";
    let mails = tempfile::tempdir().unwrap();
    let soon = settings(mails.path(), "[sso.password]\nabout_to_expire_threshold = 1000\n");
    let server = Server::setup().settings(&soon).objects(objects).start();
    for name in ["joe", "late"] {
        let create = ["sso", "create-user", name, "--password-stdin"];
        let created = with_stdin(&server, &create, &format!("{PASSWORD}\n")).await;
        assert_eq!(created.code, 0, "{created:?}");
    }
    let locked = on(&server, &["sso", "lock-user", "late"]).await;
    assert_eq!(locked.code, 0, "{locked:?}");
    let handler = "pub.zato.sso.password-expiry.handler";
    let echo = "\"zato.helpers.echo\"";
    let arguments = ["service", "invoke", handler, "--payload", echo, "--output", "json"];
    let told = parse(&on(&server, &arguments).await);
    let users = told.as_array().unwrap();
    let said = |name| users.first().map(|it| it[name].clone());
    assert_eq!((users.len(), said("username")), (1, Some(json!("joe"))), "{told}");
    assert_eq!(said("is_password_about_to_expire"), Some(json!(true)), "{told}");
    let answer = request(server.address(), "POST", "/asks", &[], echo).await;
    assert_eq!(answer.status, 403, "{answer:?}");
}

/// The admin API takes the session of a super-user, and of nobody else.
#[tokio::test]
async fn a_super_user_administers_with_a_session() {
    let world = World::start().await;
    world.create("joe").await;
    let joe = world.login("joe").await;
    let server = async |token: &str| {
        let bearer = format!("Bearer {token}");
        request(
            world.server.admin_address(),
            "GET",
            "/api/v1/server",
            &[("Authorization", &*bearer)],
            "",
        )
        .await
        .status
    };
    assert_eq!(server(&world.root).await, 200);
    assert_eq!(server(&joe).await, 401);
    assert_eq!(server("gAAAAnothing").await, 401);
    let url = format!("http://{}", world.server.admin_address());
    let mut program = spanwire_tests::server::command(spanwire_tests::server::binary("spanwire"));
    program.args(["--url", &url, "ping"]).env("SPANWIRE_TOKEN", &world.root);
    assert!(
        tokio::task::spawn_blocking(move || program.status()).await.unwrap().unwrap().success()
    );
    world.ok("POST", "/user/logout", json!({"ust": world.root})).await;
    assert_eq!(server(&world.root).await, 401);
}
