//! Every (phase, input) pair, the timers, and random interleavings.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use spanwire_protocol::{
    Action, DecodeError, MessageId, MsgType, Payload, SessionToken, Status, Timestamp,
};

use super::*;

/// Counts up, so that the n-th token is known.
struct Counter(u8);

impl Entropy for Counter {
    fn correlation_id(&mut self) -> CorrelationId {
        self.0 = self.0.wrapping_add(1);
        CorrelationId::from_random([self.0; 12])
    }
    fn token(&mut self) -> SessionToken {
        SessionToken::from_random([0xaa; 16])
    }
}

fn token() -> String {
    SessionToken::from_random([0xaa; 16]).expose().to_owned()
}

struct Bench {
    session: Session,
    now: Now,
}

impl Bench {
    fn new(config: SessionConfig) -> Self {
        let now = Now { instant: Instant::now(), timestamp: Timestamp::from_microseconds(0) };
        Self { session: Session::new(config, Codec::Json, Box::new(Counter(0)), now), now }
    }

    fn in_phase(phase: Phase) -> Self {
        let mut bench = Self::new(SessionConfig::default());
        if phase != Phase::AwaitingLogin {
            bench.give(Input::Message(login("s")));
        }
        match phase {
            Phase::AwaitingLogin | Phase::Authenticating => {}
            Phase::Established => drop(bench.accept(1)),
            Phase::Draining => {
                bench.accept(1);
                bench.give(Input::Message(call("running")));
                bench.give(Input::Drain(bench.now.instant + Duration::from_secs(15)));
            }
            Phase::Closed => drop(bench.give(Input::Disconnect(CloseFrame::DISCONNECTED))),
        }
        assert_eq!(bench.session.phase(), phase);
        bench
    }

    fn accept(&mut self, login: u64) -> Vec<String> {
        self.give(Input::LoginDecided { login: LoginId(login), accepted: true })
    }

    fn give(&mut self, input: Input<'_>) -> Vec<String> {
        self.session.handle_input(input, self.now);
        self.drain()
    }

    fn wait(&mut self, time: Duration) -> Vec<String> {
        self.now.instant += time;
        self.session.handle_timeout(self.now);
        self.drain()
    }

    fn drain(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.session.poll_output()).map(|output| describe(&output)).collect()
    }
}

/// An output in a word, as the tables below name it.
fn describe(output: &Output) -> String {
    match output {
        Output::Send(bytes) => {
            let message = ServerMessage::decode(Codec::Json, bytes).unwrap();
            let status = message.status.map_or(0, |status| status.0);
            match message.in_reply_to {
                Some(id) => format!("reply {status} {}", id.to_text().unwrap()),
                None if status > 0 => format!("error {status}"),
                None if message.msg_type == Some(MsgType::Delivery) => "delivery".into(),
                None => "request".into(),
            }
        }
        Output::Ping(payload) => {
            assert!(payload.len() <= 125);
            "ping".into()
        }
        Output::Login(login) => format!("login {}", login.id.0),
        Output::Opened(client) => format!("opened {}", client.id),
        Output::Renamed(client) => format!("renamed {}", client.id),
        Output::Invoke(call) => format!("invoke {}", call.id.0),
        Output::Cancel(call) => format!("cancel {}", call.0),
        Output::Answered { answer: Ok(data), .. } => {
            format!("answered {}", data.parse::<Value>().unwrap())
        }
        Output::Answered { answer: Err(error), .. } => format!("answered {error:?}"),
        Output::Close(frame) => format!("close {}", frame.code.0),
    }
}

fn login(secret: &str) -> ClientMessage<'_> {
    ClientMessage::create_session(Codec::Json, "login", "user", secret).with_client("c", "n")
}

fn call(id: &str) -> ClientMessage<'static> {
    ClientMessage::invoke(id, Payload::empty(Codec::Json)).with_token(token())
}

