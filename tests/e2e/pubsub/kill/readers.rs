//! REST callers who are lent messages.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use spanwire_checker::{Event, RecordingClient};

use super::Shared;
use super::subscribers::record;
use super::wire::Http;
use crate::live::Dice;

/// A REST caller: it is lent messages, and acknowledges them or not.
pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) client: RecordingClient,
    pub(super) name: String,
    pub(super) topic: &'static str,
    pub(super) dice: Dice,
    pub(super) http: Http,
}

impl Reader {
    pub(super) async fn run(mut self) -> String {
        self.subscribe().await;
        let path = format!("/zato/pubsub/topic/{}", self.topic);
        while !Shared::is(&self.shared.ends) {
            let pause =
                if Shared::is(&self.shared.drains) { 10 } else { self.dice.roll(60) as u64 };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let wish = json!({"order": "fifo", "lease": 0.5, "limit": 1 + self.dice.roll(50)});
            let Ok((status, messages)) = self.http.ask("PATCH", &path, &wish).await else {
                continue;
            };
            assert_eq!(status, 200, "{}: {messages}", self.name);
            let messages = messages.as_array().unwrap().clone();
            for message in &messages {
                record(&self.client, &self.name, &self.name, message);
            }
            // Sometimes it dies over its work, or over a part of it.
            let kept = match self.dice.roll(5) {
                _ if Shared::is(&self.shared.drains) => messages.len(),
                0 => self.dice.roll(messages.len() + 1),
                _ => messages.len(),
            };
            let ids: Vec<String> = messages
                .iter()
                .take(kept)
                .map(|it| it["msg_id"].as_str().unwrap().to_owned())
                .collect();
            if !ids.is_empty() {
                self.acknowledge(ids).await;
            }
        }
        self.name
    }

    async fn subscribe(&mut self) {
        let subscription = self.name.clone();
        self.client.record(Event::SubscribeStarted {
            subscription: subscription.clone(),
            topic: self.topic.to_owned(),
            connection: Some(self.name.clone()),
            positions: false,
            ordered: true,
            replay: false,
        });
        let path = format!("/zato/pubsub/subscribe/topic/{}", self.topic);
        let (status, data) = self.http.ask("POST", &path, &json!({})).await.unwrap();
        assert_eq!(status, 200, "{data}");
        self.client.record(Event::SubscribeConfirmed { subscription });
        self.shared.subscribed.fetch_add(1, Ordering::AcqRel);
    }

    async fn acknowledge(&mut self, ids: Vec<String>) {
        let subscription = self.name.clone();
        self.client.record(Event::AckSent { subscription: subscription.clone(), ids: ids.clone() });
        let path = format!("/zato/pubsub/acknowledge/topic/{}", self.topic);
        let request = json!({ "msg_ids": ids });
        if let Ok((status, data)) = self.http.ask("POST", &path, &request).await {
            assert_eq!(status, 200, "{}: {data}", self.name);
            self.client.record(Event::AckConfirmed { subscription, ids, connection: None });
        }
    }
}
