//! Headers, queries and methods: conditions that are none, names that are none, keys that nobody knows.

use serde_json::json;
use spanwire_tests::Server;
use spanwire_tests::http::admin;

use crate::api::{OBJECTS, assert_calm, call, problem, refusal, revision, send};
use crate::live::ok;

const CRM: &str = "/api/v1/objects/web_socket/crm";

#[tokio::test]
async fn conditions_that_are_none_are_refused() {
    let server = Server::setup().objects(OBJECTS).start();
    let long = format!("\"{}\"", "9".repeat(10_000));
    let many = "\"7\",".repeat(2_000) + "\"7\"";
    let table = [
        ("", 400),
        ("1", 400),
        ("\"1", 400),
        ("1\"", 400),
        ("'1'", 400),
        ("\"1\" \"2\"", 400),
        ("\"1\",", 400),
        (",\"1\"", 400),
        ("*, \"1\"", 400),
        ("\"1\", *", 400),
        ("**", 400),
        ("w/\"1\"", 400),
        ("\"a b\"", 400),
        ("\u{e4}", 400),
        ("W/\"1\"", 412),
        ("\"0\"", 412),
        ("\"01\"", 412),
        ("\"-1\"", 412),
        ("\"1.0\"", 412),
        ("\"18446744073709551617\"", 412),
        ("\"\"", 412),
        (&long, 412),
        (&many, 412),
    ];
    for (value, status) in table {
        for (method, body) in [("PATCH", "{\"max_in_flight\": 9}"), ("DELETE", "")] {
            let answer = call(&server, method, CRM, &[("If-Match", value)], body).await;
            problem(&answer, status);
            assert!(answer.body.len() < 400, "{answer:?}");
        }
        let put = call(&server, "PUT", CRM, &[("If-Match", value)], "{\"name\": \"crm\"}").await;
        problem(&put, status);
    }
    let body = "{\"max_in_flight\": 9}";
    for two in [["\"1\"", "*"], ["*", "*"], ["\"1\"", "x"]] {
        let headers = two.map(|value| ("If-Match", value));
        problem(&call(&server, "PATCH", CRM, &headers, body).await, 400);
    }
    // Two lines are one list.
    let headers = [("If-Match", "\"5\""), ("If-Match", "\"6\"")];
    problem(&call(&server, "PATCH", CRM, &headers, body).await, 412);
    for (value, status) in [("*", 412), ("\"1\"", 412), ("x", 400)] {
        let headers = [("If-None-Match", value)];
        problem(&call(&server, "PATCH", CRM, &headers, body).await, status);
    }
    let object = ok(admin(&server, "GET", CRM, "").await);
    assert_eq!((&object["meta"]["version"], &object["max_in_flight"]), (&json!(1), &json!(64)));
}

#[tokio::test]
async fn who_and_why_are_plain_or_not_told() {
    let server = Server::setup().objects(OBJECTS).start();
    let long = "x".repeat(65);
    // As a header has it, and what the history says.
    let users = [
        ("ada".to_owned(), "admin (ada)"),
        (" ada ".to_owned(), "admin (ada)"),
        ("ada\nX-Other: b".to_owned(), "admin (ada)"),
        ("ada\tlovelace".to_owned(), "admin"),
        ("\u{e4}da".to_owned(), "admin"),
        ("ada\u{1f600}".to_owned(), "admin"),
        (long, "admin"),
        (String::new(), "admin"),
        ("<script>alert(1)</script>".to_owned(), "admin (<script>alert(1)</script>)"),
        ("admin) (root".to_owned(), "admin (admin) (root)"),
    ];
    for (number, (user, who)) in users.into_iter().enumerate() {
        let head = format!(
            "PATCH /api/v1/objects/security/app1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{{token}}\r\n\
             Content-Type: application/json\r\nX-Spanwire-User: {user}\r\n"
        );
        let body = json!({"realm": format!("r{number}")}).to_string();
        let answer =
            send(&server, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()), b"")
                .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let last = ok(admin(&server, "GET", "/api/v1/history?limit=1", "").await);
        assert_eq!(last[0]["who"], who, "{user}: {last}");
        let log = server.log();
        assert!(!log.contains("lovelace") && !log.contains('\u{1f600}'), "{user}");
    }
    let before = revision(&server).await;
    let huge = "x".repeat(501);
    let larger = "x".repeat(20_000);
    for reason in
        ["a%0ab", "a%0d%0aSet-Cookie:x", "%00", "%1b%5b2J", "%c2%85", "%ff", &*huge, &*larger]
    {
        let path = format!("/api/v1/objects/security/app1?reason={reason}");
        let answer = call(&server, "PATCH", &path, &[], "{\"realm\": \"x\"}").await;
        problem(&answer, 400);
        assert!(answer.body.len() < 400, "{answer:?}");
    }
    assert_eq!(revision(&server).await, before);
}

