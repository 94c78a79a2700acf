//! Inputs of a server session in any order.
//!
//! The first byte chooses the settings. Then each step is a byte that chooses the input and a byte
//! that says more about it; a message as bytes follows its length.

mod bench;

use std::time::Duration;

use bytes::Bytes;
use spanwire_protocol::{
    Action, ClientMessage, CloseFrame, DecodeError, MessageId, Payload, Status,
};
use spanwire_session::{AskId, CallFailure, CallId, Delivery, Input, LoginId};

use self::bench::Bench;

/// More steps show nothing new.
const MAX_STEPS: usize = 400;

/// Gives the inputs to a session and looks at what comes out.
///
/// # Panics
/// When the session breaks an invariant: nothing but answers after the close, each call and each
/// request answered once at most, calls in flight within their limit, timers that move on.
pub fn run(bytes: &[u8]) {
    let Some((settings, mut script)) = bytes.split_first() else { return };
    let mut bench = Bench::new(*settings);
    for _ in 0..MAX_STEPS {
        let Some((&[kind, detail], rest)) = script.split_first_chunk() else { break };
        script = rest;
        if kind % KINDS == MESSAGE {
            let (message, rest) =
                script.split_at_checked(usize::from(detail)).unwrap_or((script, &[]));
            script = rest;
            message_from_bytes(&mut bench, message);
        } else {
            step(&mut bench, kind % KINDS, detail);
        }
    }
    bench.finish();
}

const KINDS: u8 = 13;
const MESSAGE: u8 = 12;

fn step(bench: &mut Bench, kind: u8, detail: u8) {
    let (flag, small) = (detail >= 128, detail % 128);
    let codec = bench.codec;
    match kind {
        0 => {
            let id = bench.new_message_id();
            let login = ClientMessage::create_session(codec, &id, "user", "secret")
                .with_client("client", if flag { "other" } else { "name" });
            let token = bench.token.clone();
            bench.give(Input::Message(login.with_token(token)));
        }
        1 => bench.give(Input::LoginDecided { login: LoginId(u64::from(small)), accepted: !flag }),
        2 => {
            let id = bench.new_message_id();
            let data = Payload::from_serialize(codec, &"x".repeat(usize::from(small)));
            let data = data.unwrap_or_else(|_| Payload::null(codec));
            let mut call = ClientMessage::invoke(&id, data);
            call.deadline_ms = (small % 2 == 1).then_some(u64::MAX >> (small / 2));
            let token = if flag { String::new() } else { bench.token.clone() };
            bench.give(Input::Message(call.with_token(token)));
        }
        3 => {
            let call = bench.running_call(small).unwrap_or(CallId(u64::from(small)));
            let failure = CallFailure { status: Status::CONFLICT, message: "no".to_owned() };
            let result = if flag { Err(failure) } else { Ok(Payload::empty(codec)) };
            bench.give(Input::Completed { call, result });
        }
        4 => {
            let timeout = if flag { Duration::MAX } else { Duration::from_secs(small.into()) };
            let ask = AskId(bench.new_ask());
            bench.give(Input::Ask { ask, data: Payload::null(codec), timeout });
        }
        5 if flag => {
            let id = bench.new_message_id();
            let mut cancel = ClientMessage::new(Action::Cancel, &id, Payload::empty(codec));
            cancel.in_reply_to = Some(MessageId::from_text(codec, &bench.message(small)));
            let token = bench.token.clone();
            bench.give(Input::Message(cancel.with_token(token)));
        }
        5 => {
            let id = bench.new_message_id();
            let mut answer = ClientMessage::new(Action::ClientResponse, &id, Payload::empty(codec));
            answer.in_reply_to =
                bench.request(small).map(|request| MessageId::from_text(codec, &request));
            let token = bench.token.clone();
            bench.give(Input::Message(answer.with_token(token)));
        }
        6 => bench.give(Input::Pong),
        7 => bench.give(Input::Undecodable(DecodeError::TooDeep)),
        8 if flag => bench.wait(Duration::from_secs(60 * u64::from(small))),
        8 => bench.wait(Duration::from_millis(500 * u64::from(small))),
        9 => {
            let until = bench.now.instant + Duration::from_secs(small.into());
            bench.give(Input::Drain(until));
        }
        10 if flag => bench.give(Input::Deliver(Delivery::Many(Payload::null(codec)))),
        10 => bench.give(Input::Tell(Payload::null(codec))),
        _ => bench.give(Input::Disconnect(CloseFrame::DISCONNECTED)),
    }
}

/// What a peer sends, with the right token where it says `token`.
fn message_from_bytes(bench: &mut Bench, bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    match ClientMessage::decode(bench.codec, &bytes) {
        Ok(mut message) => {
            if message.token.as_deref() == Some("token") {
                message.token = Some(bench.token.clone().into());
            }
            bench.note_message(&message);
            bench.give(Input::Message(message));
        }
        Err(error) => bench.give(Input::Undecodable(error)),
    }
}
