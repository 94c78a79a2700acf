//! `spanwire service list|invoke`

use spanwire_protocol::admin::{Invoked, ServiceInfo};

use super::{check_timeout, json};
use crate::args::Service;
use crate::client::{Client, Failure, Query, segment};
use crate::output::Output;

pub(crate) fn run(verb: &Service, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        Service::List { name } => {
            let query = Query::default().maybe("q", name.as_deref());
            let services: Vec<ServiceInfo> = client.list("services", &query)?;
            output.list(&services, &["name", "source"])
        }
        Service::Invoke { name, payload, timeout } => {
            let payload = json(payload.as_deref(), "{}")?;
            let timeout = check_timeout(*timeout)?.map(|seconds| format!("?timeout={seconds}"));
            let path = format!("services/{}/invoke{}", segment(name), timeout.unwrap_or_default());
            let invoked: Invoked = client.post(&path, payload.into_bytes())?;
            output.response(&invoked.response)
        }
    }
}
