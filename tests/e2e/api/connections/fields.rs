//! What is told of a connection: ids, addresses and who told them, names, user, times in UTC.

use serde_json::{Value, json};
use spanwire_protocol::Timestamp;
use spanwire_protocol::admin::ConnectionInfo;
use spanwire_tests::http::{admin, connections};
use spanwire_tests::{Client, Server, eventually};

use super::{CHANNELS, Direct, crm, id_of, login, record, welcome};
use crate::api::problem;
use crate::live::ok;

type Headers = &'static [(&'static str, &'static str)];

const KEYS: [&str; 26] = [
    "channel_name",
    "client_attrs",
    "connection_time",
    "ext_client_id",
    "ext_client_name",
    "in_flight",
    "is_internal",
    "last_close",
    "last_seen",
    "local_address",
    "outgoing_queue_bytes",
    "peer_address",
    "peer_address_source",
    "peer_forwarded_for",
    "peer_forwarded_for_fqdn",
    "peer_fqdn",
    "peer_fqdn_source",
    "ping_round_trip_ms",
    "pings_missed",
    "pub_client_id",
    "security_name",
    "server_name",
    "server_proc_pid",
    "state",
    "subscriptions",
    "username",
];

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_micros()).unwrap()
}

fn time(value: &Value) -> i64 {
    Timestamp::parse(value.as_str().unwrap()).unwrap_or_else(|| panic!("{value}")).as_microseconds()
}

#[tokio::test]
async fn a_connection_is_shown_with_all_its_fields() {
    let server = Server::setup()
        .objects(CHANNELS)
        .settings("name = \"node-7\"\n")
        // Times are those of UTC wherever the server stands.
        .variable("TZ", "Asia/Tokyo")
        .start();
    // A connection before, that ended.
    crm(&server, "crm.1", "before", "").await.close(4321, "za wcześnie").await;
    let ended = || async { spanwire_tests::http::history(&server).await.len() == 1 };
    eventually("it is history", ended).await;

    let before = now();
    let mut client = Direct::connect(&server, "/ws/crm", "", &[]).await;
    client
        .log_in(&login("crm.1", "CRM", "region=eu;level=2;is_primary=True", "user1", "secret1"))
        .await;
    let after = now();
    let id = id_of(&server, "crm.1").await;
    let show =
        || async { ok(admin(&server, "GET", &format!("/api/v1/connections/{id}"), "").await) };
    // A ping is answered while somebody reads.
    let reading = tokio::spawn(async move {
        use futures_util::StreamExt;
        while client.socket.next().await.is_some() {}
    });
    let own = record(&server, "crm.1").await["peer_address"].clone();
    eventually("a ping is answered", || async { show().await["ping_round_trip_ms"].is_number() })
        .await;

    let shown = show().await;
    let mut keys: Vec<_> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, KEYS);
    let expected = json!({
        "state": "established", "ext_client_id": "crm.1", "ext_client_name": "CRM",
        "client_attrs": {"region": "eu", "level": 2, "is_primary": true}, "channel_name": "crm",
        "security_name": "app1", "username": "user1", "peer_address": own, "peer_address_source": "socket",
        "peer_forwarded_for": null, "peer_forwarded_for_fqdn": "(Unknown)",
        "local_address": server.address().to_string(), "server_name": "node-7", "server_proc_pid": server.pid(),
        "pings_missed": 0, "in_flight": 0, "outgoing_queue_bytes": 0, "subscriptions": [], "is_internal": false,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[key], value, "{key}: {shown}");
    }
    assert!(shown["pub_client_id"].as_str().unwrap().starts_with("ws."), "{shown}");
    let is_unknown = shown["peer_fqdn"] == "(Unknown)";
    assert_eq!(shown["peer_fqdn_source"], if is_unknown { "unknown" } else { "dns" }, "{shown}");
    let round_trip = shown["ping_round_trip_ms"].as_f64().unwrap();
    assert!(round_trip > 0.0 && round_trip < 10_000.0, "{round_trip}");
    assert!((before..=after).contains(&time(&shown["connection_time"])), "{shown}");
    assert!((before..=now()).contains(&time(&shown["last_seen"])), "{shown}");
    assert!(time(&shown["last_seen"]) >= time(&shown["connection_time"]), "{shown}");
    let last = &shown["last_close"];
    assert_eq!(
        (&last["code"], &last["reason"], &last["closed_by"]),
        (&json!(4321), &json!("za wcześnie"), &json!("client"))
    );
    assert!(time(&last["close_time"]) <= before, "{shown}");
    let _: ConnectionInfo = serde_json::from_value(shown).unwrap();
    reading.abort();
}

