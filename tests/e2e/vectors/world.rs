//! Servers with a channel for each vector, configured as the vector says.
//!
//! Everything runs on the real binary but `my.raises`: a 500 of an endpoint becomes a 502, so only a service inside a
//! server can fail with 500. That vector's channel is in an [`App`] within the test.

use std::time::Duration;

use serde_json::{Value, json};
use spanwire_runtime::{App, ServiceError};
use spanwire_tests::Server;
use spanwire_tests::endpoint::Endpoint;

/// The token that stands for the valid one in all vectors.
pub(crate) const VALID_TOKEN: &str = "zwsxt.5d1c0b7fa29e4c3388aa10ef";

/// How many pings are answered before a token that pongs did not extend would be over.
pub(crate) const PINGS_TO_ANSWER: u32 = 3;

/// How long to wait until a token of [`EXPIRING`] is over.
pub(crate) const TOKEN_OVER: Duration = Duration::from_millis(1300);

/// Settings of channels whose tokens nothing extends.
const EXPIRING: [(&str, &str); 2] = [("token_ttl", "1s"), ("ping_interval", "1h")];

/// Where vectors are run.
pub(crate) struct World {
    /// The real server.
    pub(crate) server: Server,
    app: App,
    _endpoint: Endpoint,
}

impl World {
    /// Starts servers for these vectors.
    pub(crate) async fn start(vectors: &[Value]) -> Self {
        let endpoint = Endpoint::start(|request| {
            let path = request.head.split(' ').nth(1).unwrap_or_default();
            match path {
                "/my.returns-nothing" => (200, String::new()),
                "/my.raises-bad-request" => (400, json!({"error": "Bad request"}).to_string()),
                "/my.raises-not-found" => (404, json!({"error": "No such customer"}).to_string()),
                other => panic!("no vector calls {other}"),
            }
        })
        .await;
        let services: Vec<_> =
            ["my.returns-nothing", "my.raises-bad-request", "my.raises-not-found"]
                .iter()
                .map(|name| json!({"name": name, "url": endpoint.url(&format!("/{name}"))}))
                .collect();
        let (inside, outside): (Vec<_>, Vec<_>) =
            vectors.iter().partition(|vector| is_inside(vector));
        let mut objects = objects(&outside);
        objects["service"] = services.into();
        // Many vectors are wrong passwords in a row, which is not what is tested here.
        let server = Server::setup()
            .settings("[limits]\nfailed_logins = 1000\n")
            .objects(&objects.to_string())
            .start();
        let app = App::builder()
            .service_fn("my.raises", |_, _: Value| async move {
                Err::<Value, _>(ServiceError::internal("the text that no caller may see"))
            })
            .objects(self::objects(&inside).to_string())
            .start()
            .await
            .unwrap();
        Self { server, app, _endpoint: endpoint }
    }

    /// The URL of a vector's channel.
    pub(crate) fn url(&self, vector: &Value) -> String {
        let path = path(vector);
        if is_inside(vector) {
            format!("ws://{}{path}", self.app.address())
        } else {
            self.server.ws(&path)
        }
    }

    /// Stops what runs in the test.
    pub(crate) async fn end(self) -> Server {
        self.app.shutdown().await;
        self.server
    }
}

/// The name of a vector, which is the name of its channel, too.
pub(crate) fn name(vector: &Value) -> &str {
    vector["name"].as_str().unwrap()
}

/// Whether the server has to have asked the client before.
pub(crate) fn is_asked(vector: &Value) -> bool {
    vector["state_before"] == "awaiting-client-response"
        || !vector["expected"]["resolves_server_request"].is_null()
}

fn is_inside(vector: &Value) -> bool {
    vector["message"]["data"]["service"] == "my.raises"
}

fn path(vector: &Value) -> String {
    format!("/vectors/{}", name(vector))
}

fn objects(vectors: &[&Value]) -> Value {
    let mut gateways = Vec::new();
    let mut channels = Vec::new();
    for vector in vectors {
        let (name, config) = (name(vector), &vector["config"]);
        let service = match (config["mounted_service"].as_str(), &config["services_allowed"]) {
            (Some("gateway") | None, Value::Null) => "helpers.web-sockets-gateway".to_owned(),
            (Some("gateway") | None, allowed) => {
                let gateway = format!("{name}.gateway");
                gateways.push(json!({"name": gateway, "services_allowed": allowed}));
                gateway
            }
            (Some(service), _) => service.to_owned(),
        };
        let needs_auth = config["needs_auth"].as_bool().unwrap_or(true);
        let security = if needs_auth { "vectors" } else { "zato-no-security" };
        let mut channel = json!({
            "name": name, "address": path(vector), "service": service, "sec_def": security,
        });
        for (key, value) in times(vector) {
            channel[key] = (*value).into();
        }
        channels.push(channel);
    }
    json!({
        "security": [{"name": "vectors", "type": "basic_auth", "username": "user1", "password": "secret1"}],
        "wsx_gateway": gateways,
        "web_socket": channels,
    })
}

/// Times short enough to be waited for.
fn times(vector: &Value) -> &'static [(&'static str, &'static str)] {
    let extended = !vector["expected"]["ttl_extended_by"].is_null();
    match (name(vector), vector["direction"].as_str().unwrap()) {
        ("auth-timeout", _) => &[("new_token_wait_time", "1s")],
        ("invoke-expired-token", _) => &EXPIRING,
        ("pings-missed", _) => &[("ping_interval", "1s"), ("ping_timeout", "200ms")],
        (_, "server-ping-frame") => &[("ping_interval", "1s")],
        (_, "pong-frame") if extended => {
            &[("token_ttl", "2s"), ("ping_interval", "1s"), ("ping_timeout", "1s")]
        }
        _ => &[],
    }
}
