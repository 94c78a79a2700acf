//! `--include-type` and `--include-name`: parts of files.

use std::collections::BTreeSet;

use serde_json::Value;
use spanwire_tests::Server;

use super::{Folder, state};

const EVERY_KIND: &str = "\
    security: [{name: s1, type: basic_auth, username: u}]\n\
    service: [{name: crm.get, url: 'http://127.0.0.1:9'}, {name: crm.put, url: 'http://127.0.0.1:9'}]\n\
    wsx_gateway: [{name: g1, services_allowed: [zato.ping]}]\n\
    web_socket: [{name: w1, address: /w1, service: zato.ping, sec_def: zato-no-security}]\n\
    channel_rest: [{name: r1, url_path: /r1, service: zato.ping}]\n\
    outgoing_rest: [{name: or1, host: 'http://127.0.0.1:9'}]\n\
    outgoing_wsx: [{name: ow1, address: 'ws://127.0.0.1:9'}]\n\
    pubsub_topic: [{name: /crm/new}]\n\
    pubsub_endpoint: [{name: e1, endpoint_type: internal}]\n\
    pubsub_subscription: [{endpoint_name: e1, topic_name: /crm/new}]\n";

/// The names of what a preview would create.
async fn previewed(folder: &Folder, server: &Server, options: &[&str]) -> BTreeSet<String> {
    let import = ["import", "o.yaml", "--dry-run", "--output", "json"];
    let json = folder.did(server, &[&import[..], options].concat()).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    let changes = json["changes"].as_array().unwrap();
    assert!(changes.iter().all(|it| it["action"] == "created"), "{json}");
    changes.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn kinds_groups_older_words_and_names_select() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write("o.yaml", EVERY_KIND);
    let all = [
        "s1",
        "crm.get",
        "crm.put",
        "g1",
        "w1",
        "r1",
        "or1",
        "ow1",
        "/crm/new",
        "e1",
        "e1//crm/new",
    ];
    let table: &[(&[&str], &[&str])] = &[
        (&[], &all),
        (&["--include-type", "all"], &all),
        (&["--include-type", "security"], &["s1"]),
        (&["--include-type", "def_sec"], &["s1"]),
        (&["--include-type", "rest"], &["r1", "or1"]),
        (&["--include-type", "websockets"], &["g1", "w1", "ow1"]),
        (&["--include-type", "pubsub"], &["/crm/new", "e1", "e1//crm/new"]),
        (&["--include-type", "channel_plain_http"], &["r1"]),
        (&["--include-type", "outconn_plain_http"], &["or1"]),
        (&["--include-type", "zato_generic_connection"], &["ow1"]),
        (&["--include-type", "security,web_socket"], &["s1", "w1"]),
        (&["--include-type", "security", "--include-type", "rest"], &["s1", "r1", "or1"]),
        (&["--include-name", "w1"], &["w1"]),
        (&["--include-name", "crm.*"], &["crm.get", "crm.put"]),
        (&["--include-name", "*1"], &["s1", "g1", "w1", "r1", "or1", "ow1", "e1"]),
        (&["--include-name", "s1,crm.get"], &["s1", "crm.get"]),
        (&["--include-type", "service", "--include-name", "*.get,s1"], &["crm.get"]),
        (&["--include-name", "nobody"], &[]),
    ];
    for (options, expected) in table {
        let expected: BTreeSet<String> = expected.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(previewed(&folder, &server, options).await, expected, "{options:?}");
    }
    folder.did(&server, &["import", "o.yaml"]).await;
    for (options, expected) in table.iter().filter(|(options, _)| !options.is_empty()) {
        let export = [&["export", "--format", "json"], *options].concat();
        let export: Value = serde_json::from_str(&folder.did(&server, &export).await).unwrap();
        let count: usize =
            export.as_object().unwrap().values().map(|list| list.as_array().unwrap().len()).sum();
        let text = export.to_string();
        // What the demo of a fresh server has comes on top.
        let demo = text.matches("\"name\":\"demo").count();
        assert_eq!(count - demo, expected.len(), "{options:?}: {text}");
        let diff = folder.did(&server, &[&["diff", "o.yaml"], *options].concat()).await;
        assert_eq!(diff, "", "{options:?}");
    }
}

#[tokio::test]
async fn words_that_select_nothing_are_refused_here() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write("o.yaml", EVERY_KIND);
    for verb in [&["import", "o.yaml"][..], &["diff", "o.yaml"], &["export"]] {
        for (options, word) in [
            (["--include-type", "websocket"], "did you mean 'web_socket'?"),
            (["--include-type", "soap"], "the groups all, rest, websockets, pubsub"),
            (["--include-type", ""], "unknown type ''"),
            (["--include-name", ""], "empty"),
        ] {
            let ended = folder.enmasse(&server, &[verb, &options].concat()).await;
            assert_eq!((ended.code, &*ended.out), (2, ""), "{ended:?}");
            assert!(ended.err.contains(word), "{word} is not in {ended:?}");
        }
    }
}

#[tokio::test]
async fn what_a_part_refers_to_must_be_there() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write(
        "o.yaml",
        "security: [{name: s1, type: basic_auth, username: u}]\n\
         web_socket: [{name: w1, address: /w1, service: zato.ping, sec_def: s1}]\n",
    );
    let before = state(&server).await;
    let part = folder.enmasse(&server, &["import", "o.yaml", "--include-type", "web_socket"]).await;
    assert_eq!(part.code, 1, "{part:?}");
    for word in ["web_socket 'w1'", "field 'sec_def'", "there is no security 's1'"] {
        assert!(part.err.contains(word), "{word} is not in {part:?}");
    }
    assert_eq!(state(&server).await, before);
    folder.did(&server, &["import", "o.yaml", "--include-type", "security"]).await;
    folder.did(&server, &["import", "o.yaml", "--include-type", "web_socket"]).await;
}
