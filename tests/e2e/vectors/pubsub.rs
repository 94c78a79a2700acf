//! Messages of publish/subscribe as envelopes: decoded, and encoded again to the same JSON.

use bytes::Bytes;
use serde_json::Value;
use spanwire_protocol::{ClientMessage, Codec, ServerMessage};
use spanwire_tests::vectors::load;

/// The message with values in place of placeholders, so that it can be read.
fn filled(message: &Value) -> String {
    let text = message.to_string();
    [
        ("<same as meta.id>", "0a1b2c3d4e5f60718293a4b5"),
        ("<hex24>", "0a1b2c3d4e5f60718293a4b5"),
        ("<iso8601-utc>", "2024-03-04T10:20:30.125001"),
    ]
    .iter()
    .fold(text, |text, (placeholder, value)| text.replace(placeholder, value))
}

fn client_again(text: &str) -> Result<Value, String> {
    let bytes = Bytes::from(text.to_owned());
    let message = ClientMessage::decode(Codec::Json, &bytes).map_err(|error| error.to_string())?;
    serde_json::from_slice(&message.encode(Codec::Json)).map_err(|error| error.to_string())
}

fn server_again(text: &str) -> Result<Value, String> {
    let bytes = Bytes::from(text.to_owned());
    let message = ServerMessage::decode(Codec::Json, &bytes).map_err(|error| error.to_string())?;
    serde_json::from_slice(&message.encode(Codec::Json)).map_err(|error| error.to_string())
}

#[test]
fn pubsub_vectors_survive_decoding_and_encoding() {
    let vectors = load("wsx-pubsub.json");
    assert!(vectors.len() >= 20, "only {} vectors", vectors.len());
    let mut wrong = Vec::new();
    for vector in &vectors {
        let message = filled(&vector["message"]);
        let again = match vector["direction"].as_str().unwrap() {
            "client-to-server" => client_again(&message),
            "server-to-client" => server_again(&message),
            other => panic!("nobody knows the direction {other}"),
        };
        let replies = vector["expected"]["send"].as_array().unwrap();
        let replies = replies.iter().map(filled).map(|reply| (server_again(&reply), reply));
        for (again, message) in std::iter::once((again, message)).chain(replies) {
            let before: Value = serde_json::from_str(&message).unwrap();
            if again.as_ref() != Ok(&before) {
                wrong.push(format!("{}: {before}\n  became {again:?}", vector["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
