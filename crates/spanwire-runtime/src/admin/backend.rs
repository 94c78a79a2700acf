//! The port of the admin API.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use spanwire_admin::{Applied, Backend, BoxFuture, Caller, Failure, ObjectStatus, PubSubBackend};
use spanwire_channel::clock;
use spanwire_channel::wsx::correlation_id;
use spanwire_config::{Author, Configuration, Edit, EditError, Kind};
use spanwire_crypto::Secret;
use spanwire_protocol::admin::sso::SsoCommand;
use spanwire_protocol::admin::{
    ClosedConnection, ConnectionInfo, Event, Invoked, KeyRotated, OutconnInfo, Pinged, Reloaded,
    ServerInfo, ServiceInfo, SettingInfo,
};
use spanwire_protocol::{CloseCode, CloseFrame, Codec, ConnectionId, Payload, Timestamp};
use spanwire_service::{
    Call, ChannelType, ConnectionError, ConnectionFilter, Connections, Origin, ServiceError,
};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::{Administration, broke_off, is_built_in};

/// The server, administered.
pub(super) struct AdminBackend(pub(super) Arc<Administration>);

impl AdminBackend {
    /// The super-user whose session this is a token of.
    async fn super_user(&self, token: Secret) -> Option<Caller> {
        let sso = self.0.host.sso.as_ref()?.sso.clone();
        // Most of what comes here is no token at all.
        if !token.expose().starts_with("gAAAA") {
            return None;
        }
        let check = move || {
            let call =
                spanwire_sso::Call::new(&sso.settings().apps.default, [Ipv4Addr::LOCALHOST.into()]);
            sso.authenticate(&call, &token).ok()
        };
        let user = tokio::task::spawn_blocking(check).await.ok().flatten()?;
        user.is_super_user.then_some(Caller { name: user.username })
    }
}

