//! Requests to HTTP servers by the name of an `outgoing_rest` object: for notifications, and for services.
//!
//! What a connection is is looked up in the configuration for each request, so that an edit counts from the next one on.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use spanwire_config::{Kind, OutgoingRest as Connection, Snapshot};
use spanwire_protocol::Status;
use spanwire_service::http::HttpClient;
use spanwire_service::{BoxFuture, OutgoingError, OutgoingRest, RestAnswer, RestRequest};
use tokio::time::Instant;

use crate::wiring;

/// HTTP clients by the name of their object: they hold the connections.
#[derive(Default)]
pub(crate) struct RestClients(Mutex<HashMap<String, HttpClient>>);

/// What is asked of an HTTP server.
#[derive(Clone, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) method: Option<&'a str>,
    pub(crate) params: &'a [(String, String)],
    /// The type of the body, if it is not that of the connection.
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: Bytes,
    pub(crate) traceparent: Option<&'a str>,
}

/// A request that can be made again.
pub(crate) struct Prepared {
    client: HttpClient,
    request: Request<Bytes>,
    timeout: Duration,
}

/// There is no answer.
pub(crate) enum Lost {
    /// Nothing was sent.
    Unsent(String),
    /// It may have been received.
    Unknown(String),
    /// Not in time; it may have been received.
    Late,
}

impl RestClients {
    fn get(&self, connection: &Connection) -> Result<HttpClient, String> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&connection.name) {
            return Ok(client.clone());
        }
        let pool_size = usize::try_from(connection.pool_size).unwrap_or(usize::MAX);
        let client =
            HttpClient::with_pool_size(connection.ca_file.as_deref().map(Path::new), pool_size);
        let client = client.map_err(|error| error.to_string())?;
        clients.insert(connection.name.clone(), client.clone());
        Ok(client)
    }

    /// Files are read again, and connections made, with the next request.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A request to the connection of this name, or why there cannot be one.
    pub(crate) fn prepare(
        &self,
        running: &Snapshot,
        name: &str,
        asked: Asked<'_>,
    ) -> Result<Prepared, String> {
        let params = asked.params;
        self.prepare_path(running, name, asked, |path| fill(path, params))
    }

    /// The same, with another way to make a path of the object's.
    fn prepare_path(
        &self,
        running: &Snapshot,
        name: &str,
        asked: Asked<'_>,
        path: impl FnOnce(&str) -> Result<String, String>,
    ) -> Result<Prepared, String> {
        let connection = running.objects().find::<Connection>(name);
        let connection = connection.ok_or_else(|| format!("there is no outgoing_rest `{name}`"))?;
        if !connection.is_active {
            return Err(format!("outgoing_rest `{name}` is not active"));
        }
        let client = self.get(connection)?;
        let path = path(&connection.url_path)?;
        let url = format!("{}{path}", connection.host.reveal());
        let method = asked.method.unwrap_or(&connection.method);
        let mut request = Request::builder().method(method).uri(url);
        if let Some(headers) = request.headers_mut() {
            let content_type = asked.content_type.or(connection.content_type.as_deref());
            let content_type = content_type.unwrap_or("application/json");
            if let Ok(value) = HeaderValue::from_str(content_type) {
                headers.insert(CONTENT_TYPE, value);
            }
            if let Some(Ok(value)) = asked.traceparent.map(HeaderValue::from_str) {
                headers.insert("traceparent", value);
            }
            let credentials = connection.security_name.as_deref();
            let credentials = credentials.and_then(|it| wiring::credentials(running.objects(), it));
            if let Some((name, value)) = credentials.as_ref().and_then(|it| it.header()) {
                headers.insert(name, value);
            }
        }
        let request = request.body(asked.body);
        let request = request.map_err(|error| format!("connection `{name}`: {error}"))?;
        Ok(Prepared { client, request, timeout: connection.timeout })
    }
}

