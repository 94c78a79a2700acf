//! Every attribute finds connections, all given ones must match, and lists come in pages.

use serde_json::{Value, json};
use spanwire_tests::http::admin;
use spanwire_tests::{Client, Server};

use super::{CHANNELS, crm, id_of, login, record, welcome};
use crate::api::problem;
use crate::live::ok;

const LIST: &str = "/api/v1/connections";

/// Keys and what they must be.
type Pairs<'a> = &'a [(&'a str, &'a str)];

fn clients(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|it| it["ext_client_id"].as_str().unwrap()).collect()
}

/// A value in a query.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[tokio::test]
async fn every_attribute_finds_and_all_must_match() {
    let server = Server::setup().objects(CHANNELS).start();
    let _a =
        crm(&server, "a", "CRM & more", "region=eu;is_primary=true;level=1;rate=2.50;key with=x=y")
            .await;
    let _b = crm(&server, "b;'\"<>%", "CRM & more", "region=eu;is_primary=false;level=2").await;
    let mut c = Client::connect(&server.ws("/ws/erp")).await;
    welcome(&mut c, &login("c", "Żółw", "region=us", "user2", "secret2")).await;
    let mut d = Client::connect(&server.ws("/ws/open")).await;
    welcome(&mut d, &login("d", "", "", "", "")).await;
    // Connected, and not logged in.
    let _early = Client::connect(&server.ws("/ws/crm")).await;

    let b = "b;'\"<>%";
    let id = id_of(&server, "a").await;
    let shown = record(&server, "a").await;
    let (address, fqdn) =
        (shown["peer_address"].as_str().unwrap(), shown["peer_fqdn"].as_str().unwrap());
    let by_name: &[&str] = &["d", "c", b, "a"];
    let all = by_name;
    let local = shown["local_address"].as_str().unwrap();
    let pid = server.pid().to_string();
    let table: [(Pairs<'_>, &[&str]); 38] = [
        (&[], all),
        (&[("state", "established")], all),
        (&[("state", "closing")], &[]),
        (&[("peer_address_source", "socket"), ("peer_fqdn", fqdn)], all),
        (&[("peer_address_source", "header")], &[]),
        (&[("peer_fqdn_source", "none")], &[]),
        (&[("peer_forwarded_for", "192.0.2.1")], &[]),
        (&[("peer_forwarded_for_fqdn", "(Unknown)")], all),
        (&[("local_address", local)], all),
        (&[("local_address", "127.0.0.1")], all),
        (&[("server_name", "server1"), ("server_proc_pid", &pid)], all),
        (&[("server_proc_pid", "1")], &[]),
        (&[("channel_name", "crm")], &[b, "a"]),
        (&[("channel_name", "CRM")], &[]),
        (&[("pub_client_id", &id)], &["a"]),
        (&[("ext_client_id", b)], &[b]),
        (&[("ext_client_id", "")], &[]),
        (&[("ext_client_name", "CRM & more")], &[b, "a"]),
        (&[("ext_client_name", "CRM")], &[]),
        (&[("ext_client_name", "Żółw")], &["c"]),
        (&[("ext_client_name", "")], &["d"]),
        (&[("peer_address", "127.0.0.1")], all),
        (&[("peer_address", address)], &["a"]),
        (&[("peer_address", "127.0.0.1:1")], &[]),
        (&[("peer_address", "127.0.0")], &[]),
        (&[("security_name", "app2")], &["c"]),
        (&[("username", "user1")], &[b, "a"]),
        (&[("username", "")], &["d"]),
        (&[("attr.region", "eu")], &[b, "a"]),
        (&[("attr.is_primary", "true")], &["a"]),
        (&[("attr.level", "2")], &[b]),
        (&[("attr.rate", "2.5")], &["a"]),
        (&[("attr.key with", "x=y")], &["a"]),
        (&[("attr.unheard-of", "1")], &[]),
        (&[("attr.region", "eu"), ("attr.level", "1"), ("channel_name", "crm")], &["a"]),
        (&[("attr.region", "eu"), ("username", "user2")], &[]),
        (&[("ext_client_id", "a"), ("peer_fqdn", fqdn)], &["a"]),
        (&[("ext_client_id", "a"), ("peer_fqdn", "elsewhere.example")], &[]),
    ];
    for (filter, expected) in table {
        let query: Vec<_> = filter
            .iter()
            .map(|(key, value)| format!("{}={}", encoded(key), encoded(value)))
            .collect();
        let answer = admin(&server, "GET", &format!("{LIST}?{}", query.join("&")), "").await;
        assert_eq!(answer.header("x-total-count"), expected.len().to_string(), "{filter:?}");
        assert_eq!(clients(&ok(answer)), expected, "{filter:?}");
        // The same words find what would be closed.
        let words: serde_json::Map<_, _> =
            filter.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let body = json!({"filter": words, "all": filter.is_empty(), "dry_run": true}).to_string();
        let preview = ok(admin(&server, "POST", &format!("{LIST}/disconnect"), &body).await);
        assert_eq!(preview["count"], expected.len(), "{filter:?}: {preview}");
    }
    for wrong in
        ["colour=red", "attr.=x", "attr=x", "is_internal=false", "client_attrs=x", "peer=x"]
    {
        let answer = admin(&server, "GET", &format!("{LIST}?{wrong}"), "").await;
        problem(&answer, 400);
        assert!(
            answer.body.contains("attr.KEY") && answer.body.contains("channel_name"),
            "{answer:?}"
        );
    }
    assert_eq!(clients(&ok(admin(&server, "GET", LIST, "").await)), all);
}

#[tokio::test]
async fn pages_lead_from_the_newest_to_the_oldest() {
    let server = Server::setup().objects(CHANNELS).start();
    let mut all = Vec::new();
    for number in 0..23 {
        all.push(
            crm(&server, &format!("c{number}"), "a & b", &format!("half={}", number % 2)).await,
        );
    }
    for (query, total) in
        [("limit=5", 23), ("ext_client_name=a+%26+b&limit=7", 23), ("attr.half=1&limit=4", 11)]
    {
        let mut path = format!("{LIST}?{query}");
        let mut found = Vec::new();
        loop {
            let answer = admin(&server, "GET", &path, "").await;
            assert_eq!(answer.header("x-total-count"), total.to_string(), "{path}");
            let next = answer.header("link").to_owned();
            let list = ok(answer);
            found.extend(clients(&list).into_iter().map(str::to_owned));
            if next.is_empty() {
                break;
            }
            let link =
                next.strip_prefix('<').and_then(|it| it.strip_suffix(">; rel=\"next\"")).unwrap();
            link.clone_into(&mut path);
        }
        let newest_first = (0..23).rev().map(|number| format!("c{number}"));
        let expected: Vec<_> = newest_first
            .filter(|name| total == 23 || name.ends_with(['1', '3', '5', '7', '9']))
            .collect();
        assert_eq!(found, expected, "{query}");
    }
    let beyond = admin(&server, "GET", &format!("{LIST}?offset=100"), "").await;
    assert_eq!(
        (beyond.header("x-total-count"), beyond.header("link"), &*beyond.body),
        ("23", "", "[]")
    );

    // Connections that ended come in pages as well.
    for client in all.drain(..20) {
        client.close(1000, "").await;
    }
    let ended = || async {
        let answer = admin(&server, "GET", "/api/v1/connection-history?limit=3", "").await;
        answer.header("x-total-count") == "20"
    };
    spanwire_tests::eventually("all are history", ended).await;
    let page = admin(&server, "GET", "/api/v1/connection-history?limit=3&offset=18", "").await;
    assert_eq!((clients(&page.json()).len(), page.header("link")), (2, ""));
    let one = admin(&server, "GET", "/api/v1/connection-history?ext_client_id=c7", "").await;
    assert_eq!((one.header("x-total-count"), clients(&one.json())), ("1", vec!["c7"]));
}