#[tokio::test]
async fn keys_of_queries_that_nobody_knows_are_refused() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    let many = (0..101).map(|n| format!("attr.k{n}=1")).collect::<Vec<_>>().join("&");
    let long = format!("{}=1", "k".repeat(10_000));
    let queries = [
        "limit=1&limit=2",
        "limit=1&l%69mit=2",
        "limit=0",
        "limit=-1",
        "limit=+1",
        "limit=1e3",
        "limit=1.0",
        "limit=10001",
        "limit=18446744073709551616",
        "limit=",
        "limit=%31%00",
        "offset=-1",
        "offset=99999999999",
        "limit[]=1",
        "limit[$gt]=1",
        "Limit=1",
        "%00=1",
        "%ff=1",
        "x=%c0%ae",
        "__proto__=1",
        "token=x",
        "fields=password",
        "callback=alert",
        "=1",
        &*long,
    ];
    for query in queries {
        for path in ["objects/security", "services", "connections", "connection-history"] {
            let answer = admin(&server, "GET", &format!("/api/v1/{path}?{query}"), "").await;
            problem(&answer, 400);
            assert!(answer.body.len() < 900, "{answer:?}");
        }
    }
    problem(&admin(&server, "GET", &format!("/api/v1/connections?{many}"), "").await, 400);
    for query in [
        "dry_run=1",
        "dry_run=TRUE",
        "dry_run",
        "dry_run=true&dry_run=false",
        "dry-run=true",
        "dryRun=true",
    ] {
        for (method, path, body) in [
            ("PATCH", CRM, "{\"max_in_flight\": 9}"),
            ("DELETE", CRM, ""),
            ("POST", "/api/v1/history/1/revert", ""),
            ("POST", "/api/v1/import", "{\"roots\": [], \"files\": []}"),
        ] {
            problem(&call(&server, method, &format!("{path}?{query}"), &[], body).await, 400);
        }
    }
    assert_eq!(revision(&server).await, before);
}

#[tokio::test]
async fn other_methods_are_refused_with_those_that_are_not() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    let document = ok(admin(&server, "GET", "/api/v1/openapi.json", "").await);
    let methods =
        ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "X-ODD", "get"];
    for (path, item) in document["paths"].as_object().unwrap() {
        let known: Vec<_> = item.as_object().unwrap().keys().map(|it| it.to_uppercase()).collect();
        let path = path.replace("{kind}", "security").replace(['{', '}'], "");
        for method in methods.into_iter().filter(|method| !known.iter().any(|it| it == method)) {
            let token = "TRACED-7f3a";
            let answer = call(&server, method, &path, &[("X-Trace", token)], "").await;
            assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
            let mut allowed: Vec<_> =
                answer.header("allow").split(',').filter(|it| *it != "HEAD").collect();
            allowed.sort_unstable();
            let mut known = known.clone();
            known.sort_unstable();
            assert_eq!(allowed, known, "{method} {path}: {answer:?}");
            problem(&answer, 405);
            assert!(!answer.body.contains(token), "{answer:?}");
        }
        // What a proxy or a framework might take for the method is none.
        if known == ["GET"] && path != "/api/v1/events" {
            for header in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
                let answer = call(&server, "GET", &path, &[(header, "DELETE")], "").await;
                assert!(matches!(answer.status, 200 | 400 | 404), "{path}: {answer:?}");
            }
        }
    }
    refusal(&call(&server, "CONNECT", "evil.example:80", &[], "").await);
    assert_eq!(revision(&server).await, before);
    assert_calm(&server);
}
