//! kill -9 in the middle of changes: each is wholly there afterwards, or wholly not.

use std::time::Duration;

use serde_json::{Value, json};
use spanwire_tests::http::admin;
use spanwire_tests::{Server, is_long};

use super::{Dice, assert_consistent, ok};

/// Objects that one change sets to the same number.
const TOGETHER: usize = 5;

fn bundle(number: u64) -> String {
    let objects: Vec<Value> = (0..TOGETHER)
        .map(|n| json!({"name": format!("s{n}"), "url": format!("http://127.0.0.1:9/{number}")}))
        .collect();
    let text = json!({"service": objects}).to_string();
    json!({"roots": ["a.json"], "files": [{"path": "a.json", "text": text}], "environment": {}})
        .to_string()
}

#[tokio::test]
async fn changes_are_wholly_there_or_wholly_not() {
    let mut server = Server::setup().start();
    let (mut acknowledged, mut dice) = (0_u64, Dice(88_172_645_463_325_252));
    let import = "/api/v1/import?replace=true";
    ok(admin(&server, "POST", import, &bundle(acknowledged)).await);
    for round in 0..if is_long() { 1000 } else { 20 } {
        let life = Duration::from_micros(dice.roll(60_000) as u64);
        let (token, address) = (server.admin_token(), server.admin_address());
        let first = acknowledged + 1;
        let changing = tokio::spawn(async move {
            let mut last = first - 1;
            loop {
                let headers = [
                    ("Authorization", &*format!("Bearer {token}")),
                    ("Content-Type", "application/json"),
                ]
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .concat();
                let body = bundle(last + 1);
                let request = format!(
                    "POST {import} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                if !answered(address, &request).await {
                    return last;
                }
                last += 1;
            }
        });
        tokio::time::sleep(life).await;
        server.kill();
        acknowledged = changing.await.unwrap();
        server.start_again();
        let list = ok(admin(&server, "GET", "/api/v1/objects/service", "").await);
        let numbers: Vec<u64> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["url"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(numbers.len(), TOGETHER, "round {round}: {list}");
        assert!(numbers.iter().all(|number| *number == numbers[0]), "round {round}: {numbers:?}");
        assert!(
            (acknowledged..=acknowledged + 1).contains(&numbers[0]),
            "round {round}: {acknowledged} was acknowledged, {numbers:?} is there"
        );
        acknowledged = numbers[0];
        assert_consistent(&server).await;
    }
    assert!(acknowledged > 0, "no change was made");
}

/// Whether a request is answered with 200 before the server is gone.
async fn answered(address: std::net::SocketAddr, request: &str) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let exchange = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    exchange.await.is_ok_and(|answer| {
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        // Without the end of the body nobody was told.
        answer.ends_with(b"}")
    })
}
