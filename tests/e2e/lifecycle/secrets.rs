//! Nothing secret in logs, metrics and files (DESIGN 10, reliability 7).

use serde_json::json;
use spanwire_tests::endpoint::Endpoint;
use spanwire_tests::http::{admin, basic, history, request};
use spanwire_tests::secrecy::{contains, files};
use spanwire_tests::{Client, Server};

const OBJECTS: &str = "security:\n\
    \x20 - {name: app1, type: basic_auth, username: app1, password: MARKED-password}\n\
    \x20 - {name: key1, type: apikey, header: X-API-Key, password: MARKED-key}\n\
    \x20 - {name: out1, type: basic_auth, username: out1, password: MARKED-outgoing}\n\
    web_socket: [{name: crm, address: /ws/crm, service: helpers.web-sockets-gateway, sec_def: app1}]\n\
    channel_rest:\n\
    \x20 - {name: basic, url_path: /basic, service: zato.helpers.echo, security_name: app1, data_format: json}\n\
    \x20 - {name: key, url_path: /key, service: zato.helpers.echo, security_name: key1, data_format: json}\n\
    \x20 - {name: backed, url_path: /backed, service: backed, data_format: json}\n";

/// Everything that has to do with secrets; returns those that are made on the way.
async fn use_secrets(server: &Server) -> Vec<String> {
    let url = server.ws("/ws/crm");
    let mut client = Client::log_in(&url, "app1", "MARKED-password").await;
    let mut made = vec![client.token.clone()];
    client.invoke("zato.ping", &json!({})).await;
    // Renewed, so that there are two tokens.
    let meta = json!({"action": "create-session", "id": "again", "username": "app1", "secret": "MARKED-password",
                      "token": client.token});
    client.send(&json!({"meta": meta})).await;
    let token = client.receive().await["data"]["token"].as_str().unwrap().to_owned();
    assert_ne!(token, client.token);
    made.push(token.clone());
    client.token = token;
    client.send(&json!("MARKED-not-an-envelope")).await;
    client.receive().await;
    client.send(&json!({"meta": {"id": "x", "token": "zwsxt.MARKED-wrong-token"}})).await;
    client.receive_close().await;

    for (username, secret) in [
        ("app1", "MARKED-wrong-password"),
        ("MARKED-password-in-the-wrong-field", ""),
        ("MARKED-unknown-user", "MARKED-password"),
    ] {
        let mut client = Client::connect(&url).await;
        let meta =
            json!({"action": "create-session", "id": "1", "username": username, "secret": secret});
        client.send(&json!({"meta": meta})).await;
        client.receive_close().await;
        let authorization = basic(username, secret);
        made.push(authorization.rsplit_once(' ').unwrap().1.to_owned());
        let headers = [("Authorization", &*authorization)];
        let answer = request(server.address(), "POST", "/basic", &headers, "{}").await;
        assert_eq!(answer.status, 401);
    }
    let right = basic("app1", "MARKED-password");
    made.push(right.rsplit_once(' ').unwrap().1.to_owned());
    let requests = [
        ("/basic", "Authorization", &*right, 200),
        ("/key", "X-API-Key", "MARKED-key", 200),
        ("/key", "X-API-Key", "MARKED-wrong-key", 401),
        ("/MARKED-path?MARKED-query=1", "X-API-Key", "MARKED-key", 404),
        ("/backed", "X-Nothing", "", 502),
    ];
    for (path, name, value, expected) in requests {
        let answer = request(server.address(), "POST", path, &[(name, value)], "{}").await;
        assert_eq!(answer.status, expected, "{path}: {answer:?}");
        assert!(!answer.body.contains("MARKED"), "{answer:?}");
    }
    let headers = [("Authorization", "Bearer MARKED-admin-token")];
    let answer = request(server.admin_address(), "GET", "/api/v1/server", &headers, "").await;
    assert_eq!(answer.status, 401);
    assert_eq!(admin(server, "GET", "/api/v1/server", "").await.status, 200);
    assert_eq!(admin(server, "POST", "/api/v1/services/backed/invoke", "{}").await.status, 502);
    made
}

#[tokio::test]
async fn secrets_are_nowhere_in_clear() {
    let endpoint = Endpoint::start(|_| (500, "MARKED-answer".to_owned())).await;
    for level in ["info", "debug"] {
        let service = format!(
            "service: [{{name: backed, url: '{}', security_name: out1}}]\n",
            endpoint.url("/plain")
        );
        let mut server =
            Server::setup().objects(OBJECTS).objects(&service).variable("RUST_LOG", level).start();
        let made = use_secrets(&server).await;
        let metrics = request(server.admin_address(), "GET", "/metrics", &[], "").await.body;
        let listed = format!("{:?}", history(&server).await);
        let token = server.admin_token();
        assert!(server.stop().success());

        let log = server.log();
        let secrets = made.iter().map(String::as_str).chain(["MARKED", &*token]);
        for secret in secrets {
            let lines: Vec<_> = log.lines().filter(|line| line.contains(secret)).collect();
            assert!(lines.is_empty(), "{level}: {secret} is in the log: {lines:#?}");
            assert!(!metrics.contains(secret), "{secret} is in the metrics:\n{metrics}");
            assert!(!listed.contains(secret), "{secret} is in the history: {listed}");
            for file in files(&server.data()) {
                let is_its_place = secret == token && file.ends_with("admin.token");
                let found = contains(&std::fs::read(&file).unwrap(), secret);
                assert!(is_its_place || !found, "{secret} is in {}", file.display());
            }
        }
        assert!(log.contains("login refused") && metrics.contains("spanwire_logins_total"));
    }
    let asked = endpoint.received();
    assert!(
        asked.iter().all(|asked| asked.header("authorization") == basic("out1", "MARKED-outgoing"))
    );
    assert!(!asked.is_empty());
}

#[tokio::test]
async fn the_printed_password_is_only_printed() {
    let mut server = Server::setup().start();
    let password = super::printed_password(&server).await;
    Client::log_in(&server.ws("/ws/demo"), "demo", &password).await;
    assert!(server.stop().success());
    let log = std::fs::read_to_string(server.data().with_file_name("stderr.txt")).unwrap();
    assert!(!log.contains(&password), "{log}");
    for file in files(&server.data()) {
        assert!(!contains(&std::fs::read(&file).unwrap(), &password), "{}", file.display());
    }
}
