//! Spanwire as a server of messages: WebSocket clients that call its publish/subscribe services through a gateway.

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;
use serde_json::json;
use spanwire_protocol::{ClientMessage, Codec, Payload, ServerMessage, Timestamp};
use tokio::net::TcpStream;

use crate::Result;
use crate::client::{Client, Stream, Target};
use crate::frames::{Head, text_frame};
use crate::load::{Consume, Link, Publish, Template, body};

/// A logged-in client of the gateway.
pub(crate) struct Wsx {
    pub(crate) link: Link,
    token: String,
}

/// Lets a client say what it has, by positions.
const ADDITIONS: &str = "spanwire.v1.json";

/// What a subscription begins with.
pub(crate) struct Subscribed {
    pub(crate) key: String,
    epoch: u64,
}

impl Wsx {
    pub(crate) async fn open(target: &Target, additions: bool) -> Result<Self> {
        Self::of(Client::open_as(target, additions.then_some(ADDITIONS)).await?)
    }

    /// As a classic client, on an open connection.
    pub(crate) async fn over(tcp: TcpStream) -> Result<Self> {
        let target = Target { address: tcp.peer_addr()?, tls: None, bare_token: None };
        let client = Client::log_in(&target, tcp, None).await?;
        Self::of(client)
    }

    fn of(client: Client) -> Result<Self> {
        match client.stream {
            Stream::Plain(tcp) => Ok(Self { link: Link::new(tcp)?, token: client.token }),
            Stream::Tls(_) => Err("messages are measured without TLS".into()),
        }
    }

    /// The frame of a call.
    pub(crate) fn call(&self, service: &str, request: &serde_json::Value) -> Result<Vec<u8>> {
        let data = json!({"service": service, "request": request});
        let message =
            ClientMessage::invoke("bench-call-1", Payload::from_serialize(Codec::Json, &data)?)
                .at(Timestamp::from_microseconds(SENT_AT))
                .with_token(&*self.token);
        Ok(text_frame(&message.encode(Codec::Json)))
    }

    /// Calls a service and waits for its answer; what was read behind it stays. Deliveries before it are skipped.
    pub(crate) async fn invoke(
        &mut self,
        service: &str,
        request: &serde_json::Value,
    ) -> Result<Payload> {
        let frame = self.call(service, request)?;
        self.link.write(&frame).await?;
        self.answered().await
    }

    /// Waits for the next answer.
    pub(crate) async fn answered(&mut self) -> Result<Payload> {
        loop {
            while let Some(payload) = next(&mut self.link.buffer)? {
                if is_answer(&payload) {
                    check(&payload)?;
                    let data = ServerMessage::decode(Codec::Json, &payload)?.data;
                    return Ok(data);
                }
            }
            self.link.read().await?;
        }
    }

    /// Subscribes to a topic. With `acknowledges`, what comes waits for [`consumer`](Self::consumer) to acknowledge it.
    pub(crate) async fn subscribe(
        &mut self,
        topic: &str,
        acknowledges: bool,
        ends_with_connection: bool,
    ) -> Result<Subscribed> {
        let ends = ends_with_connection;
        let request = match acknowledges {
            true => {
                json!({"topic_name": topic, "unsub_on_wsx_close": ends, "ack": true, "positions": true})
            }
            false => json!({"topic_name": topic, "unsub_on_wsx_close": ends}),
        };
        let answer = self.invoke(SUBSCRIBE, &request).await?;
        let key = answer.entry("sub_key").ok_or("a subscription without a key")?;
        let epoch = answer.entry("position").and_then(|position| position.entry("epoch"));
        let epoch = epoch.map(|epoch| epoch.parse()).transpose()?.unwrap_or(0);
        Ok(Subscribed { key: key.parse()?, epoch })
    }

    /// The frame that asks for what waits in a subscription.
    pub(crate) fn resume(&self, key: &str) -> Result<Vec<u8>> {
        self.call(RESUME, &json!({"sub_key": key}))
    }

    pub(crate) fn publisher(
        self,
        topic: &str,
        bytes: u32,
        guaranteed: bool,
    ) -> Result<(Link, Box<dyn Publish>)> {
        let request = json!({"topic_name": topic, "data": body(bytes), "has_gd": guaranteed});
        let template = Template::new(self.call(PUBLISH, &request)?)?;
        Ok((self.link, Box::new(Publisher(template))))
    }

