//! What nobody means well with: every answer is a clear refusal.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use crate::client::{World, request};

#[tokio::test]
async fn odd_bodies_are_refused() {
    let world = World::with_channel().await;
    let many =
        format!("{{{}}}", (0..5_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(","));
    let deep = format!("{{\"labels\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(1024 * 1024));
    let long = format!("{{\"{}\":1}}", "k".repeat(10_000));
    let cases: [(&[u8], u16); 22] = [
        (b"", 400),
        (b"   ", 400),
        (b"{", 400),
        (b"{}{}", 400),
        (b"nope", 400),
        (b"\xff\xfe", 400),
        (b"{\"name\": \"\xff\"}", 400),
        (b"{\"name\": \"\\ud800\"}", 400),
        (b"{\"name\": \"a\", \"name\": \"b\"}", 400),
        (b"{\"token_ttl\": 1e999}", 400),
        (b"{\"token_ttl\": NaN}", 400),
        (b"{\"$serde_json::private::RawValue\": \"{}\"}", 400),
        (b"null", 422),
        (b"[]", 422),
        (b"\"text\"", 422),
        (b"{\"token_ttl\": 99999999999999999999999999}", 422),
        (b"{\"token_ttl\": -1}", 422),
        (b"{\"token_ttl\": {\"$gt\": 0}}", 422),
        (deep.as_bytes(), 400),
        (many.as_bytes(), 422),
        (long.as_bytes(), 422),
        (large.as_bytes(), 413),
    ];
    for (body, status) in cases {
        for (method, path) in [
            (Method::POST, "/objects/web_socket"),
            (Method::PUT, "/objects/web_socket/crm"),
            (Method::PATCH, "/objects/web_socket/crm"),
        ] {
            let refused = world.send_text(method.clone(), path, body).await.expect(status);
            let start = String::from_utf8_lossy(&body[..body.len().min(50)]).into_owned();
            refused.problem();
            assert!(!refused.text.contains(&"k".repeat(100)), "{method} {start}");
        }
    }
    assert_eq!(world.fake.revision(), 3);
}

#[tokio::test]
async fn bodies_of_another_type_are_refused() {
    let world = World::with_channel().await;
    for content_type in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/yaml",
        "application/json; charset=utf-16",
        "application/merge-patch+json",
    ] {
        let headers = [("content-type", content_type)];
        let body = Some(json!({"services_allowed": []}));
        let path = "/objects/wsx_gateway/gate";
        world.send(Method::PUT, path, &headers, body).await.expect(415).problem();
    }
    let sent = request(Method::POST, "/api/v1/objects/wsx_gateway")
        .header("authorization", "Bearer right-token");
    world.raw(sent.body(Body::from("{}")).unwrap()).await.expect(415).problem();
    let body = Some(json!({"name": "x"}));
    let path = "/objects/wsx_gateway";
    for packed in [("content-encoding", "gzip"), ("transfer-encoding", "gzip, chunked")] {
        world.send(Method::POST, path, &[packed], body.clone()).await.expect(415).problem();
    }
    let chunked = [("transfer-encoding", "Chunked")];
    world.send(Method::POST, path, &chunked, body).await.expect(201);
}

#[tokio::test]
async fn an_announced_size_is_believed_when_it_is_too_large() {
    let world = World::new();
    let sent = request(Method::POST, "/api/v1/objects/wsx_gateway")
        .header("authorization", "Bearer right-token")
        .header("content-type", "application/json")
        .header("content-length", "99999999");
    world.raw(sent.body(Body::from("{}")).unwrap()).await.expect(413).problem();
}

#[tokio::test]
async fn odd_paths_are_not_found() {
    let world = World::with_channel().await;
    for (path, status) in [
        ("", 404),
        ("/", 404),
        ("/none", 404),
        ("/objects", 404),
        ("/objects/", 404),
        ("/objects/none", 404),
        ("/objects/def_sec", 404),
        ("/objects/Security", 404),
        ("/objects/security/", 404),
        ("/objects/security/app1/", 404),
        ("/objects/security/app1/secrets", 404),
        ("/objects/security/..%2f..%2fweb_socket%2fcrm", 404),
        ("/objects/security/../web_socket/crm", 404),
        ("/objects//security", 404),
        ("/objects/security/app1%00", 404),
        ("/objects/security/%61pp1", 200),
        ("/objects/%73ecurity/app1", 200),
        ("/objects/security/%ff", 400),
        ("/objects/security/%c0%ae%c0%ae", 400),
        ("/objects/%ff", 400),
        ("/settings/%ff", 400),
        ("/history/%ff", 400),
        ("/connections/%00%0a", 404),
    ] {
        let answer = world.get(path).await.expect(status);
        if status != 200 {
            answer.problem();
        }
    }
    let long = "x".repeat(5_000);
    let missing = world.get(&format!("/objects/security/{long}")).await.expect(404).problem();
    assert!(missing.len() < 400 && missing.contains(&"x".repeat(80)), "{missing}");
    let control = world.get("/objects/security/a%1b%5b31m%0d%0ab").await.expect(404).problem();
    assert!(!control.contains("\\u001b") && !control.contains("\\r"), "{control}");
}

#[tokio::test]
async fn names_that_are_none_are_refused() {
    let world = World::new();
    for name in ["%00", "a%0Ab", &"x".repeat(201), "%20", "%7F"] {
        let body = json!({"services_allowed": []});
        let path = format!("/objects/wsx_gateway/{name}");
        let status = world.put(&path, body).await.status.as_u16();
        assert!(matches!(status, 404 | 422), "{name}: {status}");
    }
    assert_eq!(world.fake.revision(), 0);
}

#[tokio::test]
async fn other_methods_are_refused_with_those_that_are_not() {
    let world = World::new();
    for (method, path, allow) in [
        ("DELETE", "/server", "GET,HEAD"),
        ("PUT", "/objects/security", "GET,HEAD,POST"),
        ("OPTIONS", "/objects/security/app1", "DELETE,GET,HEAD,PATCH,PUT"),
        ("GET", "/import", "POST"),
        ("TRACE", "/history", "GET,HEAD"),
        ("X-ODD", "/events", "GET,HEAD"),
        ("GET", "/connections/disconnect", "POST"),
        ("PATCH", "/connections/x", "DELETE,GET,HEAD"),
    ] {
        let refused = world.send(method.parse().unwrap(), path, &[], None).await.expect(405);
        let mut methods: Vec<_> = refused.header("allow").unwrap().split(',').collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allow, "{method} {path}");
        refused.problem();
    }
    let head = world.send(Method::HEAD, "/server", &[], None).await.expect(200);
    assert_eq!(head.text, "");
}

