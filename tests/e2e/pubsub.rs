//! Publish/subscribe of the real server: over REST and WebSockets, by foreign clients, to REST connections and services,
//! and when something breaks.

#![cfg(test)]

mod access;
mod additions;
mod browser;
mod faults;
mod hooks;
mod kill;
mod lease;
mod limits;
mod managed;
mod notify;
mod operator;
mod push;
mod rest;
mod resume;
mod services;
mod slow;

use serde_json::{Value, json};
use spanwire_tests::Server;
use spanwire_tests::http::{Answer, admin};
use spanwire_tests::messaging::{Login, Rest, Wsx};

/// Applications, channels and topics that the tests share.
const OBJECTS: &str = r#"
security:
  - {name: portal, type: basic_auth, username: portal, password: secret1}
  - {name: crm, type: basic_auth, username: crm, password: secret1}
  - {name: erp, type: basic_auth, username: erp, password: secret1}
  - {name: stranger, type: basic_auth, username: stranger, password: secret1}
  - {name: ws, type: basic_auth, username: ws, password: secret1}
wsx_gateway:
  - name: gate
    services_allowed:
      - zato.ping
      - "zato.pubsub.pubapi.*"
      - zato.pubsub.resume-wsx-subscription
      - zato.pubsub.subscription.create-wsx-subscription
      - zato.pubsub.publish.publish
      - zato.pubsub.queue.get-messages
      - zato.pubsub.queue.acknowledge-delivery
      - zato.pubsub.queue.get-queue-depth-by-sub-key
      - spanwire.pubsub.acknowledge
      - spanwire.pubsub.refuse
web_socket:
  - {name: crm.wsx, address: /ws/crm, service: gate, sec_def: ws}
  - {name: other.wsx, address: /ws/other, service: gate, sec_def: ws}
  - {name: bound.wsx, address: /ws/bound, service: gate, sec_def: ws}
  - {name: bare.wsx, address: /ws/bare, service: gate, sec_def: ws}
pubsub_topic:
  - {name: /customer/new}
  - {name: /customer/gd, has_gd: true}
  - {name: /customer/closed, is_active: false}
  - {name: /customer/admin, is_api_sub_allowed: false}
  - {name: /customer/shallow, max_depth_gd: 3, max_depth_non_gd: 3, depth_check_freq: 1}
  - {name: /customer/short, limit_message_expiry: 86400}
  - {name: /customer/drop, on_no_subs_pub: drop}
  - {name: /customer/a/changed}
  - {name: /customer/address/changed}
  - {name: /usa/va/richmond}
  - {name: /secret}
  - {name: plain}
pubsub_endpoint:
  - {name: portal, endpoint_type: rest, role: pub-sub, security_name: portal, topic_patterns: "pub=/customer/**\nsub=/customer/**\npub=plain\nsub=plain"}
  - {name: crm, endpoint_type: rest, role: pub-sub, security_name: crm, topic_patterns: "pub=/customer/**\nsub=/customer/**"}
  - {name: erp, endpoint_type: rest, role: pub-sub, security_name: erp, topic_patterns: "pub=/usa/va/*\npub=/customer/*/changed\nsub=/customer/*/changed"}
  - {name: crm.wsx, endpoint_type: wsx, role: pub-sub, ws_channel_name: crm.wsx, topic_patterns: "pub=/customer/**\nsub=/customer/**"}
  - {name: other.wsx, endpoint_type: wsx, role: pub-sub, ws_channel_name: other.wsx, topic_patterns: "pub=/customer/**\nsub=/customer/**"}
  - {name: bound.wsx, endpoint_type: wsx, role: pub-sub, ws_channel_name: bound.wsx, bind_to_client: true, topic_patterns: "pub=/customer/**\nsub=/customer/**"}
"#;

/// The refusal that tells nothing.
const FORBIDDEN: &str = "You are not allowed to access this resource";

/// A server with [`OBJECTS`].
fn start() -> Server {
    Server::setup().objects(OBJECTS).start()
}

/// A REST caller of [`OBJECTS`].
fn rest(server: &Server, name: &str) -> Rest {
    Rest::new(server, name, "secret1")
}

/// The login of a channel of [`OBJECTS`].
fn login(path: &str) -> Login<'_> {
    Login { path, username: "ws", password: "secret1", subprotocol: None }
}

/// A client on `/ws/crm`.
async fn wsx(server: &Server, client_id: &str) -> Wsx {
    Wsx::log_in(server, login("/ws/crm"), client_id).await
}

/// The one queue of an endpoint, as the admin API shows it.
async fn queue(server: &Server, endpoint: &str) -> Value {
    let path = format!("/api/v1/pubsub/queues?endpoint_name={endpoint}");
    let list = admin(server, "GET", &path, "").await;
    assert_eq!(list.status, 200, "{list:?}");
    list.json()[0].clone()
}

/// The error of a REST answer has this status and text, and the correlation id of its header.
#[track_caller]
fn assert_error(answer: &Answer, status: u16, details: &str) {
    let expected =
        json!({"result": "Error", "cid": answer.header("x-zato-cid"), "details": details});
    assert_eq!((answer.status, answer.json()), (status, expected));
    assert!(!answer.header("x-zato-cid").is_empty(), "{answer:?}");
}

/// Calls a service as an administrator does.
async fn admin_invoke(server: &Server, service: &str, request: &Value) -> Answer {
    admin(server, "POST", &format!("/api/v1/services/{service}/invoke"), &request.to_string()).await
}
