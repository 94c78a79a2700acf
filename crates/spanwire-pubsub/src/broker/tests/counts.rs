//! What is counted of what happens.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::broker::ports::{Observer, SubscriptionFacts};
use crate::message::Message;
use crate::topic::Failure;

#[derive(Default)]
struct Count(AtomicUsize);

impl Observer for Count {
    fn delivered(&self, _: &SubscriptionFacts, _: &Message, _: u32, _: Duration) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_does_not_count_as_delivered() {
    let count = Arc::new(Count::default());
    let builder = Broker::builder(Arc::new(SimStore::default())).clock(Arc::new(TestClock::new()));
    let broker = builder.observer(Arc::<Count>::clone(&count)).open().unwrap();
    broker.put_topic(TopicId(1), TOPIC, TopicSettings::default()).await.unwrap();
    let key = subscribe(&broker, websocket()).await;
    let mut consumer = attach(&broker, &key).await;
    publish(&broker, "x").await;
    let counted = || count.0.load(Ordering::Relaxed);
    consumer.next().await.unwrap().give_back();
    assert_eq!(counted(), 0);
    consumer.next().await.unwrap().fail(Failure::Network, "lost");
    assert_eq!(counted(), 1);
    consumer.next().await.unwrap().sent();
    assert_eq!(counted(), 2);
    drop(consumer);
    attach(&broker, &key).await.next().await.unwrap().acknowledge();
    assert_eq!(counted(), 3);
    publish(&broker, "y").await;
    assert_eq!((pull(&broker, &key).await.len(), counted()), (1, 4));
}
