//! The envelope, verbs, inputs and outputs that existing clients know (reference sso 2).

use serde_json::{Value, json};
use spanwire_sso::operation::ENDPOINTS;
use spanwire_tests::Server;
use spanwire_tests::http::request;

use super::{PASSWORD, World};

#[tokio::test]
async fn a_life_of_a_user() {
    let world = World::start().await;
    let id = world.create("joe").await;
    let ust = world.login("joe").await;
    assert!(ust.starts_with("gAAAA") && ust.len() == 120, "{ust}");
    let me = world.ok("GET", "/user", json!({"ust": ust})).await;
    let mut keys: Vec<_> = me.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    // Section 9, 6: the regular set and nothing else.
    assert_eq!(
        keys,
        [
            "cid",
            "display_name",
            "email",
            "first_name",
            "is_totp_enabled",
            "last_name",
            "middle_name",
            "status",
            "sub_status",
            "totp_label",
            "username",
        ]
    );
    let full = world.ok("GET", "/user", json!({"ust": world.root, "user_id": id})).await;
    assert_eq!(
        (&full["user_id"], &full["is_approval_needed"], &full["is_super_user"]),
        (&json!(id), &json!(false), &json!(false))
    );
    // Section 9, 17.
    let expiry =
        json!({"ust": world.root, "user_id": id, "password_expiry": "2345-12-27T11:22:33"});
    world.ok("PATCH", "/user", expiry).await;
    let full = world.ok("GET", "/user", json!({"ust": world.root, "user_id": id})).await;
    assert_eq!(full["password_expiry"], "2345-12-27T11:22:33");
    assert_eq!(world.refused("PATCH", "/user", json!({"ust": ust})).await, "E008003");
    assert_eq!(
        world.refused("POST", "/user", json!({"ust": world.root, "username": "Joe"})).await,
        "E001002"
    );
    let renewed = world.ok("PATCH", "/user/session", json!({"ust": ust})).await;
    assert!(renewed["expiration_time"].as_str().unwrap().starts_with("20"), "{renewed}");
    let verify = json!({"current_ust": world.root, "target_ust": ust});
    assert_eq!(world.ok("POST", "/user/session", verify.clone()).await["is_valid"], true);
    let list = world.ok("GET", "/user/session/list", json!({"ust": ust})).await;
    let sessions = list["result"].as_array().unwrap();
    assert_eq!((sessions.len(), &sessions[0]["auth_principal"]), (1, &json!("joe")));
    assert_ne!(sessions[0]["ust"], json!(ust), "a handle, and no token");
    let both = json!({"ust": ust, "target_ust": ust, "current_ust": world.root});
    assert_eq!(world.refused("GET", "/user/session/list", both).await, "E008002");
    world.ok("POST", "/user/lock", json!({"ust": world.root, "user_id": id})).await;
    assert_eq!(world.refused("GET", "/user", json!({"ust": ust})).await, "E005002");
    assert_eq!(world.ok("POST", "/user/session", verify.clone()).await["is_valid"], false);
    world.ok("DELETE", "/user/lock", json!({"ust": world.root, "user_id": id})).await;
    world.ok("POST", "/user/logout", json!({"ust": ust})).await;
    world.ok("POST", "/user/logout", json!({"ust": ust})).await;
    assert_eq!(world.refused("GET", "/user", json!({"ust": ust})).await, "E007001");
    world.ok("DELETE", "/user", json!({"ust": world.root, "user_id": id})).await;
    assert_eq!(
        world.refused("DELETE", "/user", json!({"ust": world.root, "user_id": id})).await,
        "E008001"
    );
    assert_eq!(
        world
            .refused("POST", "/user/login", json!({"username": "joe", "password": PASSWORD}))
            .await,
        "E005001"
    );
}

