//! A peer that lies: it answers twice, with ids of nobody and of others, with garbage, with too much, or never.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use spanwire_outconn::{
    CallError, CallOptions, Client, ClientOptions, ConnectError, NoHandler, Side,
};
use spanwire_protocol::{Codec, Payload};
use spanwire_tests::eventually;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

type Socket = WebSocketStream<TcpStream>;

/// Accepts connections; the function says what is answered to each message.
async fn liar<F>(answers: F) -> SocketAddr
where
    F: Fn(&Value) -> Vec<Message> + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = answers.clone();
            tokio::spawn(async move {
                stream.set_nodelay(true).unwrap();
                let mut socket: Socket = accept_async(stream).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    let Message::Text(text) = message else { continue };
                    let asked: Value = serde_json::from_str(&text).unwrap();
                    for answer in answers(&asked) {
                        if socket.send(answer).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

fn text(value: &Value) -> Message {
    Message::Text(value.to_string().into())
}

fn reply(id: &Value, data: &Value) -> Message {
    text(
        &json!({"meta": {"id": "x", "in_reply_to": id, "status": 200, "msg_type": "zwsx.rspok"}, "data": data}),
    )
}

/// Lets a client in, and says what to do with everything else.
fn logs_in(
    rest: impl Fn(&Value) -> Vec<Message> + Clone + Send + Sync + 'static,
) -> impl Fn(&Value) -> Vec<Message> + Clone + Send + Sync + 'static {
    move |asked| {
        let id = &asked["meta"]["id"];
        match asked["meta"]["action"] == "create-session" {
            true => vec![text(&json!({
                "meta": {"id": "x", "in_reply_to": id, "status": 200, "msg_type": "zwsx.rspa"}, "data": {"token": "zwsxt.1"},
            }))],
            false => rest(asked),
        }
    }
}

fn options(address: SocketAddr) -> ClientOptions {
    let mut options = ClientOptions::new(format!("ws://{address}/").parse().unwrap());
    options.login_timeout = Duration::from_millis(500);
    options.call_timeout = Duration::from_millis(500);
    options
}

fn number(number: u64) -> Payload {
    Payload::from_serialize(Codec::Json, &number).unwrap()
}

/// Whatever else is answered, a caller gets what was answered to its own message first, or runs out of time.
#[tokio::test]
async fn each_caller_gets_the_first_answer_to_its_own_call_and_nothing_else() {
    let address = liar(logs_in(|asked| {
        let (id, data) = (&asked["meta"]["id"], &asked["data"]);
        let earlier = json!(format!("client.{}", data.as_u64().unwrap()));
        let mut answers = vec![
            reply(&json!("nobody"), &json!("wrong")),
            reply(&earlier, &json!("wrong")),
            reply(&json!({"id": 1}), &json!("wrong")),
        ];
        // Every other call is denied first.
        if data.as_u64().unwrap() % 2 == 1 {
            answers
                .push(text(&json!({"meta": {"in_reply_to": id, "id": "x"}, "data": "no status"})));
        }
        answers.extend([reply(id, data), reply(id, &json!("wrong"))]);
        answers
    }))
    .await;
    let client = Client::connect(&options(address), NoHandler).await.unwrap();
    assert!(!client.has_additions(), "a peer that chose no subprotocol");
    for call in 0..200 {
        match client.call(number(call), CallOptions::default()).await {
            Ok(answer) => {
                assert_eq!((answer.parse::<u64>().ok(), call % 2), (Some(call), 0));
            }
            Err(CallError::Status { .. }) => assert_eq!(call % 2, 1, "call {call}"),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(client.is_open());
    assert_eq!(client.in_flight(), 0);
}

#[tokio::test]
async fn a_peer_that_never_answers_costs_its_callers_their_time_and_nothing_else() {
    let address = liar(logs_in(|_| Vec::new())).await;
    let client = Client::connect(&options(address), NoHandler).await.unwrap();
    let calls = (0..1_000).map(|call| client.call(number(call), CallOptions::default()));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer, Err(CallError::TimedOut));
    }
    assert!(client.is_open());
    eventually("nobody waits", async || client.in_flight() == 0).await;
    let silent = liar(|_| Vec::new()).await;
    let refused = Client::connect(&options(silent), NoHandler).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Login), "{refused}");
}

#[tokio::test]
async fn a_peer_that_sends_garbage_or_too_much_is_told_so_and_left() {
    for (garbage, code) in [
        (Message::Text("not json".into()), 1008),
        (Message::Text("{\"meta\": []}".into()), 1008),
        (Message::Binary(vec![0xff; 10].into()), 1008),
        (Message::Text(format!("[{}", "[".repeat(100_000)).into()), 1008),
        (Message::Text("x".repeat(64 * 1024 * 1024).into()), 1009),
    ] {
        let shown: String = format!("{garbage:?}").chars().take(60).collect();
        let address = liar(logs_in(move |_| vec![garbage.clone(); 150])).await;
        let client = Client::connect(&options(address), NoHandler).await.unwrap();
        // Its own answer is not among it.
        let lost = client.call(number(1), CallOptions::default()).await;
        assert!(matches!(lost, Err(CallError::Closed | CallError::TimedOut)), "{shown}: {lost:?}");
        let closed = tokio::time::timeout(Duration::from_secs(15), client.closed()).await.unwrap();
        assert_eq!((closed.side, closed.code), (Side::Us, code), "{shown}: {closed:?}");
    }
}

/// Somebody who answers something else than a login is not let in by it.
#[tokio::test]
async fn only_a_login_that_went_well_is_one() {
    for answer in [
        json!({"meta": {"id": "x", "in_reply_to": "client.1", "status": 403, "msg_type": "zwsx.rsper"}, "data": "You are not authorized"}),
        json!({"meta": {"id": "x", "in_reply_to": "client.1", "status": 200, "msg_type": "zwsx.rspa"}, "data": {}}),
        json!({"meta": {"id": "x", "in_reply_to": "client.1", "status": 200, "msg_type": "zwsx.rspok"}, "data": {"token": "t"}}),
        json!({"meta": {"id": "x"}, "data": {"token": "t"}}),
        json!("zwsx.rspa"),
    ] {
        let shown = answer.to_string();
        let address = liar(move |_| vec![text(&answer)]).await;
        let refused = Client::connect(&options(address), NoHandler).await;
        assert!(matches!(refused, Err(ConnectError::Login)), "{shown}: {refused:?}");
    }
}