fn answer(to: &str) -> ClientMessage<'static> {
    let data = Payload::from_json(r#"{"response":{"status":"up"}}"#).unwrap();
    let mut message = ClientMessage::new(Action::ClientResponse, "r", data).with_token(token());
    message.in_reply_to = Some(MessageId::from_text(Codec::Json, to));
    message
}

const PHASES: [Phase; 5] = [
    Phase::AwaitingLogin,
    Phase::Authenticating,
    Phase::Established,
    Phase::Draining,
    Phase::Closed,
];

/// One row an input: what comes out in each of [`PHASES`], and the phase after it when that differs.
#[test]
fn every_phase_and_input() {
    type Make = fn(Now) -> Input<'static>;
    let refused = "error 403, close 1008 -> Closed";
    let ask = |_| Input::Ask {
        ask: AskId(9),
        data: Payload::empty(Codec::Json),
        timeout: Duration::from_secs(5),
    };
    let without_id = |mut message: ClientMessage<'static>| {
        message.id = None;
        Input::Message(message)
    };
    let rows: [(&str, Make, [&str; 5]); 18] = [
        (
            "login",
            |_| Input::Message(login("s")),
            ["login 1 -> Authenticating", refused, refused, refused, ""],
        ),
        (
            "login without id",
            |_| {
                let mut message = login("s");
                message.id = None;
                Input::Message(message)
            },
            ["", refused, refused, refused, ""],
        ),
        (
            "renewal",
            |_| Input::Message(login("s").with_token(token())),
            ["login 1 -> Authenticating", refused, "login 2", "login 2", ""],
        ),
        ("call", |_| Input::Message(call("m")), [refused, refused, "invoke 1", "reply 503 m", ""]),
        (
            "call without token",
            |_| Input::Message(ClientMessage::invoke("m", Payload::empty(Codec::Json))),
            [refused, refused, refused, refused, ""],
        ),
        (
            "call with a foreign token",
            |_| Input::Message(call("m").with_token("zwsxt.0")),
            [refused, refused, refused, refused, ""],
        ),
        ("answer to nobody", |_| Input::Message(answer("x")), [refused, refused, "", "", ""]),
        (
            "answer without in_reply_to",
            |_| {
                let mut message = answer("x");
                message.in_reply_to = None;
                Input::Message(message)
            },
            [refused, refused, "error 400", "error 400", ""],
        ),
        (
            "undecodable",
            |_| Input::Undecodable(DecodeError::NotAnEnvelope),
            ["", "", "error 400", "error 400", ""],
        ),
        ("pong", |_| Input::Pong, [""; 5]),
        (
            "accepted",
            |_| Input::LoginDecided { login: LoginId(1), accepted: true },
            ["", "opened c, reply 200 login -> Established", "", "", ""],
        ),
        (
            "refused",
            |_| Input::LoginDecided { login: LoginId(1), accepted: false },
            ["", refused, "", "", ""],
        ),
        ("stale decision", |_| Input::LoginDecided { login: LoginId(77), accepted: true }, [""; 5]),
        (
            "completion of no call",
            |_| Input::Completed { call: CallId(77), result: Ok(Payload::null(Codec::Json)) },
            [""; 5],
        ),
        (
            "ask",
            ask,
            [
                "answered Disconnected",
                "answered Disconnected",
                "request",
                "request",
                "answered Disconnected",
            ],
        ),
        ("tell", |_| Input::Tell(Payload::null(Codec::Json)), ["", "", "request", "request", ""]),
        (
            "delivery",
            |_| Input::Deliver(Delivery::Many(Payload::null(Codec::Json))),
            ["", "", "delivery", "delivery", ""],
        ),
        (
            "disconnect",
            |_| Input::Disconnect(CloseFrame::DISCONNECTED),
            [
                "close 4005 -> Closed",
                "close 4005 -> Closed",
                "close 4005 -> Closed",
                "close 4005 -> Closed",
                "",
            ],
        ),
    ];
    for (name, make, expected) in rows {
        for (phase, expected) in PHASES.into_iter().zip(expected) {
            let mut bench = Bench::in_phase(phase);
            let outputs = bench.give(make(bench.now)).join(", ");
            let after = bench.session.phase();
            let got = if after == phase { outputs } else { format!("{outputs} -> {after:?}") };
            assert_eq!(got, expected, "{name} in {phase:?}");
        }
    }
    let drain = ["close 1001 -> Closed", "close 1001 -> Closed", "close 1001 -> Closed", "", ""];
    for (phase, expected) in PHASES.into_iter().zip(drain) {
        let mut bench = Bench::in_phase(phase);
        let outputs =
            bench.give(Input::Drain(bench.now.instant + Duration::from_secs(1))).join(", ");
        let after = bench.session.phase();
        let got = if after == phase { outputs } else { format!("{outputs} -> {after:?}") };
        assert_eq!(got, expected, "drain in {phase:?}");
    }
    let mut bench = Bench::in_phase(Phase::Established);
    assert_eq!(bench.give(without_id(call("x"))), ["error 400"]);
}

