//! What is counted of messages, and the audit: a line for each publication and each delivery.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use metrics::{Counter, Histogram};
use serde::Serialize;
use serde_json::value::RawValue;
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

    /// Writes what is left of the audit. Blocks, for seconds at most.
    pub(super) fn finish(&self) {
        if let Some(audit) = &self.audit {
            audit.finish();
        }
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
    queue: SyncSender<Entry>,
    waiting: Arc<Waiting>,
    with_payload: bool,
}

enum Entry {
    Line(String),
    /// Everything before it is written when this is told.
    Written(SyncSender<()>),
}

/// What is not written yet.
#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    left_out: AtomicU64,
}

impl Audit {
    fn start(mut file: impl Write + Send + 'static, with_payload: bool) -> std::io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUE);
        let waiting = Arc::new(Waiting::default());
        let shared = Arc::clone(&waiting);
        std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
            while let Ok(first) = entries.recv() {
                let (mut next, mut text, mut told) = (Some(first), String::new(), Vec::new());
                while let Some(entry) = next.take() {
                    match entry {
                        Entry::Line(line) => text.push_str(&line),
                        Entry::Written(tell) => told.push(tell),
                    }
                    if text.len() < CHUNK {
                        next = entries.try_recv().ok();
                    }
                }
                let size = text.len();
                let missed = shared.left_out.swap(0, Ordering::Relaxed);
                if missed > 0 {
                    text.push_str(&format!("{}\n", json!({"event": "left out", "count": missed})));
                }
                if let Err(error) = file.write_all(text.as_bytes()) {
                    tracing::error!(%error, "the audit of messages cannot be written");
                }
                shared.bytes.fetch_sub(size, Ordering::Relaxed);
                // Whoever asked may have given up.
                for tell in told {
                    let _ = tell.try_send(());
                }
            }
        })?;
        Ok(Self { queue, waiting, with_payload })
    }

    fn write(&self, event: &str, message: &Message, own: Value) {
        let data = self.with_payload.then(|| on_one_line(&message.data));
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
            data: data.as_deref().and_then(|data| serde_json::from_slice(data).ok()),
        };
        // A struct of texts and numbers has a form.
        self.add(serde_json::to_string(&line).unwrap_or_default() + "\n");
    }

    fn add(&self, line: String) {
        let (waiting, size) = (&self.waiting, line.len());
        let has_room = waiting.bytes.fetch_add(size, Ordering::Relaxed) + size <= QUEUE_BYTES;
        if !has_room || self.queue.try_send(Entry::Line(line)).is_err() {
            waiting.bytes.fetch_sub(size, Ordering::Relaxed);
            waiting.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was added is written, for a bounded time.
    fn finish(&self) {
        let (tell, told) = sync_channel(1);
        let is_written =
            self.queue.send(Entry::Written(tell)).is_ok() && told.recv_timeout(FINISH).is_ok();
        if !is_written {
            tracing::error!("the end of the audit of messages may be missing");
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if self.waiting.bytes.load(Ordering::Relaxed) > 0 {
            self.finish();
        }
    }
}

/// JSON text without the line breaks that may stand between its parts; there are none within.
fn on_one_line(json: &[u8]) -> Vec<u8> {
    json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect()
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
    data: Option<&'a RawValue>,
}

/// How many lines may wait to be written.
const QUEUE: usize = 65_536;
/// How many bytes of lines may wait to be written.
const QUEUE_BYTES: usize = 16 * 1024 * 1024;
/// How long a stop waits for what is left.
const FINISH: Duration = Duration::from_secs(5);
/// How many bytes are written at once, about.
const CHUNK: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// A file that keeps what is written, once it may.
    struct Slow(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            // Whoever holds it up is gone then.
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_audit_is_bounded_in_bytes_and_is_written_to_its_end() {
        let (go, held) = sync_channel(1);
        let written = Arc::new(Mutex::new(Vec::new()));
        let audit = Audit::start(Slow(held, Arc::clone(&written)), false).unwrap();
        let line = "x".repeat(QUEUE_BYTES / 16);
        for _ in 0..20 {
            audit.add(line.clone());
        }
        drop(go);
        drop(audit);
        let written = written.lock().unwrap();
        assert_eq!(written.iter().filter(|byte| **byte == b'x').count(), QUEUE_BYTES);
        assert!(String::from_utf8_lossy(&written).contains("\"count\":4"));
    }

    #[test]
    fn content_stands_on_one_line() {
        assert_eq!(on_one_line(b"{\n\"a\":\r\n\"\\n\"}"), b"{ \"a\":  \"\\n\"}");
    }
}
