//! Handshakes that are broken or absurd: the right status, never 101, and the connection closed.

use crate::client::{Client, TEXT, frame};
use crate::server::{Options, PATH, Server};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The headers of a good handshake.
pub(crate) const HEADERS: [(&str, &str); 5] = [
    ("Host", "localhost"),
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
];

/// A request line and header lines, with their ends.
pub(crate) fn request<'a>(
    line: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let headers = headers.into_iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    format!("{line}\r\n{}\r\n", headers.collect::<String>())
}

/// A good handshake with one header's value replaced.
pub(crate) fn with(name: &str, value: &str) -> String {
    assert!(HEADERS.iter().any(|header| header.0 == name), "{name}");
    let headers = HEADERS.map(|header| if header.0 == name { (name, value) } else { header });
    request(&good_line(), headers)
}

/// A good handshake with more headers.
pub(crate) fn and<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    request(&good_line(), HEADERS.into_iter().chain(headers))
}

fn good_line() -> String {
    format!("GET {PATH} HTTP/1.1")
}

/// Requests and the status each of them gets; 0 is an end without an answer.
#[derive(Default)]
pub(crate) struct Cases(Vec<(String, Vec<u8>, Vec<u16>)>);

impl Cases {
    pub(crate) fn add(
        &mut self,
        status: u16,
        name: impl Into<String>,
        request: impl Into<Vec<u8>>,
    ) {
        self.0.push((name.into(), request.into(), vec![status]));
    }

    /// Sends each on a connection of its own. A refusal ends the connection; after 101 it works; and after all of it
    /// so does the server.
    pub(crate) async fn run(self) {
        let server = Server::start(Options::default());
        let mut wrong = Vec::new();
        for (name, request, allowed) in self.0 {
            let mut client = Client::connect(server.address).await;
            client.send(&request).await;
            let status = client.answer().await.map_or(0, |answer| answer.status);
            if !allowed.contains(&status) {
                wrong.push(format!("{name}: {status} instead of {allowed:?}"));
                continue;
            }
            match status {
                101 => {
                    client.send(&frame(TEXT, "x")).await;
                    assert_eq!(client.frame().await.unwrap().payload, b"x", "{name}");
                }
                // Answers to good requests of another kind.
                404 | 426 => {}
                _ => client.end().await,
            }
        }
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
        drop(Client::open(server.address).await);
    }
}

#[tokio::test]
async fn headers_missing_doubled_folded_and_misspelt() {
    let mut cases = Cases::default();
    for (name, value) in HEADERS {
        let status = if name == "Upgrade" { 426 } else { 400 };
        let others = HEADERS.into_iter().filter(|header| header.0 != name);
        cases.add(status, format!("no {name}"), request(&good_line(), others));
        // A list may be spread over lines; what has one value may not.
        let status = if matches!(name, "Connection" | "Upgrade") { 101 } else { 400 };
        cases.add(status, format!("{name} twice"), and([(name, value)]));
        let status = if matches!(name, "Connection" | "Upgrade") { 101 } else { 400 };
        cases.add(status, format!("{name} and another"), and([(name, "x")]));
        for fold in ["\r\n ", "\r\n\t", "\r\n  \t ", "\n "] {
            cases.add(400, format!("{name} folded"), with(name, &format!("{fold}{value}")));
            cases.add(400, format!("{name} continued"), with(name, &format!("{value}{fold}x")));
        }
        for blank in [" ", "\t", "  \t"] {
            let spaced = format!("{blank}{value}{blank}");
            cases.add(101, format!("{name} in blanks"), with(name, &spaced));
            let bad = and([]).replacen(&format!("{name}:"), &format!("{name}{blank}:"), 1);
            cases.add(400, format!("{name} and a blank"), bad);
        }
        for (spelling, cased) in [
            ("lower", and([]).replacen(name, &name.to_lowercase(), 1)),
            ("upper", and([]).replacen(name, &name.to_uppercase(), 1)),
        ] {
            cases.add(101, format!("{name} in {spelling} case"), cased);
        }
        let colonless = and([]).replacen(&format!("{name}: "), name, 1);
        cases.add(400, format!("{name} without a colon"), colonless);
    }
    for value in ["WEBSOCKET", "WebSocket", "h2c, websocket", "websocket, h2c", "websocket/13"] {
        cases.add(101, format!("Upgrade: {value}"), with("Upgrade", value));
    }
    for value in ["", "h2c", "TLS/1.0", "web socket", "websocke", "ебsocket", "web,socket", "13"]
    {
        cases.add(400, format!("Upgrade: {value}"), with("Upgrade", value));
    }
    for value in ["upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade,keep-alive", ",,Upgrade,,"]
    {
        cases.add(101, format!("Connection: {value}"), with("Connection", value));
    }
    for value in ["", "close", "keep-alive", "upgrad", "up grade", "Upg,rade", "websocket"] {
        cases.add(400, format!("Connection: {value}"), with("Connection", value));
    }
    cases.run().await;
}