impl Prepared {
    /// Makes the request once.
    pub(crate) async fn send(&self) -> Result<Response<Bytes>, Lost> {
        let exchange = self.client.exchange(self.request.clone());
        match tokio::time::timeout(self.timeout, exchange).await {
            Err(_) => Err(Lost::Late),
            Ok(Err(error)) if error.status() == Status::UNAVAILABLE => {
                Err(Lost::Unsent(error.to_string()))
            }
            Ok(Err(error)) => Err(Lost::Unknown(error.to_string())),
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    /// Whether making it twice is as good as once (RFC 9110, 9.2.2).
    fn is_idempotent(&self) -> bool {
        let method = self.request.method();
        method.is_idempotent() && *method != Method::TRACE
    }
}

/// Puts parameters into a path, and what it has no place for into the query.
fn fill(path: &str, params: &[(String, String)]) -> Result<String, String> {
    let mut filled = path.to_owned();
    let mut query = String::new();
    for (name, value) in params {
        let value = utf8_percent_encode(value, UNRESERVED).to_string();
        let place = format!("{{{name}}}");
        if path.contains(&place) {
            filled = filled.replace(&place, &value);
        } else {
            query.push(if path.contains('?') || !query.is_empty() { '&' } else { '?' });
            query.push_str(&format!("{}={value}", utf8_percent_encode(name, UNRESERVED)));
        }
    }
    // Servers take `.` and `..` for places in the path, however they are encoded.
    let segments = path.split('/').zip(filled.split('/'));
    let is_dots =
        |(before, after): (&str, &str)| before.contains('{') && matches!(after, "." | "..");
    if segments.into_iter().any(is_dots) {
        return Err("a parameter of the path cannot be `.` or `..`".to_owned());
    }
    match filled.find('{') {
        Some(at) => {
            let missing: String = filled.get(at..).unwrap_or_default().chars().take(40).collect();
            Err(format!("the path needs a value for {missing}"))
        }
        None => Ok(filled + &query),
    }
}

/// The HTTP servers of a configuration, as services see them.
#[derive(Default)]
pub(crate) struct RestConnections {
    clients: RestClients,
    running: ArcSwap<Snapshot>,
    budgets: Mutex<HashMap<String, Budget>>,
}

/// One of them.
pub(crate) struct RestPort {
    pub(crate) all: Arc<RestConnections>,
    pub(crate) name: String,
}

impl RestConnections {
    /// Has the next requests see this configuration.
    pub(crate) fn apply(&self, target: &Arc<Snapshot>, changed: &BTreeSet<u64>) {
        self.running.store(Arc::clone(target));
        let is_ours = |id: &u64| {
            target.by_id(*id).is_some_and(|(object, _)| object.kind() == Kind::OutgoingRest)
        };
        if changed.iter().any(is_ours) {
            self.clients.forget();
        }
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.retain(|name, _| target.objects().find::<Connection>(name).is_some());
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.running.load().objects().find::<Connection>(name).is_some()
    }

    fn budget<T>(&self, name: &str, work: impl FnOnce(&mut Budget) -> T) -> T {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        work(budgets.entry(name.to_owned()).or_default())
    }

    /// Asks the server whether it is there, with the method that the object has for that. Any answer says that it is.
    /// `None` when there is no such object.
    pub(crate) async fn ping(&self, name: &str) -> Option<Result<u16, String>> {
        let running = self.running.load_full();
        let connection = running.objects().find::<Connection>(name)?;
        let asked = Asked { method: Some(&connection.ping_method), ..Asked::default() };
        // Parameters of the path have no values here.
        let prepared = self.clients.prepare_path(&running, name, asked, |path| {
            Ok(path.split('{').next().unwrap_or_default().to_owned())
        });
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(problem) => return Some(Err(problem)),
        };
        Some(match prepared.send().await {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(Lost::Unsent(why) | Lost::Unknown(why)) => Err(why),
            Err(Lost::Late) => Err(format!("no answer within {:?}", connection.timeout)),
        })
    }

    async fn request(&self, name: &str, asked: &RestRequest) -> Result<RestAnswer, OutgoingError> {
        let until = Instant::now() + asked.timeout;
        let (content_type, body) = asked.body.clone().unwrap_or_default();
        let prepared = self.clients.prepare(
            &self.running.load_full(),
            name,
            Asked {
                method: asked.method.as_deref(),
                params: &asked.params,
                content_type: content_type.as_deref(),
                body,
                traceparent: asked.traceparent.as_deref(),
            },
        );
        let prepared = prepared.map_err(OutgoingError::Unsuitable)?;
        self.budget(name, Budget::earn);
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let sent =
                tokio::time::timeout_at(until, prepared.send()).await.unwrap_or(Err(Lost::Late));
            let wait = match &sent {
                Err(Lost::Unsent(_)) => Some(pause),
                Err(Lost::Unknown(_)) if prepared.is_idempotent() => Some(pause),
                Ok(answer)
                    if prepared.is_idempotent()
                        && matches!(answer.status().as_u16(), 502..=504) =>
                {
                    Some(retry_after(answer).unwrap_or(pause).max(pause))
                }
                _ => None,
            };
            if let Some(wait) = wait
                && attempt < ATTEMPTS
                && Instant::now() + wait < until
                && self.budget(name, Budget::spend)
            {
                tokio::time::sleep(wait).await;
                pause *= 4;
                continue;
            }
            return finished(name, sent);
        }
        Err(OutgoingError::TimedOut)
    }
}

