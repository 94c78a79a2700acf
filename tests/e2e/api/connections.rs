//! Live connections as administrators see and handle them.

mod asking;
mod closing;
mod fields;
mod filters;
mod load;

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use spanwire_tests::http::connections;
use spanwire_tests::{Client, PATIENCE, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Two channels, one with credentials; pings come soon.
pub(super) const CHANNELS: &str = r#"
security:
  - {name: app1, type: basic_auth, username: user1, password: secret1}
  - {name: app2, type: basic_auth, username: user2, password: secret2}
web_socket:
  - {name: crm, address: /ws/crm, service: zato.helpers.echo, sec_def: app1, ping_interval: 1}
  - {name: erp, address: /ws/erp, service: zato.helpers.echo, sec_def: app2}
  - {name: open, address: /ws/open, service: zato.helpers.echo, sec_def: zato-no-security}
"#;

/// The first message of a client that says who it is.
fn login(id: &str, name: &str, attrs: &str, user: &str, secret: &str) -> Value {
    json!({"meta": {
        "action": "create-session", "id": "login", "client_id": id, "client_name": name, "attrs": attrs,
        "username": user, "secret": secret,
    }})
}

/// Logs in to `/ws/crm`.
async fn crm(server: &Server, id: &str, name: &str, attrs: &str) -> Client {
    let mut client = Client::connect(&server.ws("/ws/crm")).await;
    welcome(&mut client, &login(id, name, attrs, "user1", "secret1")).await;
    client
}

/// Logs in on an open connection.
async fn welcome(client: &mut Client, login: &Value) {
    client.send(login).await;
    let reply = client.receive().await;
    reply["data"]["token"]
        .as_str()
        .unwrap_or_else(|| panic!("{reply}"))
        .clone_into(&mut client.token);
}

/// The record of the client with an id.
async fn record(server: &Server, client: &str) -> Value {
    let all = connections(server).await;
    let found = all.iter().find(|it| it["ext_client_id"] == client);
    found.unwrap_or_else(|| panic!("{client} is not in {all:?}")).clone()
}

/// The id that the server gave to a client.
async fn id_of(server: &Server, client: &str) -> String {
    record(server, client).await["pub_client_id"].as_str().unwrap().to_owned()
}

/// A client that knows its own address, and reads only when it is told to.
struct Direct {
    socket: WebSocketStream<tokio::net::TcpStream>,
    own: SocketAddr,
}

impl Direct {
    /// Connects after some bytes, with further headers.
    async fn connect(
        server: &Server,
        path: &str,
        first: &str,
        headers: &[(&'static str, &str)],
    ) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(server.address()).await.unwrap();
        let own = stream.local_addr().unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        let mut request = server.ws(path).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let (socket, _) = client_async(request, stream).await.unwrap();
        Self { socket, own }
    }

    async fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Logs in and returns the token.
    async fn log_in(&mut self, message: &Value) -> String {
        self.send(message).await;
        let reply =
            tokio::time::timeout(PATIENCE, self.socket.next()).await.unwrap().unwrap().unwrap();
        let reply: Value = serde_json::from_str(reply.to_text().unwrap()).unwrap();
        reply["data"]["token"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }
}
