//! The stream of events.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use spanwire_protocol::Timestamp;
use spanwire_protocol::admin::{Event, ObjectState, StateEvent};

use crate::client::{World, assert_valid};

/// Reads messages from a stream.
struct Reader {
    body: Body,
    read: String,
}

/// A message: its name, its id, its data.
type Message = (String, String, Value);

impl Reader {
    async fn open(world: &World, path: &str, headers: &[(&str, &str)]) -> Self {
        let (status, body) = world.stream(path, headers).await;
        assert_eq!(status, 200);
        Self { body, read: String::new() }
    }

    /// The next message; `None` at the end.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((message, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = message.lines().filter_map(|line| line.split_once(": "));
                    lines.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
                };
                let event = field("event").unwrap_or_default();
                let id = field("id").unwrap_or_default();
                let data = serde_json::from_str(&field("data").unwrap_or_default()).unwrap();
                self.read = rest.to_owned();
                return Some((event, id, data));
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame());
            let frame = frame.await.expect("the stream says nothing")?.unwrap();
            self.read.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
    }

    async fn change(&mut self) -> u64 {
        let (event, id, data) = self.next().await.unwrap();
        assert_eq!((&*event, id), ("change", data["revision"].to_string()));
        assert_valid(&json!({"$ref": "#/components/schemas/Revision"}), &data);
        data["revision"].as_u64().unwrap()
    }
}

fn state_event(id: u64) -> Arc<Event> {
    Arc::new(Event::State(StateEvent {
        kind: "web_socket".to_owned(),
        id,
        name: "crm".to_owned(),
        state: ObjectState::Running,
        error: None,
        since: Timestamp::from_microseconds(0),
    }))
}

async fn make(world: &World, name: &str) {
    let topic = json!({"name": name});
    world.post("/objects/pubsub_topic", topic).await.expect(201);
}

#[tokio::test]
async fn events_come_as_they_happen() {
    let world = World::new();
    let mut all = Reader::open(&world, "/events", &[]).await;
    let mut states = Reader::open(&world, "/events?types=state,connection", &[]).await;
    make(&world, "/a").await;
    world.fake.events.send(state_event(7)).unwrap();
    assert_eq!(all.change().await, 1);
    for reader in [&mut all, &mut states] {
        let (event, id, data) = reader.next().await.unwrap();
        assert_eq!((&*event, &*id, &data["id"]), ("state", "", &json!(7)));
        assert_valid(&json!({"$ref": "#/components/schemas/StateEvent"}), &data);
    }
    world.fake.stopping.cancel();
    assert_eq!(all.next().await, None, "the stream ends when the server stops");
    assert_eq!(states.next().await, None);
}

#[tokio::test]
async fn a_reader_that_comes_back_misses_no_change_and_gets_none_twice() {
    let world = World::new();
    for name in ["/a", "/b", "/c"] {
        make(&world, name).await;
    }
    let mut reader = Reader::open(&world, "/events", &[("last-event-id", "1")]).await;
    // Live ones come after what was missed, also when they happen before it is read.
    make(&world, "/d").await;
    for revision in 2..=4 {
        assert_eq!(reader.change().await, revision);
    }
    let mut states = Reader::open(&world, "/events?types=state", &[("last-event-id", "1")]).await;
    let mut known = Reader::open(&world, "/events", &[("last-event-id", "4")]).await;
    world.fake.events.send(state_event(1)).unwrap();
    assert_eq!(states.next().await.unwrap().0, "state");
    assert_eq!(known.next().await.unwrap().0, "state");
    make(&world, "/e").await;
    assert_eq!(known.change().await, 5);
}

#[tokio::test]
async fn a_change_that_is_told_from_the_history_is_not_told_live() {
    let world = World::new();
    make(&world, "/a").await;
    let mut reader = Reader::open(&world, "/events", &[("last-event-id", "0")]).await;
    let configuration = spanwire_admin::Backend::configuration(&*world.fake);
    let revision = configuration.revision(1).unwrap().unwrap();
    let event = Event::Change(spanwire_admin::event(revision));
    world.fake.events.send(Arc::new(event)).unwrap();
    world.fake.events.send(state_event(1)).unwrap();
    assert_eq!(reader.change().await, 1);
    assert_eq!(reader.next().await.unwrap().0, "state");
}

#[tokio::test]
async fn a_slow_reader_is_told_how_much_it_missed() {
    let world = World::new();
    let mut reader = Reader::open(&world, "/events", &[]).await;
    for id in 0..20 {
        world.fake.events.send(state_event(id)).unwrap();
    }
    let lagged = ("lagged".to_owned(), String::new(), json!({"missed": 4}));
    assert_eq!(reader.next().await.unwrap(), lagged);
    assert_eq!(reader.next().await.unwrap().2["id"], 4);
}

#[tokio::test]
async fn who_missed_too_many_changes_reads_everything_anew() {
    let world = World::new();
    for number in 0..1_001 {
        let edit = spanwire_config::Object::from_json(
            spanwire_config::Kind::PubsubTopic,
            &json!({"name": "/t", "max_depth_gd": number + 1}),
        );
        let edits = vec![spanwire_config::Edit::Apply(edit.unwrap())];
        let author = spanwire_config::Author::new("a", "b");
        spanwire_admin::Backend::change(&*world.fake, edits, author, false).await.unwrap();
    }
    let mut reader = Reader::open(&world, "/events", &[("last-event-id", "0")]).await;
    let lagged = ("lagged".to_owned(), "1001".to_owned(), json!({"missed": 1001}));
    assert_eq!(reader.next().await.unwrap(), lagged);
    make(&world, "/b").await;
    assert_eq!(reader.change().await, 1002);
    let mut reader = Reader::open(&world, "/events", &[("last-event-id", "2")]).await;
    assert_eq!(reader.change().await, 3);
}

#[tokio::test]
async fn odd_wishes_are_refused() {
    let world = World::new();
    for path in ["/events?types=changes", "/events?types=", "/events?types=,", "/events?type=x"] {
        world.get(path).await.expect(400).problem();
    }
    for id in ["", "x", "-1", "1.0", "99999999999999999999999", "\u{e4}"] {
        let (status, _) = world.stream("/events", &[("last-event-id", id)]).await;
        assert_eq!(status, 400, "{id}");
    }
    let future = [("last-event-id", "18446744073709551615")];
    let mut reader = Reader::open(&world, "/events", &future).await;
    make(&world, "/a").await;
    assert_eq!(reader.change().await, 1);
}

#[tokio::test]
async fn streams_are_bounded() {
    let world = World::new();
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(Reader::open(&world, "/events", &[]).await);
    }
    world.get("/events").await.expect(503).problem();
    open.pop();
    open.push(Reader::open(&world, "/events", &[]).await);
}
