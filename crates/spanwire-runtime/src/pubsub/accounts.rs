//! What is counted of messages, and the audit: a line for each publication and each delivery.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use metrics::{Counter, Histogram};
use serde::Serialize;
use serde_json::{Value, json};
use spanwire_pubsub::store::GapCause;
use spanwire_pubsub::{Message, Observer, SubscriptionFacts};

use super::PubSub;
use crate::settings::Settings;
use crate::telemetry::Metrics;

/// Counts, and keeps the audit.
pub(crate) struct Accounts {
    published: Counter,
    delivered: Counter,
    redelivered: Counter,
    publish_seconds: Histogram,
    delivery_seconds: Histogram,
    audit: Option<Audit>,
}

impl Accounts {
    pub(crate) fn new(metrics: &Arc<Metrics>, settings: &Settings) -> std::io::Result<Self> {
        let audit = match &settings.pubsub.audit {
            None => None,
            Some(path) => {
                let file = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(path)
                    .map_err(|error| {
                        std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                    })?;
                Some(Audit::start(file, settings.pubsub.audit_payload)?)
            }
        };
        Ok(Self {
            published: metrics.counter("spanwire_pubsub_published_total"),
            delivered: metrics.counter("spanwire_pubsub_delivered_total"),
            redelivered: metrics.counter("spanwire_pubsub_redelivered_total"),
            publish_seconds: metrics.histogram("spanwire_pubsub_publish_seconds"),
            delivery_seconds: metrics.histogram("spanwire_pubsub_delivery_seconds"),
            audit,
        })
    }
}

impl Observer for Accounts {
    fn published(&self, message: &Message, took: Duration) {
        self.published.increment(1);
        self.publish_seconds.record(took.as_secs_f64());
        if let Some(audit) = &self.audit {
            let own = json!({
                "endpoint": &*message.publisher,
                "pattern": &*message.pattern,
                "expiration": message.expiration,
            });
            audit.write("published", message, own);
        }
    }

    fn delivered(
        &self,
        subscription: &SubscriptionFacts,
        message: &Message,
        attempt: u32,
        age: Duration,
    ) {
        self.delivered.increment(1);
        self.redelivered.increment(u64::from(attempt > 1));
        self.delivery_seconds.record(age.as_secs_f64());
        if let Some(audit) = &self.audit {
            let own = json!({
                "endpoint": &*subscription.endpoint,
                "sub_key": subscription.masked_key,
                "subscriber": subscription.client_id,
                "delivery_count": attempt,
            });
            audit.write("delivered", message, own);
        }
    }
}

impl PubSub {
    /// Brings up to date what is counted by the broker itself.
    pub(crate) fn record(&self, metrics: &Metrics) {
        let totals = self.broker.totals();
        metrics.counter("spanwire_pubsub_expired_total").absolute(totals.expired);
        metrics.counter("spanwire_pubsub_dead_total").absolute(totals.dead);
        for cause in GapCause::ALL {
            let count = totals.gaps.get(&cause).copied().unwrap_or_default();
            metrics.set_count("spanwire_pubsub_gaps_total", &[("cause", cause.as_str())], count);
        }
        let gauges: [(_, &[_], f64); 6] = [
            ("spanwire_pubsub_depth", &[("guaranteed", "true")], totals.depth_gd as f64),
            ("spanwire_pubsub_depth", &[("guaranteed", "false")], totals.depth_non_gd as f64),
            ("spanwire_pubsub_bytes", &[], totals.bytes as f64),
            ("spanwire_pubsub_topics", &[], totals.topics as f64),
            ("spanwire_pubsub_subscriptions", &[], totals.subscriptions as f64),
            ("spanwire_pubsub_disk_bytes", &[], totals.disk_bytes as f64),
        ];
        for (name, labels, value) in gauges {
            metrics.gauge(name, labels).set(value);
        }
    }
}

/// Writes lines to a file, beside the way of messages. What it cannot keep up with is left out, and counted in the file.
struct Audit {
    lines: SyncSender<String>,
    left_out: Arc<AtomicU64>,
    with_payload: bool,
}

impl Audit {
    fn start(mut file: File, with_payload: bool) -> std::io::Result<Self> {
        let (lines, queue) = sync_channel::<String>(QUEUE);
        let left_out = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&left_out);
        std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
            while let Ok(first) = queue.recv() {
                let mut text = first;
                while text.len() < CHUNK
                    && let Ok(next) = queue.try_recv()
                {
                    text.push_str(&next);
                }
                let missed = count.swap(0, Ordering::Relaxed);
                if missed > 0 {
                    text.push_str(&format!("{}\n", json!({"event": "left out", "count": missed})));
                }
                if let Err(error) = file.write_all(text.as_bytes()) {
                    tracing::error!(%error, "the audit of messages cannot be written");
                }
            }
        })?;
        Ok(Self { lines, left_out, with_payload })
    }

    fn write(&self, event: &str, message: &Message, own: Value) {
        let data =
            self.with_payload.then(|| message.payload().parse::<Value>().unwrap_or_default());
        let line = Line {
            event,
            at: spanwire_channel::clock::timestamp().to_string(),
            topic: &message.topic,
            msg_id: &message.id,
            correl_id: message.correl_id.as_deref(),
            in_reply_to: message.in_reply_to.as_deref(),
            ext_client_id: &message.ext_client_id,
            priority: message.priority,
            has_gd: message.has_gd,
            mime_type: &message.mime_type,
            size: message.size,
            own,
            data,
        };
        // A struct of texts and numbers has a form.
        let line = serde_json::to_string(&line).unwrap_or_default() + "\n";
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A line of the audit, as it is written.
#[derive(Serialize)]
struct Line<'a> {
    event: &'a str,
    at: String,
    topic: &'a str,
    msg_id: &'a str,
    correl_id: Option<&'a str>,
    in_reply_to: Option<&'a str>,
    ext_client_id: &'a str,
    priority: u8,
    has_gd: bool,
    mime_type: &'a str,
    size: usize,
    #[serde(flatten)]
    own: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

/// How many lines may wait to be written.
const QUEUE: usize = 65_536;
/// How many bytes are written at once, about.
const CHUNK: usize = 256 * 1024;