#[test]
fn a_login_takes_at_most_its_time() {
    for phase in [Phase::AwaitingLogin, Phase::Authenticating] {
        let mut bench = Bench::in_phase(phase);
        assert!(bench.wait(Duration::from_millis(4999)).is_empty());
        assert_eq!(bench.wait(Duration::from_millis(1)), ["error 403", "close 1008"]);
        assert_eq!(bench.session.poll_timeout(), None);
    }
}

#[test]
fn pings_are_missed_one_by_one_and_a_pong_forgives_all() {
    let mut bench = Bench::in_phase(Phase::Established);
    assert_eq!(bench.wait(Duration::from_secs(45)), ["ping"]);
    assert!(bench.wait(Duration::from_secs(5)).is_empty());
    assert_eq!(bench.session.pings_missed(), 1);
    bench.give(Input::Pong);
    assert_eq!(bench.session.pings_missed(), 0);
    assert_eq!(bench.wait(Duration::from_secs(40)), ["ping"]);
    bench.wait(Duration::from_secs(5));
    assert_eq!(bench.wait(Duration::from_secs(40)), ["ping"]);
    assert_eq!(bench.wait(Duration::from_secs(5)), ["close 4002"]);
}

#[test]
fn a_token_lives_on_with_messages_and_answered_pings() {
    let config = SessionConfig { token_ttl: Duration::from_secs(60), ..SessionConfig::default() };
    let open = || {
        let mut bench = Bench::new(config.clone());
        bench.give(Input::Message(login("s")));
        bench.accept(1);
        bench
    };
    // Neither a message nor a pong: over after 60 s, noticed with the next message.
    let mut bench = open();
    bench.wait(Duration::from_secs(60));
    assert_eq!(bench.give(Input::Message(call("m"))), ["error 403", "close 1008"]);
    // A message at 50 s makes it live until 110 s.
    let mut bench = open();
    bench.now.instant += Duration::from_secs(50);
    assert_eq!(bench.give(Input::Message(call("m"))), ["invoke 1"]);
    bench.now.instant += Duration::from_secs(59);
    assert_eq!(bench.give(Input::Message(call("m"))), ["invoke 2"]);
    // An answered ping adds the ping interval: 60 + 45.
    let mut bench = open();
    assert_eq!(bench.wait(Duration::from_secs(45)), ["ping"]);
    bench.give(Input::Pong);
    // A second, unsolicited pong adds nothing.
    bench.give(Input::Pong);
    bench.now.instant += Duration::from_secs(59);
    assert_eq!(bench.give(Input::Message(call("m"))), ["invoke 1"]);
    let mut bench = open();
    bench.wait(Duration::from_secs(45));
    bench.give(Input::Pong);
    bench.give(Input::Pong);
    bench.now.instant += Duration::from_secs(60);
    assert_eq!(bench.give(Input::Message(call("m"))), ["error 403", "close 1008"]);
}

