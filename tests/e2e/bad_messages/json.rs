//! B-06: oddities of JSON.

use spanwire_tests::is_long;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::{BadRequest, Bystander, Closed, Forbidden, Ignored, Outcome, Probe, Replied, server};

/// No JSON at any place.
const MALFORMED: &[&str] = &[
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "undefined",
    "None",
    "True",
    "nul",
    "tru",
    "01",
    "-01",
    "+1",
    "1.",
    ".5",
    "-",
    "1e",
    "1e+",
    "1.e5",
    "0x10",
    "1_000",
    "1,000.0x",
    "0b1",
    "'a'",
    "`a`",
    "a",
    "\"a",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\",
    "\"a\u{0}b\"",
    "\"a\nb\"",
    "\"a\tb\"",
    "\"\u{1f}\"",
    "\u{0}",
    "[1",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1,,2]",
    "[1]]",
    "{",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\" 1}",
    "{\"a\":1,}",
    "{,}",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{\"a\":1 \"b\":2}",
    "[}",
    "{]",
    "]",
    "}",
    ":",
    ",",
    "\\",
    "/*c*/1",
    "1//c\n",
    "#1",
    "<a/>",
    "\u{feff}1",
    "1\u{a0}",
    "\u{2028}1",
    "\u{b}1",
    "\u{c}1",
];

/// Odd, and still JSON.
const ODD: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-0.0",
    "1e400",
    "-1e400",
    "1E+2",
    "1e-999",
    "0.1e-99999999999",
    "123456789012345678901234567890",
    "-9223372036854775809",
    "18446744073709551616",
    "3.141592653589793238462643383279",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"\\/\\b\\f\\n\\r\\t\"",
    "\"\u{7f}\"",
    "\"\u{fffd}\u{ffff}\"",
    "\"\u{feff}\"",
    "\"\u{202e}\"",
    "\"\u{10ffff}\"",
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    "{\"\":0}",
    "{\"a\":1,\"a\":2}",
    "{\"__proto__\":{}}",
    "{\"meta\":{\"token\":\"x\"},\"data\":1}",
    "[null]",
    " 1 ",
    "\r\n\t1",
    "[ ]",
    "{ }",
    "\"NaN\"",
    "\"[[[[[[\"",
    "\"}\"",
];

/// Half of a surrogate pair: JSON by its grammar (RFC 8259, 8.2), though no text.
const LONE: &[&str] =
    &["\"\\ud800\"", "\"\\udfff\"", "\"\\ud800\\ud800\"", "\"a\\udc00b\"", "\"\\ud800x\""];

fn call(meta: &str, data: &str, token: &str) -> String {
    format!(
        "{{\"meta\":{{\"action\":\"invoke-service\",\"id\":\"odd\",\"timestamp\":\"t\",\"token\":\"{token}\"{meta}}},\"data\":{data}}}"
    )
}

fn data(data: &str, token: &str) -> String {
    call("", data, token)
}

