//! Finding a server: by its data folder, or by its URL and token.

use std::path::Path;

use serde::Deserialize;

use super::Failure;
use crate::args::Server;

/// What a server writes about itself once it is ready.
#[derive(Deserialize)]
struct Listening {
    admin: Option<String>,
}

/// Returns the base of the admin address and the token.
pub(super) fn locate(server: &Server) -> Result<(String, String), Failure> {
    match (&server.url, &server.token) {
        (Some(url), Some(token)) => Ok((url.trim_end_matches('/').to_owned(), token.clone())),
        _ => from_folder(&server.data),
    }
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