impl Backend for AdminBackend {
    fn authenticate(&self, token: &str) -> BoxFuture<'_, Option<Caller>> {
        if self.0.token.matches(token) {
            return Box::pin(std::future::ready(Some(Caller { name: "admin".to_owned() })));
        }
        let token = Secret::new(token.to_owned());
        Box::pin(async move {
            let caller = self.super_user(token).await;
            if caller.is_none() {
                self.0.host.metrics.count("spanwire_refusals_total", &[("reason", "admin-token")]);
            }
            caller
        })
    }

    fn now(&self) -> Timestamp {
        clock::timestamp()
    }

    fn server(&self) -> ServerInfo {
        let this = &*self.0;
        let (snapshot, settings) = (this.configuration.snapshot(), this.reconciler.settings());
        ServerInfo {
            name: settings.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: dns_lookup::get_hostname().unwrap_or_default(),
            pid: std::process::id(),
            profile: settings.effective_profile().as_str().to_owned(),
            start_time: this.started,
            current_time: clock::timestamp(),
            listen: this.reconciler.addresses().main.to_string(),
            connections: this.host.connections.count(),
            revision: snapshot.revision(),
            objects: snapshot.objects().len(),
            failed_objects: this.host.statuses.failed(),
            state_hash: snapshot.hash().to_string(),
            running_hash: this.reconciler.running().hash().to_string(),
        }
    }

    fn metrics(&self) -> String {
        let host = &self.0.host;
        #[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
        host.metrics.queue_bytes.set(host.connections.queue_bytes() as f64);
        host.pubsub.record(&host.metrics);
        host.outconns.record(&host.metrics);
        host.metrics.render()
    }

    fn pubsub(&self) -> Option<&dyn PubSubBackend> {
        Some(&*self.0)
    }

    fn ready(&self) -> Result<(), String> {
        self.0.host.readiness.check()
    }

    fn services(&self) -> Vec<ServiceInfo> {
        let services = self.0.host.ports.registry().list().into_iter();
        let info = |(name, source): (Arc<str>, spanwire_service::Source)| ServiceInfo {
            name: name.to_string(),
            source: source.as_str().to_owned(),
        };
        services.map(info).collect()
    }

    fn invoke_service(
        &self,
        name: String,
        input: Bytes,
        timeout: Option<Duration>,
    ) -> BoxFuture<'_, Result<Invoked, Failure>> {
        Box::pin(async move {
            let ports = &self.0.host.ports;
            if !ports.has_service(&name) {
                let shown: String = name.chars().take(80).collect();
                return Err(fail(
                    404,
                    format!("there is no service `{shown}`; see /api/v1/services"),
                ));
            }
            let input = match input.is_empty() {
                true => Payload::empty(Codec::Json),
                false => Payload::from_json(input)
                    .map_err(|error| fail(400, format!("the body is not JSON: {error}")))?,
            };
            let cid = correlation_id();
            let mut call = Call::new(&name, input);
            call.cid = Some(cid);
            call.timeout = timeout.unwrap_or(call.timeout);
            let origin = Origin {
                channel_name: "admin".into(),
                channel_type: ChannelType::Admin,
                ..(*Origin::internal()).clone()
            };
            let reply = ports.invoke(call, Arc::new(origin)).await;
            let reply = reply.map_err(|error| failed(error, Some(cid.to_string())))?;
            let response = reply
                .parse()
                .map_err(|_| fail(500, "the service's answer has no JSON form".to_owned()))?;
            Ok(Invoked { cid: cid.to_string(), response })
        })
    }

    fn sso(&self, operator: String, command: SsoCommand) -> BoxFuture<'_, Result<Value, Failure>> {
        Box::pin(async move {
            let Some(sso) = &self.0.host.sso else {
                return Err(fail(503, "single sign-on is off: see sso.enabled".to_owned()));
            };
            let sso = sso.sso.clone();
            let running =
                tokio::task::spawn_blocking(move || super::sso::run(&sso, &operator, command))
                    .await;
            running.unwrap_or_else(|_| {
                Err(fail(500, "the command ended unexpectedly: see the log".to_owned()))
            })
        })
    }

    fn configuration(&self) -> &Arc<Configuration> {
        &self.0.configuration
    }

    fn is_built_in(&self, kind: Kind, name: &str) -> bool {
        is_built_in(&self.0.host, kind, name)
    }

    fn change(
        &self,
        edits: Vec<Edit>,
        author: Author,
        dry_run: bool,
    ) -> BoxFuture<'_, Result<Applied, EditError>> {
        Box::pin(async move {
            if !dry_run {
                return self.0.change(edits, author).await;
            }
            let this = Arc::clone(&self.0);
            let preview = move || {
                let built_in = |kind: Kind, name: &str| is_built_in(&this.host, kind, name);
                this.configuration.preview(edits, &author, clock::timestamp(), &built_in)
            };
            let outcome = tokio::task::spawn_blocking(preview).await;
            let outcome = outcome.unwrap_or_else(|_| Err(broke_off()))?;
            Ok(Applied { outcome, closed_connections: 0 })
        })
    }

    fn status(&self, id: u64) -> ObjectStatus {
        self.0.host.statuses.of(id)
    }

    fn connections(&self) -> Vec<ConnectionInfo> {
        self.0.host.connections.list(&ConnectionFilter::default())
    }

    fn connection(&self, id: &ConnectionId) -> Option<ConnectionInfo> {
        let filter = ConnectionFilter {
            pub_client_id: Some(id.as_str().to_owned()),
            ..ConnectionFilter::default()
        };
        self.0.host.connections.list(&filter).pop()
    }

    fn outconns(&self) -> Vec<OutconnInfo> {
        self.0.host.outconns.list(&self.0.configuration.snapshot())
    }

    fn ping_outconn(&self, name: String) -> BoxFuture<'_, Option<Pinged>> {
        Box::pin(
            async move { self.0.host.outconns.ping(&self.0.configuration.snapshot(), &name).await },
        )
    }

    fn invoke_connection(
        &self,
        id: ConnectionId,
        request: Value,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Invoked, Failure>> {
        Box::pin(async move {
            let request = Payload::from_serialize(Codec::Json, &request)
                .map_err(|_| fail(400, "request: this cannot be sent as JSON".to_owned()))?;
            let answer = self.0.host.connections.invoke(&id, request, timeout).await;
            let answer = answer.map_err(|error| failed(error.into(), None))?;
            let response = answer
                .parse()
                .map_err(|_| fail(502, "the client's answer is not JSON".to_owned()))?;
            Ok(Invoked { cid: correlation_id().to_string(), response })
        })
    }

    fn disconnect(
        &self,
        id: &ConnectionId,
        code: Option<u16>,
        reason: &str,
    ) -> Result<(), Failure> {
        let code = code.map_or(CloseCode::DISCONNECTED, CloseCode);
        if !code.is_sendable() {
            let text = "code: use 1000 to 1003, 1007 to 1013 or 3000 to 4999";
            return Err(fail(400, text.to_owned()));
        }
        let frame = CloseFrame::with_reason(code, reason);
        let closed = self.0.host.connections.disconnect(id, frame);
        closed.map_err(|error: ConnectionError| failed(error.into(), None))
    }

    fn closed_connections(&self) -> Vec<ClosedConnection> {
        self.0.host.connections.closed()
    }

    fn settings(&self) -> Vec<SettingInfo> {
        self.0.settings.list()
    }

    fn reload_settings(&self) -> BoxFuture<'_, Result<Reloaded, Vec<String>>> {
        let this = Arc::clone(&self.0);
        Box::pin(async move {
            let reloaded = tokio::task::spawn_blocking(move || this.reload_settings()).await;
            reloaded.unwrap_or_else(|_| {
                Err(vec!["the reload ended unexpectedly: see the log".to_owned()])
            })
        })
    }

    fn rotate_key(&self) -> BoxFuture<'_, Result<KeyRotated, Failure>> {
        let this = Arc::clone(&self.0);
        let rotate = move || {
            this.keys.rotate().map_err(|error| fail(503, error.to_string()))?;
            let again = this.configuration.encrypt_again();
            let subscriptions = this.host.outconns.encrypt_again();
            let subscriptions = subscriptions.map_err(|error| fail(503, error.to_string()))?;
            let users = this.host.sso.as_ref().map(|sso| sso.sso.encrypt_again()).transpose();
            let users = users.map_err(|error| fail(503, error.to_string()))?.unwrap_or_default();
            let again = again.map_err(|error| fail(503, error.to_string()))?;
            let encrypted_again = again + subscriptions + users;
            tracing::info!(encrypted_again, "key ring rotated");
            Ok(KeyRotated { encrypted_again, keys: this.keys.count() })
        };
        Box::pin(async move {
            let rotated = tokio::task::spawn_blocking(rotate).await;
            rotated.unwrap_or_else(|_| {
                Err(fail(500, "the rotation ended unexpectedly: see the log".to_owned()))
            })
        })
    }

    fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.host.events.watch()
    }

    fn stopping(&self) -> CancellationToken {
        self.0.stop.clone()
    }
}

fn fail(status: u16, message: String) -> Failure {
    Failure { status, message, cid: None }
}

/// A service failed; its correlation id finds it in the log.
fn failed(error: ServiceError, cid: Option<String>) -> Failure {
    let status = error.status().0;
    let status = if (400..600).contains(&status) { status } else { 500 };
    Failure { status, message: error.into_message(), cid }
}
