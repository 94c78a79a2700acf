//! Redis: streams with a consumer group where delivery is guaranteed, `PUBLISH` where it is not.

use bytes::{Buf as _, BytesMut};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::Result;
use crate::load::{Consume, Link, Publish, Stamp, Template, body};
use crate::peer::{Peer, Program, free_port};

/// Starts a server that forces every write to disk before it answers.
pub(super) async fn start(program: &Program, folder: TempDir) -> Result<Peer> {
    let port = free_port()?;
    let mut command = program.command();
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.args(["--appendonly", "yes", "--appendfsync", "always", "--loglevel", "warning"]);
    command.args(["--auto-aof-rewrite-percentage", "0", "--maxclients", "20000"]);
    command.arg("--dir").arg(folder.path());
    Peer::start(command, port, folder).await
}

async fn connect(peer: &Peer) -> Result<Link> {
    Link::new(TcpStream::connect(peer.address).await?)
}

/// Makes a stream with a group that gets everything from now on.
pub(super) async fn prepare(peer: &Peer, topic: &str) -> Result<()> {
    let mut link = connect(peer).await?;
    link.write(&request(&["XGROUP", "CREATE", topic, GROUP, "$", "MKSTREAM"])).await?;
    answered(&mut link).await
}

pub(super) async fn publisher(
    peer: &Peer,
    topic: &str,
    bytes: u32,
    guaranteed: bool,
) -> Result<(Link, Box<dyn Publish>)> {
    let body = body(bytes);
    let frame = match guaranteed {
        true => request(&["XADD", topic, "*", "d", &body]),
        false => request(&["PUBLISH", topic, &body]),
    };
    Ok((connect(peer).await?, Box::new(Publisher(Template::new(frame)?))))
}

pub(super) async fn consumer(
    peer: &Peer,
    topic: &str,
    guaranteed: bool,
) -> Result<(Link, Box<dyn Consume>)> {
    let mut link = connect(peer).await?;
    if guaranteed {
        let read = ["XREADGROUP", "GROUP", GROUP, "bench", "COUNT", "500", "BLOCK", "0"];
        let read = request(&[&read[..], &["STREAMS", topic, ">"]].concat());
        link.write(&read).await?;
        return Ok((link, Box::new(Consumer { read, topic: topic.to_owned() })));
    }
    link.write(&request(&["SUBSCRIBE", topic])).await?;
    answered(&mut link).await?;
    Ok((link, Box::new(Subscriber)))
}

const GROUP: &str = "group";

/// A command as an array of texts.
fn request(parts: &[&str]) -> Vec<u8> {
    let mut frame = format!("*{}\r\n", parts.len());
    for part in parts {
        frame.push_str(&format!("${}\r\n{part}\r\n", part.len()));
    }
    frame.into_bytes()
}

async fn answered(link: &mut Link) -> Result<()> {
    while reply(&mut link.buffer, &mut |_| {})?.is_none() {
        link.read().await?;
    }
    Ok(())
}

/// Takes the next reply if it is complete, and shows the texts in it.
fn reply(from: &mut BytesMut, text: &mut dyn FnMut(&[u8])) -> Result<Option<()>> {
    // Shown only once: the end is looked for first.
    let Some(end) = walk(from, &mut |_| {})? else { return Ok(None) };
    walk(from, text)?;
    from.advance(end);
    Ok(Some(()))
}

/// Where the reply at the start of these bytes ends.
fn walk(bytes: &[u8], text: &mut dyn FnMut(&[u8])) -> Result<Option<usize>> {
    let (mut at, mut values) = (0, 1_usize);
    while values > 0 {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(line) = memchr::memmem::find(rest, b"\r\n").and_then(|end| rest.get(..end)) else {
            return Ok(None);
        };
        at += line.len() + 2;
        values -= 1;
        let number = || -> Result<i64> {
            Ok(std::str::from_utf8(line.get(1..).unwrap_or_default())?.parse()?)
        };
        match line.first() {
            Some(b'+' | b':') => {}
            Some(b'*') => values += usize::try_from(number()?).unwrap_or(0),
            Some(b'$') => {
                if let Ok(length) = usize::try_from(number()?) {
                    let Some(value) = bytes.get(at..at + length + 2) else { return Ok(None) };
                    text(value.get(..length).unwrap_or_default());
                    at += length + 2;
                }
            }
            _ => return Err(format!("redis says {}", line.escape_ascii()).into()),
        }
    }
    Ok(Some(at))
}

struct Publisher(Template);

impl Publish for Publisher {
    fn publish(&mut self, stamp: Stamp, to: &mut Vec<u8>) {
        self.0.write(stamp, to);
    }

    fn acknowledged(&mut self, from: &mut BytesMut) -> Result<usize> {
        let mut count = 0;
        while reply(from, &mut |_| {})?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// Acknowledges what it got with one command, and asks for more with the next.
struct Consumer {
    read: Vec<u8>,
    topic: String,
}

impl Consume for Consumer {
    fn consumed(
        &mut self,
        from: &mut BytesMut,
        seen: &mut dyn FnMut(&[u8]),
        to: &mut Vec<u8>,
    ) -> Result<()> {
        let mut ids: Vec<String> = Vec::new();
        let mut text = |text: &[u8]| {
            if text.first() == Some(&b'@') {
                seen(text);
            } else if let Ok(id) = std::str::from_utf8(text)
                && let Some((time, number)) = id.split_once('-')
                && [time, number].iter().all(|it| it.bytes().all(|it| it.is_ascii_digit()))
            {
                ids.push(id.to_owned());
            }
        };
        while reply(from, &mut text)?.is_some() {}
        if !ids.is_empty() {
            let mut parts = vec!["XACK", &self.topic, GROUP];
            parts.extend(ids.iter().map(String::as_str));
            to.extend(request(&parts));
            to.extend_from_slice(&self.read);
        }
        Ok(())
    }
}

struct Subscriber;

impl Consume for Subscriber {
    fn consumed(
        &mut self,
        from: &mut BytesMut,
        seen: &mut dyn FnMut(&[u8]),
        _: &mut Vec<u8>,
    ) -> Result<()> {
        while reply(from, seen)?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_taken_when_they_are_complete() {
        let whole =
            b"*1\r\n*2\r\n$1\r\nt\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nd\r\n$2\r\n@0\r\n:1\r\n";
        for cut in 0..whole.len() - 4 {
            let mut part = BytesMut::from(&whole[..cut]);
            assert!(reply(&mut part, &mut |_| {}).unwrap().is_none(), "{cut}");
        }
        let mut bytes = BytesMut::from(&whole[..]);
        let mut texts = Vec::new();
        reply(&mut bytes, &mut |text| texts.push(text.to_vec())).unwrap().unwrap();
        assert_eq!(texts, [&b"t"[..], b"1-0", b"d", b"@0"]);
        assert_eq!(&bytes[..], b":1\r\n");
        assert!(walk(b"-ERR no\r\n", &mut |_| {}).is_err());
    }
}
