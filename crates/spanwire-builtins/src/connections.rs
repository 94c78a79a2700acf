//! Live WebSocket connections as services, so that they can be mounted on REST and called by HTTP-backed services
//! (outconn-and-platform 3.2).
//!
//! A connection is named by `pub_client_id`, or by attributes of which all must match. Keys that only the original
//! needs (`id`, `cluster_id`, paging) are ignored.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spanwire_protocol::admin::ConnectionInfo;
use spanwire_protocol::{CloseCode, CloseFrame, Codec, ConnectionId, Payload};
use spanwire_service::connections::DEFAULT_ANSWER_TIMEOUT;
use spanwire_service::{BoxFuture, ConnectionFilter, Context, PayloadService, ServiceError};

/// `get-connection-list`: those that match, newest first.
pub(crate) struct List;
/// `invoke-wsx`: asks one client, or several, and returns what they answer.
pub(crate) struct Invoke;
/// `broadcast`: tells clients something without waiting.
pub(crate) struct Broadcast;
/// `disconnect-connection`: closes connections.
pub(crate) struct Disconnect;

/// Which connections; the same names as in their records.
#[derive(Deserialize)]
struct Which {
    channel_name: Option<String>,
    pub_client_id: Option<String>,
    ext_client_id: Option<String>,
    ext_client_name: Option<String>,
    peer_address: Option<String>,
    peer_fqdn: Option<String>,
    security_name: Option<String>,
    username: Option<String>,
    attrs: Option<BTreeMap<String, Value>>,
}

impl From<Which> for ConnectionFilter {
    fn from(which: Which) -> Self {
        Self {
            channel_name: which.channel_name,
            pub_client_id: which.pub_client_id,
            ext_client_id: which.ext_client_id,
            ext_client_name: which.ext_client_name,
            peer_address: which.peer_address,
            peer_fqdn: which.peer_fqdn,
            security_name: which.security_name,
            username: which.username,
            attrs: which.attrs.unwrap_or_default(),
        }
    }
}

impl Which {
    /// Asking or closing everybody by leaving everything out would be a mistake, not a wish.
    fn named(self) -> Result<ConnectionFilter, ServiceError> {
        let filter = ConnectionFilter::from(self);
        if filter.is_empty() {
            return Err(ServiceError::bad_request(
                "Name the connections: pub_client_id, ext_client_id, ext_client_name, channel_name, peer_address, \
                 peer_fqdn, security_name or attrs",
            ));
        }
        Ok(filter)
    }
}

#[derive(Deserialize)]
struct InvokeInput {
    #[serde(flatten)]
    which: Which,
    #[serde(default)]
    request_data: Value,
    timeout: Option<f64>,
}

#[derive(Deserialize)]
struct BroadcastInput {
    #[serde(flatten)]
    which: Which,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct DisconnectInput {
    #[serde(flatten)]
    which: Which,
    code: Option<u16>,
    reason: Option<String>,
}

/// Runs a typed body on the input.
fn run<'a, I, O, F, Fut>(
    ctx: Context,
    input: Payload,
    body: F,
) -> BoxFuture<'a, Result<Payload, ServiceError>>
where
    I: DeserializeOwned + Send + 'a,
    O: Serialize,
    F: FnOnce(Context, I) -> Fut + Send + 'a,
    Fut: Future<Output = Result<O, ServiceError>> + Send,
{
    Box::pin(async move {
        let parsed: I = input.parse()?;
        let output = body(ctx, parsed).await?;
        Payload::from_serialize(input.codec(), &output).map_err(ServiceError::internal)
    })
}

impl PayloadService for List {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        run(
            ctx,
            input,
            |ctx, which: Which| async move { Ok(ctx.connections().list(&which.into())) },
        )
    }
}

impl PayloadService for Invoke {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        run(ctx, input, |ctx, input: InvokeInput| async move {
            let request = request(input.request_data)?;
            let timeout = timeout(input.timeout)?.min(ctx.remaining());
            let single = input.which.pub_client_id.clone();
            let filter = input.which.named()?;
            if let Some(id) = single {
                let id = ConnectionId::from_text(id);
                if ctx.connections().list(&filter).is_empty() {
                    return Err(spanwire_service::ConnectionError::Unknown(id).into());
                }
                return Ok(json!({"response_data": ask(&ctx, &id, request, timeout).await?}));
            }
            let found = ctx.connections().list(&filter);
            match &found[..] {
                [] => Err(ServiceError::not_found("No such WebSocket connection")),
                [one] => Ok(
                    json!({"response_data": ask(&ctx, &one.pub_client_id, request, timeout).await?}),
                ),
                many => Ok(json!({"response_data": ask_all(&ctx, many, &request, timeout).await})),
            }
        })
    }
}

impl PayloadService for Broadcast {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        run(ctx, input, |ctx, input: BroadcastInput| async move {
            let request = request(input.data)?;
            Ok(json!({"sent": ctx.connections().broadcast(&input.which.named()?, &request)}))
        })
    }
}

impl PayloadService for Disconnect {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        run(ctx, input, |ctx, input: DisconnectInput| async move {
            let code = input.code.map_or(CloseCode::DISCONNECTED, CloseCode);
            if !code.is_sendable() {
                return Err(ServiceError::bad_request(
                    "code: use 1000 to 1003, 1007 to 1013 or 3000 to 4999",
                ));
            }
            let frame = CloseFrame::with_reason(code, input.reason.unwrap_or_default());
            let found = ctx.connections().list(&input.which.named()?);
            if found.is_empty() {
                return Err(ServiceError::not_found("No such WebSocket connection"));
            }
            let closed = found.iter().filter(|connection| {
                // One that went away in the meantime is closed, too.
                ctx.connections().disconnect(&connection.pub_client_id, frame.clone()).is_ok()
            });
            Ok(json!({"disconnected": closed.count()}))
        })
    }
}

/// A text is tried as JSON first (wsx-protocol 2.4).
fn request(data: Value) -> Result<Payload, ServiceError> {
    let parsed = data.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    Ok(Payload::from_serialize(Codec::Json, &parsed.unwrap_or(data))?)
}

fn timeout(seconds: Option<f64>) -> Result<Duration, ServiceError> {
    let Some(seconds) = seconds else { return Ok(DEFAULT_ANSWER_TIMEOUT) };
    let valid = Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero());
    valid.ok_or_else(|| ServiceError::bad_request("timeout: expected a number of seconds above 0"))
}

async fn ask(
    ctx: &Context,
    id: &ConnectionId,
    request: Payload,
    timeout: Duration,
) -> Result<Value, ServiceError> {
    let answer = ctx.connections().invoke(id, request, timeout).await?;
    Ok(answer.parse()?)
}

/// Asks several at once; one that does not answer has its error in its place.
async fn ask_all(
    ctx: &Context,
    many: &[ConnectionInfo],
    request: &Payload,
    timeout: Duration,
) -> Value {
    let asked = many.iter().map(|connection| async {
        let id = &connection.pub_client_id;
        let answer = ask(ctx, id, request.clone(), timeout).await;
        let value = answer.unwrap_or_else(|error| json!({"error": error.message()}));
        (id.to_string(), value)
    });
    let answers: serde_json::Map<_, _> =
        futures_util::future::join_all(asked).await.into_iter().collect();
    answers.into()
}
