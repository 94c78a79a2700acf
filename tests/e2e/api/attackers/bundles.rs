//! Bundles and files: the server reads no file and no variable of its own for a caller, and tells none.

use serde_json::{Value, json};
use spanwire_tests::Server;
use spanwire_tests::http::{Answer, admin};

use crate::api::{OBJECTS, assert_calm, call, problem, revision};
use crate::live::{assert_consistent, ok};

const IMPORT: &str = "/api/v1/import";

fn bundle(text: &str) -> Value {
    json!({"roots": ["a.yaml"], "files": [{"path": "a.yaml", "text": text}]})
}

/// A server with something to find: a variable, and a file that would be fine to import.
fn start(dir: &std::path::Path) -> (Server, String) {
    let file = dir.join("bait.yaml");
    std::fs::write(&file, "pubsub_topic: [{name: /bait-7f3a}]\nname: /bait-7f3a\n").unwrap();
    let server = Server::setup().objects(OBJECTS).variable("BAIT_VARIABLE", "bait-7f3a").start();
    (server, file.display().to_string())
}

fn tells_nothing(answer: &Answer) {
    for part in ["bait-7f3a", "root:x:", "/bin/", "nologin"] {
        assert!(!answer.body.contains(part), "{answer:?}");
    }
}

#[tokio::test]
async fn bundles_do_not_reach_files_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let (server, bait) = start(dir.path());
    let before = revision(&server).await;
    let data = server.data().display().to_string();
    let up = format!("{}{}", "../".repeat(20), bait.trim_start_matches('/'));
    let mut paths = vec![bait.clone(), up, format!("file://{bait}"), format!("file:{bait}")];
    paths.extend([format!("{data}/admin.token"), format!("{data}/../data/secret.key")]);
    let known = [
        "/etc/passwd",
        "../../../../../../../../etc/passwd",
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "FILE:///etc/passwd",
        "/proc/self/environ",
        "/dev/stdin",
        "/dev/zero",
        "http://127.0.0.1:9/x",
        "~/.ssh/id_rsa",
        "a.yaml/../../etc/passwd",
        "$HOME/x",
        "/etc/passwd\u{0}.yaml",
    ];
    paths.extend(known.map(str::to_owned));
    for path in &paths {
        let as_text = json!(path).to_string();
        let bundles = [
            json!({"roots": [path], "files": []}),
            json!({"roots": ["a.yaml", path], "files": [{"path": "a.yaml", "text": ""}]}),
            bundle(&format!("include: {as_text}\n")),
            bundle(&format!("include: [{as_text}]\n")),
            bundle(&format!("pubsub_topic: {as_text}\n")),
            bundle(&format!("pubsub_topic: [{as_text}]\n")),
            bundle(&format!("service:\n- {as_text}\n")),
            // The bundle's own file as the folder to start from.
            json!({"roots": ["/etc/x"], "files": [{"path": "/etc/x", "text": "include: passwd\n"}]}),
        ];
        for bundle in bundles {
            let answer = call(&server, "POST", IMPORT, &[], &bundle.to_string()).await;
            tells_nothing(&answer);
            problem(&answer, 422);
        }
    }
    assert_eq!(revision(&server).await, before);
    assert_calm(&server);
}

#[tokio::test]
async fn bundles_do_not_reach_variables_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = start(dir.path());
    let before = revision(&server).await;
    for name in ["BAIT_VARIABLE", "HOME", "PATH", "USER", "SPANWIRE_ADMIN_TOKEN"] {
        for text in [
            format!("pubsub_topic: [{{name: Spanwire_Env.{name}}}]"),
            format!(
                "security: [{{name: x, type: basic_auth, username: x, password: Spanwire_Env.{name}}}]"
            ),
            format!("service: [{{name: x, url: 'Spanwire_Env.{name}'}}]"),
        ] {
            let answer = call(&server, "POST", IMPORT, &[], &bundle(&text).to_string()).await;
            tells_nothing(&answer);
            let found = problem(&answer, 422);
            assert!(
                answer.body.contains(&format!("environment variable '{name}' is not set")),
                "{found}"
            );
        }
    }
    assert_eq!(revision(&server).await, before);
    // In requests that are no files the words mean nothing, nor do those of other templates.
    for (number, text) in [
        "Spanwire_Env.BAIT_VARIABLE",
        "${BAIT_VARIABLE}",
        "$BAIT_VARIABLE",
        "{{env.BAIT_VARIABLE}}",
        "%BAIT_VARIABLE%",
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"name": format!("n{number}"), "type": "basic_auth", "username": text, "realm": text});
        let answer = admin(&server, "POST", "/api/v1/objects/security", &body.to_string()).await;
        tells_nothing(&answer);
        if answer.status == 201 {
            assert_eq!(answer.json()["realm"], text, "{answer:?}");
        } else {
            problem(&answer, 422);
        }
    }
    for query in ["", "?reveal_secrets=true"] {
        tells_nothing(&admin(&server, "GET", &format!("/api/v1/export{query}"), "").await);
    }
}