#[tokio::test]
async fn what_is_no_json_is_a_bad_request_wherever_it_stands() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    for odd in MALFORMED {
        let token = probe.token().to_owned();
        let good = data("1", &token);
        let places = [
            (*odd).to_owned(),
            data(odd, &token),
            data(&format!("[1,{odd}]"), &token),
            data(&format!("{{\"k\":{odd}}}"), &token),
            data(&format!("[[[{{\"k\":[{odd}]}}]]]"), &token),
            call(&format!(",\"unknown\":{odd}"), "1", &token),
            call(&format!(",\"timestamp\":{odd}"), "1", &token),
            call(&format!(",\"id\":{odd}"), "1", &token),
            format!("{}{odd}", good),
            format!("{{\"other\":{odd},{}", &good.trim_start_matches('{')),
        ];
        for text in places {
            // What follows a comment or a blank of another language may be fine by itself: not here.
            probe.expect(&text, &BadRequest).await;
        }
    }
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn what_is_odd_and_json_is_echoed_byte_by_byte() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    for odd in ODD {
        let token = probe.token().to_owned();
        let inner = [
            odd.to_string(),
            format!("[1,{odd}]"),
            format!("{{\"k\":{odd}}}"),
            format!("[[[{odd}]]]"),
        ];
        for value in inner {
            probe.expect(&data(&value, &token), &Replied(200)).await;
            // wsx-protocol 2.3: `{}` stands for nothing.
            let expected = if value == "null" { "{}" } else { value.trim() };
            let ending = format!("\"data\":{expected}}}");
            assert!(probe.answer.ends_with(&ending), "{value}: {}", probe.answer);
        }
        for meta in ["unknown", "timestamp", "client_name", "ctx", "attrs"] {
            let text = call(&format!(",\"{meta}\":{odd}"), "1", &token);
            let outcome = probe.text(&text).await;
            // A number that no machine has may be refused where a text is wanted.
            let is_fine =
                outcome == Replied(200) || (odd.contains("1e400") && outcome == BadRequest);
            assert!(is_fine, "{text}: {outcome:?}");
        }
        // An id is any value, and comes back as it was; without one there is nothing to answer to.
        let expected = if *odd == "null" { BadRequest } else { Replied(200) };
        probe.expect(&call(&format!(",\"id\":{odd}"), "1", &token), &expected).await;
        if expected == Replied(200) && *odd != "\"\"" {
            let echoed = format!("\"in_reply_to\":{}", odd.trim());
            assert!(probe.answer.contains(&echoed), "{odd}: {}", probe.answer);
        }
    }
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn lone_surrogates_are_answered() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    for lone in LONE {
        let token = probe.token().to_owned();
        for text in [
            data(lone, &token),
            data(&format!("[{{\"k\":{lone}}}]"), &token),
            data(&format!("{{{lone}:1}}"), &token),
            call(&format!(",\"unknown\":{lone}"), "1", &token),
            call(&format!(",\"id\":{lone}"), "1", &token),
        ] {
            let outcome = probe.text(&text).await;
            assert!(matches!(outcome, Replied(200 | 400) | BadRequest), "{text}: {outcome:?}");
        }
        // No token can be one.
        let text = data("1", "x").replace("\"x\"", lone);
        let outcome = probe.text(&text).await;
        assert!(matches!(outcome, Forbidden | BadRequest), "{text}: {outcome:?}");
    }
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn messages_that_are_no_envelope() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    for odd in ODD.iter().filter(|odd| !odd.trim().starts_with('{')) {
        probe.expect(odd, &BadRequest).await;
    }
    let good = data("1", probe.token());
    let table: [(String, Outcome); 12] = [
        (String::new(), BadRequest),
        (" ".to_owned(), BadRequest),
        ("\u{feff}".to_owned() + &good, BadRequest),
        ("\u{0}".to_owned() + &good, BadRequest),
        (good.clone() + "\u{0}", BadRequest),
        (good.clone() + &good, BadRequest),
        (good.clone() + ",", BadRequest),
        (format!("[{good}]"), BadRequest),
        (format!("\"{}\"", good.replace('"', "\\\"")), BadRequest),
        (" \r\n\t".to_owned() + &good + "\n\n", Replied(200)),
        ("zato-keep-alive-ping".to_owned(), Ignored),
        ("zato-keep-alive-ping ".to_owned(), BadRequest),
    ];
    for (text, expected) in table {
        probe.expect(&text, &expected).await;
    }
    for text in ["{}", "{\"data\":1}", "{\"\":0}", "{\"meta\":{}}"] {
        probe.expect(text, &Forbidden).await;
    }
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn depth_and_size() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    let token = probe.token().to_owned();
    let million = 1_000_000;
    let nested =
        |open: &str, depth: usize, close: &str| open.repeat(depth) + "1" + &close.repeat(depth);
    let keys: String = (0..million).map(|n| format!("\"k{n}\":0,")).collect();
    let same: String = "\"k\":0,".repeat(million);
    let table = [
        // The message itself is one level.
        (data(&nested("[", 127, "]"), &token), Replied(200)),
        (data(&nested("[", 128, "]"), &token), BadRequest),
        (data(&nested("[", million, "]"), &token), BadRequest),
        (data(&nested("{\"a\":", million, "}"), &token), BadRequest),
        (data(&"[".repeat(million), &token), BadRequest),
        (data(&"{\"a\":[".repeat(million), &token), BadRequest),
        ("[".repeat(million), BadRequest),
        ("{\"meta\":".repeat(million), BadRequest),
        ("]".repeat(million), BadRequest),
        (call(&format!(",\"unknown\":{}", nested("[", million, "]")), "1", &token), BadRequest),
        (data(&format!("\"{}\"", "[{".repeat(million)), &token), Replied(200)),
        (data(&format!("\"{}\"", "\\\"[".repeat(million)), &token), Replied(200)),
        (data(&format!("{{{keys}\"z\":1}}"), &token), Replied(200)),
        (data(&format!("{{{same}\"k\":1}}"), &token), Replied(200)),
        (call(&format!(",{}\"z\":1", keys), "1", &token), Replied(200)),
        (call(&format!(",{}\"z\":1", same), "1", &token), Replied(200)),
        (data(&format!("[{}1]", "1,".repeat(million)), &token), Replied(200)),
        (data(&format!("\"{}\"", "x".repeat(10 << 20)), &token), Replied(200)),
        (data(&format!("\"{}", "x".repeat(10 << 20)), &token), BadRequest),
        (data(&"9".repeat(million), &token), Replied(200)),
        (data(&format!("1e{}", "9".repeat(million)), &token), Replied(200)),
        (data(&" ".repeat(million), &token), BadRequest),
    ];
    for (text, expected) in &table {
        probe.expect(text, expected).await;
    }
    let same = probe.text(&data(&format!("\"{}\"", "x".repeat(17 << 20)), &token)).await;
    assert_eq!(same, Closed(1009));
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn the_limit_of_a_message_is_exact() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/small").await;
    for (size, expected) in [(65_535, Replied(200)), (65_536, Replied(200)), (65_537, Closed(1009))]
    {
        let empty = data("\"\"", probe.token());
        let text = data(&format!("\"{}\"", "x".repeat(size - empty.len())), probe.token());
        assert_eq!(text.len(), size);
        probe.expect(&text, &expected).await;
    }
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn the_last_of_several_equal_keys_counts() {
    let server = server();
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    let token = probe.token().to_owned();
    let good = data("1", &token);
    let meta = good.trim_start_matches('{').split_once(",\"data\"").unwrap().0;
    let table = [
        (call(",\"id\":\"last\"", "1", &token), Replied(200), "\"in_reply_to\":\"last\""),
        (call(",\"token\":\"wrong\"", "1", &token), Forbidden, ""),
        (call(&format!(",\"token\":\"{token}\""), "1", "wrong"), Replied(200), ""),
        (format!("{{{meta},\"data\":1,\"data\":2}}"), Replied(200), "\"data\":2"),
        (format!("{{\"meta\":{{}},{meta},\"data\":3}}"), Replied(200), "\"data\":3"),
        (format!("{{{meta},\"meta\":{{}},\"data\":3}}"), Forbidden, ""),
        (call(",\"action\":\"client-response\"", "1", &token), BadRequest, ""),
    ];
    for (text, expected, part) in table {
        let text = text.replace(&token, probe.token());
        probe.expect(&text, &expected).await;
        assert!(probe.answer.contains(part), "{part}: {}", probe.answer);
    }
}

