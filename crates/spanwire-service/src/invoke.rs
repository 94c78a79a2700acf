//! One call: found by name, under a deadline, cancellable, with panics kept inside.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use spanwire_protocol::{CorrelationId, Payload, Status};

use crate::cancellation::{CancelOnDrop, Cancellation};
use crate::connections::{Connections, NoConnections};
use crate::context::{ChannelType, Context, Origin};
use crate::error::ServiceError;
use crate::outgoing::{OutgoingConnections, Remote};
use crate::registry::{Entry, Registry};

/// What to call, with what, and for how long.
#[derive(Clone, Debug)]
pub struct Call {
    /// The service's name.
    pub service: Arc<str>,
    /// Its input.
    pub input: Payload,
    /// The correlation id; `None` draws a new one.
    pub cid: Option<CorrelationId>,
    /// How long it may take.
    pub timeout: Duration,
    /// W3C Trace Context of the caller.
    pub traceparent: Option<Arc<str>>,
    /// How many calls of services by services led to this one, on other servers.
    pub hops: u8,
}

impl Call {
    /// A call with the default timeout of 30 s.
    #[must_use]
    pub fn new(service: &str, input: Payload) -> Self {
        Self {
            service: service.into(),
            input,
            cid: None,
            timeout: DEFAULT_TIMEOUT,
            traceparent: None,
            hops: 0,
        }
    }
}

/// How long a call may take when nobody says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Services that call services may nest this deep; a circle ends here.
const MAX_NESTED_CALLS: u8 = 16;

/// Counts calls.
pub trait CallObserver: Send + Sync {
    /// Who counts the calls of one service; asked for once for each.
    fn of_service(&self, name: &str) -> Arc<dyn ServiceObserver>;
}

/// Counts the calls of one service.
pub trait ServiceObserver: Send + Sync {
    /// A call ended after this time with this status (200 when it went well).
    fn finished(&self, status: Status, took: Duration);
}

/// What services reach from their context. Cloning is cheap.
#[derive(Clone)]
pub struct Ports(Arc<Shared>);

#[derive(Clone)]
struct Shared {
    registry: Arc<Registry>,
    connections: Arc<dyn Connections>,
    observer: Option<Arc<dyn CallObserver>>,
    outgoing: Option<Arc<dyn OutgoingConnections>>,
}

impl Ports {
    /// Services that see no connections.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self(Arc::new(Shared {
            registry,
            connections: Arc::new(NoConnections),
            observer: None,
            outgoing: None,
        }))
    }

    /// With the live connections of a server.
    #[must_use]
    pub fn with_connections(mut self, connections: Arc<dyn Connections>) -> Self {
        Arc::make_mut(&mut self.0).connections = connections;
        self
    }

    /// With somebody who counts calls.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn CallObserver>) -> Self {
        Arc::make_mut(&mut self.0).observer = Some(observer);
        self
    }

    /// With outgoing connections.
    #[must_use]
    pub fn with_outgoing(mut self, outgoing: Arc<dyn OutgoingConnections>) -> Self {
        Arc::make_mut(&mut self.0).outgoing = Some(outgoing);
        self
    }

    pub(crate) fn outgoing(&self) -> Option<&dyn OutgoingConnections> {
        self.0.outgoing.as_deref()
    }

    /// Whether there is a service of this name, here or behind an outgoing connection.
    #[must_use]
    pub fn has_service(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The service of a name. One that is nobody's here may be behind an outgoing connection.
    fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.0.registry.find(name).or_else(|| {
            let remote = Remote::of(name, self.outgoing()?)?;
            Some(Entry::remote(name, remote))
        })
    }

    /// The services.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    pub(crate) fn connections(&self) -> &dyn Connections {
        &*self.0.connections
    }

    /// Calls a service.
    ///
    /// # Errors
    /// Those of the service; 500 when there is none of this name or when it panics, 504 when it takes too long.
    ///
    /// # Cancel safety
    /// Dropping the future drops the service's future and fires its cancellation.
    pub async fn invoke(&self, call: Call, origin: Arc<Origin>) -> Result<Payload, ServiceError> {
        self.invoke_from(call, origin, None).await
    }

    pub(crate) async fn invoke_from(
        &self,
        call: Call,
        origin: Arc<Origin>,
        caller: Option<&Context>,
    ) -> Result<Payload, ServiceError> {
        let started = tokio::time::Instant::now();
        let cid = call.cid.unwrap_or_else(new_correlation_id);
        let Some(entry) = self.find(&call.service) else {
            tracing::warn!(%cid, service = &*call.service, "no such service");
            return Err(ServiceError::internal("no such service"));
        };
        let depth = caller.map_or(call.hops, |caller| caller.depth.saturating_add(1));
        if depth > MAX_NESTED_CALLS {
            tracing::warn!(%cid, service = &*call.service, "services call each other too deep");
            return Err(ServiceError::internal("services call each other too deep"));
        }
        let deadline = started + call.timeout;
        let cancellation = Arc::new(Cancellation::default());
        let guarded = Arc::clone(&cancellation);
        let _cancel_when_dropped = CancelOnDrop(&guarded);
        let channel_type = if caller.is_some() { ChannelType::Invoke } else { origin.channel_type };
        let context = Context {
            cid,
            service: Arc::clone(&entry.name),
            channel_type,
            origin,
            deadline: deadline.into_std(),
            cancellation,
            traceparent: call.traceparent,
            depth,
            ports: self.clone(),
        };
        // A panic may leave the service's own shared state odd, but never the host's: it is handed over by value.
        let running = async { entry.service.call(context, call.input).await };
        let mut running = std::pin::pin!(AssertUnwindSafe(running).catch_unwind());
        // Most services answer at once; only the others need a timer.
        let finished = match futures_util::poll!(running.as_mut()) {
            Poll::Ready(finished) => Ok(finished),
            Poll::Pending => tokio::time::timeout_at(deadline, running).await,
        };
        let result = match finished {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(ServiceError::internal("the service panicked")),
            Err(_elapsed) => Err(ServiceError::timed_out()),
        };
        if let Err(error) = &result {
            log_failure(&cid, &entry.name, error);
        }
        if let Some(observer) = &self.0.observer {
            let status = result.as_ref().map_or_else(ServiceError::status, |_| Status::OK);
            let counted = entry.observer.get_or_init(|| observer.of_service(&entry.counted_as));
            counted.finished(status, started.elapsed());
        }
        result
    }
}

/// The caller reads a fixed text; the log, under the same correlation id, says what happened.
fn log_failure(cid: &CorrelationId, service: &str, error: &ServiceError) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let status = error.status().0;
    if status == Status::INTERNAL.0 {
        tracing::error!(%cid, service, status, source, "service failed");
    } else {
        tracing::debug!(%cid, service, status, source, "service refused");
    }
}

fn new_correlation_id() -> CorrelationId {
    // Without a random source nothing else works either; an id that repeats only makes logs harder to read.
    CorrelationId::from_random(spanwire_crypto::random::bytes().unwrap_or_default())
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").field("registry", &self.0.registry).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
