//! RabbitMQ: a durable classic queue, persistent messages, publisher confirms. As much of AMQP 0.9.1 as that takes.

use bytes::{Buf as _, BytesMut};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::Result;
use crate::load::{Consume, Link, Publish, Stamp, Template, body};
use crate::peer::{Peer, Process, Program, free_port};

/// Starts a broker of its own, and the port mapper that it wants.
pub(super) async fn start(program: &Program, epmd: &Program, folder: TempDir) -> Result<Peer> {
    let (port, distribution, mapper) = (free_port()?, free_port()?, free_port()?);
    let mapper = mapper.to_string();
    let mut command = epmd.command();
    command.args(["-address", "127.0.0.1", "-port", &mapper]);
    let epmd = Process::spawn(command)?;
    let mut command = program.command();
    command.env("ERL_EPMD_PORT", &mapper).env("ERL_EPMD_ADDRESS", "127.0.0.1");
    command.env("HOME", folder.path()).env("RABBITMQ_ALLOW_INPUT", "1");
    command.env("RABBITMQ_NODENAME", format!("bench{port}@localhost"));
    command
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string());
    command.env("RABBITMQ_DIST_PORT", distribution.to_string());
    command.env("RABBITMQ_MNESIA_BASE", folder.path().join("data"));
    command.env("RABBITMQ_LOG_BASE", folder.path().join("log")).env("RABBITMQ_LOGS", "-");
    command.env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.path().join("plugins"));
    command.env("RABBITMQ_CONFIG_FILE", folder.path().join("config"));
    command.env("RABBITMQ_PID_FILE", folder.path().join("pid"));
    let mut peer = Peer::start(command, port, folder).await?;
    peer.keep(epmd);
    Ok(peer)
}

/// A channel on an open connection.
async fn connect(peer: &Peer) -> Result<Link> {
    let mut link = Link::new(TcpStream::connect(peer.address).await?)?;
    link.write(b"AMQP\0\0\x09\x01").await?;
    expect(&mut link, (10, 10)).await?;
    let mut login = method(10, 11);
    login.extend(0_u32.to_be_bytes());
    short(&mut login, "PLAIN");
    login.extend(12_u32.to_be_bytes());
    login.extend(b"\0guest\0guest");
    short(&mut login, "en_US");
    link.write(&frame(METHOD, 0, &login)).await?;
    let limits = expect(&mut link, (10, 30)).await?;
    let mut tune = method(10, 31);
    // Channels and frames as the server likes them; no heartbeats.
    tune.extend_from_slice(limits.get(4..10).unwrap_or_default());
    tune.extend(0_u16.to_be_bytes());
    link.write(&frame(METHOD, 0, &tune)).await?;
    let mut open = method(10, 40);
    short(&mut open, "/");
    short(&mut open, "");
    open.push(0);
    call(&mut link, 0, &open, (10, 41)).await?;
    let mut open = method(20, 10);
    short(&mut open, "");
    call(&mut link, CHANNEL, &open, (20, 11)).await?;
    Ok(link)
}

/// Declares a durable queue.
pub(super) async fn prepare(peer: &Peer, topic: &str) -> Result<()> {
    let mut link = connect(peer).await?;
    let mut declare = method(50, 10);
    declare.extend(0_u16.to_be_bytes());
    short(&mut declare, topic);
    declare.push(DURABLE);
    declare.extend(0_u32.to_be_bytes());
    call(&mut link, CHANNEL, &declare, (50, 11)).await
}

pub(super) async fn publisher(
    peer: &Peer,
    topic: &str,
    bytes: u32,
) -> Result<(Link, Box<dyn Publish>)> {
    let mut link = connect(peer).await?;
    let mut confirm = method(85, 10);
    confirm.push(0);
    call(&mut link, CHANNEL, &confirm, (85, 11)).await?;
    let body = body(bytes);
    let mut publish = method(60, 40);
    publish.extend(0_u16.to_be_bytes());
    short(&mut publish, "");
    short(&mut publish, topic);
    publish.push(0);
    let mut header = 60_u16.to_be_bytes().to_vec();
    header.extend(0_u16.to_be_bytes());
    header.extend((body.len() as u64).to_be_bytes());
    header.extend(HAS_DELIVERY_MODE.to_be_bytes());
    header.push(PERSISTENT);
    let parts = [
        frame(METHOD, CHANNEL, &publish),
        frame(HEADER, CHANNEL, &header),
        frame(BODY, CHANNEL, body.as_bytes()),
    ];
    let template = Template::new(parts.concat())?;
    Ok((link, Box::new(Publisher { template, confirmed: 0 })))
}