#[tokio::test]
async fn searching_and_attributes_look_as_clients_expect() {
    let world = World::start().await;
    for number in 0..3 {
        world.create(&format!("user{number}")).await;
    }
    let found = world.ok("GET", "/user/search", json!({"ust": world.root, "page_size": 2})).await;
    for (key, value) in [
        ("total", json!(4)),
        ("num_pages", json!(2)),
        ("page_size", json!(2)),
        ("cur_page", json!(1)),
        ("has_next_page", json!(true)),
        ("has_prev_page", json!(false)),
        ("next_page", json!(2)),
        ("prev_page", json!(0)),
    ] {
        assert_eq!(found[key], value, "{key}");
    }
    let last = world
        .ok("GET", "/user/search", json!({"ust": world.root, "page_size": 2, "cur_page": "2"}))
        .await;
    assert_eq!((&last["next_page"], &last["has_next_page"]), (&Value::Null, &json!(false)));
    let row = &found["result"][0];
    for key in [
        "username",
        "user_id",
        "email",
        "rate_limit_def",
        "totp_key",
        "is_current_super_user",
        "status",
        "sign_up_time",
    ] {
        assert!(row.as_object().unwrap().contains_key(key), "{key} of {row}");
    }
    assert_eq!(
        world.refused("GET", "/user/search", json!({"ust": world.login("user0").await})).await,
        "E005001"
    );
    // One attribute, several, and those of a session.
    let ust = world.login("user1").await;
    let with = |more: Value| {
        let mut body = json!({"ust": ust});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    world.ok("POST", "/user/attr", with(json!({"name": "a", "value": "1", "encrypt": true}))).await;
    assert_eq!(
        world.refused("POST", "/user/attr", with(json!({"name": "a", "value": "2"}))).await,
        "E009001"
    );
    let data = json!([{"name": "b", "value": {"deep": [1, null]}}, {"name": "c", "value": 5, "expiration": 1000}]);
    world.ok("POST", "/user/attr", with(json!({ "data": data }))).await;
    let got = world.ok("GET", "/user/attr", with(json!({"name": "a"}))).await;
    assert_eq!(
        (&got["found"], &got["value"], &got["is_encrypted"]),
        (&json!(true), &json!("1"), &json!(true))
    );
    assert_eq!(got["expiration_time"], "9999-12-31T00:00:00");
    let got = world.ok("GET", "/user/attr", with(json!({"data": ["b", "none"]}))).await;
    assert_eq!(
        (&got["result"]["b"]["value"]["deep"][0], &got["result"]["none"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(world.ok("GET", "/user/attr", with(json!({"name": "none"}))).await["found"], false);
    let exists = world.ok("GET", "/user/attr/exists", with(json!({"data": ["a", "none"]}))).await;
    assert_eq!(exists["result"], json!({"a": true, "none": false}));
    assert_eq!(
        world.ok("GET", "/user/attr/exists", with(json!({"name": "a"}))).await["result"],
        true
    );
    world.ok("PUT", "/user/attr", with(json!({"name": "a", "value": "3"}))).await;
    world.ok("PATCH", "/user/attr", with(json!({"name": "b", "value": "4"}))).await;
    assert_eq!(
        world.refused("PATCH", "/user/attr", with(json!({"name": "none", "value": "4"}))).await,
        "E009002"
    );
    world.ok("DELETE", "/user/attr", with(json!({"data": ["b", "none"]}))).await;
    assert_eq!(
        world.ok("GET", "/user/attr/names", with(json!({}))).await["result"],
        json!(["a", "c"])
    );
    assert_eq!(world.refused("GET", "/user/attr", with(json!({}))).await, "E008002");
    let of_session = json!({"current_ust": world.root, "target_ust": ust, "name": "a", "value": "of the session"});
    world.ok("POST", "/session/attr", of_session.clone()).await;
    assert_eq!(world.ok("GET", "/session/attr", of_session).await["value"], "of the session");
}

/// Section 9, 2 and 4: every body has its id, and a list of codes when it is no success.
#[tokio::test]
async fn inv_02_and_04_every_answer_has_the_envelope() {
    let world = World::start().await;
    let mut ids = std::collections::HashSet::new();
    for endpoint in ENDPOINTS {
        let path = endpoint.path.strip_prefix("/zato/sso").unwrap();
        for body in [
            json!({}),
            json!({"current_app": "CRM"}),
            json!({"current_app": "Other"}),
            json!([1]),
            json!("x"),
        ] {
            let answer = world.send(endpoint.method, path, &body).await;
            let json = answer.json();
            let cid = json["cid"].as_str().unwrap_or_else(|| panic!("{path} {json}"));
            assert!(cid.len() == 24 && ids.insert(cid.to_owned()), "{json}");
            assert_eq!(answer.header("x-zato-cid"), cid);
            match answer.status {
                400 => {
                    assert!(json["result"] == "Error" && json["details"] == "Bad request", "{json}")
                }
                200 | 403 if json["status"] == "error" => {
                    assert_eq!(json["sub_status"].as_array().unwrap().len(), 1, "{json}")
                }
                200 => assert_eq!(json["status"], "ok", "{json}"),
                _ => panic!("{} {path} {body}: {answer:?}", endpoint.method),
            }
        }
    }
    // An unknown application is told as a success of HTTP.
    let unknown = json!({"current_app": "Other", "username": "root", "password": PASSWORD});
    let answer = world.send("POST", "/user/login", &unknown).await;
    assert_eq!((answer.status, &answer.json()["sub_status"]), (200, &json!(["E004001"])));
    let missing =
        world.send("POST", "/user/login", &json!({"current_app": "CRM", "username": "root"})).await;
    assert!(missing.status == 400 && missing.json().get("ust").is_none(), "{missing:?}");
    for empty in ["", "null"] {
        let password = if empty.is_empty() { json!("") } else { Value::Null };
        assert_eq!(
            world
                .refused("POST", "/user/login", json!({"username": "root", "password": password}))
                .await,
            "E005001"
        );
    }
}

/// Section 9, 57.
#[tokio::test]
async fn inv_57_verbs_bodies_and_queries() {
    let world = World::start().await;
    let paths: std::collections::BTreeSet<_> = ENDPOINTS.iter().map(|it| it.path).collect();
    for path in paths {
        let own: Vec<_> =
            ENDPOINTS.iter().filter(|it| it.path == path).map(|it| it.method).collect();
        let short = path.strip_prefix("/zato/sso").unwrap();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let body =
                json!({"ust": "x", "current_ust": "x", "current_app": "CRM", "user_id": "zusr1"});
            let status = world.send(method, short, &body).await.status;
            assert_eq!(status == 405, !own.contains(&method), "{method} {path}: {status}");
        }
    }
    // A query, a body on GET, or both.
    let address = world.server.address();
    let encoded = world.root.replace('=', "%3D");
    let query = format!("/zato/sso/user?ust={encoded}&current_app=CRM");
    assert_eq!(request(address, "GET", &query, &[], "").await.json()["username"], "root");
    let half = format!("/zato/sso/user?ust={encoded}");
    assert_eq!(
        request(address, "GET", &half, &[], r#"{"current_app": "CRM", "is_approved": true}"#)
            .await
            .json()["status"],
        "ok"
    );
    // A bearer instead of a field.
    let bearer = format!("Bearer {}", world.root);
    let headers = [("Authorization", &*bearer)];
    let answer = request(address, "GET", "/zato/sso/user?current_app=CRM", &headers, "").await;
    assert_eq!(answer.json()["username"], "root");
    // Booleans as words, numbers as texts.
    let create = json!({"ust": world.root, "username": 5, "password": PASSWORD, "auto_approve": "True", "is_locked": "off"});
    assert_eq!(world.ok("POST", "/user", create).await["username"], "5");
    for (body, status) in [
        (r#"{"current_app": "CRM", "current_app": "CRM"}"#.to_owned(), 400),
        ("{".to_owned(), 400),
        (format!("{}{}", "[".repeat(200), "]".repeat(200)), 400),
        (format!(r#"{{"current_app": "CRM", "ust": "{}"}}"#, "x".repeat(70_000)), 413),
        (r#"{"current_app": "CRM", "ust": ["x"]}"#.to_owned(), 400),
    ] {
        let answer = request(address, "GET", "/zato/sso/user", &[], &body).await;
        assert_eq!(answer.status, status, "{body:.80} {answer:?}");
    }
    // Section 9, 36: whatever is sent as a token is refused, and no more.
    for token in [
        "",
        "x",
        "zust0123456789abcdefghjkmnpq",
        world.root.get(..60).unwrap(),
        &format!("{}A", world.root),
        &"g".repeat(60_000),
    ] {
        assert_eq!(
            world.refused("GET", "/user", json!({ "ust": token })).await,
            "E007001",
            "{token:.40}"
        );
    }
    assert_eq!(world.refused("GET", "/user", json!({"ust": "żółć \u{0}"})).await, "E007001");
}

#[tokio::test]
async fn pages_of_listed_origins_may_call() {
    let mails = tempfile::tempdir().unwrap();
    let settings = super::settings(mails.path(), "")
        .replace("[sso]\n", "[sso]\ncors_origins = ['https://app.example.com']\n");
    let server = Server::setup().settings(&settings).start();
    let preflight = async |origin: &str, path: &str, method: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", "content-type"),
        ];
        request(server.address(), "OPTIONS", path, &headers, "").await
    };
    let allowed = preflight("https://app.example.com", "/zato/sso/user/login", "POST").await;
    assert_eq!(
        (allowed.status, allowed.header("access-control-allow-origin")),
        (204, "https://app.example.com")
    );
    assert_eq!(
        preflight("https://evil.example.com", "/zato/sso/user/login", "POST").await.status,
        403
    );
    assert_eq!(
        preflight("https://app.example.com", "/zato/sso/user/login", "DELETE").await.status,
        403
    );
    let headers = [("Origin", "https://app.example.com")];
    let body = r#"{"current_app": "CRM", "username": "x", "password": "y"}"#;
    let answer = request(server.address(), "POST", "/zato/sso/user/login", &headers, body).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (403, "https://app.example.com")
    );
}

/// Section 9, 34: an address that somebody claims to have is nothing.
#[tokio::test]
async fn inv_34_a_forwarded_address_counts_from_trusted_proxies_only() {
    let login =
        r#"{"current_app": "CRM", "username": "root", "password": "correct horse battery staple"}"#;
    let more = "[sso.user_address_list]\nroot = ['203.0.113.7']\njoe = ['*']\n";
    for (is_trusted, status) in [(false, 403), (true, 200)] {
        let mails = tempfile::tempdir().unwrap();
        let proxies = if is_trusted { "trusted_proxies = ['127.0.0.1']\n" } else { "" };
        let server = Server::setup()
            .settings(&format!("{proxies}{}", super::settings(mails.path(), more)))
            .start();
        let create = ["sso", "create-super-user", "root", "--password-stdin"];
        assert_eq!(
            crate::cli::passwords::with_stdin(&server, &create, &format!("{PASSWORD}\n"))
                .await
                .code,
            0
        );
        let headers = [("X-Forwarded-For", "203.0.113.7")];
        let answer =
            request(server.address(), "POST", "/zato/sso/user/login", &headers, login).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(
            request(server.address(), "POST", "/zato/sso/user/login", &[], login).await.status,
            403
        );
    }
}
