//! Logs and metrics.

use std::sync::Arc;
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusRecorder};
use spanwire_protocol::Status;
use spanwire_service::{CallObserver, ServiceObserver};
use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Sends the log to stderr, in one of two formats. `filter` is what `RUST_LOG` says; `info` when it says nothing.
///
/// A second call changes nothing: the first subscriber of a process stays.
pub fn init_logging(format: LogFormat, filter: Option<&str>) {
    let filter = filter.and_then(|filter| filter.parse::<EnvFilter>().ok());
    let mut filter = filter.unwrap_or_else(|| EnvFilter::new("info"));
    // At their finer levels these libraries log whole messages, with the secrets in them.
    for quiet in ["tungstenite=info", "tokio_tungstenite=info", "hyper=info", "rustls=info"] {
        if let Ok(directive) = quiet.parse() {
            filter = filter.add_directive(directive);
        }
    }
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
}

/// Every metric, with its kind and what it counts. `docs/reference/metrics.md` is made of this.
pub const METRICS: &[(&str, &str, &str)] = &[
    ("spanwire_connections", "gauge", "logged-in WebSocket connections"),
    ("spanwire_connections_opened_total", "counter", "WebSocket connections made, by channel"),
    (
        "spanwire_connections_closed_total",
        "counter",
        "WebSocket connections ended, by channel, side and code",
    ),
    (
        "spanwire_logins_total",
        "counter",
        "logins, by channel and outcome (accepted, refused, throttled)",
    ),
    ("spanwire_messages_total", "counter", "WebSocket messages, by direction (in, out)"),
    (
        "spanwire_message_bytes_total",
        "counter",
        "bytes of WebSocket messages, by direction (in, out)",
    ),
    ("spanwire_calls_total", "counter", "calls of services, by service and status"),
    ("spanwire_call_seconds", "histogram", "how long calls of services took, by service"),
    ("spanwire_outgoing_queue_bytes", "gauge", "bytes that wait to be sent to WebSocket clients"),
    (
        "spanwire_outconn_sockets",
        "gauge",
        "sockets of outgoing WebSocket connections, by state (connected, connecting, waiting, authentication-failed, down)",
    ),
    ("spanwire_pubsub_published_total", "counter", "messages published"),
    ("spanwire_pubsub_delivered_total", "counter", "messages handed over, repeats included"),
    ("spanwire_pubsub_redelivered_total", "counter", "repeats among them"),
    (
        "spanwire_pubsub_expired_total",
        "counter",
        "messages whose time was over before they were delivered",
    ),
    ("spanwire_pubsub_dead_total", "counter", "messages put aside as undeliverable"),
    (
        "spanwire_pubsub_gaps_total",
        "counter",
        "messages that a subscriber did not get, by cause (expired, retention, deleted, overflow, restart, dead, gone)",
    ),
    ("spanwire_pubsub_depth", "gauge", "undelivered messages, by guaranteed (true, false)"),
    ("spanwire_pubsub_bytes", "gauge", "bytes of the contents of undelivered messages"),
    ("spanwire_pubsub_topics", "gauge", "topics"),
    ("spanwire_pubsub_subscriptions", "gauge", "subscriptions"),
    ("spanwire_pubsub_disk_bytes", "gauge", "what the message log takes on disk"),
    (
        "spanwire_pubsub_publish_seconds",
        "histogram",
        "how long publications took, from the call to the answer",
    ),
    (
        "spanwire_pubsub_delivery_seconds",
        "histogram",
        "how old messages were when they were handed over",
    ),
    ("spanwire_refusals_total", "counter", "connections and requests that were refused, by reason"),
];

/// The metrics of one server.
pub struct Metrics {
    recorder: PrometheusRecorder,
    pub(crate) messages_in: Counter,
    pub(crate) messages_out: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) connections: Gauge,
    pub(crate) queue_bytes: Gauge,
}

