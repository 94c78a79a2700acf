//! Both sides joined in memory under a fake clock.

use std::collections::VecDeque;

use serde_json::{Value, json};
use spanwire_protocol::{CorrelationId, SessionToken, Timestamp};

use super::*;
use crate::{Entropy, Input, Output, Phase, Session, SessionConfig};

struct Counter(u8);

impl Entropy for Counter {
    fn correlation_id(&mut self) -> CorrelationId {
        self.0 = self.0.wrapping_add(1);
        CorrelationId::from_random([self.0; 12])
    }
    fn token(&mut self) -> SessionToken {
        self.0 = self.0.wrapping_add(1);
        SessionToken::from_random([self.0; 16])
    }
}

/// A client and a server; the server accepts the secret `right` and echoes calls.
struct Pair {
    now: Now,
    codec: Codec,
    client: ClientSession,
    server: Session,
    seen: Vec<ClientOutput>,
    closed: Option<CloseFrame>,
    answers: Vec<Result<Payload, crate::AskError>>,
}

impl Pair {
    fn new(codec: Codec, secret: &str) -> Self {
        let now = Now { instant: Instant::now(), timestamp: Timestamp::from_microseconds(0) };
        let config = ClientConfig {
            secret: secret.into(),
            client_id: "c".into(),
            ..ClientConfig::default()
        };
        let server = Session::new(SessionConfig::default(), codec, Box::new(Counter(0)), now);
        let client = ClientSession::new(config, codec, now);
        let mut pair = Self {
            now,
            codec,
            client,
            server,
            seen: Vec::new(),
            closed: None,
            answers: Vec::new(),
        };
        pair.run();
        pair
    }

