//! The examples, run as their readers run them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use spanwire_tests::server::{binary, command, workspace};
use spanwire_tests::{Client, Server, http, tools};

/// A program that ends with the test.
struct Running(Child);

impl Running {
    /// Starts a program and returns the first line it prints.
    fn start(mut program: std::process::Command) -> (Self, String) {
        let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Self(child), line.trim().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_client_written_with_the_protocol_crate_calls_an_embedded_channel() {
    let (_app, url) = Running::start(command(binary("embed-channel")));
    let mut client = command(binary("write-a-client"));
    client.arg(url);
    assert_eq!(tools::run(client).trim(), r#"{"greeting":"Hello Anna from write-a-client"}"#);
}

#[tokio::test]
async fn the_raw_echo_server_needs_no_login() {
    let mut echo = command(binary("ws-echo"));
    echo.arg("127.0.0.1:0");
    let (_echo, line) = Running::start(echo);
    let address = line.rsplit(' ').next().unwrap();
    let mut client = Client::connect(&format!("ws://{address}/")).await;
    client.send(&json!({"any": "text"})).await;
    assert_eq!(client.receive().await, json!({"any": "text"}));
}

#[tokio::test]
async fn a_service_in_python_answers_and_calls_its_caller_back() {
    let example = workspace().join("examples/service-http");
    // The service and the server need each other's address; the server's comes first, the service's is fixed up front.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::setup()
        .objects(&std::fs::read_to_string(example.join("objects.yaml")).unwrap())
        .variable("CUSTOMERS_URL", &format!("http://127.0.0.1:{port}"))
        .start();
    let mut service = command("python3");
    service.arg(example.join("customers.py")).arg(port.to_string()).arg(server.url(""));
    let (_service, _port) = Running::start(service);

    let authorization = http::basic("app1", "secret1");
    let headers = [("Authorization", &*authorization)];
    let found = http::request(server.address(), "GET", "/api/customer/7", &headers, "").await;
    assert_eq!((found.status, &found.json()["name"]), (200, &Value::from("Zażółć Ltd.")));
    let missing = http::request(server.address(), "GET", "/api/customer/8", &headers, "").await;
    assert_eq!(
        (missing.status, &missing.json()["details"]),
        (404, &Value::from("No such customer"))
    );

    let mut client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    let found = client.invoke("crm.get-customer", &json!({"id": "7"})).await;
    assert_eq!(found["data"]["id"], "7");
    let call =
        client.start_call(&json!({"service": "crm.ask-operator", "request": "ready?"})).await;
    let question = client.receive().await;
    assert_eq!(question["data"], "ready?");
    client.answer(&question, &json!("yes")).await;
    let reply = client.receive().await;
    assert_eq!(
        (&reply["meta"]["in_reply_to"], &reply["data"]),
        (&call.into(), &json!({"operator said": "yes"}))
    );
}
