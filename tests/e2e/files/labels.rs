//! `--label` and `--prune`: files that own their objects.

use serde_json::json;
use spanwire_tests::Server;
use spanwire_tests::http::admin;

use super::{Folder, names, state};
use crate::live::{assert_consistent, create, ok, show};

const ONE: &str = "service:\n\
                   - {name: a, url: 'http://127.0.0.1:9/a'}\n\
                   - {name: b, url: 'http://127.0.0.1:9/b', labels: [own]}\n\
                   - {name: c, url: 'http://127.0.0.1:9/c'}\n";
const TWO: &str = "service:\n\
                   - {name: a, url: 'http://127.0.0.1:9/a'}\n\
                   - {name: d, url: 'http://127.0.0.1:9/d'}\n";

async fn labels(server: &Server, name: &str) -> serde_json::Value {
    show(server, "service", name).await["labels"].clone()
}

#[tokio::test]
async fn only_what_carries_the_label_and_is_in_no_file_is_pruned() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write("one.yaml", ONE);
    folder.write("two.yaml", TWO);
    create(&server, "service", json!({"name": "by.hand", "url": "http://127.0.0.1:9/h"})).await;
    folder.did(&server, &["import", "one.yaml", "--label", "team/crm"]).await;
    assert_eq!(labels(&server, "a").await, json!(["team/crm"]));
    assert_eq!(labels(&server, "b").await, json!(["own", "team/crm"]));
    let again = folder.did(&server, &["import", "one.yaml", "--label", "team/crm"]).await;
    assert_eq!(again, "nothing changed\n");

    let prune = ["import", "two.yaml", "--prune", "--label", "team/crm"];
    let before = state(&server).await;
    let refused = folder.enmasse(&server, &prune).await;
    assert!(refused.code == 2 && refused.err.contains("--yes"), "{refused:?}");
    let preview = folder.did(&server, &[&prune[..], &["--dry-run"]].concat()).await;
    for line in [
        "service 'd' would be created",
        "service 'b' would be deleted",
        "service 'c' would be deleted",
    ] {
        assert!(preview.lines().any(|other| other == line), "{line} is not in {preview}");
    }
    assert!(!preview.contains("by.hand") && !preview.contains("'a'"), "{preview}");
    assert_eq!(state(&server).await, before);
    // Another label, or none, owns nothing of this.
    let other = ["import", "two.yaml", "--prune", "--label", "team/x", "--dry-run"];
    assert!(!folder.enmasse(&server, &other).await.out.contains("deleted"));
    let unlabelled = ["import", "two.yaml", "--prune", "--yes"];
    assert_eq!(folder.enmasse(&server, &unlabelled).await.code, 2);

    folder.did(&server, &[&prune[..], &["--yes"]].concat()).await;
    assert_eq!(names(&server, "service").await, ["a", "by.hand", "d"]);
    assert_eq!(state(&server).await.0, before.0 + 1, "one revision");
    // And back, as one change.
    let revision = state(&server).await.0;
    ok(admin(&server, "POST", &format!("/api/v1/history/{revision}/revert"), "").await);
    assert_eq!(names(&server, "service").await, ["a", "b", "by.hand", "c"]);
    assert_consistent(&server).await;
}

#[tokio::test]
async fn what_is_in_use_is_not_pruned_and_nothing_else_happens() {
    let server = Server::setup().start();
    let folder = Folder::new();
    let text = "security:\n- {name: a, type: apikey}\n- {name: b, type: apikey}\n";
    folder.write("one.yaml", text);
    folder.write("two.yaml", "security:\n- {name: c, type: apikey}\n");
    folder.did(&server, &["import", "one.yaml", "--label", "team"]).await;
    let channel =
        json!({"name": "r", "url_path": "/r", "service": "zato.ping", "security_name": "b"});
    create(&server, "channel_rest", channel).await;
    let before = state(&server).await;
    for last in ["--dry-run", "--yes"] {
        let prune = ["import", "two.yaml", "--prune", "--label", "team", last];
        let ended = folder.enmasse(&server, &prune).await;
        assert_eq!((ended.code, &*ended.out), (1, ""), "{ended:?}");
        for word in ["in use", "channel_rest 'r'", "field 'security_name'", "security 'b'"] {
            assert!(ended.err.contains(word), "{word} is not in {ended:?}");
        }
        assert_eq!(state(&server).await, before);
    }
    assert_eq!(names(&server, "security").await, ["a", "b", "demo"]);
    // Both may go together.
    folder.write("one.yaml", format!("{text}channel_rest: [{{name: r, url_path: /r, service: zato.ping, security_name: b}}]\n"));
    folder.did(&server, &["import", "one.yaml", "--replace", "--label", "team"]).await;
    folder.did(&server, &["import", "two.yaml", "--prune", "--label", "team", "--yes"]).await;
    assert_eq!(names(&server, "security").await, ["c", "demo"]);
    assert_eq!(names(&server, "channel_rest").await, ["demo.echo"]);
}

#[tokio::test]
async fn a_prune_stays_within_what_is_selected() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write("one.yaml", format!("{ONE}pubsub_topic: [{{name: /t}}]\n"));
    folder.write("none.yaml", "service: []\n");
    folder.did(&server, &["import", "one.yaml", "--label", "team"]).await;
    let prune = ["import", "none.yaml", "--prune", "--label", "team", "--yes"];
    folder.did(&server, &[&prune[..], &["--include-name", "b"]].concat()).await;
    assert_eq!(names(&server, "service").await, ["a", "c"]);
    folder.did(&server, &[&prune[..], &["--include-type", "service"]].concat()).await;
    assert!(names(&server, "service").await.is_empty());
    assert_eq!(names(&server, "pubsub_topic").await, ["/t"]);
    folder.did(&server, &prune).await;
    assert!(names(&server, "pubsub_topic").await.is_empty());
    let odd = folder.enmasse(&server, &["import", "one.yaml", "--label", "two words"]).await;
    assert!(odd.code == 1 && odd.err.contains("label"), "{odd:?}");
}