#[test]
fn a_renewal_replaces_the_token_or_ends_the_session() {
    let mut bench = Bench::in_phase(Phase::Established);
    bench.give(Input::Message(login("s").with_token(token())));
    assert_eq!(bench.accept(2), ["reply 200 login"]);
    assert_eq!(bench.session.phase(), Phase::Established);
    bench.give(Input::Message(login("wrong").with_token(token())));
    let refused = Input::LoginDecided { login: LoginId(3), accepted: false };
    assert_eq!(bench.give(refused), ["error 403", "close 1008"]);
}

#[test]
fn calls_beyond_the_limit_wait_and_then_are_refused() {
    let config = SessionConfig { max_in_flight: 2, max_waiting: 1, ..SessionConfig::default() };
    let mut bench = Bench::new(config);
    bench.give(Input::Message(login("s")));
    bench.accept(1);
    let outputs: Vec<_> =
        ["a", "b", "c", "d"].map(|id| bench.give(Input::Message(call(id))).join(", ")).into();
    assert_eq!(outputs, ["invoke 1", "invoke 2", "", "reply 429 d"]);
    let done = Input::Completed { call: CallId(2), result: Ok(Payload::null(Codec::Json)) };
    assert_eq!(bench.give(done), ["reply 200 b", "invoke 3"]);
}

#[test]
fn shorter_times_count_from_the_moment_they_are_set() {
    // The login.
    let mut bench = Bench::new(SessionConfig::default());
    let shorter =
        SessionConfig { new_token_wait_time: Duration::from_secs(1), ..SessionConfig::default() };
    bench.session.reconfigure(shorter, bench.now);
    assert_eq!(bench.wait(Duration::from_secs(1)), ["error 403", "close 1008"]);
    // The next ping.
    let mut bench = Bench::in_phase(Phase::Established);
    let shorter =
        SessionConfig { ping_interval: Duration::from_secs(1), ..SessionConfig::default() };
    bench.session.reconfigure(shorter, bench.now);
    assert_eq!(bench.wait(Duration::from_secs(1)), ["ping"]);
    // The token; a longer time holds from the next message on.
    let mut bench = Bench::in_phase(Phase::Established);
    let ttl = |seconds| SessionConfig {
        token_ttl: Duration::from_secs(seconds),
        ..SessionConfig::default()
    };
    bench.session.reconfigure(ttl(10), bench.now);
    bench.session.reconfigure(ttl(100), bench.now);
    bench.now.instant += Duration::from_secs(10);
    assert_eq!(bench.give(Input::Message(call("late"))), ["error 403", "close 1008"]);
}

#[test]
fn the_round_trip_of_the_last_answered_ping_is_known() {
    let mut bench = Bench::in_phase(Phase::Established);
    assert_eq!(bench.session.round_trip(), None);
    assert_eq!(bench.wait(Duration::from_secs(45)), ["ping"]);
    bench.now.instant += Duration::from_millis(30);
    bench.give(Input::Pong);
    assert_eq!(bench.session.round_trip(), Some(Duration::from_millis(30)));
    // Nobody asked for this one.
    bench.now.instant += Duration::from_secs(1);
    bench.give(Input::Pong);
    assert_eq!(bench.session.round_trip(), Some(Duration::from_millis(30)));
}

#[test]
fn calls_that_wait_use_a_raised_limit() {
    let config = |most| SessionConfig { max_in_flight: most, ..SessionConfig::default() };
    for next_is_a_call in [true, false] {
        let mut bench = Bench::new(config(1));
        bench.give(Input::Message(login("s")));
        bench.accept(1);
        for id in ["a", "b", "c", "d"] {
            bench.give(Input::Message(call(id)));
        }
        bench.session.reconfigure(config(3), bench.now);
        let outputs = if next_is_a_call {
            bench.give(Input::Message(call("e")))
        } else {
            let result = Ok(Payload::null(Codec::Json));
            bench.give(Input::Completed { call: CallId(1), result })
        };
        // Whoever waited longest comes first.
        let expected: &[&str] = if next_is_a_call {
            &["invoke 2", "invoke 3"]
        } else {
            &["reply 200 a", "invoke 2", "invoke 3", "invoke 4"]
        };
        assert_eq!(outputs, expected);
    }
}

