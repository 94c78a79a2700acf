//! REST channels as programs of others call them: `zato-client` from PyPI, and curl.

#![cfg(test)]

use serde_json::{Value, json};
use spanwire_tests::Server;
use spanwire_tests::http::Answer;
use spanwire_tests::server::command;
use spanwire_tests::tools::python;

use crate::process::finish;

const OBJECTS: &str = r#"
security:
  - {name: app1, type: basic_auth, username: app1, password: secret1, realm: Customers}
  - {name: partner, type: apikey, header: X-Partner-Key, password: secret3}
channel_rest:
  - {name: echo, url_path: /api/echo, service: zato.helpers.echo, security_name: app1, data_format: json}
  - {name: ping, url_path: /api/ping, service: zato.ping, security_name: app1, data_format: json}
  - {name: zato, url_path: "/zato/api/invoke/{service_name}", service: zato.helpers.echo, security_name: app1, data_format: json}
  - {name: missing, url_path: /api/ask, service: zato.channel.web-socket.invoke-wsx, security_name: app1, data_format: json}
  - {name: key, url_path: /api/key, service: zato.helpers.echo, security_name: partner, data_format: json}
  - {name: customer, url_path: "/api/customer/{id}/order/{order}", method: GET, service: zato.helpers.echo, data_format: json}
  - {name: page, url_path: /api/page, method: POST, service: zato.helpers.echo, security_name: app1, data_format: json, cors_origins: ["https://app.example.com"]}
"#;

fn start() -> Server {
    Server::setup().objects(OBJECTS).start()
}

/// What curl gets.
async fn curl(server: &Server, path: &str, arguments: &[&str]) -> Answer {
    let mut curl = command("curl");
    curl.args(["--silent", "--show-error", "--include", "--max-time", "10", "--noproxy", "*"]);
    curl.args(arguments).arg(server.url(path));
    let finished = finish(curl).await;
    assert_eq!(finished.code, 0, "curl {arguments:?} {path}: {}", finished.err);
    let (head, body) = finished.out.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Answer { status, headers: headers.collect(), body: body.to_owned() }
}

const APP1: [&str; 2] = ["--user", "app1:secret1"];

fn as_app1<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&APP1, arguments].concat()
}

/// What the clients of `zato-client` make of these calls.
async fn zato_client(server: &Server, calls: &[Value]) -> Vec<Value> {
    let mut calls = calls.to_vec();
    for call in &mut calls {
        call["address"] = server.url("").into();
        call["username"] = "app1".into();
        call["password"] = call.get("password").cloned().unwrap_or_else(|| "secret1".into());
    }
    let finished = finish(python("python_rest.py", &[&Value::from(calls).to_string()])).await;
    assert_eq!(finished.code, 0, "{}", finished.err);
    serde_json::from_str(&finished.out).unwrap()
}

#[tokio::test]
async fn the_json_client_from_pypi_calls_and_reads_answers() {
    let server = start();
    let nested = json!({"Zażółć": [null, {"😀": [[], 1.5, true]}], "long": "ż".repeat(50_000)});
    let answers = zato_client(
        &server,
        &[
            json!({"client": "json", "path": "/api/ping", "payload": {}}),
            json!({"client": "json", "path": "/api/echo", "payload": nested}),
            json!({"client": "json", "path": "/api/echo?page=2&page=3&q=a%20b", "payload": {"n": 1}}),
            json!({"client": "json", "path": "/api/echo", "payload": {}, "password": "wrong"}),
            json!({"client": "json", "path": "/api/ask", "payload": {"ext_client_id": "nobody"}}),
        ],
    )
    .await;
    for (answer, expected) in answers.iter().zip([
        json!({"pong": "zato"}),
        nested,
        json!({"n": 1, "page": ["2", "3"], "q": "a b"}),
    ]) {
        assert_eq!((&answer["is_ok"], &answer["status"]), (&json!(true), &json!(200)), "{answer}");
        assert_eq!(answer["data"], expected);
        assert_eq!(answer["cid"].as_str().unwrap().len(), 24, "{answer}");
    }
    let refusals = [(401, "You are not authenticated"), (404, "No such WebSocket connection")];
    for (answer, (status, details)) in answers.iter().skip(3).zip(refusals) {
        assert_eq!(
            (&answer["is_ok"], &answer["status"]),
            (&json!(false), &json!(status)),
            "{answer}"
        );
        assert_eq!(
            answer["data"],
            json!({"result": "Error", "cid": answer["cid"], "details": details})
        );
    }
    assert_eq!(answers.len(), 5);
}

