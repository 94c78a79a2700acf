//! Pages in a browser: no header of an answer lets one read it, and none can send what matters.

use spanwire_tests::Server;
use spanwire_tests::http::{Answer, request};

use crate::api::{OBJECTS, call, problem, refusal, revision, send};

/// Nothing by which a browser would let a page of another origin see an answer, or keep a login.
fn is_closed(answer: &Answer) {
    for (name, value) in &answer.headers {
        assert!(!name.starts_with("access-control-"), "{name}: {value}");
        assert!(
            !matches!(&**name, "set-cookie" | "timing-allow-origin" | "location"),
            "{name}: {value}"
        );
    }
    assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
}

const ORIGINS: [&str; 6] = [
    "https://evil.example",
    "null",
    "file://",
    "http://127.0.0.1",
    "http://localhost:8183",
    "chrome-extension://abcdefghijklmnop",
];

#[tokio::test]
async fn preflights_are_refused() {
    let server = Server::setup().objects(OBJECTS).start();
    for origin in ORIGINS {
        for (path, method) in [
            ("/api/v1/server", "GET"),
            ("/api/v1/objects/security", "POST"),
            ("/api/v1/objects/security/app1", "DELETE"),
            ("/api/v1/import", "POST"),
            ("/api/v1/events", "GET"),
            ("/metrics", "GET"),
        ] {
            let headers = [
                ("Origin", origin),
                ("Access-Control-Request-Method", method),
                ("Access-Control-Request-Headers", "authorization,content-type"),
                ("Access-Control-Request-Private-Network", "true"),
            ];
            let answer = request(server.admin_address(), "OPTIONS", path, &headers, "").await;
            problem(&answer, if path.starts_with("/api") { 401 } else { 405 });
            is_closed(&answer);
            // Browsers send no token with it; even with one nothing would be allowed.
            let answer = call(&server, "OPTIONS", path, &headers, "").await;
            problem(&answer, 405);
            is_closed(&answer);
        }
    }
}

#[tokio::test]
async fn a_page_reads_nothing_and_changes_nothing() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    for origin in ORIGINS {
        // What a form or an image of a page can send without being asked.
        let headers = [
            ("Origin", origin),
            ("Referer", "https://evil.example/"),
            ("Cookie", "token=x"),
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Mode", "no-cors"),
        ];
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
        {
            let headers = [&headers[..], &[("Content-Type", kind)]].concat();
            for path in [
                "/api/v1/settings/reload",
                "/api/v1/secret-key/rotate",
                "/api/v1/import",
                "/api/v1/history/1/revert",
            ] {
                let answer = request(server.admin_address(), "POST", path, &headers, "{}").await;
                problem(&answer, 401);
                is_closed(&answer);
            }
        }
        // And answers with the token, or those that need none, are for nobody else either.
        for path in [
            "/api/v1/server",
            "/api/v1/objects/security",
            "/api/v1/export",
            "/metrics",
            "/livez",
            "/readyz",
        ] {
            let answer = call(&server, "GET", path, &headers, "").await;
            assert_eq!(answer.status, 200, "{answer:?}");
            is_closed(&answer);
        }
    }
    assert_eq!(revision(&server).await, before);
}

/// A name of the attacker that points to this machine: the page is of the same origin then, and still has no token.
#[tokio::test]
async fn another_name_of_the_host_opens_nothing() {
    let server = Server::setup().objects(OBJECTS).start();
    for host in [
        "evil.example",
        "evil.example:8183",
        "127.0.0.1@evil.example",
        "[::1]",
        "x\", \"y",
        "localhost.",
    ] {
        let head = format!(
            "GET /api/v1/server HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: close\r\n\r\n"
        );
        let answer = send(&server, &head, b"").await;
        assert!(matches!(answer.status, 400 | 401), "{host}: {answer:?}");
        assert!(!answer.body.contains("evil"), "{answer:?}");
        // The host is never used for a link either.
        let head = format!(
            "GET /api/v1/services?limit=1 HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\n\
             X-Original-URL: /api/v1/import\r\nX-Rewrite-URL: /api/v1/import\r\nConnection: close\r\n{{token}}\r\n\r\n"
        );
        let answer = send(&server, &head, b"").await;
        if answer.status == 200 {
            assert!(answer.header("link").starts_with("</api/v1/services?"), "{answer:?}");
            assert!(!answer.body.contains("evil"), "{answer:?}");
        } else {
            assert_eq!(answer.status, 400, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn the_api_is_no_web_socket() {
    let server = Server::setup().objects(OBJECTS).start();
    for path in ["/api/v1/events", "/api/v1/server", "/ws/crm", "/"] {
        let headers = [
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Origin", "https://evil.example"),
        ];
        let answer = request(server.admin_address(), "GET", path, &headers, "").await;
        refusal(&answer);
        is_closed(&answer);
    }
}