const BUCKETS: &[f64] = &[0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// Only if the fixed buckets were unacceptable.
    pub fn new() -> Result<Arc<Self>, BuildError> {
        let buckets = Matcher::Suffix("_seconds".to_owned());
        let recorder =
            PrometheusBuilder::new().set_buckets_for_metric(buckets, BUCKETS)?.build_recorder();
        for (name, kind, description) in METRICS {
            let name = KeyName::from_const_str(name);
            let text = SharedString::const_str(description);
            match *kind {
                "gauge" => recorder.describe_gauge(name, None, text),
                "histogram" => recorder.describe_histogram(name, Some(Unit::Seconds), text),
                _ => recorder.describe_counter(name, None, text),
            }
        }
        let counter = |name, direction| {
            recorder.register_counter(&key(name, &[("direction", direction)]), &METADATA)
        };
        Ok(Arc::new(Self {
            messages_in: counter("spanwire_messages_total", "in"),
            messages_out: counter("spanwire_messages_total", "out"),
            bytes_in: counter("spanwire_message_bytes_total", "in"),
            bytes_out: counter("spanwire_message_bytes_total", "out"),
            connections: recorder.register_gauge(&key("spanwire_connections", &[]), &METADATA),
            queue_bytes: recorder
                .register_gauge(&key("spanwire_outgoing_queue_bytes", &[]), &METADATA),
            recorder,
        }))
    }

    /// Counts something that happens rarely enough to be looked up by its labels.
    pub(crate) fn count(&self, name: &'static str, labels: &[(&'static str, &str)]) {
        self.recorder.register_counter(&key(name, labels), &METADATA).increment(1);
    }

    /// A counter without labels.
    pub(crate) fn counter(&self, name: &'static str) -> Counter {
        self.recorder.register_counter(&key(name, &[]), &METADATA)
    }

    /// Sets a count that is kept elsewhere.
    pub(crate) fn set_count(
        &self,
        name: &'static str,
        labels: &[(&'static str, &str)],
        count: u64,
    ) {
        self.recorder.register_counter(&key(name, labels), &METADATA).absolute(count);
    }

    /// A gauge with labels.
    pub(crate) fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        self.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    /// A histogram without labels.
    pub(crate) fn histogram(&self, name: &'static str) -> Histogram {
        self.recorder.register_histogram(&key(name, &[]), &METADATA)
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.recorder.handle().render()
    }

    /// Sums histograms up; without it they grow until somebody asks for them.
    pub(crate) fn maintain(&self) {
        self.recorder.handle().run_upkeep();
    }
}

/// Counts the calls of one service.
struct ServiceMetrics {
    service: String,
    done: Counter,
    seconds: Histogram,
    metrics: Arc<Metrics>,
}

/// Counts the calls of every service.
pub(crate) struct Calls(pub(crate) Arc<Metrics>);

impl CallObserver for Calls {
    fn of_service(&self, service: &str) -> Arc<dyn ServiceObserver> {
        let labels = [("service", service), ("status", "200")];
        let recorder = &self.0.recorder;
        Arc::new(ServiceMetrics {
            service: service.to_owned(),
            done: recorder.register_counter(&key("spanwire_calls_total", &labels), &METADATA),
            seconds: recorder.register_histogram(
                &key("spanwire_call_seconds", &[("service", service)]),
                &METADATA,
            ),
            metrics: Arc::clone(&self.0),
        })
    }
}

impl ServiceObserver for ServiceMetrics {
    fn finished(&self, status: Status, took: Duration) {
        self.seconds.record(took.as_secs_f64());
        if status == Status::OK {
            self.done.increment(1);
        } else {
            let labels = [("service", &*self.service), ("status", &*status.to_string())];
            self.metrics.count("spanwire_calls_total", &labels);
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

static METADATA: Metadata<'static> = Metadata::new("spanwire", Level::INFO, None);

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels = labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(name, labels.collect::<Vec<_>>())
}
