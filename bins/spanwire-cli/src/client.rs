//! Calling the admin API.

use std::path::Path;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use spanwire_protocol::admin::Problem;
use thiserror::Error;
use ureq::Agent;
use ureq::http::{Method, Request};

use crate::args::Server;

/// Why a command did not do its work.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The server said no.
    #[error("{0}")]
    Refused(String),
    /// Arguments or files are wrong.
    #[error("{0}")]
    Input(String),
    /// There is no server.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Input(_) => 2,
            Self::Unreachable(_) => 3,
        }
    }
}

/// The admin API of one server.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    token: String,
}

/// What a server writes about itself once it is ready.
#[derive(Deserialize)]
struct Listening {
    admin: Option<String>,
}

impl Client {
    /// Finds the server by its data folder, or by its URL and token.
    pub(crate) fn open(server: &Server) -> Result<Self, Failure> {
        let (base, token) = match (&server.url, &server.token) {
            (Some(url), Some(token)) => (url.trim_end_matches('/').to_owned(), token.clone()),
            _ => from_folder(&server.data)?,
        };
        // Status codes are answers here, not errors; there is no proxy between a server and its administrator.
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIMEOUT));
        Ok(Self { agent: config.build().new_agent(), base, token })
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        parse(&self.send(Method::GET, path, Vec::new())?)
    }

    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Failure> {
        parse(&self.send(Method::POST, path, body)?)
    }

    pub(crate) fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::DELETE, path, Vec::new()).map(drop)
    }

    fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1/{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(body)
            .map_err(|error| {
                Failure::Input(format!("the address of the server is wrong: {error}"))
            })?;
        let mut answer =
            self.agent.run(request).map_err(|error| Failure::Unreachable(error.to_string()))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let body = body.map_err(|error| Failure::Unreachable(error.to_string()))?;
        if status.is_success() {
            return Ok(body);
        }
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        let text = problem.map_or_else(
            || format!("the server answered {status}"),
            |problem| match problem.cid {
                Some(cid) => {
                    format!("{} ({}, correlation id {cid})", problem.detail, problem.status)
                }
                None => format!("{} ({})", problem.detail, problem.status),
            },
        );
        Err(Failure::Refused(text))
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|_| Failure::Unreachable("something else than spanwire answers there".to_owned()))
}

fn from_folder(data: &Path) -> Result<(String, String), Failure> {
    let folder = data.display();
    let listening = std::fs::read(data.join("listen.json")).map_err(|error| {
        if data.join("admin.token").exists() {
            Failure::Unreachable(format!("no server runs on {folder}"))
        } else {
            Failure::Input(format!("{folder} is no data folder of a server ({error}); name it with --data, or use --url"))
        }
    })?;
    let damaged = |what: &str| Failure::Input(format!("{folder}/{what} cannot be read"));
    let listening: Listening =
        serde_json::from_slice(&listening).map_err(|_| damaged("listen.json"))?;
    let admin = listening.admin.ok_or_else(|| damaged("listen.json"))?;
    let token =
        std::fs::read_to_string(data.join("admin.token")).map_err(|_| damaged("admin.token"))?;
    // A server that listens everywhere listens on loopback, too.
    let admin = admin.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
    Ok((format!("http://{admin}"), token.trim().to_owned()))
}

/// Makes a text one segment of a path, or one value of a query.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, UNSAFE).to_string()
}

const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANSWER: u64 = 256 * 1024 * 1024;