#[tokio::test]
async fn the_address_is_that_of_the_socket_of_the_client() {
    let server = Server::setup().objects(CHANNELS).start();
    // Nobody is believed who is not trusted.
    let headers = [("X-Forwarded-For", "203.0.113.7, \"odd"), ("Forwarded", "for=203.0.113.8")];
    let mut client = Direct::connect(&server, "/ws/open", "", &headers).await;
    client.log_in(&login("a", "", "", "", "")).await;
    let shown = record(&server, "a").await;
    assert_eq!(
        (&shown["peer_address"], &shown["peer_address_source"]),
        (&json!(client.own.to_string()), &json!("socket"))
    );
    assert_eq!(shown["peer_forwarded_for"], "203.0.113.7, \"odd");
    assert!(
        shown.get("last_close").is_none() && shown.get("ping_round_trip_ms").is_none(),
        "{shown}"
    );
    assert_eq!((&shown["security_name"], &shown["username"]), (&json!(""), &json!("")));
}

#[tokio::test]
async fn trusted_proxies_tell_the_address() {
    let server = Server::setup()
        .objects(CHANNELS)
        .settings("trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n")
        .start();
    let table: [(Headers, &str, &str); 6] = [
        (&[("X-Forwarded-For", "203.0.113.7")], "203.0.113.7:0", "header"),
        (&[("X-Forwarded-For", "6.6.6.6, 203.0.113.7, 10.1.2.3")], "203.0.113.7:0", "header"),
        (&[("X-Forwarded-For", "203.0.113.7:4711")], "203.0.113.7:4711", "header"),
        (
            &[("Forwarded", "for=\"[2001:db8::1]:4711\";proto=https")],
            "[2001:db8::1]:4711",
            "header",
        ),
        (&[("X-Forwarded-For", "no address")], "socket", "socket"),
        (&[], "socket", "socket"),
    ];
    for (number, (headers, address, source)) in table.into_iter().enumerate() {
        let mut client = Direct::connect(&server, "/ws/open", "", headers).await;
        let id = format!("c{number}");
        client.log_in(&login(&id, "", "", "", "")).await;
        let shown = record(&server, &id).await;
        let expected =
            if address == "socket" { client.own.to_string() } else { address.to_owned() };
        assert_eq!(
            (&shown["peer_address"], &shown["peer_address_source"]),
            (&json!(expected), &json!(source)),
            "{headers:?}"
        );
        let forwarded =
            headers.iter().find(|(name, _)| *name == "X-Forwarded-For").map(|(_, value)| value);
        assert_eq!(shown["peer_forwarded_for"], json!(forwarded));
        // It is found by that address, with its port and without.
        let ip = expected.rsplit_once(':').unwrap().0;
        for address in [&*expected, ip] {
            let path = format!(
                "/api/v1/connections?ext_client_id={id}&peer_address={}",
                address.replace(':', "%3A")
            );
            assert_eq!(
                ok(admin(&server, "GET", &path, "").await).as_array().unwrap().len(),
                1,
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn a_proxy_header_tells_the_address() {
    let settings = "trusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = true\n";
    let server = Server::setup().objects(CHANNELS).settings(settings).start();
    let first = "PROXY TCP4 198.51.100.9 192.0.2.1 4711 443\r\n";
    let mut client = Direct::connect(&server, "/ws/open", first, &[]).await;
    client.log_in(&login("a", "", "", "", "")).await;
    // The admin listener may stand behind the same proxy.
    let text = format!(
        "GET /api/v1/connections HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        server.admin_token()
    );
    let answer = spanwire_tests::http::raw(server.admin_address(), text.as_bytes()).await;
    let mut answer = String::from_utf8_lossy(&answer).into_owned();
    if !answer.starts_with("HTTP/1.1 200") {
        let bytes =
            spanwire_tests::http::raw(server.admin_address(), format!("{first}{text}").as_bytes())
                .await;
        answer = String::from_utf8_lossy(&bytes).into_owned();
    }
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
    let list: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&list[0]["peer_address"], &list[0]["peer_address_source"]),
        (&json!("198.51.100.9:4711"), &json!("proxy_protocol")),
        "{list}"
    );
}

#[tokio::test]
async fn only_who_is_logged_in_is_shown() {
    let server = Server::setup().objects(CHANNELS).start();
    let mut early = Client::connect(&server.ws("/ws/crm")).await;
    assert!(connections(&server).await.is_empty());
    let hidden = "/api/v1/connections/ws.000000000000000000000000";
    problem(&admin(&server, "GET", hidden, "").await, 404);
    welcome(&mut early, &login("a", "A", "x=1", "user1", "secret1")).await;
    assert_eq!(record(&server, "a").await["client_attrs"], json!({"x": 1}));
    // A client may tell more of itself at any time.
    let meta = json!({"action": "invoke-service", "id": "1", "token": early.token, "client_name": "B", "attrs": "y=2"});
    early.send(&json!({"meta": meta, "data": 1})).await;
    assert_eq!(early.receive().await["data"], 1);
    let shown = record(&server, "a").await;
    assert_eq!(
        (&shown["ext_client_name"], &shown["client_attrs"]),
        (&json!("B"), &json!({"y": 2}))
    );
}
