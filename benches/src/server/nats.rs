//! NATS: JetStream with file storage where delivery is guaranteed, plain subjects where it is not.
//!
//! JetStream acknowledges before its writes are forced to disk, unless it is configured otherwise; it is taken as it is.

use std::fs;

use bytes::{Buf as _, BytesMut};
use memchr::memmem;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::Result;
use crate::load::{Consume, Link, Publish, Stamp, Template, body};
use crate::peer::{Peer, Program, free_port};

pub(super) async fn start(program: &Program, folder: TempDir) -> Result<Peer> {
    let port = free_port()?;
    let config = folder.path().join("nats.conf");
    let store = folder.path().join("jetstream");
    fs::write(
        &config,
        format!(
            "listen: \"127.0.0.1:{port}\"\nmax_connections: 20000\n\
             jetstream {{ store_dir: \"{}\", max_file_store: 4G }}\n",
            store.display()
        ),
    )?;
    let mut command = program.command();
    command.arg("-c").arg(&config);
    Peer::start(command, port, folder).await
}

async fn connect(peer: &Peer) -> Result<Link> {
    let mut link = Link::new(TcpStream::connect(peer.address).await?)?;
    link.write(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n").await?;
    until_pong(&mut link).await?;
    Ok(link)
}

/// Everything before it was taken note of.
async fn until_pong(link: &mut Link) -> Result<()> {
    loop {
        while let Some(told) = next(&mut link.buffer)? {
            if let Told::Pong = told {
                return Ok(());
            }
        }
        link.read().await?;
    }
}

/// Makes a stream of a subject, and a consumer that gets all of it.
pub(super) async fn prepare(peer: &Peer, topic: &str) -> Result<()> {
    let mut link = connect(peer).await?;
    link.write(format!("SUB api.{topic} 1\r\n").as_bytes()).await?;
    let stream = format!(
        "{{\"name\":\"{topic}\",\"subjects\":[\"{topic}\"],\"storage\":\"file\",\"retention\":\"interest\"}}"
    );
    let consumer = format!(
        "{{\"stream_name\":\"{topic}\",\"config\":{{\"durable_name\":\"c\",\"deliver_subject\":\"to.{topic}\",\
         \"ack_policy\":\"all\",\"max_ack_pending\":20000}}}}"
    );
    let calls = [
        (format!("$JS.API.STREAM.CREATE.{topic}"), stream),
        (format!("$JS.API.CONSUMER.DURABLE.CREATE.{topic}.c"), consumer),
    ];
    for (subject, request) in calls {
        let call = format!("PUB {subject} api.{topic} {}\r\n{request}\r\n", request.len());
        link.write(call.as_bytes()).await?;
        while !is_answered(&mut link.buffer)? {
            link.read().await?;
        }
    }
    Ok(())
}

fn is_answered(from: &mut BytesMut) -> Result<bool> {
    while let Some(told) = next(from)? {
        if let Told::Message { body, .. } = told {
            check(&body)?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn check(answer: &[u8]) -> Result<()> {
    match memmem::find(answer, b"\"error\"") {
        None => Ok(()),
        Some(_) => Err(format!("nats says {}", answer.escape_ascii()).into()),
    }
}

pub(super) async fn publisher(
    peer: &Peer,
    topic: &str,
    number: u32,
    bytes: u32,
    guaranteed: bool,
) -> Result<(Link, Box<dyn Publish>)> {
    let mut link = connect(peer).await?;
    let body = body(bytes);
    let frame = if guaranteed {
        link.write(format!("SUB ack.{topic}.{number} 1\r\n").as_bytes()).await?;
        format!("PUB {topic} ack.{topic}.{number} {}\r\n{body}\r\n", body.len())
    } else {
        // Nothing is answered unless it is asked for.
        format!("PUB {topic} {}\r\n{body}\r\nPING\r\n", body.len())
    };
    Ok((link, Box::new(Publisher(Template::new(frame.into_bytes())?))))
}

pub(super) async fn consumer(
    peer: &Peer,
    topic: &str,
    guaranteed: bool,
) -> Result<(Link, Box<dyn Consume>)> {
    let mut link = connect(peer).await?;
    let subject = if guaranteed { format!("to.{topic}") } else { topic.to_owned() };
    link.write(format!("SUB {subject} 1\r\nPING\r\n").as_bytes()).await?;
    until_pong(&mut link).await?;
    Ok((link, Box::new(Consumer { guaranteed })))
}

/// What the server says.
enum Told {
    Message { reply: Option<String>, body: BytesMut },
    Pong,
    Other,
}

/// Takes the next thing that is complete.
fn next(from: &mut BytesMut) -> Result<Option<Told>> {
    let Some(line) = memmem::find(from, b"\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(from.get(..line).unwrap_or_default())?;
    let Some(message) = head.strip_prefix("MSG ") else {
        let told = match head {
            "PONG" => Told::Pong,
            _ if head.starts_with("-ERR") => return Err(format!("nats says {head}").into()),
            _ => Told::Other,
        };
        from.advance(line + 2);
        return Ok(Some(told));
    };
    // MSG subject sid [reply] length
    let parts: Vec<&str> = message.split_ascii_whitespace().collect();
    let length: usize = parts.last().ok_or("a message without a length")?.parse()?;
    let reply = (parts.len() == 4).then(|| parts.get(2).copied().unwrap_or_default().to_owned());
    if from.len() < line + 2 + length + 2 {
        return Ok(None);
    }
    from.advance(line + 2);
    let body = from.split_to(length);
    from.advance(2);
    Ok(Some(Told::Message { reply, body }))
}

struct Publisher(Template);

impl Publish for Publisher {
    fn publish(&mut self, stamp: Stamp, to: &mut Vec<u8>) {
        self.0.write(stamp, to);
    }

    fn acknowledged(&mut self, from: &mut BytesMut) -> Result<usize> {
        let mut count = 0;
        while let Some(told) = next(from)? {
            match told {
                Told::Message { body, .. } => {
                    check(&body)?;
                    count += 1;
                }
                Told::Pong => count += 1,
                Told::Other => {}
            }
        }
        Ok(count)
    }
}

/// Acknowledges the last one that it got, and by that all before it.
struct Consumer {
    guaranteed: bool,
}

impl Consume for Consumer {
    fn consumed(
        &mut self,
        from: &mut BytesMut,
        seen: &mut dyn FnMut(&[u8]),
        to: &mut Vec<u8>,
    ) -> Result<()> {
        let mut last = None;
        while let Some(told) = next(from)? {
            if let Told::Message { reply, body } = told {
                seen(&body);
                last = reply;
            }
        }
        if let Some(reply) = last.filter(|_| self.guaranteed) {
            to.extend_from_slice(format!("PUB {reply} 0\r\n\r\n").as_bytes());
        }
        Ok(())
    }
}