#[tokio::test]
async fn text_that_is_not_utf8_and_binary_messages() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    for bad in [
        &b"\xff"[..],
        b"{\"meta\":\"\xff\xfe\"}",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
    ] {
        let frame = Frame::message(bad.to_vec(), OpCode::Data(Data::Text), true);
        assert_eq!(probe.send(Message::Frame(frame)).await, Closed(1007), "{bad:?}");
        // As a binary message the framing is fine.
        assert_eq!(probe.send(Message::binary(bad.to_vec())).await, BadRequest, "{bad:?}");
    }
    let good = data("[1]", probe.token());
    assert_eq!(probe.send(Message::binary(good.clone().into_bytes())).await, Replied(200));
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(probe.send(Message::binary(utf16)).await, BadRequest);
    assert_eq!(probe.send(Message::binary(vec![0x82, 0xa4])).await, BadRequest);
    bystander.goes_on_unharmed().await;
}

#[tokio::test]
async fn every_truncation_and_every_changed_byte_is_answered() {
    let server = server();
    let bystander = Bystander::new(&server).await;
    let mut probe = Probe::log_in(&server, "/ws/echo").await;
    let length = data("[\"a\",{\"b\":1}]", probe.token()).len();
    for end in 0..length {
        let good = data("[\"a\",{\"b\":1}]", probe.token());
        probe.expect(good.get(..end).unwrap(), &BadRequest).await;
    }
    let others: &[u8] =
        if is_long() { &(0x01..0x7f).collect::<Vec<_>>() } else { b"\"{]\\:,x1 \n" };
    for place in 0..length {
        for other in others {
            let mut bytes = data("[\"a\",{\"b\":1}]", probe.token()).into_bytes();
            bytes[place] = *other;
            let text = String::from_utf8(bytes).unwrap();
            let outcome = probe.text(&text).await;
            assert!(
                matches!(outcome, Replied(200) | BadRequest | Forbidden),
                "{text}: {outcome:?}"
            );
        }
    }
    bystander.goes_on_unharmed().await;
}