#[tokio::test]
async fn the_api_client_from_pypi_names_services_in_the_path() {
    let server = start();
    let payload = json!({"customer": "Łódź", "nothing": null});
    let calls = ["invoke", "post", "put", "patch", "delete"].map(
        |verb| json!({"client": "api", "verb": verb, "service": "crm.get-customer", "payload": payload}),
    );
    let expected = json!({"customer": "Łódź", "nothing": null, "service_name": "crm.get-customer"});
    for (answer, call) in zato_client(&server, &calls).await.iter().zip(&calls) {
        assert_eq!(
            (&answer["is_ok"], &answer["status"]),
            (&json!(true), &json!(200)),
            "{call}: {answer}"
        );
        assert_eq!(answer["data"], expected, "{call}");
        assert_eq!(answer["cid"].as_str().unwrap().len(), 24, "{answer}");
    }
}

#[tokio::test]
async fn curl_gets_posts_and_asks_for_heads() {
    let server = start();
    let got = curl(&server, "/api/ping", &APP1).await;
    assert_eq!((got.status, got.json()), (200, json!({"pong": "zato"})));
    assert_eq!(got.header("content-type"), "application/json");
    assert_eq!(got.header("x-zato-cid").len(), 24, "{got:?}");
    assert_eq!(got.header("content-length"), got.body.len().to_string());

    let body = json!({"Zażółć": ["😀", null]});
    let posted = curl(&server, "/api/echo", &as_app1(&["--data", &body.to_string()])).await;
    assert_eq!((posted.status, posted.json()), (200, body));
    let broken = curl(&server, "/api/echo", &as_app1(&["--data", "{broken"])).await;
    assert_eq!((broken.status, broken.json()["result"].clone()), (400, json!("Error")));
    assert_eq!(broken.json()["cid"], broken.header("x-zato-cid"));

    let head = curl(&server, "/api/ping", &as_app1(&["--head"])).await;
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(head.header("content-length"), got.header("content-length"));
    // A channel for GET answers HEAD, too, and nothing else.
    let customer = "/api/customer/7/order/9";
    assert_eq!(curl(&server, customer, &["--head"]).await.status, 200);
    assert_eq!(curl(&server, customer, &["--data", "{}"]).await.status, 404);
}

#[tokio::test]
async fn wrong_credentials_are_401_with_a_challenge() {
    let server = start();
    for arguments in [
        vec![],
        vec!["--user", "app1:wrong"],
        vec!["--user", "other:secret1"],
        vec!["--user", "app1:"],
        vec!["--header", "Authorization: Bearer secret1"],
        vec!["--header", "X-Partner-Key: secret3"],
    ] {
        let answer = curl(&server, "/api/ping", &arguments).await;
        assert_eq!(answer.status, 401, "{arguments:?}: {answer:?}");
        assert_eq!(answer.header("www-authenticate"), "Basic realm=\"Customers\"", "{arguments:?}");
        let cid = answer.header("x-zato-cid");
        let expected =
            json!({"result": "Error", "cid": cid, "details": "You are not authenticated"});
        assert_eq!(answer.json(), expected, "{arguments:?}");
    }
    assert_eq!(curl(&server, "/api/ping", &APP1).await.status, 200);
}

