//! A thousand changes of every kind, and clients of channels that are not among them notice nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use spanwire_tests::http::{admin, connections, history};
use spanwire_tests::{Client, Server};
use tokio::task::JoinSet;

use super::{Dice, assert_consistent, create, delete, ok, patch};

const SOCKETS: usize = 200;
const CHANGES: usize = 1000;

/// What nobody touches, and what others refer to.
const STEADY: &str = r#"
security:
  - {name: steady, type: basic_auth, username: steady, password: secret1}
  - {name: base, type: basic_auth, username: base, password: secret1}
web_socket:
  - {name: steady, address: /ws/steady, service: zato.helpers.echo, sec_def: steady}
outgoing_rest:
  - {name: base, host: "http://127.0.0.1:9", url_path: /x}
pubsub_topic:
  - {name: /base}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_of_other_channels_notice_nothing() {
    let server = Server::setup().objects(STEADY).start();
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut sockets = JoinSet::new();
    for _ in 0..SOCKETS {
        let mut client = Client::log_in(&server.ws("/ws/steady"), "steady", "secret1").await;
        let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
        sockets.spawn(async move {
            let mut number = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let reply = client.call(&json!({ "n": number })).await;
                assert_eq!(
                    (&reply["meta"]["status"], &reply["data"]["n"]),
                    (&json!(200), &json!(number))
                );
                calls.fetch_add(1, Ordering::Relaxed);
                // Two hundred clients that never pause leave two cores nothing to change anything with.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            client
        });
    }
    let mut world = World::default();
    for number in 0..CHANGES {
        world.change(&server, number).await;
    }
    let answered = calls.load(Ordering::Relaxed);
    stop.store(true, Ordering::Relaxed);
    let clients = sockets.join_all().await;
    assert!(answered > SOCKETS as u64, "{answered} calls were answered meanwhile");
    let live = connections(&server).await;
    assert_eq!(live.iter().filter(|it| it["channel_name"] == "steady").count(), SOCKETS);
    assert!(history(&server).await.is_empty(), "a connection ended");
    drop(clients);
    assert_consistent(&server).await;
    let info = ok(admin(&server, "GET", "/api/v1/server", "").await);
    assert!(info["revision"].as_u64().unwrap() > 900, "{info}");
}

/// The objects that come, change and go.
#[derive(Default)]
struct World {
    objects: Vec<(&'static str, String)>,
}

/// All kinds.
const KINDS: [&str; 10] = [
    "security",
    "service",
    "wsx_gateway",
    "web_socket",
    "channel_rest",
    "outgoing_rest",
    "outgoing_wsx",
    "pubsub_topic",
    "pubsub_endpoint",
    "pubsub_subscription",
];

impl World {
    async fn change(&mut self, server: &Server, number: usize) {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ (number as u64 + 1));
        dice.roll(2);
        match dice.roll(10) {
            _ if self.objects.len() < 20 => {
                self.create(server, number, dice.roll(KINDS.len())).await
            }
            0..=2 => self.create(server, number, dice.roll(KINDS.len())).await,
            3..=6 => {
                let (kind, name) = &self.objects[dice.roll(self.objects.len())];
                patch(server, kind, name, edit(kind, number)).await;
            }
            7 => {
                let at = dice.roll(self.objects.len());
                let (kind, name) = self.objects[at].clone();
                if kind == "pubsub_subscription" {
                    return;
                }
                let new = if kind == "pubsub_topic" {
                    format!("/renamed/{number}")
                } else {
                    format!("renamed-{number}")
                };
                patch(server, kind, &name, json!({ "name": new })).await;
                self.objects[at].1 = new;
            }
            8 => {
                // What others refer to changes its name, and they follow; not what the clients logged in with.
                let new = format!("base-{number}");
                patch(server, "security", "base", json!({ "name": new })).await;
                patch(server, "security", &new, json!({ "name": "base" })).await;
            }
            _ => {
                let (kind, name) = self.objects.swap_remove(dice.roll(self.objects.len()));
                delete(server, kind, &name).await;
            }
        }
    }

    async fn create(&mut self, server: &Server, number: usize, kind: usize) {
        let (kind, name) = (KINDS[kind], format!("new {number}"));
        let topic = format!("/new/{number}");
        let object = match kind {
            "security" => {
                json!({"name": name, "type": "basic_auth", "username": name, "password": "p"})
            }
            "service" => {
                json!({"name": name, "url": format!("http://127.0.0.1:9/{number}"), "security_name": "base"})
            }
            "wsx_gateway" => json!({"name": name, "services_allowed": ["zato.ping"]}),
            "web_socket" if number.is_multiple_of(3) => json!({
                "name": name, "address": "ws://127.0.0.1:0/x", "service": "zato.ping", "sec_def": "base",
            }),
            "web_socket" => json!({
                "name": name, "address": format!("/ws/{number}"), "service": "zato.ping", "sec_def": "base",
            }),
            "channel_rest" => json!({
                "name": name, "url_path": format!("/api/{number}"), "service": "zato.ping", "security_name": "base",
            }),
            "outgoing_rest" => {
                json!({"name": name, "host": "http://127.0.0.1:9", "url_path": "/x"})
            }
            "outgoing_wsx" => {
                json!({"name": name, "address": "ws://127.0.0.1:9/x", "is_active": false})
            }
            "pubsub_topic" => json!({ "name": topic }),
            "pubsub_endpoint" => json!({
                "name": name, "endpoint_type": "internal", "role": "pub-sub", "topic_patterns": ["pub=/*", "sub=/*"],
            }),
            _ => return self.subscribe(server, number).await,
        };
        let made = create(server, kind, object).await;
        self.objects.push((kind, made["name"].as_str().unwrap().to_owned()));
    }

    /// A subscription needs an endpoint that has none yet; neither of them is deleted before it.
    async fn subscribe(&mut self, server: &Server, number: usize) {
        let endpoint = format!("subscriber {number}");
        let object = json!({
            "name": endpoint, "endpoint_type": "internal", "role": "sub-only", "topic_patterns": "sub=/base",
        });
        create(server, "pubsub_endpoint", object).await;
        let object = json!({"endpoint_name": endpoint, "topic_name": "/base"});
        create(server, "pubsub_subscription", object).await;
        self.objects.push(("pubsub_subscription", format!("{endpoint}//base")));
    }
}

fn edit(kind: &str, number: usize) -> Value {
    match kind {
        "security" => json!({"realm": format!("realm {number}")}),
        "service" | "outgoing_rest" => json!({"timeout": 1 + number}),
        "wsx_gateway" => json!({"services_allowed": [format!("a.{number}.*")]}),
        "web_socket" => json!({"token_ttl": 60 + number}),
        "channel_rest" => json!({"timeout": 1 + number}),
        "outgoing_wsx" => json!({"ping_interval": 1 + number}),
        "pubsub_topic" => json!({"max_depth_gd": 100 + number}),
        "pubsub_endpoint" => json!({"topic_patterns": [format!("pub=/{number}")]}),
        _ => json!({"delivery_batch_size": 1 + number}),
    }
}
