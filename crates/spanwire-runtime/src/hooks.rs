//! Services that want to know when clients come and go.

use std::sync::Arc;

use serde_json::json;
use spanwire_protocol::admin::ConnectionInfo;
use spanwire_protocol::{Codec, Payload};
use spanwire_service::{Call, Origin, Ports};
use tokio::sync::Semaphore;

/// How many hooks run at once; beyond that they are left out, with a line in the log.
const AT_ONCE: usize = 256;

/// Calls hooks beside the path of connections.
#[derive(Clone, Debug)]
pub(crate) struct Hooks {
    ports: Ports,
    running: Arc<Semaphore>,
}

impl Hooks {
    pub(crate) fn new(ports: Ports) -> Self {
        Self { ports, running: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Calls a service with `{"ctx": {"type": …, …the connection's record…}}` and does not wait for it.
    pub(crate) fn call(&self, service: &str, event: &'static str, connection: &ConnectionInfo) {
        let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() else {
            tracing::warn!(service, event, "hook left out: too many run already");
            return;
        };
        let mut ctx = json!(connection);
        if let Some(ctx) = ctx.as_object_mut() {
            ctx.insert("type".to_owned(), event.into());
        }
        let Ok(input) = Payload::from_serialize(Codec::Json, &json!({ "ctx": ctx })) else {
            return;
        };
        let call = Call::new(service, input);
        let ports = self.ports.clone();
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = ports.invoke(call, Origin::internal()).await {
                tracing::warn!(event, status = error.status().0, "hook failed");
            }
        });
    }
}