#[test]
fn calls_run_when_none_may_wait() {
    let mut bench =
        Bench::new(SessionConfig { max_in_flight: 1, max_waiting: 0, ..SessionConfig::default() });
    bench.give(Input::Message(login("s")));
    bench.accept(1);
    assert_eq!(bench.give(Input::Message(call("a"))), ["invoke 1"]);
    assert_eq!(bench.give(Input::Message(call("b"))), ["reply 429 b"]);
}

#[test]
fn the_bytes_of_calls_are_limited_but_one_always_goes() {
    let config = SessionConfig { max_call_bytes: 10, ..SessionConfig::default() };
    let mut bench = Bench::new(config);
    bench.give(Input::Message(login("s")));
    bench.accept(1);
    let big = || {
        let data = Payload::from_serialize(Codec::Json, &"x".repeat(50)).unwrap();
        Input::Message(ClientMessage::invoke("m", data).with_token(token()))
    };
    assert_eq!(bench.give(big()), ["invoke 1"]);
    assert_eq!(bench.give(big()), ["reply 429 m"]);
    bench.give(Input::Completed { call: CallId(1), result: Ok(Payload::null(Codec::Json)) });
    assert_eq!(bench.give(big()), ["invoke 3"]);
}

#[test]
fn replies_come_as_they_finish_or_in_order_when_asked() {
    for (ordered, expected) in [
        (false, [vec!["reply 200 b"], vec!["reply 404 a"]]),
        (true, [vec![], vec!["reply 404 a", "reply 200 b"]]),
    ] {
        let config = SessionConfig { ordered_replies: ordered, ..SessionConfig::default() };
        let mut bench = Bench::new(config);
        bench.give(Input::Message(login("s")));
        bench.accept(1);
        bench.give(Input::Message(call("a")));
        bench.give(Input::Message(call("b")));
        let second = bench
            .give(Input::Completed { call: CallId(2), result: Ok(Payload::null(Codec::Json)) });
        let failure = CallFailure { status: Status::NOT_FOUND, message: "No such customer".into() };
        let first = bench.give(Input::Completed { call: CallId(1), result: Err(failure) });
        assert_eq!([second, first], expected);
    }
}

#[test]
fn a_call_that_is_cancelled_ends_and_is_not_answered() {
    let cancel = |id: &str| {
        let mut message = ClientMessage::new(Action::Cancel, "c", Payload::empty(Codec::Json));
        message.in_reply_to = Some(MessageId::from_text(Codec::Json, id));
        Input::Message(message.with_token(token()))
    };
    let done =
        |call: u64| Input::Completed { call: CallId(call), result: Ok(Payload::null(Codec::Json)) };
    for ordered in [false, true] {
        let config = SessionConfig {
            ordered_replies: ordered,
            max_in_flight: 2,
            ..SessionConfig::default()
        };
        let mut bench = Bench::new(config);
        bench.give(Input::Message(login("s")));
        bench.accept(1);
        for id in ["a", "b", "waits", "waits too"] {
            bench.give(Input::Message(call(id)));
        }
        assert_eq!(bench.give(cancel("waits")), [""; 0], "it never ran");
        assert_eq!(bench.give(cancel("nobody")), [""; 0]);
        // Its place is another's, and in order its reply holds nobody up.
        assert_eq!(bench.give(cancel("a")), ["cancel 1", "invoke 4"]);
        assert_eq!(bench.give(cancel("a")), [""; 0]);
        assert_eq!(bench.give(done(1)), [""; 0], "too late");
        assert_eq!(bench.give(done(2)), ["reply 200 b"]);
        assert_eq!(bench.give(cancel("b")), [""; 0], "it was answered");
        assert_eq!(bench.give(done(4)), ["reply 200 waits too"]);
        assert_eq!(bench.session.in_flight(), 0);
    }
    let mut bench = Bench::in_phase(Phase::Established);
    let nothing = ClientMessage::new(Action::Cancel, "c", Payload::empty(Codec::Json));
    assert_eq!(bench.give(Input::Message(nothing.with_token(token()))), ["error 400"]);
}

