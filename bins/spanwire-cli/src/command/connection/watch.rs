//! `spanwire connection watch`: a live table on a terminal, otherwise a line for each event.
//!
//! A thread reads the stream of events; the main one prints. Ctrl-C is one more thing that happens,
//! so that the command ends like any other. What the thread has read and nobody has printed is
//! bounded: with a slow reader the server counts what it left out and says so.

use std::io::BufReader;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_protocol::admin::ConnectionInfo;

use super::COLUMNS;
use crate::client::{Client, Failure};
use crate::output::{self, Column, Output, Reader};
use crate::sse::{self, Message};

/// What happened.
enum News {
    Message(Message),
    /// The stream ended, and why.
    Ended(String),
    /// Ctrl-C.
    Interrupted,
}

/// What one piece of news is for a person or a program.
enum Item {
    Event(Value),
    /// So many events were left out.
    Missed(usize),
    Other,
}

pub(super) fn run(count: Option<u64>, client: &Client, output: &Output) -> Result<(), Failure> {
    let news = follow(client)?;
    let count = count.unwrap_or(u64::MAX);
    if output.is_live() { draw(&news, count, client) } else { print(&news, count, output) }
}

/// Starts to read events.
fn follow(client: &Client) -> Result<Receiver<News>, Failure> {
    let (sender, news) = sync_channel(QUEUE);
    let stream = BufReader::new(client.stream("events?types=connection")?);
    let broken = |error| Failure::Input(format!("cannot watch: {error}"));
    let interrupt = sender.clone();
    ctrlc::set_handler(move || drop(interrupt.send(News::Interrupted)))
        .map_err(|error| broken(error.to_string()))?;
    let reader = thread::Builder::new().name("events".to_owned());
    reader.spawn(move || read(stream, &sender)).map_err(|error| broken(error.to_string()))?;
    Ok(news)
}

fn read(stream: impl std::io::BufRead, news: &SyncSender<News>) {
    let ended = sse::read(stream, |message| news.send(News::Message(message)).is_ok());
    let why = ended.err().map_or_else(|| "it ended the stream".to_owned(), |it| it.to_string());
    // Nobody listens when the command has ended.
    let _ = news.send(News::Ended(why));
}

/// Prints a line for each event.
fn print(news: &Receiver<News>, count: u64, output: &Output) -> Result<(), Failure> {
    let mut left = count;
    while left > 0 {
        let text = match news.recv() {
            Ok(News::Message(message)) => match item(&message) {
                Item::Event(event) => {
                    left = left.saturating_sub(1);
                    if output.is_json() { output::compact(&event) } else { line(&event) }
                }
                Item::Missed(missed) if output.is_json() => {
                    output::compact(&json!({"event": "lagged", "missed": missed}))
                }
                Item::Missed(missed) => was_missed(missed),
                Item::Other => continue,
            },
            Ok(News::Ended(why)) => return Err(Failure::Unreachable(why)),
            Ok(News::Interrupted) | Err(_) => return Ok(()),
        };
        if output::line(&text)? == Reader::Gone {
            return Ok(());
        }
    }
    Ok(())
}

