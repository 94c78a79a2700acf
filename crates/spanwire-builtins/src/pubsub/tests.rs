//! The services against a broker in memory.

mod context;
mod forbidden;
mod rest;
mod services;
mod vectors;
mod websocket;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use spanwire_protocol::{Codec, ConnectionId, Payload, TopicPattern};
use spanwire_pubsub::settings::{EndpointKind, EndpointSettings, Role, TopicSettings};
use spanwire_pubsub::store::memory::MemoryMessageStore;
use spanwire_pubsub::{Broker, Consumer, Delivered, Ended, EndpointId, SubKey, TopicId};
use spanwire_service::{
    BoxFuture, Call, ChannelType, ClientOrigin, Origin, Ports, Registry, ServiceError,
};
use tokio_util::sync::CancellationToken;

use super::{Clients, Options, PubSub, ServiceTopics, envelope};

/// What a service answered, or its status and text.
type Answer = Result<Value, (u16, String)>;

/// Connections that keep what is given to them. Those whose id ends with `v1` chose a subprotocol, that called `gone`
/// is not there, that called `going` goes after a first consumer.
#[derive(Default)]
struct FakeClients(Mutex<Vec<(ConnectionId, Consumer)>>);

impl Clients for FakeClients {
    fn deliver(&self, connection: &ConnectionId, consumer: Consumer) -> Result<(), ServiceError> {
        let is_second = || self.0.lock().unwrap().iter().any(|(id, _)| id == connection);
        if connection.as_str() == "gone" || (connection.as_str() == "going" && is_second()) {
            return Err(ServiceError::not_found("No such WebSocket connection"));
        }
        self.0.lock().unwrap().push((connection.clone(), consumer));
        Ok(())
    }

    fn wants_additions(&self, connection: &ConnectionId) -> bool {
        connection.as_str().ends_with("v1")
    }
}

/// Topics of services on a broker.
struct FakeTopics(Broker);

impl ServiceTopics for FakeTopics {
    fn ensure<'a>(&'a self, service: &'a str) -> BoxFuture<'a, Result<String, ServiceError>> {
        Box::pin(async move {
            let topic = super::service_topic(service);
            let made = self.0.put_topic(TopicId(900), &topic, TopicSettings::default()).await;
            made.map(|()| topic).map_err(ServiceError::internal)
        })
    }
}

struct World {
    broker: Broker,
    clients: Arc<FakeClients>,
    stop: CancellationToken,
    ports: Ports,
    options: Options,
    codec: Codec,
}

impl World {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let broker = Broker::builder(Arc::new(MemoryMessageStore::new())).open().unwrap();
        let limited = TopicSettings {
            limit_message_expiry: Some(Duration::from_secs(86_400)),
            ..TopicSettings::default()
        };
        for (id, name) in
            ["/customer/new", "/a", "/b", "/secret", "/shared"].into_iter().enumerate()
        {
            broker.put_topic(TopicId(id as u64 + 1), name, limited.clone()).await.unwrap();
        }
        broker.set_endpoints(endpoints());
        let clients = Arc::new(FakeClients::default());
        let registry = Registry::new();
        crate::register(&registry);
        registry.register_fn("my.service", |_, (): ()| async { Ok(()) });
        let stop = CancellationToken::new();
        let pubsub = PubSub {
            broker: broker.clone(),
            clients: Arc::clone(&clients) as Arc<dyn Clients>,
            service_topics: Some(Arc::new(FakeTopics(broker.clone()))),
            stop: stop.clone(),
            options: options.clone(),
        };
        super::register(&registry, pubsub);
        Self {
            broker,
            clients,
            stop,
            ports: Ports::new(registry.into()),
            options,
            codec: Codec::Json,
        }
    }

    async fn call(&self, origin: &Arc<Origin>, service: &str, input: Value) -> Answer {
        let input = Payload::from_serialize(self.codec, &input).unwrap();
        let reply = self.ports.invoke(Call::new(service, input), Arc::clone(origin)).await;
        let reply = reply.map_err(|error| (error.status().0, error.into_message()))?;
        assert_eq!(reply.codec(), self.codec);
        Ok(reply.parse().unwrap())
    }

    /// What the last consumer of a connection gets next, as messages of the wire.
    async fn pushed(&self, connection: &str) -> Vec<Value> {
        let (key, messages) = self.batch(connection, true).await.unwrap();
        let one = |delivered: &Delivered| {
            envelope::delivery(delivered, &key, self.codec, &self.options, false)
        };
        messages.iter().map(|delivered| one(delivered).parse().unwrap()).collect()
    }

    /// What the last consumer of a connection gets next; it stays unacknowledged if the client acknowledges itself.
    async fn batch(
        &self,
        connection: &str,
        acknowledge: bool,
    ) -> Result<(SubKey, Vec<Delivered>), Ended> {
        let mut consumer = {
            let mut all = self.clients.0.lock().unwrap();
            let last = all.iter().rposition(|(id, _)| id.as_str() == connection).unwrap();
            all.remove(last).1
        };
        let next = tokio::time::timeout(Duration::from_secs(5), consumer.next()).await.unwrap();
        let key = consumer.key().clone();
        let batch = next.map(|batch| {
            let messages = batch.messages.clone();
            match acknowledge {
                true => batch.acknowledge(),
                false => batch.sent(),
            }
            messages
        });
        let mut all = self.clients.0.lock().unwrap();
        all.push((ConnectionId::from_text(connection), consumer));
        batch.map(|messages| (key, messages))
    }
}