/// Objects name files that the server reads, which only administrators may; but nobody is told what is in them.
#[tokio::test]
async fn files_that_objects_name_are_not_told() {
    let dir = tempfile::tempdir().unwrap();
    let (server, bait) = start(dir.path());
    let own = server.data().join("secret.key").display().to_string();
    for file in [bait.as_str(), "/etc/passwd", &own, "/proc/self/environ", "/dev/null", "/"] {
        let service = json!({"url": "https://127.0.0.1:9/", "ca_file": file});
        let channel = json!({"address": "wss://127.0.0.1:0/x", "service": "gate", "sec_def": "app1",
            "tls_cert_file": file, "tls_key_file": file});
        for (kind, body) in [("service", service), ("web_socket", channel)] {
            let path = format!("/api/v1/objects/{kind}/files");
            let answer = admin(&server, "PUT", &path, &body.to_string()).await;
            tells_nothing(&answer);
            assert!(answer.status < 500, "{answer:?}");
            if answer.status < 300 {
                assert_eq!(answer.json()["meta"]["state"], "failed", "{answer:?}");
                ok(admin(&server, "DELETE", &path, "").await);
            }
        }
    }
    let log = server.log();
    assert!(!log.contains("bait-7f3a") && !log.contains("root:x:"));
    let key = std::fs::read_to_string(&own).unwrap();
    for line in key.lines().filter(|line| line.len() > 8) {
        assert!(!log.contains(line), "the log has the key");
    }
    assert_consistent(&server).await;
}

#[tokio::test]
async fn errors_repeat_no_secret_and_little_else() {
    let server = Server::setup().objects(OBJECTS).start();
    let secret = "hunter2-7f3a";
    let long = format!("{secret}{}", "z".repeat(5_000));
    let security = "/api/v1/objects/security";
    let password = "/api/v1/objects/security/app1/password";
    let table = [
        ("POST", security, json!({"name": "n", "type": "x", "password": secret})),
        ("POST", security, json!({"name": "n", "type": "basic_auth", "password": [secret]})),
        ("POST", security, json!({"name": "n", "type": "basic_auth", "password": {"x": secret}})),
        ("POST", security, json!({"name": "n", "type": "basic_auth", "passwrod": secret})),
        ("POST", security, json!({"name": "n", "type": "basic_auth", "username": [secret]})),
        (
            "POST",
            security,
            json!({"name": "n", "type": "basic_auth", "password": format!("{secret}\n")}),
        ),
        (
            "POST",
            security,
            json!({"name": "app1", "type": "basic_auth", "username": "y", "password": secret}),
        ),
        ("PATCH", "/api/v1/objects/security/app1", json!({"password": secret, "type": "x"})),
        ("PATCH", "/api/v1/objects/security/nobody", json!({"password": secret})),
        ("POST", password, json!({"password": [secret]})),
        ("POST", password, json!({"password": secret, "x": 1})),
        ("POST", password, json!({"passwd": secret})),
        ("POST", "/api/v1/objects/security/nobody/password", json!({"password": secret})),
        ("POST", IMPORT, bundle(&format!("security: [{{name: n, type: x, password: {secret}}}]"))),
        (
            "POST",
            IMPORT,
            bundle(&format!("security: [{{name: n, type: basic_auth, password: [{secret}]}}]")),
        ),
        (
            "POST",
            IMPORT,
            bundle(&format!("security: [{{name: n, type: basic_auth, passwrod: {secret}}}]")),
        ),
        ("POST", IMPORT, bundle(&format!("security: {{name: n, password: {secret}"))),
        ("POST", IMPORT, bundle(&format!("security:\n\t- password: {secret}"))),
        ("POST", IMPORT, bundle(secret)),
        ("POST", IMPORT, bundle(&format!("password: {secret}\npassword: {secret}"))),
        ("POST", IMPORT, json!({"roots": [1], "files": [], "environment": {"P": secret}})),
        ("POST", IMPORT, json!({"roots": [], "files": [], "environment": {"P": [secret]}})),
    ];
    for (method, path, body) in table {
        for secret in [secret.to_owned(), long.clone()] {
            let body = body.to_string().replace("hunter2-7f3a", &secret);
            let answer = call(&server, method, path, &[], &body).await;
            assert!((400..500).contains(&answer.status), "{body:.100}: {answer:?}");
            assert!(!answer.body.contains("hunter2"), "{body:.100}: {answer:?}");
            assert!(
                answer.body.len() < 2_000,
                "{} bytes: {body:.100}: {answer:?}",
                answer.body.len()
            );
        }
    }
    // What is no JSON at all is not repeated either.
    for text in
        [r#"{"password": "hunter2-7f3a" x}"#, r#"{"password": "hunter2-7f3a"#, "hunter2-7f3a"]
    {
        for path in [security, password, IMPORT] {
            let answer = call(&server, "POST", path, &[], text).await;
            problem(&answer, 400);
            assert!(!answer.body.contains("hunter2"), "{answer:?}");
        }
    }
    let log = server.log();
    assert!(!log.contains("hunter2"), "{log}");
    assert!(!log.contains("secret1") && !log.contains("secret3"));
}