/// Draws the table again whenever something happened, and every now and then.
fn draw(news: &Receiver<News>, count: u64, client: &Client) -> Result<(), Failure> {
    let mut left = count;
    let mut last = String::new();
    let mut drawn: Option<Instant> = None;
    let mut is_stale = true;
    loop {
        let age = drawn.map_or(REFRESH, |drawn| drawn.elapsed());
        if (is_stale && age >= PAUSE) || age >= REFRESH {
            if picture(&last, client)? == Reader::Gone {
                return Ok(());
            }
            (drawn, is_stale) = (Some(Instant::now()), false);
        }
        if left == 0 && !is_stale {
            return Ok(());
        }
        let age = drawn.map_or(REFRESH, |drawn| drawn.elapsed());
        let wait = if is_stale { PAUSE } else { REFRESH }.saturating_sub(age);
        match news.recv_timeout(wait) {
            Ok(News::Message(message)) => match item(&message) {
                Item::Event(event) if left > 0 => {
                    (last, is_stale) = (line(&event), true);
                    left = left.saturating_sub(1);
                }
                Item::Missed(missed) => {
                    (last, is_stale) = (was_missed(missed), true);
                }
                Item::Event(_) | Item::Other => {}
            },
            Err(RecvTimeoutError::Timeout) => {}
            Ok(News::Ended(why)) => return Err(Failure::Unreachable(why)),
            Ok(News::Interrupted) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// Draws as many connections as the terminal has room for, and below them the last event.
fn picture(last: &str, client: &Client) -> Result<Reader, Failure> {
    let (width, height) = terminal_size::terminal_size().map_or((80, 24), |(width, height)| {
        (usize::from(width.0).max(20), usize::from(height.0).max(8))
    });
    let (connections, total): (Vec<ConnectionInfo>, usize) =
        client.page("connections", height.saturating_sub(FRAME))?;
    let columns: Vec<Column<'_>> = COLUMNS.iter().map(Column::new).collect();
    let mut lines = vec![
        format!("{}, newest first; Ctrl-C ends", output::counted(total, "connection")),
        String::new(),
    ];
    lines.extend(output::render(&connections, &columns).lines().map(str::to_owned));
    lines.extend([String::new(), last.to_owned()]);
    let lines: Vec<String> = lines.iter().map(|line| line.chars().take(width).collect()).collect();
    output::picture(&lines)
}

fn item(message: &Message) -> Item {
    let data: Value = serde_json::from_str(&message.data).unwrap_or_default();
    match message.event.as_str() {
        "connection" => Item::Event(data),
        "lagged" => {
            let missed = data.get("missed").and_then(Value::as_u64).unwrap_or_default();
            Item::Missed(usize::try_from(missed).unwrap_or(usize::MAX))
        }
        _ => Item::Other,
    }
}

fn was_missed(events: usize) -> String {
    format!("{} missed", output::counted(events, "event"))
}

/// One event for people.
fn line(event: &Value) -> String {
    let connection = event.get("connection");
    let text = |key: &str| output::cell(connection.and_then(|connection| connection.get(key)));
    let what = output::cell(event.get("event"));
    let is_closed = what == "closed";
    let time = text(if is_closed { "close_time" } else { "connection_time" });
    let mut line = format!(
        "{time} {what} {} client_id={} client_name={} channel={} peer={}",
        text("pub_client_id"),
        text("ext_client_id"),
        text("ext_client_name"),
        text("channel_name"),
        text("peer_address"),
    );
    if is_closed {
        let (by, code, reason) = (text("closed_by"), text("code"), text("reason"));
        line.push_str(&format!(" closed_by={by} code={code} reason={reason}"));
    }
    line
}

/// How many events wait to be printed.
const QUEUE: usize = 1_024;
/// The lines around the rows of the table.
const FRAME: usize = 6;
/// The shortest time between two pictures.
const PAUSE: Duration = Duration::from_millis(300);
/// The longest time between two pictures.
const REFRESH: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn message(event: &str, data: &Value) -> Message {
        Message { event: event.to_owned(), data: data.to_string() }
    }

    #[test]
    fn events_are_lines() {
        let opened = json!({"event": "opened", "connection": {
            "pub_client_id": "ws.1", "ext_client_id": "a", "ext_client_name": "A\u{1b}",
            "channel_name": "crm", "peer_address": "127.0.0.1:5", "connection_time": "T1"}});
        let Item::Event(event) = item(&message("connection", &opened)) else {
            panic!("an event");
        };
        let expected =
            "T1 opened ws.1 client_id=a client_name=A\u{fffd} channel=crm peer=127.0.0.1:5";
        assert_eq!(line(&event), expected);
        let closed = json!({"event": "closed", "connection": {
            "pub_client_id": "ws.1", "close_time": "T2", "closed_by": "client", "code": 1000,
            "reason": "bye"}});
        assert!(line(&closed).starts_with("T2 closed ws.1 "), "{}", line(&closed));
        assert!(line(&closed).ends_with("closed_by=client code=1000 reason=bye"));
    }

    #[test]
    fn what_was_missed_is_told_and_the_rest_left_out() {
        let lagged = message("lagged", &json!({"missed": 7}));
        assert!(matches!(item(&lagged), Item::Missed(7)));
        assert!(matches!(item(&message("state", &json!({}))), Item::Other));
    }

    #[test]
    fn the_stream_is_handed_on_and_its_end_told() {
        let (sender, news) = sync_channel(QUEUE);
        read(&b"event: connection\ndata: {}\n\n"[..], &sender);
        drop(sender);
        let news: Vec<News> = news.iter().collect();
        assert!(matches!(&news[..], [News::Message(_), News::Ended(_)]));
    }
}