#[tokio::test]
async fn odd_headers_change_nothing() {
    let world = World::new();
    let long = "x".repeat(5_000);
    for (number, value) in ["\u{e4}", "a\tb", "", &long, "{{7*7}}"].into_iter().enumerate() {
        let headers = [
            ("x-spanwire-user", value),
            ("user-agent", value),
            ("x-http-method-override", "DELETE"),
            ("x-forwarded-for", "1.2.3.4"),
            ("accept", value),
        ];
        let body = Some(json!({"name": format!("n{number}")}));
        world.send(Method::POST, "/objects/wsx_gateway", &headers, body).await.expect(201);
        let last = world.get(&format!("/history/{}", number + 1)).await.json;
        let expected = match number {
            4 => ("admin ({{7*7}})", "127.0.0.1:5000, {{7*7}}"),
            _ => ("admin", "127.0.0.1:5000"),
        };
        assert_eq!((last["who"].as_str().unwrap(), last["from"].as_str().unwrap()), expected);
    }
    for reason in ["a%0Ab", &"x".repeat(501)] {
        let path = format!("/objects/wsx_gateway?reason={reason}");
        world.post(&path, json!({"name": "x"})).await.expect(400).problem();
    }
}

#[tokio::test]
async fn unknown_query_keys_are_refused_everywhere() {
    let world = World::with_channel().await;
    let paths = crate::client::DOCUMENT["paths"].as_object().unwrap();
    for (path, item) in paths.iter().filter(|(path, _)| path.starts_with("/api/v1")) {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = path.replace("{kind}", "security").replace("{revision}", "1");
            let path = path.replace(['{', '}'], "");
            let path = format!("{}?unheard-of=1", path.strip_prefix("/api/v1").unwrap());
            let refused = world.send(method.clone(), &path, &[], Some(json!({}))).await;
            let text = refused.expect(400).problem();
            assert!(text.contains("unknown query key 'unheard-of'"), "{method} {path}: {text}");
        }
    }
}
