//! Reading server-sent events from a stream of bytes.
//!
//! Comments, which only keep the connection alive, and unknown fields are left out. An event that is
//! larger than [`MAX_EVENT`] ends the stream with an error.

use std::io::{self, BufRead, Read};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its name; `message` if it has none.
    pub(crate) event: String,
    /// Its data.
    pub(crate) data: String,
}

/// Puts lines together to events.
#[derive(Debug, Default)]
struct Parser {
    event: String,
    data: Option<String>,
}

impl Parser {
    /// Takes a line without its end; an empty one completes an event.
    fn line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let data = self.data.take()?;
            let event = if event.is_empty() { "message".to_owned() } else { event };
            return Some(Message { event, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (field, &mut self.data) {
            ("event", _) => self.event = value.to_owned(),
            ("data", Some(data)) => {
                data.push('\n');
                data.push_str(value);
            }
            ("data", none) => *none = Some(value.to_owned()),
            _ => {}
        }
        None
    }

    fn size(&self) -> usize {
        self.data.as_ref().map_or(0, String::len)
    }
}

/// Reads events until the stream ends or `take` returns false.
pub(crate) fn read(
    mut stream: impl BufRead,
    mut take: impl FnMut(Message) -> bool,
) -> io::Result<()> {
    let mut parser = Parser::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = u64::try_from(MAX_EVENT).unwrap_or(u64::MAX);
        if stream.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') && line.len() < MAX_EVENT {
            // The stream ended within a line: what it belongs to is not complete.
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        let message = parser.line(text.trim_end_matches(['\n', '\r']));
        if line.len() >= MAX_EVENT || parser.size() >= MAX_EVENT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an event is too large"));
        }
        if message.is_some_and(|message| !take(message)) {
            return Ok(());
        }
    }
}

/// The largest event, in bytes.
const MAX_EVENT: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn events(stream: &str) -> Vec<(String, String)> {
        let mut events = Vec::new();
        let done = read(stream.as_bytes(), |message| {
            events.push((message.event, message.data));
            true
        });
        done.unwrap();
        events
    }

    fn pair(event: &str, data: &str) -> (String, String) {
        (event.to_owned(), data.to_owned())
    }

    #[test]
    fn events_end_with_an_empty_line() {
        let stream = ": keep-alive\n\nevent: change\nid: 7\ndata: {\"a\":1}\n\n\
                      event:state\r\ndata:x\r\ndata: y\r\n\r\ndata\n\n";
        let expected = [pair("change", "{\"a\":1}"), pair("state", "x\ny"), pair("message", "")];
        assert_eq!(events(stream), expected);
    }

    #[test]
    fn names_do_not_leak_into_the_next_event() {
        assert_eq!(events("event: a\n\ndata: x\n\n"), [pair("message", "x")]);
    }

    #[test]
    fn what_is_not_complete_is_left_out() {
        assert_eq!(events("data: x\n"), []);
        assert_eq!(events("data: x\n\ndata: y"), [pair("message", "x")]);
    }

    #[test]
    fn the_taker_ends_it() {
        let mut seen = 0;
        let stream = "data: 1\n\ndata: 2\n\n";
        read(stream.as_bytes(), |_| {
            seen += 1;
            false
        })
        .unwrap();
        assert_eq!(seen, 1);
    }

    #[test]
    fn events_are_bounded() {
        let long = format!("data: {}", "x".repeat(MAX_EVENT));
        assert!(read(long.as_bytes(), |_| true).is_err());
        let many = format!("data: {}\n", "x".repeat(MAX_EVENT / 4)).repeat(5);
        assert!(read(many.as_bytes(), |_| true).is_err());
    }
}