    fn run(&mut self) {
        let mut to_server: VecDeque<Bytes> = VecDeque::new();
        loop {
            let mut progressed = false;
            while let Some(output) = self.client.poll_output() {
                progressed = true;
                match output {
                    ClientOutput::Send(bytes) => to_server.push_back(bytes),
                    other => self.seen.push(other),
                }
            }
            if let Some(bytes) = to_server.pop_front() {
                progressed = true;
                let message = ClientMessage::decode(self.codec, &bytes).unwrap();
                self.server.handle_input(Input::Message(message), self.now);
            }
            while let Some(output) = self.server.poll_output() {
                progressed = true;
                match output {
                    Output::Send(bytes) => {
                        let message = ServerMessage::decode(self.codec, &bytes).unwrap();
                        self.client.handle_input(ClientInput::Message(message), self.now);
                    }
                    Output::Login(login) => {
                        let accepted = login.secret == "right";
                        self.server.handle_input(
                            Input::LoginDecided { login: login.id, accepted },
                            self.now,
                        );
                    }
                    Output::Invoke(call) => {
                        self.server.handle_input(
                            Input::Completed { call: call.id, result: Ok(call.data) },
                            self.now,
                        );
                    }
                    Output::Answered { answer, .. } => self.answers.push(answer),
                    Output::Ping(_) => self.server.handle_input(Input::Pong, self.now),
                    Output::Close(frame) => self.closed = Some(frame),
                    Output::Opened(_) | Output::Renamed(_) | Output::Cancel(_) => {}
                }
            }
            if !progressed {
                return;
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.instant + time;
        loop {
            let next = [self.server.poll_timeout(), self.client.poll_timeout()];
            let next = next.into_iter().flatten().min().filter(|at| *at <= end);
            self.now.instant = next.unwrap_or(end);
            self.server.handle_timeout(self.now);
            self.client.handle_timeout(self.now);
            self.run();
            if next.is_none() {
                return;
            }
        }
    }

    fn payload(&self, value: &Value) -> Payload {
        Payload::from_serialize(self.codec, value).unwrap()
    }
}

#[test]
fn a_client_logs_in_and_calls() {
    for codec in [Codec::Json, Codec::MsgPack] {
        let mut pair = Pair::new(codec, "right");
        assert!(pair.client.is_open());
        let input = json!({"service": "zato.helpers.echo", "request": "😀"});
        pair.client.handle_input(
            ClientInput::Call {
                call: 7,
                data: pair.payload(&input),
                options: CallOptions::default(),
            },
            pair.now,
        );
        pair.run();
        let Some(ClientOutput::Replied { call: 7, result: Ok(data) }) = pair.seen.pop() else {
            panic!()
        };
        assert_eq!(data.parse::<Value>().unwrap(), input);
    }
}

#[test]
fn a_wrong_secret_is_refused_on_both_sides() {
    let pair = Pair::new(Codec::Json, "wrong");
    assert!(pair.client.is_closed() && pair.server.phase() == Phase::Closed);
    assert_eq!(pair.closed, Some(CloseFrame::REFUSED));
    assert!(pair.seen.iter().any(|seen| matches!(seen, ClientOutput::Refused)));
}

#[test]
fn the_server_asks_and_the_client_answers() {
    let mut pair = Pair::new(Codec::MsgPack, "right");
    let question = pair.payload(&json!({"cmd": "uptime"}));
    let ask = Input::Ask { ask: crate::AskId(1), data: question, timeout: Duration::from_secs(5) };
    pair.server.handle_input(ask, pair.now);
    pair.run();
    let Some(ClientOutput::Asked { request, is_delivery: false, .. }) = pair.seen.pop() else {
        panic!()
    };
    pair.client.handle_input(
        ClientInput::Answer { request, response: pair.payload(&json!(42)) },
        pair.now,
    );
    pair.run();
    assert_eq!(pair.answers.pop().unwrap().unwrap().parse::<i64>().unwrap(), 42);
}

#[test]
fn a_renewed_session_goes_on() {
    let mut pair = Pair::new(Codec::Json, "right");
    pair.client.handle_input(ClientInput::Renew, pair.now);
    pair.run();
    pair.client.handle_input(
        ClientInput::Call {
            call: 1,
            data: pair.payload(&json!(1)),
            options: CallOptions::default(),
        },
        pair.now,
    );
    pair.run();
    assert!(matches!(pair.seen.pop(), Some(ClientOutput::Replied { call: 1, result: Ok(_) })));
}

#[test]
fn a_client_that_answers_pings_never_expires() {
    let mut pair = Pair::new(Codec::Json, "right");
    pair.pass(Duration::from_secs(100_000));
    assert!(pair.client.is_open() && pair.server.phase() == Phase::Established);
}

#[test]
fn calls_made_before_the_login_wait_for_it_and_fail_with_it() {
    let now = Now { instant: Instant::now(), timestamp: Timestamp::from_microseconds(0) };
    let mut client = ClientSession::new(ClientConfig::default(), Codec::Json, now);
    client.handle_input(
        ClientInput::Call {
            call: 1,
            data: Payload::empty(Codec::Json),
            options: CallOptions::default(),
        },
        now,
    );
    let late = Now { instant: now.instant + Duration::from_secs(5), ..now };
    client.handle_timeout(late);
    let outputs: Vec<_> = std::iter::from_fn(|| client.poll_output()).collect();
    assert!(matches!(
        &outputs[..],
        [
            ClientOutput::Send(_),
            ClientOutput::Refused,
            ClientOutput::Replied { call: 1, result: Err(CallError::Closed) },
            ClientOutput::Close(_)
        ]
    ));
}

#[test]
fn a_cancelled_call_is_forgotten_and_a_server_with_additions_is_told() {
    for additions in [false, true] {
        let now = Now { instant: Instant::now(), timestamp: Timestamp::from_microseconds(0) };
        let config = ClientConfig { additions, ..ClientConfig::default() };
        let mut client = ClientSession::new(config, Codec::Json, now);
        let token = json!({"meta": {"id": "x", "in_reply_to": "client.1", "status": 200, "msg_type": "zwsx.rspa"},
            "data": {"token": "t"}});
        let token = Bytes::from(token.to_string());
        client.handle_input(
            ClientInput::Message(ServerMessage::decode(Codec::Json, &token).unwrap()),
            now,
        );
        let options = CallOptions {
            timeout: Some(Duration::from_millis(250)),
            traceparent: Some("trace".into()),
            hops: 3,
        };
        let data = Payload::null(Codec::Json);
        client.handle_input(ClientInput::Call { call: 7, data, options }, now);
        client.handle_input(ClientInput::Cancel { call: 7 }, now);
        client.handle_input(ClientInput::Cancel { call: 7 }, now);
        let sent: Vec<Value> = std::iter::from_fn(|| client.poll_output())
            .filter_map(|output| match output {
                ClientOutput::Send(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
                _ => None,
            })
            .collect();
        let call = &sent[1]["meta"];
        let told = (&call["deadline_ms"], &call["traceparent"], &call["hops"]);
        if additions {
            assert_eq!(told, (&json!(250), &json!("trace"), &json!(3)));
            let cancel = &sent[2]["meta"];
            assert_eq!(
                (&cancel["action"], &cancel["in_reply_to"]),
                (&json!("cancel-invoke"), &call["id"])
            );
            assert_eq!(sent.len(), 3, "{sent:?}");
        } else {
            assert_eq!(told, (&Value::Null, &Value::Null, &Value::Null));
            assert_eq!(sent.len(), 2, "{sent:?}");
        }
        assert_eq!(client.poll_timeout(), None);
    }
}