    /// A subscriber that acknowledges all that it has got, each time it has got something.
    pub(crate) fn consumer(self, subscribed: &Subscribed) -> Result<(Link, Box<dyn Consume>)> {
        let up_to = json!({"epoch": subscribed.epoch, "offset": 7});
        let request = json!({"sub_key": subscribed.key, "up_to": up_to});
        let call = String::from_utf8(self.call(ACKNOWLEDGE, &request)?.split_off(HEAD))?;
        let (before, after) = call.split_once("\"offset\":7").ok_or("an offset has no place")?;
        let consumer =
            Acknowledging { before: before.to_owned(), after: after.to_owned(), up_to: 0 };
        Ok((self.link, Box::new(consumer)))
    }

    /// A subscriber that only reads: what was written to it counts as delivered.
    pub(crate) fn reader(self) -> (Link, Box<dyn Consume>) {
        (self.link, Box::new(Reader))
    }
}

const PUBLISH: &str = "zato.pubsub.pubapi.publish-message";
const SUBSCRIBE: &str = "zato.pubsub.pubapi.subscribe-wsx";
const RESUME: &str = "zato.pubsub.resume-wsx-subscription";
const ACKNOWLEDGE: &str = "spanwire.pubsub.acknowledge";

/// Any time will do: the server reads it as text.
const SENT_AT: i64 = 1_709_547_630_125_001;

/// Of a frame of 126 to 65,535 bytes from a client: flags, length, key.
const HEAD: usize = 8;

/// Takes the next message, if it is there in full.
fn next(from: &mut BytesMut) -> Result<Option<Bytes>> {
    loop {
        let Some(head) = Head::read(from) else { return Ok(None) };
        if from.len() < head.head.saturating_add(head.payload) {
            return Ok(None);
        }
        from.advance(head.head);
        let payload = from.split_to(head.payload).freeze();
        if head.is_message()? {
            return Ok(Some(payload));
        }
    }
}

/// Whether a message answers a call; the others are deliveries.
fn is_answer(payload: &[u8]) -> bool {
    // It stands in the beginning; a body may be long.
    let beginning = payload.get(..ENVELOPE).unwrap_or(payload);
    memmem::find(beginning, b"\"in_reply_to\":\"bench-call-1\"").is_some()
}

fn check(answer: &[u8]) -> Result<()> {
    match memmem::find(answer, b"\"status\":200") {
        Some(_) => Ok(()),
        None => Err(format!("a call was refused: {}", answer.escape_ascii()).into()),
    }
}

/// `meta` of an answer fits in.
const ENVELOPE: usize = 256;

struct Publisher(Template);

impl Publish for Publisher {
    fn publish(&mut self, stamp: crate::load::Stamp, to: &mut Vec<u8>) {
        self.0.write(stamp, to);
    }

    fn acknowledged(&mut self, from: &mut BytesMut) -> Result<usize> {
        let mut count = 0;
        while let Some(answer) = next(from)? {
            check(&answer)?;
            count += 1;
        }
        Ok(count)
    }
}

struct Reader;

impl Consume for Reader {
    fn consumed(
        &mut self,
        from: &mut BytesMut,
        seen: &mut dyn FnMut(&[u8]),
        _: &mut Vec<u8>,
    ) -> Result<()> {
        while let Some(payload) = next(from)? {
            match is_answer(&payload) {
                true => check(&payload)?,
                false => seen(&payload),
            }
        }
        Ok(())
    }
}

struct Acknowledging {
    /// The call, around the offset.
    before: String,
    after: String,
    up_to: u64,
}

impl Consume for Acknowledging {
    fn consumed(
        &mut self,
        from: &mut BytesMut,
        seen: &mut dyn FnMut(&[u8]),
        to: &mut Vec<u8>,
    ) -> Result<()> {
        let before = self.up_to;
        while let Some(payload) = next(from)? {
            if is_answer(&payload) {
                check(&payload)?;
                continue;
            }
            seen(&payload);
            // In the order of their offsets, all having the same priority.
            let last = memmem::rfind(&payload, b"\"offset\":");
            let digits = last.and_then(|at| payload.get(at + "\"offset\":".len()..));
            let digits = digits.unwrap_or_default().iter().take_while(|it| it.is_ascii_digit());
            let offset = digits.fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
            self.up_to = self.up_to.max(offset);
        }
        if self.up_to > before {
            let call = format!("{}\"offset\":{}{}", self.before, self.up_to, self.after);
            to.extend_from_slice(&text_frame(call.as_bytes()));
        }
        Ok(())
    }
}
