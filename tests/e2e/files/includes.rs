//! Files that include others, and the words of older files.

use serde_json::{Value, json};
use spanwire_tests::Server;

use super::{Folder, names, state};
use crate::live::show;

#[tokio::test]
async fn includes_are_relative_to_the_file_that_has_them() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write(
        "top/all.yaml",
        "include: [sub/channels.yaml, file://../shared/security.yaml]\n\
         service:\n\
         - {name: own, url: 'http://127.0.0.1:9/own'}\n\
         - file://sub/service.yaml\n\
         pubsub_topic: file://topics.json\n",
    );
    folder.write(
        "top/sub/channels.yaml",
        "include: ../../shared/security.yaml\n\
         web_socket: [{name: crm, address: /ws/crm, service: zato.ping, sec_def: app1}]\n",
    );
    // An object, a list of objects, and a file of kinds.
    folder.write("top/sub/service.yaml", "name: included\nurl: http://127.0.0.1:9/included\n");
    folder.write("top/topics.json", r#"[{"name": "/a"}, {"name": "/b"}]"#);
    folder
        .write("shared/security.yaml", "security: [{name: app1, type: basic_auth, username: a}]\n");
    folder.write("elsewhere/.keep", "");

    let (before, _) = state(&server).await;
    let done = folder.did(&server, &["import", "elsewhere/../top/all.yaml"]).await;
    assert_eq!(done.lines().count(), 6, "{done}");
    assert_eq!(state(&server).await.0, before + 1, "one revision");
    assert_eq!(names(&server, "service").await, ["included", "own"]);
    assert_eq!(names(&server, "pubsub_topic").await, ["/a", "/b"]);
    assert_eq!(show(&server, "web_socket", "crm").await["sec_def"], "app1");
    assert_eq!(folder.did(&server, &["diff", "top/all.yaml"]).await, "");

    // The same files as the server reads them.
    let file = folder.path().join("top/all.yaml").display().to_string();
    let started = Server::setup().arguments(&["--import", &file]).start();
    assert_eq!(folder.did(&started, &["diff", "top/all.yaml"]).await, "");
    assert_eq!(names(&started, "service").await, ["included", "own"]);
}

#[tokio::test]
async fn a_file_that_is_named_more_than_once_counts_once() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write("one.yaml", "include: [shared.yaml, ./shared.yaml, sub/../shared.yaml]\n");
    folder.write("two.yaml", "include: [link.yaml]\n");
    folder.write("shared.yaml", "pubsub_topic: [{name: /a}]\n");
    folder.write("sub/.keep", "");
    std::os::unix::fs::symlink("shared.yaml", folder.path().join("link.yaml")).unwrap();
    let import = ["import", "one.yaml", "two.yaml", "one.yaml", "shared.yaml"];
    let done = folder.did(&server, &import).await;
    assert_eq!(done, "pubsub_topic '/a' created (version 1)\n");
}

#[tokio::test]
async fn a_mark_of_the_byte_order_and_comments_are_fine_and_empty_files_change_nothing() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write("mark.yaml", "\u{feff}# a comment\r\npubsub_topic:\r\n- name: /a # another\r\n");
    folder.write("empty.yaml", "");
    folder.write("comment.yaml", "# nothing\n");
    folder.write("lists.yaml", "security: []\nscheduler: []\nservice:\n");
    let before = state(&server).await;
    for file in ["empty.yaml", "comment.yaml", "lists.yaml"] {
        assert_eq!(folder.did(&server, &["import", file]).await, "nothing changed\n", "{file}");
    }
    assert_eq!(state(&server).await, before);
    folder.did(&server, &["import", "mark.yaml"]).await;
    assert_eq!(names(&server, "pubsub_topic").await, ["/a"]);
}

#[tokio::test]
async fn the_words_of_older_files_mean_the_same() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write(
        "older.yaml",
        "def_sec:\n\
         - {name: acme, type: basic_auth, username: acme, password: secret1}\n\
         channel_plain_http:\n\
         - {name: in, url_path: /in, service: zato.ping, sec_def: acme, connection: channel, transport: plain_http}\n\
         outconn_plain_http:\n\
         - {name: out, host: 'http://127.0.0.1:9', url_path: /out, security: acme}\n\
         zato_generic_connection:\n\
         - name: cluster-b\n\
         \x20 type_: outconn-wsx\n\
         \x20 address: ws://127.0.0.1:9/ws\n\
         \x20 is_zato: 'true'\n\
         \x20 on_message_service: zato.ping\n\
         \x20 subscription_list: |\n\
         \x20   /customer/new\n\
         \x20   /customer/updated\n",
    );
    folder.write(
        "newer.yaml",
        "security:\n\
         - {name: acme, type: basic_auth, username: acme, password: secret1}\n\
         channel_rest: [{name: in, url_path: /in, service: zato.ping, security_name: acme}]\n\
         outgoing_rest: [{name: out, host: 'http://127.0.0.1:9', url_path: /out, security_name: acme}]\n\
         outgoing_wsx:\n\
         - name: cluster-b\n\
         \x20 address: ws://127.0.0.1:9/ws\n\
         \x20 is_zato: true\n\
         \x20 on_message_service_name: zato.ping\n\
         \x20 subscription_list: [/customer/new, /customer/updated]\n",
    );
    folder.did(&server, &["import", "older.yaml"]).await;
    assert_eq!(folder.did(&server, &["diff", "newer.yaml"]).await, "");
    assert_eq!(folder.did(&server, &["diff", "older.yaml"]).await, "");
    let outgoing: Value = show(&server, "outgoing_wsx", "cluster-b").await;
    assert_eq!(outgoing["subscription_list"], json!(["/customer/new", "/customer/updated"]));
    // What is written has the newer words.
    let text = folder.did(&server, &["export"]).await;
    assert!(!text.contains("def_sec") && text.contains("outgoing_wsx:"), "{text}");
}
