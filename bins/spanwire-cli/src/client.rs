//! Calling the admin API.

mod failure;
mod locate;
mod path;

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::request::Builder;
use ureq::http::{HeaderMap, Method, Request, StatusCode};
use ureq::{Agent, Body, BodyReader};

pub(crate) use self::failure::Failure;
pub(crate) use self::path::{Query, object, objects, segment};
use crate::args::Server;
use crate::output::{counted, warn};

/// The admin API of one server.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    token: String,
    /// Who asks, as far as the operating system tells.
    user: Option<String>,
}

/// What a server answered: a success.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Client {
    /// Finds the server by its data folder, or by its URL and token.
    pub(crate) fn open(server: &Server) -> Result<Self, Failure> {
        let (base, token) = locate::locate(server)?;
        // Status codes are answers here, not errors; there is no proxy between a server and its administrator.
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(USER_AGENT)
            .timeout_connect(Some(CONNECT_TIMEOUT));
        let user = ["USER", "LOGNAME"].iter().find_map(|name| printable(std::env::var(name).ok()?));
        Ok(Self { agent: config.build().new_agent(), base, token, user })
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        parse(&self.send(Method::GET, path, JSON, Vec::new())?.body)
    }

    /// Like [`Client::get`]; `None` if there is no such thing.
    pub(crate) fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        match self.get(path) {
            Err(Failure::Refused { status: 404, .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Returns a text as it is.
    pub(crate) fn text(&self, path: &str) -> Result<String, Failure> {
        let body = self.send(Method::GET, path, JSON, Vec::new())?.body;
        String::from_utf8(body).map_err(|_| strange())
    }

    /// Returns a whole list, page by page.
    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Query,
    ) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        loop {
            let offset = all.len();
            let query = query.clone().with("limit", PAGE).with("offset", &offset.to_string());
            let answer = self.send(Method::GET, &format!("{path}{query}"), JSON, Vec::new())?;
            let page: Vec<T> = parse(&answer.body)?;
            let is_empty = page.is_empty();
            all.extend(page);
            if is_empty || !has_more(&answer.headers, all.len()) {
                return Ok(all);
            }
        }
    }

    /// Returns at most `limit` items of a list whose pages lead on to each other.
    pub(crate) fn follow<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Query,
        limit: usize,
    ) -> Result<Vec<T>, Failure> {
        let first = query.clone().with("limit", &limit.min(MAX_FOLLOWED).to_string());
        let (mut path, mut all) = (format!("{path}{first}"), Vec::new());
        loop {
            let answer = self.send(Method::GET, &path, JSON, Vec::new())?;
            all.extend(parse::<Vec<T>>(&answer.body)?);
            match next(&answer.headers) {
                Some(next) if all.len() < limit => path = next,
                _ => break,
            }
        }
        all.truncate(limit);
        Ok(all)
    }

    /// Returns one page of a list, and how long the whole list is.
    pub(crate) fn page<T: DeserializeOwned>(
        &self,
        path: &str,
        limit: usize,
    ) -> Result<(Vec<T>, usize), Failure> {
        let path = format!("{path}?limit={limit}");
        let answer = self.send(Method::GET, &path, JSON, Vec::new())?;
        let page: Vec<T> = parse(&answer.body)?;
        let total = total(&answer.headers).unwrap_or(page.len());
        Ok((page, total))
    }

    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Failure> {
        parse(&self.send(Method::POST, path, JSON, body)?.body)
    }

    /// Posts something and returns the answer; whether it made something new comes with it.
    pub(crate) fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(T, bool), Failure> {
        let answer = self.send(Method::POST, path, JSON, encode(body)?)?;
        Ok((parse(&answer.body)?, answer.status == StatusCode::CREATED))
    }

    /// Posts something that is answered without a body.
    pub(crate) fn tell(&self, path: &str, body: &impl Serialize) -> Result<(), Failure> {
        self.send(Method::POST, path, JSON, encode(body)?).map(drop)
    }

    pub(crate) fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        parse(&self.send(Method::PATCH, path, MERGE_PATCH, encode(body)?)?.body)
    }

    /// Like [`Client::patch`], where values are replaced as a whole.
    pub(crate) fn replace<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        parse(&self.send(Method::PATCH, path, JSON, encode(body)?)?.body)
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Vec<u8>, Failure> {
        Ok(self.send(Method::DELETE, path, JSON, Vec::new())?.body)
    }

    /// Opens a stream of events.
    pub(crate) fn stream(&self, path: &str) -> Result<BodyReader<'static>, Failure> {
        let request = self.request(Method::GET, path).header("accept", "text/event-stream");
        let (_, _, body) = self.run(request, Vec::new())?;
        Ok(body.into_reader())
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let request = self.request(method, path).header("content-type", content_type);
        let (status, headers, mut body) = self.run(request, body)?;
        if let Some(closed) =
            header(&headers, "x-closed-connections").and_then(|it| it.parse().ok())
        {
            warn(&format!("{} closed: not let in any more", counted(closed, "connection")));
        }
        Ok(Answer { status, headers, body: read(&mut body)? })
    }

    fn request(&self, method: Method, path: &str) -> Builder {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1/{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token));
        if let Some(user) = &self.user {
            request = request.header("x-spanwire-user", user);
        }
        request
    }

    /// Sends a request; an answer that is no success is a refusal.
    fn run(
        &self,
        request: Builder,
        body: Vec<u8>,
    ) -> Result<(StatusCode, HeaderMap, Body), Failure> {
        let request = request.body(body).map_err(|error| {
            Failure::Input(format!("the address of the server is wrong: {error}"))
        })?;
        let answer =
            self.agent.run(request).map_err(|error| Failure::Unreachable(error.to_string()))?;
        let (head, mut body) = answer.into_parts();
        if head.status.is_success() {
            Ok((head.status, head.headers, body))
        } else {
            Err(Failure::refused(head.status.as_u16(), &read(&mut body)?))
        }
    }
}