#[test]
fn replies_that_are_held_back_are_bounded() {
    let config = SessionConfig {
        ordered_replies: true,
        max_in_flight: 2,
        max_waiting: 2,
        max_call_bytes: 1000,
        ..SessionConfig::default()
    };
    let mut bench = Bench::new(config);
    bench.give(Input::Message(login("s")));
    bench.accept(1);
    assert_eq!(bench.give(Input::Message(call("slow"))), ["invoke 1"]);
    assert_eq!(bench.give(Input::Message(call("big"))), ["invoke 2"]);
    let big = Payload::from_serialize(Codec::Json, &"x".repeat(2000)).unwrap();
    assert!(bench.give(Input::Completed { call: CallId(2), result: Ok(big) }).is_empty());
    // The big reply waits for the slow one and uses the bytes up; its refusals wait in order, as long as there is room.
    for id in ["a", "b"] {
        assert!(bench.give(Input::Message(call(id))).is_empty());
    }
    assert_eq!(bench.give(Input::Message(call("c"))), ["reply 429 c"]);
    let slow = Input::Completed { call: CallId(1), result: Ok(Payload::null(Codec::Json)) };
    let expected = ["reply 200 slow", "reply 200 big", "reply 429 a", "reply 429 b"];
    assert_eq!(bench.give(slow), expected);
    assert_eq!(bench.give(Input::Message(call("d"))), ["invoke 6"]);
}

