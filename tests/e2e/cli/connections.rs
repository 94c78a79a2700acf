//! `spanwire connection list|show|invoke|disconnect|history`.

use serde_json::{Value, json};
use spanwire_protocol::admin::{ClosedConnection, ConnectionInfo};
use spanwire_tests::http::{connections, history};
use spanwire_tests::{Client, Server, eventually};

use super::{OBJECTS, on, parse};

async fn log_in(server: &Server, id: &str, name: &str) -> Client {
    let mut client = Client::connect(&server.ws("/ws/crm")).await;
    let meta = json!({"action": "create-session", "id": "1", "client_id": id, "client_name": name,
                      "username": "app1", "secret": "secret1"});
    client.send(&json!({"meta": meta})).await;
    let token = client.receive().await["data"]["token"].as_str().unwrap().to_owned();
    client.token = token;
    client
}

async fn id_of(server: &Server, client: &str) -> String {
    let all = connections(server).await;
    let found = all.iter().find(|connection| connection["ext_client_id"] == client);
    found.unwrap_or_else(|| panic!("{client}: {all:?}"))["pub_client_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The ids that clients chose, in the order of the list.
async fn listed(server: &Server, filter: &[&str]) -> Vec<String> {
    let arguments = [&["connection", "list", "--output", "json"], filter].concat();
    let list = parse(&on(server, &arguments).await);
    let list: Vec<ConnectionInfo> = serde_json::from_value(list).unwrap();
    list.into_iter().map(|connection| connection.ext_client_id).collect()
}

#[tokio::test]
async fn list_and_show_have_the_fields_of_the_api() {
    let server = Server::setup().objects(OBJECTS).start();
    assert_eq!(listed(&server, &[]).await, Vec::<String>::new());
    let _client = log_in(&server, "crm.1", "CRM; \u{1b}[31mred").await;
    let list = parse(&on(&server, &["connection", "list", "--output", "json"]).await);
    let api = connections(&server).await;
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&list[0]), keys(&api[0]));
    for key in [
        "pub_client_id",
        "ext_client_id",
        "ext_client_name",
        "channel_name",
        "peer_address",
        // Not peer_fqdn: it may be found out between the two lists.
        "peer_forwarded_for",
        "peer_forwarded_for_fqdn",
        "local_address",
        "server_name",
        "server_proc_pid",
        "connection_time",
        "last_seen",
    ] {
        assert_eq!(list[0][key], api[0][key], "{key}");
    }
    assert_eq!(list[0]["local_address"], server.address().to_string());
    assert_eq!(list[0]["server_proc_pid"], server.pid());
    let id = api[0]["pub_client_id"].as_str().unwrap();
    let shown = parse(&on(&server, &["connection", "show", id, "--output", "json"]).await);
    assert_eq!(shown["pub_client_id"], id);
    assert_eq!(keys(&shown), keys(&api[0]));
    for arguments in [&["connection", "list"][..], &["connection", "show", id]] {
        let table = on(&server, arguments).await;
        assert!(table.out.contains("crm.1") && table.out.contains(id), "{table:?}");
        assert!(!table.out.contains('\u{1b}'), "texts of clients reach the terminal: {table:?}");
    }
}

#[tokio::test]
async fn every_attribute_given_must_match() {
    let server = Server::setup().objects(OBJECTS).start();
    let _clients =
        [log_in(&server, "a", "blue & green").await, log_in(&server, "b", "blue & green").await];
    let table: [(&[&str], &[&str]); 8] = [
        (&[], &["b", "a"]),
        (&["--client-id", "a"], &["a"]),
        (&["--client-name", "blue & green"], &["b", "a"]),
        (&["--client-name", "blue & green", "--client-id", "b"], &["b"]),
        (&["--client-name", "blue", "--client-id", "b"], &[]),
        (&["--channel", "crm", "--security", "app1", "--peer", "127.0.0.1"], &["b", "a"]),
        (&["--channel", "demo"], &[]),
        (&["--peer", "127.0.0.1:1"], &[]),
    ];
    for (filter, expected) in table {
        assert_eq!(listed(&server, filter).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_client_is_asked_and_answers() {
    let server = Server::setup().objects(OBJECTS).start();
    let mut client = log_in(&server, "a", "A").await;
    let id = id_of(&server, "a").await;
    let ask = ["connection", "invoke", &id, "--request", r#"{"cmd": "uptime"}"#];
    let asking = on(&server, &ask);
    let answering = async {
        let request = client.receive().await;
        assert_eq!(request["data"], json!({"cmd": "uptime"}));
        assert_eq!(request["meta"]["msg_type"], "zwsx.rqc");
        client.answer(&request, &json!({"up": 5})).await;
    };
    let (ended, ()) = tokio::join!(asking, answering);
    assert_eq!(parse(&ended), json!({"up": 5}));

    let ended = on(&server, &["connection", "invoke", &id, "--timeout", "0.2"]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("no reply within 0.2 s") && ended.err.contains("504"), "{ended:?}");
    // A client that gives no answer stays.
    assert_eq!(client.receive().await["data"], json!({}));
    assert_eq!(client.invoke("zato.ping", &json!({})).await["data"], json!({"pong": "zato"}));
}

#[tokio::test]
async fn disconnected_clients_are_history() {
    let server = Server::setup().objects(OBJECTS).start();
    let table: [(&[&str], u16, &str); 2] = [
        (&[], 4005, ""),
        (&["--code", "3999", "--reason", "za dużo & więcej"], 3999, "za dużo & więcej"),
    ];
    for (arguments, code, reason) in table {
        let mut client = log_in(&server, "a", "A").await;
        let mut other = log_in(&server, "b", "B").await;
        let id = id_of(&server, "a").await;
        let ended = on(&server, &[&["connection", "disconnect", &id], arguments].concat()).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.out.contains(&id), "{ended:?}");
        let frame = client.receive_close().await.1.unwrap();
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (code, reason));
        drop(client);
        let gone = || async { history(&server).await.iter().any(|c| c["pub_client_id"] == *id) };
        eventually("it is history", gone).await;
        let list = parse(&on(&server, &["connection", "history", "--output", "json"]).await);
        let list: Vec<ClosedConnection> = serde_json::from_value(list).unwrap();
        let closed = list.iter().find(|closed| closed.pub_client_id.as_str() == id).unwrap();
        assert_eq!((closed.code, &*closed.reason, &*closed.closed_by), (code, reason, "server"));
        assert!(closed.was_logged_in && closed.ext_client_id == "a");
        let again = on(&server, &["connection", "disconnect", &id]).await;
        assert_eq!(again.code, 1, "{again:?}");
        assert_eq!(other.invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
    }
    let _other = log_in(&server, "c", "C").await;
    let unsendable = id_of(&server, "c").await;
    for code in ["1005", "999", "5000"] {
        let ended = on(&server, &["connection", "disconnect", &unsendable, "--code", code]).await;
        assert_eq!(ended.code, 1, "{ended:?}");
    }
    let table = on(&server, &["connection", "history"]).await;
    assert!(table.out.contains("3999") && table.out.contains("CLOSED_BY"), "{table:?}");
}
