//! `spanwire connection …`

mod disconnect;
mod watch;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use spanwire_protocol::admin::{ClosedConnection, ConnectionInfo, Invoked};

use super::check_timeout;
use crate::args::{Connection, Filter};
use crate::client::{Client, Failure, Query, segment};
use crate::output::Output;

pub(crate) fn run(verb: &Connection, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        Connection::List(filter) => output.list(&live(filter, client)?, COLUMNS),
        Connection::Show { id } => {
            let connection: ConnectionInfo = client.get(&format!("connections/{}", segment(id)))?;
            output.object(&connection)
        }
        Connection::Invoke { id, request, timeout } => {
            let request = super::json(request.as_deref(), "null")?;
            let request: Value = serde_json::from_str(&request).unwrap_or_default();
            let body = json!({"request": request, "timeout": check_timeout(*timeout)?});
            let invoked: Invoked = client.post(
                &format!("connections/{}/invoke", segment(id)),
                body.to_string().into_bytes(),
            )?;
            output.response(&invoked.response)
        }
        Connection::Disconnect(close) => disconnect::run(close, client, output),
        Connection::History { client_id } => {
            let query = Query::default().maybe("ext_client_id", client_id.as_deref());
            let closed: Vec<ClosedConnection> = client.list("connection-history", &query)?;
            output.list(&closed, CLOSED_COLUMNS)
        }
        Connection::Watch { count } => watch::run(*count, client, output),
    }
}

/// The connections that match, newest first.
fn live(filter: &Filter, client: &Client) -> Result<Vec<ConnectionInfo>, Failure> {
    let query =
        filter.pairs().fold(Query::default(), |query, (key, value)| query.with(&key, value));
    let mut all: Vec<ConnectionInfo> = client.list("connections", &query)?;
    // A client that came between two pages moved the others on, so that one of them is in both.
    let mut seen = BTreeSet::new();
    all.retain(|connection| seen.insert(connection.pub_client_id.as_str().to_owned()));
    Ok(all)
}

const COLUMNS: &[&str] = &[
    "pub_client_id",
    "ext_client_id",
    "ext_client_name",
    "channel_name",
    "peer_address",
    "peer_fqdn",
    "connection_time",
];

const CLOSED_COLUMNS: &[&str] = &[
    "pub_client_id",
    "ext_client_id",
    "channel_name",
    "close_time",
    "closed_by",
    "code",
    "reason",
];
