//! Paths: a segment is a name and nothing else, whatever it is made of.

use spanwire_tests::Server;
use spanwire_tests::http::admin;

use crate::api::{KINDS, OBJECTS, assert_calm, call, problem, refusal, revision, send};
use crate::live::path;

const REST: &str =
    "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{token}\r\nContent-Type: application/json\r\n";

#[tokio::test]
async fn a_segment_is_a_name_whatever_it_is_made_of() {
    let server = Server::setup().objects(OBJECTS).start();
    let before = revision(&server).await;
    let long = "x".repeat(30_000);
    let encoded = "%C3%A4".repeat(5_000);
    let table = [
        ("%2e%2e", 404),
        ("..", 404),
        (".", 404),
        ("%2e", 404),
        ("%2e%2e%2fweb_socket%2fcrm", 404),
        ("..%2f..%2fserver", 404),
        ("..%5c..%5cserver", 404),
        ("%252e%252e%252fapp1", 404),
        ("app1%00", 404),
        ("app1%2500", 404),
        ("%00", 404),
        ("app1%0d%0aX-Odd:%201", 404),
        ("app1%20", 404),
        ("%61%70%70%32", 404),
        ("app1;jsessionid=1", 404),
        ("app1.json", 404),
        ("APP1", 404),
        ("%c0%ae%c0%ae", 400),
        ("%c0%80", 400),
        ("%e0%80%af", 400),
        ("%f8%80%80%80%af", 400),
        ("%ed%a0%80", 400),
        ("%ff", 400),
        // What is no percent-encoding is text.
        ("%", 404),
        ("%4", 404),
        ("%zz", 404),
        ("%u0061pp1", 404),
        ("app1%", 404),
        (&long, 404),
        (&encoded, 404),
    ];
    for (segment, status) in table {
        let path = format!("/api/v1/objects/security/{segment}");
        problem(&admin(&server, "GET", &path, "").await, status);
        problem(&admin(&server, "DELETE", &path, "").await, status);
        problem(&admin(&server, "PATCH", &path, "{\"realm\": \"x\"}").await, status);
        problem(&admin(&server, "GET", &format!("{path}/history"), "").await, status);
        problem(
            &admin(&server, "POST", &format!("{path}/password"), "{\"password\":\"x\"}").await,
            status,
        );
        for path in ["connections", "settings"] {
            problem(&admin(&server, "GET", &format!("/api/v1/{path}/{segment}"), "").await, status);
        }
        let service = format!("/api/v1/services/{segment}/invoke");
        problem(&admin(&server, "POST", &service, "").await, status);
        // Not a number either.
        problem(&admin(&server, "GET", &format!("/api/v1/history/{segment}"), "").await, 400);
    }
    assert_eq!(revision(&server).await, before);
    // A segment that is encoded without need is the same name.
    assert_eq!(
        admin(&server, "GET", "/api/v1/objects/security/%61%70%70%31", "").await.status,
        200
    );
    for (kind, name) in KINDS {
        assert_eq!(admin(&server, "GET", &path(kind, name), "").await.status, 200, "{name}");
    }
    assert_calm(&server);
}

#[tokio::test]
async fn names_that_are_none_make_no_objects() {
    let server = Server::setup().start();
    let before = revision(&server).await;
    let long = "x".repeat(10_000);
    for name in ["%00", "a%00b", "a%0ab", "%1b%5b31m", "%20", "%7f", "%c2%85", &*long] {
        let path = format!("/api/v1/objects/wsx_gateway/{name}");
        problem(&call(&server, "PUT", &path, &[], "{\"services_allowed\": []}").await, 422);
    }
    assert_eq!(revision(&server).await, before);
}

#[tokio::test]
async fn paths_are_taken_as_they_are_written() {
    let server = Server::setup().objects(OBJECTS).start();
    for path in [
        "//api/v1/server",
        "/api//v1/server",
        "/api/v1//server",
        "/api/v1/server/",
        "/api/v1/server/.",
        "/api/v1/./server",
        "/api/v1/objects/../server",
        "/api/v1/objects/security/../../server",
        "/API/V1/SERVER",
        "/api/v1/SERVER",
        "/%61pi/v1/server",
        "/api%2fv1%2fserver",
        "/api/v1%2fserver",
        "/api/v1/server%00",
        "/api/v1/server;x",
        "/api/v1/server%3fq=1",
        "/api/v2/server",
        "/api/v1",
        "/api",
        "/",
        "*",
        "/metrics/",
        "/livez/../api/v1/server",
    ] {
        let with = send(&server, &format!("GET {path} {REST}\r\n"), b"").await;
        problem(&with, 404);
        // Nor is there a way around the token.
        let without =
            send(&server, &format!("GET {path} {}\r\n", REST.replace("{token}", "X: y")), b"")
                .await;
        assert!(matches!(without.status, 401 | 404), "{path}: {without:?}");
        refusal(&without);
    }
    // A whole URI as a proxy gets it: the path counts, not the host.
    for (target, status) in [
        ("http://evil.example/api/v1/server", 200),
        ("http://evil.example/nothing", 404),
        ("/api/v1/server#fragment", 200),
    ] {
        let answer = send(&server, &format!("GET {target} {REST}\r\n"), b"").await;
        assert_eq!(answer.status, status, "{answer:?}");
        let rest = REST.replace("{token}", "X: y");
        let answer = send(&server, &format!("GET {target} {rest}\r\n"), b"").await;
        assert_eq!(answer.status, if status == 200 { 401 } else { status }, "{answer:?}");
    }
}

/// What is no HTTP never becomes a request, so that nobody says anything about it.
#[tokio::test]
async fn what_is_no_http_is_cut_off() {
    let server = Server::setup().objects(OBJECTS).start();
    let token = format!("Authorization: Bearer {}\r\n", server.admin_token());
    let odd: [&[u8]; 10] = [
        b"GET /api/v1/a b HTTP/1.1\r\nHost: x\r\n",
        b"GET /api/v1/objects/security/\xff HTTP/1.1\r\nHost: x\r\n",
        b"GET /api/v1/objects/security/a\x00b HTTP/1.1\r\nHost: x\r\n",
        b"GET /api/v1/server HTTP/2.0\r\nHost: x\r\n",
        b"GET /api/v1/server HTTP/1.1\r\nHost: x\r\nX-Spanwire-User: a\r\n b\r\n",
        b"GET /api/v1/server HTTP/1.1\r\nHost: x\r\nX-Spanwire-User: a\rX: b\r\n",
        b"GET /api/v1/server HTTP/1.1\r\nHost: x\r\nX-Spanwire-User: a\x00b\r\n",
        b"GET /api/v1/server HTTP/1.1\r\nHost: x\r\nX Spanwire: a\r\n",
        b"GET /api/v1/server HTTP/1.1\r\nHost: x\r\n: a\r\n",
        b"G\x01T /api/v1/server HTTP/1.1\r\nHost: x\r\n",
    ];
    for start in odd {
        let request = [start, token.as_bytes(), b"\r\n"].concat();
        let answer = spanwire_tests::http::raw(server.admin_address(), &request).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.is_empty() || answer.ends_with("\r\n\r\n"), "{answer}");
    }
    assert_eq!(admin(&server, "GET", "/api/v1/server", "").await.status, 200);
    assert_calm(&server);
}