fn read(body: &mut Body) -> Result<Vec<u8>, Failure> {
    let body = body.with_config().limit(MAX_ANSWER).read_to_vec();
    body.map_err(|error| Failure::Unreachable(error.to_string()))
}

/// Reads the body of an answer.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| strange())
}

fn strange() -> Failure {
    Failure::Unreachable("something else than spanwire answers there".to_owned())
}

fn encode(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|error| Failure::Input(error.to_string()))
}

/// Tells whether a list goes on after so many items.
fn has_more(headers: &HeaderMap, seen: usize) -> bool {
    match total(headers) {
        Some(total) => seen < total,
        None => header(headers, "link").is_some_and(|link| link.contains("rel=\"next\"")),
    }
}

/// The path of the next page.
fn next(headers: &HeaderMap) -> Option<String> {
    let (path, _) = header(headers, "link")?.strip_prefix("</api/v1/")?.split_once('>')?;
    Some(path.to_owned())
}

fn total(headers: &HeaderMap) -> Option<usize> {
    header(headers, "x-total-count")?.parse().ok()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A name that can be a header.
fn printable(name: String) -> Option<String> {
    let is_fine = !name.trim().is_empty() && name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    is_fine.then_some(name)
}

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const USER_AGENT: &str = concat!("spanwire-cli/", env!("CARGO_PKG_VERSION"));
const PAGE: &str = "1000";
/// How many messages one page has at most.
const MAX_FOLLOWED: usize = 1_000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANSWER: u64 = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_go_on_while_there_is_more() {
        let mut headers = HeaderMap::new();
        assert!(!has_more(&headers, 1_000));
        headers.insert("link", "</x?offset=1000>; rel=\"next\"".parse().unwrap());
        assert!(has_more(&headers, 1_000));
        headers.insert("x-total-count", "1000".parse().unwrap());
        assert!(!has_more(&headers, 1_000));
        assert!(has_more(&headers, 999));
    }

    #[test]
    fn a_page_leads_to_the_next_one() {
        let mut headers = HeaderMap::new();
        assert_eq!(next(&headers), None);
        let link = "</api/v1/pubsub/topics/%2Fa/messages?limit=2&after=3>; rel=\"next\"";
        headers.insert("link", link.parse().unwrap());
        let path = "pubsub/topics/%2Fa/messages?limit=2&after=3";
        assert_eq!(next(&headers).as_deref(), Some(path));
    }

    #[test]
    fn odd_names_of_users_are_not_sent() {
        assert_eq!(printable("anna".to_owned()).as_deref(), Some("anna"));
        for name in ["", " ", "żaneta", "a\nb"] {
            assert_eq!(printable(name.to_owned()), None, "{name:?}");
        }
    }
}
