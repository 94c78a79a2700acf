//! Bad messages (reliability B-06, B-08): each gets the answer of wsx-protocol 2.6, 3.2 and 3.3, and harms nobody else.

mod envelope;
mod json;
mod login;
mod tokens;

use serde_json::{Value, json};
use spanwire_tests::{Client, Server};
use tokio_tungstenite::tungstenite::Message;

/// What came of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing at all.
    Ignored,
    /// `zwsx.rspok` or `zwsx.rsperr` with this status.
    Replied(u64),
    /// `zwsx.rspa`.
    SessionCreated,
    /// `zwsx.merr` 400; the connection stays.
    BadRequest,
    /// `zwsx.merr` 403, then close 1008.
    Forbidden,
    /// Close with this code, without a word.
    Closed(u16),
}

use Outcome::{BadRequest, Closed, Forbidden, Ignored, Replied, SessionCreated};

/// A server that does not slow failed logins down.
fn server() -> Server {
    Server::setup()
        .settings("[limits]\nfailed_logins = 1000000\n")
        .objects(
            "security:\n\
             \x20 - {name: app1, type: basic_auth, username: app1, password: secret1}\n\
             \x20 - {name: other, type: basic_auth, username: other, password: secret2}\n\
             web_socket:\n\
             \x20 - {name: echo, address: /ws/echo, service: zato.helpers.echo, sec_def: app1, ordered_replies: true}\n\
             \x20 - {name: other, address: /ws/other, service: zato.helpers.echo, sec_def: other}\n\
             \x20 - {name: small, address: /ws/small, service: zato.helpers.echo, sec_def: app1, max_message_size: 65536}\n\
             \x20 - {name: brief, address: /ws/brief, service: zato.helpers.echo, sec_def: app1, token_ttl: 1}\n",
        )
        .start()
}

/// Somebody who sends bad messages.
struct Probe<'a> {
    server: &'a Server,
    path: &'static str,
    client: Client,
    sent: usize,
    /// The text of the last answer.
    answer: String,
}

impl<'a> Probe<'a> {
    async fn log_in(server: &'a Server, path: &'static str) -> Self {
        let client = Client::log_in(&server.ws(path), "app1", "secret1").await;
        Self { server, path, client, sent: 0, answer: String::new() }
    }

    fn token(&self) -> &str {
        &self.client.token
    }

    /// Sends a message, and a good call after it: what comes before that call's reply is the outcome.
    async fn send(&mut self, message: Message) -> Outcome {
        self.sent += 1;
        let marker = format!("marker.{}", self.sent);
        let meta = json!({"action": "invoke-service", "id": marker, "timestamp": "now", "token": self.client.token});
        self.client.send_frame(message).await;
        self.client.send(&json!({"meta": meta, "data": "marked"})).await;
        let mut outcome = Ignored;
        self.answer.clear();
        loop {
            match self.client.receive_frame().await {
                Some(Message::Text(text)) if text.contains(&marker) => return outcome,
                Some(Message::Text(text)) => {
                    assert_eq!(outcome, Ignored, "two answers: {} and {text}", self.answer);
                    outcome = classify(&text);
                    text.as_str().clone_into(&mut self.answer);
                }
                Some(Message::Close(frame)) => {
                    let code = frame.as_ref().map_or(0, |frame| u16::from(frame.code));
                    self.log_in_again().await;
                    return match outcome {
                        Forbidden if code == 1008 => Forbidden,
                        Ignored => Closed(code),
                        other => panic!("{other:?} and then {frame:?}: {}", self.answer),
                    };
                }
                other => panic!("{outcome:?} and then {other:?}: {}", self.answer),
            }
        }
    }

    /// Sends a message that is answered in any case. No call follows: a renewal may be decided before or after it.
    async fn send_answered(&mut self, text: &str) -> Outcome {
        self.client.send_frame(Message::text(text)).await;
        let Some(Message::Text(answer)) = self.client.receive_frame().await else {
            panic!("no answer to {text:.300}");
        };
        answer.as_str().clone_into(&mut self.answer);
        let outcome = classify(&answer);
        match outcome {
            Forbidden => {
                let (_, frame) = self.client.receive_close().await;
                assert_eq!(u16::from(frame.unwrap().code), 1008);
                self.log_in_again().await;
            }
            SessionCreated => {
                let reply: Value = serde_json::from_str(&answer).unwrap();
                reply["data"]["token"].as_str().unwrap().clone_into(&mut self.client.token);
            }
            _ => {}
        }
        outcome
    }

    async fn text(&mut self, text: &str) -> Outcome {
        self.send(Message::text(text)).await
    }

    async fn log_in_again(&mut self) {
        self.client = Client::log_in(&self.server.ws(self.path), "app1", "secret1").await;
    }

    async fn expect(&mut self, text: &str, expected: &Outcome) {
        let outcome = self.text(text).await;
        assert_eq!(outcome, *expected, "{text:.300}\nanswered {:.300}", self.answer);
    }
}

/// The class of an answer. Not parsed as a whole: what is echoed may be something that a strict parser refuses.
fn classify(text: &str) -> Outcome {
    let after = |key: &str| text.split_once(&format!("\"{key}\":")).map(|(_, rest)| rest);
    let status = after("status").map(|rest| {
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap()
    });
    let kind = after("msg_type").and_then(|rest| rest.split('"').nth(1));
    match (kind, status) {
        (Some("zwsx.rspok" | "zwsx.rsperr"), Some(status)) => Replied(status),
        (Some("zwsx.rspa"), Some(200)) => SessionCreated,
        (Some("zwsx.merr"), Some(400)) => {
            let answer: Value = serde_json::from_str(text).unwrap();
            assert_eq!(answer["data"], json!({"cid": answer["meta"]["id"]}), "{text}");
            assert_eq!(answer["meta"]["error_message"], "Bad request", "{text}");
            assert!(answer["meta"].get("in_reply_to").is_none(), "{text}");
            BadRequest
        }
        (Some("zwsx.merr"), Some(403)) => {
            let answer: Value = serde_json::from_str(text).unwrap();
            assert_eq!(answer["data"], "You are not authorized to access this resource", "{text}");
            for absent in ["in_reply_to", "error_message"] {
                assert!(answer["meta"].get(absent).is_none(), "{text}");
            }
            Forbidden
        }
        _ => panic!("an answer of no known class: {text}"),
    }
}

/// Somebody who was there before, and must notice nothing.
struct Bystander<'a> {
    server: &'a Server,
    client: Client,
    memory: usize,
}

impl<'a> Bystander<'a> {
    async fn new(server: &'a Server) -> Self {
        let client = Client::log_in(&server.ws("/ws/other"), "other", "secret2").await;
        Self { server, client, memory: server.memory() }
    }

    async fn goes_on_unharmed(mut self) {
        let reply = self.client.call(&json!({"still": "there"})).await;
        assert_eq!(reply["data"], json!({"still": "there"}));
        assert!(self.client.is_quiet().await, "something came that was for somebody else");
        let grown = self.server.memory().saturating_sub(self.memory);
        assert!(grown < 300 * 1024 * 1024, "{} MiB more", grown >> 20);
        let log = self.server.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}