fn endpoints() -> Vec<EndpointSettings> {
    let all = "pub=/*,sub=/*";
    let crm =
        "pub=/customer/*,sub=/customer/*,sub=/a,sub=/b,pub=/a,pub=/allowed/**,sub=/allowed/**";
    [
        (1, "crm.wsx", EndpointKind::Wsx, Role::PubSub, crm),
        (2, "other.wsx", EndpointKind::Wsx, Role::PubSub, crm),
        (3, "crm.rest", EndpointKind::Rest, Role::PubSub, all),
        (4, "other.rest", EndpointKind::Rest, Role::PubSub, all),
        (5, "pub.rest", EndpointKind::Rest, Role::PubOnly, all),
        (6, "sub.rest", EndpointKind::Rest, Role::SubOnly, all),
        (7, "nothing.rest", EndpointKind::Rest, Role::PubSub, ""),
        (8, "service.rest", EndpointKind::Rest, Role::PubSub, "pub=/zato/s/to/my_service"),
    ]
    .map(|(id, name, kind, role, patterns)| {
        let patterns = patterns.split(',').filter(|line| !line.is_empty());
        let is_wsx = kind == EndpointKind::Wsx;
        EndpointSettings {
            id: EndpointId(id),
            name: format!("endpoint.{name}").into(),
            kind,
            is_active: true,
            role,
            patterns: patterns.map(|line| TopicPattern::parse(line).unwrap()).collect(),
            security_name: (!is_wsx).then(|| name.into()),
            channel_name: is_wsx.then(|| name.into()),
            service_name: None,
            bind_to_client: false,
        }
    })
    .into()
}

fn origin(channel_type: ChannelType, name: &str, connection: Option<&str>) -> Arc<Origin> {
    let client = connection.map(|id| ClientOrigin {
        connection_id: ConnectionId::from_text(id),
        client_id: format!("client.{id}").into(),
        client_name: "".into(),
        peer_fqdn: "".into(),
    });
    let mut origin = Origin::clone(&Origin::internal());
    origin.channel_name = name.into();
    origin.channel_type = channel_type;
    origin.security_name = name.into();
    origin.client = client;
    Arc::new(origin)
}

fn wsx(channel: &str, connection: &str) -> Arc<Origin> {
    origin(ChannelType::WebSocket, channel, Some(connection))
}

fn rest(security: &str) -> Arc<Origin> {
    origin(ChannelType::Rest, security, None)
}

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("{name} of {answer}")).to_owned()
}

fn ids(answer: &Value) -> Vec<&str> {
    answer.as_array().unwrap().iter().map(|it| it["msg_id"].as_str().unwrap()).collect()
}

const FORBIDDEN: &str = "You are not allowed to access this resource";

fn forbidden() -> Answer {
    Err((403, FORBIDDEN.to_owned()))
}