#[tokio::test]
async fn keys_and_versions() {
    let mut cases = Cases::default();
    let long = "A".repeat(60_000);
    for key in [
        "",
        "=",
        "==",
        "A",
        "AAAA",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZQ==x",
        "dGhlIHNhbXBsZSBub25jZ!==",
        "dGhl IHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZQ==, x",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZTEyMzQ=",
        "AAAAAAAAAAAAAAAAAAAAAAA=",
        "____________________-w==",
        "SGVsbG8sIHdvcmxkIQ==",
        "żółw",
        &long,
    ] {
        cases.add(400, format!("key {key:.30}"), with("Sec-WebSocket-Key", key));
    }
    for key in ["AAAAAAAAAAAAAAAAAAAAAA==", "/////////////////////w==", "+/+/+/+/+/+/+/+/+/+/+w=="]
    {
        cases.add(101, format!("key {key}"), with("Sec-WebSocket-Key", key));
    }
    let numbers: Vec<String> =
        (0..=30).chain([99, 113, 131, 255, 256, 269]).map(|n| n.to_string()).collect();
    let words =
        ["", "013", "+13", "-13", "13.0", "0x0d", "1 3", "13,", "13, 8", "8, 13", "xiii", "１３"];
    for version in numbers.iter().map(String::as_str).chain(words) {
        let status = if matches!(version, "8" | "13") { 101 } else { 400 };
        cases.add(status, format!("version {version}"), with("Sec-WebSocket-Version", version));
    }
    cases.run().await;
}

#[tokio::test]
async fn hosts() {
    let mut cases = Cases::default();
    let longest = format!("{}.test", "a".repeat(30_000));
    for host in [
        "",
        "localhost",
        "LOCALHOST:80",
        "127.0.0.1:47043",
        "[::1]",
        "[::1]:8080",
        "a_b.test:17010",
        "xn--bcher-kva.test",
        "a.",
        "a,b",
        "a:",
        &longest,
    ] {
        cases.add(101, format!("Host: {host:.30}"), with("Host", host));
    }
    for host in [
        "a b",
        "a/b",
        "http://a",
        "user@a",
        "user:secret@a",
        "[::1",
        "::1]",
        "a:b:c",
        "a?x",
        "a#x",
        "a\\b",
        "<script>",
        "\"a\"",
        "zażółć.test",
        "a\u{b}",
        "{a}",
        "a:b",
        "a:999999",
        "a:-1",
        "[",
        "]",
        "[]",
        "@",
        ":",
        ":80",
        "a:80:80",
        "%00",
        "a%0d%0ab",
    ] {
        cases.add(400, format!("Host: {host}"), with("Host", host));
    }
    cases.add(400, "Host twice, differently", and([("Host", "other")]));
    // HTTP/1.0 knows no Host, and no upgrade either.
    let old = request(&format!("GET {PATH} HTTP/1.0"), []);
    cases.add(426, "HTTP/1.0 without a Host", old);
    let plain = "GET /other HTTP/1.1\r\n\r\n";
    cases.add(400, "no Host in a plain request", plain);
    cases.run().await;
}