pub(super) async fn consumer(peer: &Peer, topic: &str) -> Result<(Link, Box<dyn Consume>)> {
    let mut link = connect(peer).await?;
    let mut qos = method(60, 10);
    qos.extend(0_u32.to_be_bytes());
    qos.extend(PREFETCH.to_be_bytes());
    qos.push(0);
    call(&mut link, CHANNEL, &qos, (60, 11)).await?;
    let mut consume = method(60, 20);
    consume.extend(0_u16.to_be_bytes());
    short(&mut consume, topic);
    short(&mut consume, "bench");
    consume.push(0);
    consume.extend(0_u32.to_be_bytes());
    call(&mut link, CHANNEL, &consume, (60, 21)).await?;
    Ok((link, Box::new(Consumer)))
}

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const END: u8 = 0xce;
const CHANNEL: u16 = 1;
const DURABLE: u8 = 2;
const PERSISTENT: u8 = 2;
const HAS_DELIVERY_MODE: u16 = 0x1000;
/// How many messages a subscriber may have unacknowledged.
const PREFETCH: u16 = 1000;

fn method(class: u16, method: u16) -> Vec<u8> {
    [class.to_be_bytes(), method.to_be_bytes()].concat()
}

fn short(to: &mut Vec<u8>, text: &str) {
    to.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    to.extend_from_slice(text.as_bytes());
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(channel.to_be_bytes());
    frame.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(payload);
    frame.push(END);
    frame
}

/// Takes the next frame if it is complete: its kind, and its payload.
fn next(from: &mut BytesMut) -> Result<Option<(u8, BytesMut)>> {
    let Some(&[kind, _, _, a, b, c, d]) = from.first_chunk() else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    let Some(end) = from.get(HEAD + length) else { return Ok(None) };
    if *end != END {
        return Err("rabbitmq speaks nonsense".into());
    }
    from.advance(HEAD);
    let payload = from.split_to(length);
    from.advance(1);
    if kind == METHOD && matches!(id(&payload), (10, 50) | (20, 40)) {
        return Err(format!("rabbitmq says {}", payload.escape_ascii()).into());
    }
    Ok(Some((kind, payload)))
}

const HEAD: usize = 7;

/// Class and method.
fn id(payload: &[u8]) -> (u16, u16) {
    match payload.first_chunk() {
        Some(&[a, b, c, d]) => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        None => (0, 0),
    }
}

/// Waits for a method.
async fn expect(link: &mut Link, method: (u16, u16)) -> Result<BytesMut> {
    loop {
        while let Some((kind, payload)) = next(&mut link.buffer)? {
            if kind == METHOD && id(&payload) == method {
                return Ok(payload);
            }
        }
        link.read().await?;
    }
}

async fn call(link: &mut Link, channel: u16, call: &[u8], answer: (u16, u16)) -> Result<()> {
    link.write(&frame(METHOD, channel, call)).await?;
    expect(link, answer).await.map(drop)
}

fn tag(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |tag| u64::from_be_bytes(*tag))
}

struct Publisher {
    template: Template,
    confirmed: u64,
}

impl Publish for Publisher {
    fn publish(&mut self, stamp: Stamp, to: &mut Vec<u8>) {
        self.template.write(stamp, to);
    }

    fn acknowledged(&mut self, from: &mut BytesMut) -> Result<usize> {
        let mut count = 0;
        while let Some((_, payload)) = next(from)? {
            match id(&payload) {
                (60, 80) => {
                    let is_multiple = payload.get(12).is_some_and(|flags| flags & 1 == 1);
                    let tag = tag(payload.get(4..).unwrap_or_default());
                    // Those that were confirmed out of turn are counted by then.
                    let more = if is_multiple { tag.saturating_sub(self.confirmed) } else { 1 };
                    self.confirmed += more;
                    count += usize::try_from(more)?;
                }
                (60, 120) => return Err("rabbitmq refuses a message".into()),
                _ => {}
            }
        }
        Ok(count)
    }
}

/// Acknowledges the last one that it got, and by that all before it.
struct Consumer;

impl Consume for Consumer {
    fn consumed(
        &mut self,
        from: &mut BytesMut,
        seen: &mut dyn FnMut(&[u8]),
        to: &mut Vec<u8>,
    ) -> Result<()> {
        let mut last = None;
        while let Some((kind, payload)) = next(from)? {
            if kind == BODY {
                seen(&payload);
            } else if kind == METHOD && id(&payload) == (60, 60) {
                let name = payload.get(4).copied().map_or(0, usize::from);
                last = payload.get(5 + name..).map(tag);
            }
        }
        if let Some(last) = last {
            let mut ack = method(60, 80);
            ack.extend(last.to_be_bytes());
            ack.push(1);
            to.extend(frame(METHOD, CHANNEL, &ack));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirms_of_several_are_counted() {
        let ack = |tag: u64, multiple: u8| {
            let mut ack = method(60, 80);
            ack.extend(tag.to_be_bytes());
            ack.push(multiple);
            frame(METHOD, CHANNEL, &ack)
        };
        let mut speech = Publisher {
            template: Template::new(b"@0000000000000000".to_vec()).unwrap(),
            confirmed: 0,
        };
        let mut bytes = BytesMut::from(&[ack(1, 0), ack(5, 1), ack(6, 0)].concat()[..]);
        assert_eq!(speech.acknowledged(&mut bytes).unwrap(), 6);
        let mut part = BytesMut::from(&ack(7, 0)[..10]);
        assert_eq!(speech.acknowledged(&mut part).unwrap(), 0);
    }
}
