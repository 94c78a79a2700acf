//! What is counted of messages, and the audit: a line for each publication and each delivery.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use metrics::{Counter, Histogram};
use serde_json::{Value, json};
use spanwire_pubsub::{Message, Observer, SubscriptionFacts};

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
                let file =
                    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(
                        |error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())),
                    )?;
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
            let mut line = audit.line("published", message);
            line["endpoint"] = (*message.publisher).into();
            line["pattern"] = (*message.pattern).into();
            line["expiration"] = message.expiration.into();
            audit.write(line, message);
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
            let mut line = audit.line("delivered", message);
            line["endpoint"] = (*subscription.endpoint).into();
            line["sub_key"] = subscription.masked_key.as_str().into();
            line["ext_client_id"] = subscription.client_id.as_str().into();
            line["delivery_count"] = attempt.into();
            audit.write(line, message);
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

    fn line(&self, event: &str, message: &Message) -> Value {
        json!({
            "event": event,
            "at": spanwire_channel::clock::timestamp().to_string(),
            "topic": &*message.topic,
            "msg_id": &*message.id,
            "correl_id": message.correl_id,
            "in_reply_to": message.in_reply_to,
            "ext_client_id": message.ext_client_id,
            "priority": message.priority,
            "has_gd": message.has_gd,
            "mime_type": message.mime_type,
            "size": message.size,
        })
    }

    fn write(&self, mut line: Value, message: &Message) {
        if self.with_payload {
            line["data"] = message.payload().parse().unwrap_or_default();
        }
        if let Err(TrySendError::Full(_)) = self.lines.try_send(format!("{line}\n")) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How many lines may wait to be written.
const QUEUE: usize = 65_536;
/// How many bytes are written at once, about.
const CHUNK: usize = 256 * 1024;
