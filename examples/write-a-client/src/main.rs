//! A WSX client made of the protocol crate and tokio-tungstenite: logs in, calls, prints the reply.
//!
//! `cargo run -p write-a-client -- ws://127.0.0.1:17010/ws/demo '{"service": "zato.ping"}'`; user name and password come
//! from `WSX_USERNAME` and `WSX_PASSWORD`. For timeouts, renewal and many calls at once see
//! `spanwire_session::ClientSession`.

use std::error::Error;
use std::io::Write;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use spanwire_protocol::{ClientMessage, Codec, Payload, ServerMessage};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: write-a-client URL [JSON]")?;
    let input = arguments.next().unwrap_or_else(|| r#"{"name": "Anna"}"#.to_owned());
    let (username, password) = (variable("WSX_USERNAME"), variable("WSX_PASSWORD"));

    let (mut socket, _) = connect_async(url).await?;
    let login = ClientMessage::create_session(Codec::Json, "login", &username, &password);
    let reply = exchange(&mut socket, &login.with_client("example.1", "write-a-client")).await?;
    let reply = ServerMessage::decode(Codec::Json, &reply)?;
    if !reply.is_ok() {
        return Err("the server refused the login".into());
    }
    let token: String = reply.data.entry("token").ok_or("the reply holds no token")?.parse()?;

    let call = ClientMessage::invoke("call", Payload::from_json(input)?).with_token(token);
    let reply = exchange(&mut socket, &call).await?;
    let reply = ServerMessage::decode(Codec::Json, &reply)?;
    match reply.error_message {
        None => writeln!(std::io::stdout(), "{}", reply.data.parse::<Value>()?)?,
        Some(error) => return Err(error.into_owned().into()),
    }
    socket.close(None).await?;
    Ok(())
}

/// Sends a message and waits for the next one; pings are answered by the library.
async fn exchange(
    socket: &mut Socket,
    message: &ClientMessage<'_>,
) -> Result<Bytes, Box<dyn Error>> {
    socket.send(Message::Text(Utf8Bytes::try_from(message.encode(Codec::Json))?)).await?;
    loop {
        match socket.next().await.ok_or("the server closed the connection")?? {
            Message::Text(text) => return Ok(text.into()),
            Message::Close(_) => return Err("the server closed the connection".into()),
            _ => {}
        }
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