impl OutgoingRest for RestPort {
    fn request(&self, request: RestRequest) -> BoxFuture<'_, Result<RestAnswer, OutgoingError>> {
        Box::pin(async move { self.all.request(&self.name, &request).await })
    }
}

fn finished(name: &str, sent: Result<Response<Bytes>, Lost>) -> Result<RestAnswer, OutgoingError> {
    match sent {
        Ok(answer) => {
            let content_type = answer.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
            Ok(RestAnswer {
                status: answer.status().as_u16(),
                content_type: content_type.unwrap_or_default().to_owned(),
                body: answer.into_body(),
            })
        }
        Err(Lost::Unsent(why)) => {
            Err(OutgoingError::NotConnected(format!("`{name}` cannot be reached: {why}")))
        }
        Err(Lost::Unknown(_)) => Err(OutgoingError::Closed),
        Err(Lost::Late) => Err(OutgoingError::TimedOut),
    }
}

fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    let seconds: u64 = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    // Nobody waits for longer than a call takes; a clock does not go that far, either.
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

/// How many requests may be made again: a tenth of all, so that a server that is in trouble does not get more of it.
struct Budget {
    /// In tenths of a request.
    tenths: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { tenths: MOST_TENTHS }
    }
}

impl Budget {
    fn earn(&mut self) {
        self.tenths = (self.tenths + 1).min(MOST_TENTHS);
    }

    fn spend(&mut self) -> bool {
        let left = self.tenths.checked_sub(10);
        self.tenths = left.unwrap_or(self.tenths);
        left.is_some()
    }
}

/// In seconds.
const MAX_RETRY_AFTER: u64 = 3_600;
/// How often a request is made at most.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Ten requests.
const MOST_TENTHS: u32 = 100;
/// All but the letters, digits and signs that mean themselves everywhere in a URL (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn parameters_go_into_the_path_or_the_query_and_break_out_of_neither() {
        let filled = |path: &str, pairs: &[(&str, &str)]| fill(path, &params(pairs));
        assert_eq!(filled("/a", &[]).unwrap(), "/a");
        assert_eq!(
            filled("/a/{id}/b", &[("id", "../7?x=1#y")]).unwrap(),
            "/a/..%2F7%3Fx%3D1%23y/b"
        );
        assert_eq!(
            filled("/a", &[("q", "x&y=1"), ("ż", " ")]).unwrap(),
            "/a?q=x%26y%3D1&%C5%BC=%20"
        );
        assert_eq!(filled("/a?b=1", &[("q", "2")]).unwrap(), "/a?b=1&q=2");
        assert!(filled("/a/{id}", &[("other", "1")]).unwrap_err().contains("{id}"));
        for dots in [".", ".."] {
            assert!(filled("/a/{id}/b", &[("id", dots)]).is_err(), "{dots}");
            assert_eq!(filled("/a", &[("q", dots)]).unwrap(), format!("/a?q={dots}"));
        }
        assert!(filled("/a/{x}{y}", &[("x", "."), ("y", ".")]).is_err());
        assert_eq!(filled("/a/{id}", &[("id", "...")]).unwrap(), "/a/...");
    }

    #[test]
    fn a_server_cannot_ask_for_a_pause_without_end() {
        let asked = |value: &str| {
            let answer = Response::builder().header(RETRY_AFTER, value).body(Bytes::new()).unwrap();
            retry_after(&answer)
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked(&u64::MAX.to_string()), Some(Duration::from_secs(3_600)));
        for odd in ["-1", "soon", "99999999999999999999999"] {
            assert_eq!(asked(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_budget_lets_a_tenth_of_all_requests_be_made_again() {
        let mut budget = Budget::default();
        let again = (0..1_000).filter(|_| {
            budget.earn();
            budget.spend()
        });
        assert!((100..=111).contains(&again.count()));
    }
}