#[tokio::test]
async fn methods_versions_and_targets() {
    let mut cases = Cases::default();
    for method in [
        "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "Get", "G", "GETT", "PRI",
        "GE%54",
    ] {
        cases.add(400, method, request(&format!("{method} {PATH} HTTP/1.1"), HEADERS));
    }
    for method in ["", "G T", "GET\0", "GÉT", "G(T", "G\tT", "\"GET\""] {
        cases.add(400, method, request(&format!("{method} {PATH} HTTP/1.1"), HEADERS));
    }
    for version in [
        "HTTP/1.0",
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/2",
        "HTTP/2.0",
        "HTTP/3",
        "HTTP/11",
        "HTTP/1.1.1",
        "http/1.1",
        "HTTP/1,1",
        "HTTP/1.1 x",
        "HTTP",
        "HTTP/",
        "HTTPS/1.1",
        "WS/1.1",
        "",
    ] {
        cases.add(400, version, request(&format!("GET {PATH} {version}"), HEADERS));
    }
    cases.add(400, "no version", request(&format!("GET {PATH}"), HEADERS));
    for target in [
        "/",
        "/other",
        "/zato.ws.apitests/",
        "//zato.ws.apitests",
        "/ZATO.ws.apitests",
        "*",
        "/zato%2ews.apitests",
        "/./zato.ws.apitests",
        "/x/../zato.ws.apitests",
        "/zato.ws.apitests;x",
        "/zato.ws.apitests%00",
        "/zato.ws.apitests%3Fx",
        "http://localhost/other",
    ] {
        cases.add(404, target, request(&format!("GET {target} HTTP/1.1"), HEADERS));
    }
    for target in [
        "",
        "zato.ws.apitests x",
        "/zato.ws.apitests\u{7f}",
        "/a b",
        "http://",
        "//",
        "\\",
        "?x",
        "#x",
    ] {
        let request = request(&format!("GET {target} HTTP/1.1"), HEADERS);
        cases.0.push((target.to_owned(), request.into(), vec![400, 404]));
    }
    for target in
        [&format!("{PATH}?x=1")[..], &format!("{PATH}?"), &format!("http://localhost{PATH}")]
    {
        cases.add(101, target, request(&format!("GET {target} HTTP/1.1"), HEADERS));
    }
    cases.run().await;
}

#[tokio::test]
async fn fewer_headers_may_be_allowed() {
    let server = Server::with_listener(Options::default(), |settings| settings.max_headers = 5);
    for (request, status) in [(and([]), 101), (and([("X", "x")]), 431)] {
        let mut client = Client::connect(server.address).await;
        client.send(request.as_bytes()).await;
        assert_eq!(client.answer().await.unwrap().status, status);
    }
}

#[tokio::test]
async fn more_than_anybody_needs() {
    let mut cases = Cases::default();
    let filler: Vec<String> = (0..10_000).map(|n| format!("X-{n}")).collect();
    let fill = |count: usize| and(filler[..count].iter().map(|name| (name.as_str(), "x")));
    cases.add(101, "100 headers", fill(100 - HEADERS.len()));
    for count in [101, 102, 1000, 10_000] {
        cases.add(431, format!("{count} headers"), fill(count - HEADERS.len()));
    }
    let long = |length: usize| "a".repeat(length);
    cases.add(101, "60 KiB in a header", and([("X-Long", &long(60 << 10)[..])]));
    cases.add(
        101,
        "60 KiB in a query",
        request(&format!("GET {PATH}?{} HTTP/1.1", long(60 << 10)), HEADERS),
    );
    for length in [64 << 10, 1 << 20] {
        let a = long(length);
        cases.add(431, "a value", and([("X-Long", &a[..])]));
        cases.add(431, "a name", and([(&a[..], "x")]));
        cases.add(431, "a target", request(&format!("GET /{a} HTTP/1.1"), HEADERS));
        cases.add(431, "a target, unfinished", format!("GET /{a}"));
        cases.add(431, "a method", request(&format!("{a} / HTTP/1.1"), HEADERS));
        cases.add(431, "a Host", with("Host", &a));
        cases.add(431, "a key", with("Sec-WebSocket-Key", &a));
        cases.add(
            431,
            "offers",
            and([("Sec-WebSocket-Protocol", &"chat,".repeat(length / 5 + 1)[..])]),
        );
    }
    let offers = "chat,".repeat(10_000);
    cases.add(101, "10,000 offers", and([("Sec-WebSocket-Protocol", &offers[..])]));
    cases.run().await;
}
