//! `spanwire connection …`

use serde_json::{Value, json};
use spanwire_protocol::admin::{ClosedConnection, ConnectionInfo, Invoked};

use super::check_timeout;
use crate::args::{Connection, Filter};
use crate::client::{Client, Failure, segment};
use crate::output::Output;

pub(crate) fn run(verb: &Connection, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        Connection::List(filter) => {
            let connections: Vec<ConnectionInfo> =
                client.get(&format!("connections{}", query(filter)))?;
            let columns = [
                "pub_client_id",
                "ext_client_id",
                "ext_client_name",
                "channel_name",
                "peer_address",
                "peer_fqdn",
                "connection_time",
            ];
            output.list(&connections, &columns)
        }
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
        Connection::Disconnect { id, code, reason } => {
            client.delete(&format!(
                "connections/{}?code={code}&reason={}",
                segment(id),
                segment(reason)
            ))?;
            output.done(&format!("{id} is being closed with {code}"))
        }
        Connection::History => {
            let closed: Vec<ClosedConnection> = client.get("connection-history")?;
            output.list(
                &closed,
                &[
                    "pub_client_id",
                    "ext_client_id",
                    "channel_name",
                    "close_time",
                    "closed_by",
                    "code",
                    "reason",
                ],
            )
        }
    }
}

fn query(filter: &Filter) -> String {
    let pairs = [
        ("ext_client_id", &filter.client_id),
        ("ext_client_name", &filter.client_name),
        ("channel_name", &filter.channel),
        ("peer_address", &filter.peer),
        ("security_name", &filter.security),
    ];
    let given = pairs
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", segment(value.as_ref()?))));
    let given: Vec<String> = given.collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}
