//! Managed objects and topics of services against a broker in memory.

use std::collections::BTreeSet;

use spanwire_builtins::pubsub::ServiceTopics;
use spanwire_config::store::KeyValueConfigStore;
use spanwire_config::{Author, Configuration, Edit, Existing, Kind, parse_str};
use spanwire_crypto::KeyRing;
use spanwire_protocol::TopicPattern;
use spanwire_pubsub::settings::{EndpointKind, EndpointSettings, Role, TopicSettings};
use spanwire_pubsub::{EndpointId, PubSubError, Publication, Subscribe, TopicId};
use spanwire_service::Registry;
use spanwire_store::MemoryStore;

use super::service_topics::{Made, is_made};
use super::*;

async fn open() -> Arc<PubSub> {
    let opened = tokio::task::spawn_blocking(|| {
        PubSub::open(&Opening {
            folder: None,
            settings: &Settings::default(),
            ports: &Ports::new(Arc::new(Registry::new())),
            connections: &Arc::new(ConnectionTable::new("s")),
            metrics: &Metrics::new().unwrap(),
        })
    });
    opened.await.unwrap().unwrap()
}

/// A configuration that grows.
struct Objects(Configuration);

impl Objects {
    fn new() -> Self {
        let store = Arc::new(KeyValueConfigStore::new(Arc::new(MemoryStore::new())));
        let keys = Arc::new(KeyRing::ephemeral().unwrap());
        Self(Configuration::open(store, keys).unwrap())
    }

    /// Adds objects; tells the numbers of all.
    fn add(&self, text: &str) -> (Arc<Snapshot>, BTreeSet<u64>) {
        let base = self.0.snapshot();
        let existing = Existing::new(base.objects(), &|_, _| false);
        let read = parse_str("test.yaml", text, &|_| None, existing).unwrap();
        self.change(read.objects.into_iter().map(Edit::Apply).collect())
    }

    fn change(&self, edits: Vec<Edit>) -> (Arc<Snapshot>, BTreeSet<u64>) {
        let author = Author::new("test", "test");
        let now = spanwire_channel::clock::timestamp();
        let outcome = self.0.change(edits, &author, now, &|_, _| false).unwrap();
        (outcome.after, outcome.changes.iter().map(|change| change.id).collect())
    }
}

async fn apply(
    pubsub: &Arc<PubSub>,
    (target, changed): (Arc<Snapshot>, BTreeSet<u64>),
) -> Vec<String> {
    let pubsub = Arc::clone(pubsub);
    let failed = tokio::task::spawn_blocking(move || pubsub.apply(&target, &changed));
    failed.await.unwrap().into_values().collect()
}

fn messages(pubsub: &PubSub, topic: &str) -> usize {
    pubsub.broker.topic(topic).map_or(0, |topic| topic.depth_gd + topic.depth_non_gd)
}

async fn publish(pubsub: &PubSub, topic: &str) {
    let publication = Publication::from_value("x").unwrap();
    pubsub.broker.publish(&pubsub.broker.internal(), topic, vec![publication]).await.unwrap();
}

#[tokio::test]
async fn a_topic_of_a_service_is_that_of_one_service_and_has_it_subscribed() {
    let pubsub = open().await;
    let topics = Made::new(&pubsub);
    let topic = topics.ensure("a.b").await.unwrap();
    assert_eq!(topic, "/zato/s/to/a_b");
    let key = |pubsub: &PubSub| {
        let all = pubsub.broker.subscriptions(Some("/zato/s/to/a_b"));
        assert_eq!(all.len(), 1);
        all.into_iter().next().unwrap().key
    };
    let first = key(&pubsub);
    topics.ensure("a.b").await.unwrap();
    assert_eq!(key(&pubsub), first);
    let error = topics.ensure("a_b").await.unwrap_err();
    assert!(error.message().contains("`a.b`"), "{error}");
    // As after a crash between the two steps.
    pubsub.broker.remove_subscription(&first).await.unwrap();
    topics.ensure("a.b").await.unwrap();
    assert_ne!(key(&pubsub), first);
}

