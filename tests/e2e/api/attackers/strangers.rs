//! Without the token: 401 to everything of the document, and nothing else is told.

use spanwire_tests::Server;
use spanwire_tests::http::{Answer, admin, request};

use crate::api::{OBJECTS, problem, revision, send};
use crate::live::ok;

/// Every path and method of the document that needs the token.
async fn guarded(server: &Server) -> Vec<(String, String)> {
    let document = ok(admin(server, "GET", "/api/v1/openapi.json", "").await);
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_public = operation["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(is_public, !path.starts_with("/api/"), "{method} {path}");
            if !is_public {
                let path = path.replace("{kind}", "security").replace("{name}", "app1");
                all.push((
                    method.to_uppercase(),
                    path.replace("{revision}", "1").replace(['{', '}'], ""),
                ));
            }
        }
    }
    assert!(all.len() > 80, "{all:?}");
    all
}

async fn refused(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let answer = request(server.admin_address(), method, path, headers, body).await;
    problem(&answer, 401);
    assert_eq!(answer.header("www-authenticate"), "Bearer", "{answer:?}");
    answer
}

#[tokio::test]
async fn every_path_of_the_document_answers_401_and_nothing_else() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    let mut bodies = Vec::new();
    for (method, path) in guarded(&server).await {
        // Whatever else is wrong with a request, nobody without the token learns of it.
        for (headers, query, body) in [
            (&[][..], "", ""),
            (&[("Content-Type", "text/plain"), ("If-Match", "x")], "", "{"),
            (&[("Content-Length", "99999999999")], "", ""),
            (&[("Authorization", "Bearer ")], "?unheard-of=1", "{}"),
            (&[("Authorization", "Bearer admin"), ("X-Forwarded-For", "127.0.0.1")], "", ""),
        ] {
            let answer = refused(&server, &method, &format!("{path}{query}"), headers, body).await;
            bodies.push(answer.body);
        }
    }
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    // What is not there, and methods that are not there, look the same.
    for (method, path) in [
        ("GET", "/api/v1/objects/security/nobody"),
        ("GET", "/api/v1/objects/nothing"),
        ("GET", "/api/v1/nothing"),
        ("GET", "/api"),
        ("DELETE", "/api/v1/server"),
        ("OPTIONS", "/api/v1/server"),
        ("TRACE", "/api/v1/server"),
        ("HEAD", "/api/v1/server"),
    ] {
        let answer = request(server.admin_address(), method, path, &[], "").await;
        assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
        assert_eq!(answer.body, if method == "HEAD" { "" } else { &bodies[0] });
    }
    assert_eq!(revision(&server).await, before);
}

#[tokio::test]
async fn only_the_header_has_the_token() {
    let server = Server::setup().objects(OBJECTS).start();
    let token = server.admin_token();
    let bearer = format!("Bearer {token}");
    let basic = spanwire_tests::http::basic("admin", &token);
    let (cookie, twice) =
        (format!("token={token}; session={token}"), format!("Bearer {token}, Bearer {token}"));
    let table: [&[(&str, &str)]; 12] = [
        &[("Authorization", &token)],
        &[("Authorization", &basic)],
        &[("Authorization", &twice)],
        &[("Authorization", &bearer), ("Authorization", &bearer)],
        &[("Authorization", &bearer), ("Authorization", "Bearer x")],
        &[("Proxy-Authorization", &bearer)],
        &[("X-Authorization", &bearer)],
        &[("X-API-Key", &token)],
        &[("X-Auth-Token", &token)],
        &[("Cookie", &cookie)],
        &[("Sec-WebSocket-Protocol", &bearer)],
        &[("Referer", &bearer)],
    ];
    for headers in table {
        let answer = refused(&server, "GET", "/api/v1/server", headers, "").await;
        assert!(!answer.body.contains(&token), "{answer:?}");
    }
    for query in ["token", "access_token", "api_key", "authorization", "key"] {
        for path in ["/api/v1/server", "/api/v1/events", "/api/v1/export"] {
            refused(&server, "GET", &format!("{path}?{query}={token}"), &[], "").await;
        }
    }
    let url = format!(
        "GET http://admin:{token}@x/api/v1/server HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    assert!(matches!(send(&server, &url, b"").await.status, 400 | 401));
    // Whatever case the scheme has, and nothing but the token itself.
    for (value, status) in [
        (format!("bearer {token}"), 200),
        (format!("BEARER  {token} "), 200),
        (format!("Bearer {}", token.to_uppercase()), 401),
        (format!("Bearer {token}\u{e4}"), 401),
        (format!("Bearer {token}%00"), 401),
        (format!("Bearer {}", token.split_at(1).1), 401),
        (format!("Bearer {}", "x".repeat(30_000)), 401),
        ("Bearer *".to_owned(), 401),
        ("Bearer null".to_owned(), 401),
    ] {
        let answer = request(
            server.admin_address(),
            "GET",
            "/api/v1/server",
            &[("Authorization", &value)],
            "",
        )
        .await;
        assert_eq!(answer.status, status, "{value:.60}: {answer:?}");
    }
    // Tokens that were tried are not kept anywhere, and the right one is not either.
    let log = server.log();
    assert!(!log.contains(&token) && !log.contains(token.split_at(1).1), "the log has the token");
    let metrics = request(server.admin_address(), "GET", "/metrics", &[], "").await.body;
    assert!(metrics.contains("spanwire_refusals_total{reason=\"admin-token\"}"), "{metrics}");
    assert!(!metrics.contains(&token));
}

/// Who works on the machine as somebody else does not get at the token or the store.
#[tokio::test]
async fn what_the_server_keeps_is_for_its_own_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::setup().objects(OBJECTS).start();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.data()), 0o700);
    for file in ["admin.token", "secret.key"] {
        assert_eq!(mode(&server.data().join(file)), 0o600, "{file}");
    }
}