#[tokio::test]
async fn an_api_key_comes_in_the_header_of_its_definition() {
    let server = start();
    let right = ["--header", "X-Partner-Key: secret3", "--data", "{\"n\": 1}"];
    let answer = curl(&server, "/api/key", &right).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"n": 1})));
    for arguments in [
        vec![],
        vec!["--header", "X-Partner-Key: wrong"],
        vec!["--header", "X-Partner-Key;"],
        vec!["--header", "X-API-Key: secret3"],
        vec!["--user", "app1:secret1"],
        vec!["--header", "X-Partner-Key: secret3", "--header", "X-Partner-Key: wrong"],
    ] {
        let answer = curl(&server, "/api/key", &arguments).await;
        assert_eq!(answer.status, 401, "{arguments:?}: {answer:?}");
        assert_eq!(answer.header("www-authenticate"), "", "a browser would ask for a password");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_and_says_under_which_id() {
    let server = start();
    for path in
        ["/", "/api", "/api/ping/", "/API/ping", "/api/customer/7", "/%3Cscript%3E/{id}?secret=1"]
    {
        let answer = curl(&server, path, &as_app1(&["--globoff"])).await;
        let expected = format!("URL not found (CID:{})", answer.header("x-zato-cid"));
        assert_eq!((answer.status, &*answer.body), (404, &*expected), "{path}");
        assert!(answer.header("content-type").starts_with("text/plain"), "{path}: {answer:?}");
        assert_eq!(answer.header("x-zato-cid").len(), 24);
    }
}

#[tokio::test]
async fn parameters_of_path_and_query_are_input() {
    let server = start();
    for (path, expected) in [
        ("/api/customer/7/order/9", json!({"id": "7", "order": "9"})),
        ("/api/customer/a%20b%2Fc/order/%C5%BC", json!({"id": "a b/c", "order": "ż"})),
        (
            "/api/customer/7/order/9?size=2&size=3&name=a+b&empty=",
            json!({"id": "7", "order": "9", "size": ["2", "3"], "name": "a b", "empty": ""}),
        ),
        ("/api/customer/7/order/9?id=8", json!({"id": "8", "order": "9"})),
    ] {
        let answer = curl(&server, path, &[]).await;
        assert_eq!((answer.status, answer.json()), (200, expected), "{path}");
    }
    let merged =
        curl(&server, "/api/echo?n=2&m=3", &as_app1(&["--data", r#"{"n": 1, "l": null}"#])).await;
    assert_eq!(merged.json(), json!({"n": "2", "m": "3", "l": null}));
}

#[tokio::test]
async fn pages_of_listed_origins_may_call_and_no_others() {
    let server = start();
    let preflight = async |path: &str, origin: &str, method: &str| {
        let (origin, method) =
            (format!("Origin: {origin}"), format!("Access-Control-Request-Method: {method}"));
        let asked = "Access-Control-Request-Headers: content-type, authorization";
        let arguments =
            ["--request", "OPTIONS", "--header", &origin, "--header", &method, "--header", asked];
        curl(&server, path, &arguments).await
    };
    let listed = "https://app.example.com";
    // A preflight has no credentials.
    let allowed = preflight("/api/page", listed, "POST").await;
    assert_eq!((allowed.status, &*allowed.body), (204, ""));
    assert_eq!(allowed.header("access-control-allow-origin"), listed);
    assert_eq!(allowed.header("access-control-allow-methods"), "POST");
    assert_eq!(allowed.header("access-control-allow-headers"), "content-type, authorization");
    assert_eq!(allowed.header("access-control-allow-credentials"), "true");
    assert_eq!(allowed.header("vary"), "Origin");
    for (path, origin, method) in [
        ("/api/page", "https://evil.example.com", "POST"),
        ("/api/page", "http://app.example.com", "POST"),
        ("/api/page", "https://app.example.com.evil.example", "POST"),
        ("/api/page", "null", "POST"),
        ("/api/page", listed, "DELETE"),
        ("/api/echo", listed, "POST"),
        ("/nothing", listed, "POST"),
    ] {
        let refused = preflight(path, origin, method).await;
        assert_eq!(refused.status, 403, "{path} {origin} {method}");
        let headers =
            refused.headers.iter().filter(|(name, _)| name.starts_with("access-control-"));
        assert_eq!(headers.count(), 0, "{refused:?}");
    }
    for (origin, expected) in [(listed, listed), ("https://evil.example.com", "")] {
        let header = format!("Origin: {origin}");
        let answer =
            curl(&server, "/api/page", &as_app1(&["--header", &header, "--data", "{}"])).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, expected));
        let refused = curl(&server, "/api/page", &["--header", &header, "--data", "{}"]).await;
        assert_eq!(
            (refused.status, refused.header("access-control-allow-origin")),
            (401, expected)
        );
    }
}
