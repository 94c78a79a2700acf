//! A program with durable publish/subscribe of its own, without a server.
//!
//! `cargo run -p embed-pubsub -- FOLDER` publishes an order and works it off. Kill it in between, or let the work fail
//! as it does for `spoiled`: the next run delivers again what was not acknowledged, and says that it does.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use spanwire_pubsub::settings::TopicSettings;
use spanwire_pubsub::store::key_value::KeyValueMessageStore;
use spanwire_pubsub::{Broker, Publication, Pull, Subscribe, TopicId};
use spanwire_store::{Options, Store};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| PathBuf::from("orders"), PathBuf::from);
    let order = arguments.next().unwrap_or_else(|| "a table".to_owned());
    let mut out = std::io::stdout();

    // A log on real files; everything a publisher was told of is in it.
    let store = Store::open(&folder, Options::default())?;
    let log = Arc::new(KeyValueMessageStore::new(Arc::new(store)));
    let broker = Broker::builder(log).open()?;
    broker
        .put_topic(
            TopicId(1),
            "/orders",
            TopicSettings { has_gd: true, ..TopicSettings::default() },
        )
        .await?;

    // A subscription stays until it is ended; `managed` finds the same one again.
    let me = broker.internal();
    let wish = Subscribe { managed: Some(1), ..Subscribe::default() };
    let workshop = broker.subscribe(&me, "/orders", wish).await?;

    // On disk when this returns.
    broker.publish(&me, "/orders", vec![Publication::from_value(&order)?]).await?;

    // Whoever takes messages has a lease on them; without an acknowledgement they are delivered again.
    let lease = Some(std::time::Duration::from_secs(30));
    let pull = Pull { limit: 10, lease, wait: std::time::Duration::ZERO };
    for delivered in broker.pull(&me, "", &workshop.key, pull).await? {
        let order: String = delivered.message.payload().parse()?;
        if order == "spoiled" {
            writeln!(out, "{order}: failed (attempt {})", delivered.attempt)?;
            continue;
        }
        writeln!(out, "{order}: done (attempt {})", delivered.attempt)?;
        broker.acknowledge(&me, "", &workshop.key, &[delivered.position.offset])?;
    }
    broker.close().await?;
    Ok(())
}
