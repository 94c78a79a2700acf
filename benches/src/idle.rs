//! Resident memory of connections that are logged in and do nothing.
//!
//! Each turn has a server of its own: memory that ended connections gave back to the allocator would hide what new
//! ones need.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::Result;
use crate::args::{Common, Idle, Transport};
use crate::child::{Certificate, Child, raise_descriptor_limit};
use crate::client::{Client, Stream};
use crate::report::{Budget, Round, Row, Sample};

/// Section 11 of the design, and row L-03 for TLS.
fn budget(transport: Transport) -> Budget {
    match transport {
        Transport::Plain => Budget::MostKib(16.0),
        Transport::Tls => Budget::MostKib(48.0),
    }
}

/// Measures both transports, both servers in turns.
pub(crate) async fn measure(common: &Common, how: &Idle) -> Result<Vec<Row>> {
    let connections = affordable(how.connections)?;
    let mut rows = Vec::new();
    for transport in Transport::chosen(how.transport) {
        eprintln!("idle {transport:?}, {connections} connections");
        let certificate = Certificate::for_transport(transport)?;
        let mut rounds = Vec::new();
        for _ in 0..common.rounds() {
            let spanwire = Child::spanwire(common, certificate.as_ref()).await?;
            let token = Client::open(&spanwire.target).await?.token;
            let first = turn(&spanwire, connections).await?;
            drop(spanwire);
            let bare = Child::bare(common, certificate.as_ref(), token.into())?;
            rounds.push(Round::new(first, turn(&bare, connections).await?));
        }
        let row = Row::new("idle", transport, connections, common, rounds);
        rows.push(row.with_budget(Some(budget(transport))));
    }
    Ok(rows)
}

/// Descriptors for everything else, here and in the servers.
const SPARE: u64 = 500;

/// How many connections the limit of descriptors allows; client and server each need one for each.
fn affordable(wanted: u32) -> Result<u32> {
    let limit = raise_descriptor_limit();
    let most = u32::try_from(limit.saturating_sub(SPARE)).unwrap_or(u32::MAX);
    if most == 0 {
        return Err(format!("{limit} descriptors are too few").into());
    }
    if most < wanted {
        eprintln!("only {limit} descriptors: {most} connections instead of {wanted}");
    }
    Ok(wanted.min(most))
}

/// How many connections are being made at a time.
const AT_A_TIME: usize = 64;

/// What the first connections make a server allocate once and for all is not what a connection costs.
const WARM_UP: u32 = 200;

/// Buffers of handshakes are given back.
const SETTLE: Duration = Duration::from_secs(2);

async fn turn(child: &Child, connections: u32) -> Result<Sample> {
    drop(open(child, WARM_UP).await?);
    tokio::time::sleep(SETTLE).await;
    let before = child.resident_kib()?;
    let clients = open(child, connections).await?;
    tokio::time::sleep(SETTLE).await;
    let after = child.resident_kib()?;
    for client in &clients {
        check_open(&client.stream)?;
    }
    let grown = after.saturating_sub(before) as f64;
    let sample =
        Sample { kib_per_connection: Some(grown / f64::from(connections)), ..Sample::default() };
    for client in clients {
        client.abort()?;
    }
    Ok(sample)
}

async fn open(child: &Child, connections: u32) -> Result<Vec<Client>> {
    stream::iter(0..connections)
        .map(|_| Client::open(&child.target))
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await
}

/// A connection that the server dropped costs nothing: it must not count as cheap.
fn check_open(stream: &Stream) -> Result<()> {
    // TLS has tickets to tell, and pings are harmless.
    let mut skipped = [0; 512];
    loop {
        match stream.tcp().try_read(&mut skipped) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Ok(1..) => {}
            Ok(0) => return Err("the server closed an idle connection".into()),
            Err(error) => return Err(format!("an idle connection broke: {error}").into()),
        }
    }
}