#[tokio::test]
async fn topics_of_services_are_after_a_restart_what_they_were_before() {
    let pubsub = open().await;
    let topic = Made::new(&pubsub).ensure("a").await.unwrap();
    let id = pubsub.broker.topic(&topic).unwrap().id;
    assert!(is_made(id));
    // What a restart leaves of it.
    pubsub.broker.put_topic(id, &topic, TopicSettings::default()).await.unwrap();
    pubsub.stop_notifiers();
    pubsub.restore_service_topics().await.unwrap();
    pubsub.broker.set_endpoints(vec![EndpointSettings {
        id: EndpointId(1),
        name: "e".into(),
        kind: EndpointKind::Rest,
        is_active: true,
        role: Role::PubSub,
        patterns: vec![TopicPattern::parse("sub=/**").unwrap()],
        security_name: Some("s".into()),
        channel_name: None,
        service_name: None,
        bind_to_client: false,
    }]);
    let by = pubsub.broker.endpoint_by_name("e").unwrap();
    let refused = pubsub.broker.subscribe(&by, &topic, Subscribe::default()).await;
    assert_eq!(refused.unwrap_err().to_string(), PubSubError::Forbidden.to_string());
    pubsub.is_applied.store(false, std::sync::atomic::Ordering::Relaxed);
    assert!(pubsub.notifiers.lock().unwrap().is_empty());
    apply(&pubsub, (Arc::default(), BTreeSet::new())).await;
    assert_eq!(pubsub.notifiers.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_topic_with_messages_does_not_give_way_to_another_number() {
    let pubsub = open().await;
    let (number, broker) = (TopicId(777), &pubsub.broker);
    broker.put_topic(number, "/t", TopicSettings::default()).await.unwrap();
    broker.subscribe(&broker.internal(), "/t", Subscribe::default()).await.unwrap();
    publish(&pubsub, "/t").await;
    let target = Objects::new().add("pubsub_topic: [{name: /t}]");
    let failed = apply(&pubsub, target.clone()).await;
    assert!(failed.len() == 1 && failed[0].contains("777"), "{failed:?}");
    assert_eq!((broker.topic("/t").unwrap().id, messages(&pubsub, "/t")), (number, 1));
    broker.clear_topic("/t").await.unwrap();
    assert_eq!(apply(&pubsub, target).await, [""; 0]);
    assert_ne!(broker.topic("/t").unwrap().id, number);
}

#[tokio::test]
async fn an_object_takes_over_the_subscription_that_is_there() {
    let pubsub = open().await;
    let objects = Objects::new();
    let base = "security: [{name: s, type: basic_auth, username: s, password: s}]\n\
                pubsub_topic: [{name: /t}]\n\
                pubsub_endpoint: [{name: e, endpoint_type: rest, role: pub-sub, security_name: s, \
                topic_patterns: \"sub=/**\"}]\n";
    assert_eq!(apply(&pubsub, objects.add(base)).await, [""; 0]);
    let by = pubsub.broker.endpoint_by_name("e").unwrap();
    let key = pubsub.broker.subscribe(&by, "/t", Subscribe::default()).await.unwrap().key;
    publish(&pubsub, "/t").await;
    for size in [7, 8] {
        let managed = format!(
            "pubsub_subscription: [{{endpoint_name: e, topic_name: /t, delivery_method: pull, \
             delivery_batch_size: {size}}}]"
        );
        assert_eq!(apply(&pubsub, objects.add(&managed)).await, [""; 0]);
        let info = pubsub.broker.subscription(&key).unwrap();
        assert_eq!((info.settings.batch_size, info.depth), (size, 1));
    }
    let snapshot = objects.0.snapshot();
    let name = snapshot.objects().of_kind(Kind::PubsubSubscription).next().unwrap().name();
    let gone =
        objects.change(vec![Edit::Delete { kind: Kind::PubsubSubscription, name, expect: None }]);
    assert_eq!(apply(&pubsub, gone).await, [""; 0]);
    assert!(pubsub.broker.subscription(&key).is_none());
}