#[test]
fn a_request_is_answered_or_times_out_and_the_connection_stays() {
    let mut bench = Bench::in_phase(Phase::Established);
    let ask = |n| Input::Ask {
        ask: AskId(n),
        data: Payload::null(Codec::Json),
        timeout: Duration::from_secs(5),
    };
    bench.session.handle_input(ask(1), bench.now);
    let Some(Output::Send(bytes)) = bench.session.poll_output() else { panic!() };
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.ends_with(r#""data":{}}"#) && !text.contains("in_reply_to"), "{text}");
    let id = ServerMessage::decode(Codec::Json, &bytes).unwrap().id.into_owned();
    assert_eq!(bench.give(Input::Message(answer(&id))), [r#"answered {"status":"up"}"#]);
    assert!(bench.give(Input::Message(answer(&id))).is_empty());
    bench.give(ask(2));
    assert_eq!(bench.wait(Duration::from_secs(5)), ["answered TimedOut"]);
    bench.give(ask(3));
    assert_eq!(
        bench.give(Input::Disconnect(CloseFrame::DISCONNECTED)),
        ["answered Disconnected", "close 4005"]
    );
}

#[test]
fn draining_waits_for_running_calls_up_to_its_end() {
    let mut bench = Bench::in_phase(Phase::Draining);
    let done = Input::Completed { call: CallId(1), result: Ok(Payload::null(Codec::Json)) };
    assert_eq!(bench.give(done), ["reply 200 running", "close 1001"]);
    let mut bench = Bench::in_phase(Phase::Draining);
    assert_eq!(bench.wait(Duration::from_secs(15)), ["close 1001"]);
}

#[test]
fn a_client_may_rename_itself() {
    let mut bench = Bench::in_phase(Phase::Established);
    assert_eq!(
        bench.give(Input::Message(call("m").with_client("other", "n"))),
        ["renamed other", "invoke 1"]
    );
    let long = "x".repeat(5000);
    let outputs = bench.give(Input::Message(call("m").with_client(&*long, "")));
    assert_eq!(outputs[0].len(), "renamed ".len() + 1024);
}

#[derive(Clone, Debug)]
enum Step {
    Login,
    Decide(u64, bool),
    Call(bool),
    Complete(u64, bool),
    Ask,
    Answer,
    Pong,
    Garbage,
    Wait(u64),
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Login),
        4 => (1_u64..4, prop::bool::weighted(0.9)).prop_map(|(id, ok)| Step::Decide(id, ok)),
        8 => prop::bool::weighted(0.95).prop_map(Step::Call),
        8 => (1_u64..20, any::<bool>()).prop_map(|(id, ok)| Step::Complete(id, ok)),
        2 => Just(Step::Ask),
        2 => Just(Step::Answer),
        2 => Just(Step::Pong),
        1 => Just(Step::Garbage),
        2 => (0_u64..60).prop_map(Step::Wait),
        1 => Just(Step::Drain),
    ]
}

proptest! {
    /// Whatever happens in whatever order: each call is answered at most once, nothing comes after a close, calls in
    /// flight stay within the limit, every request is answered once, and replies keep their order when asked to.
    #[test]
    fn any_interleaving_keeps_the_invariants(ordered in any::<bool>(), steps in prop::collection::vec(step(), 1..120)) {
        let config = SessionConfig { max_in_flight: 3, max_waiting: 2, ordered_replies: ordered, ..SessionConfig::default() };
        let mut bench = Bench::new(config);
        let (mut made, mut asked, mut answered) = (0_usize, 0_usize, 0_usize);
        let mut replies: Vec<usize> = Vec::new();
        let mut last: Option<usize> = None;
        let mut closed = false;
        for step in steps {
            let outputs = match step {
                Step::Login => bench.give(Input::Message(login("s").with_token(token()))),
                Step::Decide(id, accepted) => bench.give(Input::LoginDecided { login: LoginId(id), accepted }),
                Step::Call(right) => {
                    made += 1;
                    let message = call(&format!("call {made}"));
                    bench.give(Input::Message(if right { message } else { message.with_token("") }))
                }
                Step::Complete(id, true) => bench.give(Input::Completed { call: CallId(id), result: Ok(Payload::from_serialize(Codec::Json, &json!(id)).unwrap()) }),
                Step::Complete(id, false) => bench.give(Input::Completed { call: CallId(id), result: Err(CallFailure { status: Status::CONFLICT, message: String::new() }) }),
                Step::Ask => {
                    asked += 1;
                    bench.give(Input::Ask { ask: AskId(asked as u64), data: Payload::null(Codec::Json), timeout: Duration::from_secs(5) })
                }
                Step::Answer => bench.give(Input::Message(answer("0a0a0a0a0a0a0a0a0a0a0a0a"))),
                Step::Pong => bench.give(Input::Pong),
                Step::Garbage => bench.give(Input::Undecodable(DecodeError::TooDeep)),
                Step::Wait(seconds) => bench.wait(Duration::from_secs(seconds)),
                Step::Drain => bench.give(Input::Drain(bench.now.instant + Duration::from_secs(15))),
            };
            prop_assert!(bench.session.in_flight() <= 3);
            for output in outputs {
                prop_assert!(!closed || output.starts_with("answered"), "{} after the close", output);
                closed |= output.starts_with("close");
                answered += usize::from(output.starts_with("answered"));
                if let Some((_, number)) = output.split_once(" call ") {
                    let number = number.parse().unwrap();
                    prop_assert!(!replies.contains(&number), "call {} answered twice", number);
                    // A refusal for which the order has no place goes out ahead of its turn.
                    if !output.starts_with("reply 429") && !output.starts_with("reply 503") {
                        prop_assert!(!ordered || last.is_none_or(|last| last < number));
                        last = Some(number);
                    }
                    replies.push(number);
                }
            }
            prop_assert_eq!(closed, bench.session.phase() == Phase::Closed);
        }
        if closed {
            prop_assert_eq!(asked, answered);
        }
    }
}
