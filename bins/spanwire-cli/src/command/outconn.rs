//! `spanwire outconn status|ping`

use spanwire_protocol::admin::{OutconnInfo, Pinged};

use crate::args::Outconn;
use crate::client::{Client, Failure, Query, segment};
use crate::output::Output;

pub(crate) fn run(verb: &Outconn, client: &Client, output: &Output) -> Result<(), Failure> {
    match verb {
        Outconn::Status { name: None } => {
            let all: Vec<OutconnInfo> = client.list("outconns", &Query::default())?;
            output.list(&all, &["name", "state", "address"])
        }
        Outconn::Status { name: Some(name) } => {
            let outconn: OutconnInfo = client.get(&format!("outconns/{}", segment(name)))?;
            output.object(&outconn)
        }
        Outconn::Ping { name } => {
            let path = format!("outconns/{}/ping", segment(name));
            let pinged: Pinged = client.post(&path, Vec::new())?;
            match pinged.is_success {
                true => output.result(&pinged, [pinged.info.clone()]),
                false => Err(Failure::refusal(503, &pinged.info)),
            }
        }
    }
}
