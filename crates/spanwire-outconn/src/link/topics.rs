//! Subscriptions of a link: taken up again where they were left, made where there are none, tried again where they
//! could not be had.

use std::collections::BTreeSet;
use std::time::Duration;

use spanwire_protocol::Status;
use spanwire_session::CallError;

use super::Shared;
use crate::client::Client;

/// Subscribes to all topics. Ends when all are there; tries again until then.
pub(super) async fn subscribe(shared: &Shared, client: &Client) {
    let mut missing: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    let more = shared.events.topics().await;
    for topic in shared.options.topics.iter().chain(more.iter().flatten()) {
        if seen.insert(topic.clone()) {
            missing.push(topic.clone());
        }
    }
    // A hook that fails must not cost subscriptions.
    if more.is_some() {
        end_others(shared, client, &missing).await;
    }
    let mut is_first = true;
    loop {
        let mut failed = Vec::new();
        for topic in missing {
            if let Err(error) = subscribe_one(shared, client, &topic).await {
                if is_first {
                    let outconn = &shared.options.name;
                    tracing::warn!(outconn, topic, %error, "cannot subscribe; it is tried again");
                }
                failed.push(topic);
            }
        }
        if failed.is_empty() {
            return;
        }
        missing = failed;
        is_first = false;
        tokio::time::sleep(AGAIN).await;
    }
}

/// Ends subscriptions to topics that are not wanted any more. What fails is tried with the next connection.
async fn end_others(shared: &Shared, client: &Client, wanted: &[String]) {
    for (topic, key) in shared.events.other_keys(wanted) {
        match client.unsubscribe(&key).await {
            Ok(()) => shared.events.keep_key(&topic, None).await,
            Err(error) => {
                let outconn = &shared.options.name;
                tracing::warn!(outconn, topic, %error, "a former subscription could not be ended");
            }
        }
    }
}

async fn subscribe_one(shared: &Shared, client: &Client, topic: &str) -> Result<(), CallError> {
    if let Some(key) = shared.events.key_of(topic).await {
        match client.resume(&key).await {
            // There is no such subscription any more, or we may not have it now. Its key is kept until there is another
            // subscription: what waits in its queue must not be out of reach because somebody was locked out for a minute.
            Err(CallError::Status { status: Status::FORBIDDEN | Status::NOT_FOUND, .. }) => {}
            resumed => return resumed,
        }
    }
    let subscribed = client.subscribe(topic).await?;
    shared.events.keep_key(topic, Some(&subscribed.sub_key)).await;
    Ok(())
}

/// How often topics that could not be subscribed to are tried again.
const AGAIN: Duration = Duration::from_secs(15);
