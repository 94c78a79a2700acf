//! How outgoing connections stand, and whether their peers are there.

use std::time::Duration;

use serde_json::json;
use spanwire_config::{Kind, Object, Snapshot};
use spanwire_outconn::{CallError, CallOptions, Link, LinkError, LinkState, SocketStatus};
use spanwire_protocol::admin::{OutconnInfo, OutconnSocket, Pinged};
use spanwire_protocol::{Codec, Payload};
use tokio::time::Instant;

use super::Outconns;
use crate::telemetry::Metrics;

impl Outconns {
    /// All of a configuration, by name.
    pub(crate) fn list(&self, snapshot: &Snapshot) -> Vec<OutconnInfo> {
        let objects = snapshot.objects().of_kind(Kind::OutgoingWsx);
        let infos = objects.filter_map(|object| {
            let Object::OutgoingWsx(outconn) = &**object else { return None };
            let id = snapshot.meta(Kind::OutgoingWsx, &outconn.name)?.id;
            let status = self.read().get(&id).map(|running| running.link.status());
            let state = match &status {
                Some(status) => status.state.as_str(),
                None if outconn.is_active => "failed",
                None => "inactive",
            };
            let sockets = status.iter().flat_map(|status| &status.sockets).map(socket).collect();
            let (name, address) = (outconn.name.clone(), outconn.address.to_string());
            Some(OutconnInfo { id, name, address, state: state.to_owned(), sockets })
        });
        let mut infos: Vec<_> = infos.collect();
        infos.sort_by(|a, b| a.name.cmp(&b.name));
        infos
    }

    /// Has metrics know how many sockets stand how.
    pub(crate) fn record(&self, metrics: &Metrics) {
        let links: Vec<_> = self.read().values().map(|running| running.link.status()).collect();
        for state in LinkState::ALL {
            let sockets = links.iter().flat_map(|link| &link.sockets);
            let count = u32::try_from(sockets.filter(|socket| socket.state == state).count());
            let labels = [("state", state.as_str())];
            metrics
                .gauge("spanwire_outconn_sockets", &labels)
                .set(f64::from(count.unwrap_or(u32::MAX)));
        }
    }

    /// Asks the peer of an `outgoing_wsx` or `outgoing_rest` object whether it is there. Whatever it answers, it is.
    pub(crate) async fn ping(&self, snapshot: &Snapshot, name: &str) -> Option<Pinged> {
        let Some(meta) = snapshot.meta(Kind::OutgoingWsx, name) else {
            return self.ping_rest(name).await;
        };
        let id = meta.id;
        let Some(link) = self.read().get(&id).map(|running| running.link.clone()) else {
            return Some(Pinged { is_success: false, info: "inactive".to_owned() });
        };
        let begun = Instant::now();
        let failure = failure(&link).await;
        let took = format!("the peer answered after {:.1?}", begun.elapsed());
        Some(Pinged { is_success: failure.is_none(), info: failure.unwrap_or(took) })
    }

    async fn ping_rest(&self, name: &str) -> Option<Pinged> {
        let begun = Instant::now();
        Some(match self.rest.ping(name).await? {
            Ok(status) => {
                let info = format!("the server answered {status} after {:.1?}", begun.elapsed());
                Pinged { is_success: true, info }
            }
            Err(info) => Pinged { is_success: false, info },
        })
    }
}

async fn failure(link: &Link) -> Option<String> {
    let input = Payload::from_serialize(Codec::Json, &json!({})).ok()?;
    let options = CallOptions { timeout: Some(PING_TIMEOUT), ..CallOptions::default() };
    match link.invoke("zato.ping", &input, options).await {
        // Whoever refuses is there.
        Ok(_) | Err(LinkError::Call(CallError::Status { .. })) => None,
        // A plain peer answers no calls; the connection knows by its own pings.
        Err(LinkError::NoReplies { .. }) => None,
        Err(error) => Some(error.to_string()),
    }
}

fn socket(status: &SocketStatus) -> OutconnSocket {
    let next_try = status.next_try.filter(|_| status.state != LinkState::Connected);
    OutconnSocket {
        state: status.state.as_str().to_owned(),
        for_seconds: seconds(status.since.elapsed()),
        next_try_seconds: next_try.map(|at| seconds(at.saturating_duration_since(Instant::now()))),
        attempts: status.attempts,
        problem: status.problem.clone(),
        in_flight: status.in_flight,
    }
}

/// To the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

const PING_TIMEOUT: Duration = Duration::from_secs(5);
