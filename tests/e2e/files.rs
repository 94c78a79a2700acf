//! Files of managed objects: `spanwire enmasse`, and the server's `--import`.

mod includes;
mod labels;
mod many;
mod mistakes;
mod selection;

use std::path::Path;

use serde_json::{Value, json};
use spanwire_tests::http::admin;
use spanwire_tests::server::{binary, command, workspace};
use spanwire_tests::{Client, Server};

use crate::live::{assert_consistent, ok, show};
use crate::process::{Finished, finish};

/// A folder with files, where commands run.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let file = self.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// Runs `spanwire enmasse` in this folder.
    async fn enmasse(&self, server: &Server, arguments: &[&str]) -> Finished {
        self.enmasse_with(server, arguments, &[]).await
    }

    /// The same with environment variables.
    async fn enmasse_with(
        &self,
        server: &Server,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Finished {
        let mut program = command(binary("spanwire"));
        program.arg("--data").arg(server.data()).arg("enmasse").args(arguments);
        program.envs(variables.iter().copied()).current_dir(self.path());
        finish(program).await
    }

    /// Runs a command that must do its work without a complaint, and returns what it printed.
    async fn did(&self, server: &Server, arguments: &[&str]) -> String {
        done(self.enmasse(server, arguments).await)
    }
}

fn done(ended: Finished) -> String {
    assert_eq!((ended.code, &*ended.err), (0, ""), "{ended:?}");
    ended.out
}

/// What tells whether anything was changed: the revision and the hash of all objects.
async fn state(server: &Server) -> (u64, String) {
    let info = ok(admin(server, "GET", "/api/v1/server", "").await);
    (info["revision"].as_u64().unwrap(), info["state_hash"].as_str().unwrap().to_owned())
}

/// The names of the objects of a kind.
async fn names(server: &Server, kind: &str) -> Vec<String> {
    let list = ok(admin(server, "GET", &format!("/api/v1/objects/{kind}?limit=1000"), "").await);
    let names = list.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned());
    names.collect()
}

#[tokio::test]
async fn the_example_imports_and_again_changes_nothing() {
    let server = Server::setup().start();
    let folder = Folder::new();
    let example = workspace().join("crates/spanwire-config/examples/objects-example.yaml");
    folder.write("o.yaml", std::fs::read(example).unwrap());
    let variables = [("PUBLISHER_PASSWORD", "from the environment")];
    let (before, _) = state(&server).await;
    let done_first = done(folder.enmasse_with(&server, &["import", "o.yaml"], &variables).await);
    assert_eq!(done_first.lines().count(), 15, "{done_first}");
    assert!(done_first.lines().all(|line| line.ends_with(" created (version 1)")), "{done_first}");
    let first = state(&server).await;
    assert_eq!(first.0, before + 1, "one revision");
    for arguments in [&["diff", "o.yaml"][..], &["diff", "--output", "json", "o.yaml"]] {
        let diff = done(folder.enmasse_with(&server, arguments, &variables).await);
        assert!(diff.is_empty() || diff.contains("\"changes\": []"), "{diff}");
    }
    for arguments in [&["import", "o.yaml"][..], &["import", "--replace", "o.yaml"]] {
        let again = done(folder.enmasse_with(&server, arguments, &variables).await);
        assert_eq!(again, "nothing changed\n");
    }
    assert_eq!(state(&server).await, first);
    let mut client = Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
    assert_eq!(client.invoke("zato.ping", &json!({})).await["data"], json!({"pong": "zato"}));
    assert_consistent(&server).await;

    // A secret alone differs, and is told without being shown.
    let other = [("PUBLISHER_PASSWORD", "MARKED")];
    let diff = done(folder.enmasse_with(&server, &["diff", "o.yaml"], &other).await);
    assert!(diff.starts_with("security 'publisher' would be updated\n  password: "), "{diff}");
    assert!(!diff.contains("MARKED") && !diff.contains("from the environment"), "{diff}");
}

const ONE: &str = "pubsub_topic:\n- {name: /a, max_depth_gd: 5}\n- {name: /b}\n";
const TWO: &str = "pubsub_topic:\n- {name: /a, max_depth_gd: 6}\n- {name: /b}\n- {name: /c}\n";

#[tokio::test]
async fn what_exists_stays_with_a_warning_unless_it_is_to_be_replaced() {
    let server = Server::setup().start();
    let folder = Folder::new();
    folder.write("one.yaml", ONE);
    folder.write("two.yaml", TWO);
    folder.did(&server, &["import", "one.yaml"]).await;
    for arguments in [&["import", "two.yaml", "--dry-run"][..], &["import", "two.yaml"]] {
        let ended = folder.enmasse(&server, arguments).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.out.starts_with("pubsub_topic '/c' "), "{ended:?}");
        let mut warnings = ended.err.lines();
        let warning = warnings.next().unwrap();
        assert!(warning.starts_with("warning: pubsub_topic '/a' exists already"), "{ended:?}");
        assert!(warnings.next().is_none(), "what is equal is not worth a warning: {ended:?}");
    }
    assert_eq!(show(&server, "pubsub_topic", "/a").await["max_depth_gd"], 5);
    let json = folder.did(&server, &["import", "two.yaml", "--output", "json"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["changes"], json["warnings"].as_array().unwrap().len()), (&json!([]), 1));

    let before = state(&server).await;
    let preview = folder.did(&server, &["import", "two.yaml", "--replace", "--dry-run"]).await;
    assert_eq!(preview, "pubsub_topic '/a' would be updated\n  max_depth_gd: 5 -> 6\n");
    assert_eq!(folder.did(&server, &["diff", "two.yaml"]).await, preview);
    assert_eq!(state(&server).await, before);
    let replace = ["import", "--replace", "two.yaml", "--reason", "deeper"];
    let replaced = folder.did(&server, &replace).await;
    assert_eq!(replaced, "pubsub_topic '/a' updated (version 2)\n");
    assert_eq!(show(&server, "pubsub_topic", "/a").await["max_depth_gd"], 6);
    let newest = ok(admin(&server, "GET", "/api/v1/history?limit=1", "").await);
    assert_eq!(newest[0]["reason"], "deeper");
    // The words of older files and scripts.
    folder.write("one.json", r#"{"pubsub_topic": [{"name": "/a", "max_depth_gd": 5}]}"#);
    let older = ["import", "--input", "one.json", "--replace-odb-objects"];
    assert_eq!(folder.did(&server, &older).await, "pubsub_topic '/a' updated (version 3)\n");
}

#[tokio::test]
async fn a_start_always_replaces() {
    let mut server = Server::setup().objects(ONE).start();
    assert!(server.stop().success());
    std::fs::write(server.data().with_file_name("objects-0.yaml"), TWO).unwrap();
    server.start_again();
    let (revision, _) = state(&server).await;
    assert_eq!(show(&server, "pubsub_topic", "/a").await["max_depth_gd"], 6);
    assert_eq!(names(&server, "pubsub_topic").await, ["/a", "/b", "/c"]);
    let newest = ok(admin(&server, "GET", "/api/v1/history?limit=1", "").await);
    assert_eq!(
        (&newest[0]["revision"], &newest[0]["who"]),
        (&json!(revision), &json!("spanwire-server"))
    );
    assert!(!server.log().contains("exists already"), "{}", server.log());
}

#[tokio::test]
async fn a_password_that_a_file_leaves_out_stays_what_it_is() {
    let server = Server::setup().start();
    let folder = Folder::new();
    let text = "security: [{name: app1, type: basic_auth, username: app1, password: secret1}]\n\
                web_socket: [{name: crm, address: /ws/crm, service: zato.ping, sec_def: app1}]\n";
    folder.write("with.yaml", text);
    folder.write("without.yaml", text.replace(", password: secret1", ", realm: x"));
    folder.did(&server, &["import", "with.yaml"]).await;
    let diff = folder.did(&server, &["import", "--replace", "without.yaml", "--dry-run"]).await;
    assert!(diff.contains("realm: (none) -> x") && !diff.contains("password"), "{diff}");
    folder.did(&server, &["import", "--replace", "without.yaml"]).await;
    Client::log_in(&server.ws("/ws/crm"), "app1", "secret1").await;
}

#[tokio::test]
async fn variables_are_those_of_the_command_not_of_the_server() {
    let server = Server::setup().variable("WHERE", "the-server").start();
    let folder = Folder::new();
    folder.write(
        "o.yaml",
        "service:\n\
         - {name: a, url: 'http://127.0.0.1:9/{Spanwire_Env.WHERE}/x?{Zato_Enmasse_Env.HOW}'}\n\
         outgoing_rest:\n\
         - {name: b, host: ZatoEnmasseEnv.HOST, url_path: /b}\n\
         security:\n\
         - {name: c, type: Zato_Enmasse_Env.TYPE}\n",
    );
    let missing = folder.enmasse(&server, &["import", "o.yaml"]).await;
    assert_eq!(missing.code, 1, "{missing:?}");
    for (line, name) in [(2, "WHERE"), (4, "HOST"), (6, "TYPE")] {
        let found = missing.err.lines().any(|text| {
            text.starts_with(&format!("o.yaml:{line}: ")) && text.contains(&format!("'{name}'"))
        });
        assert!(found, "{name} is not in {missing:?}");
    }
    let variables =
        [("WHERE", "here"), ("HOW", "a=b"), ("HOST", "http://127.0.0.1:9"), ("TYPE", "apikey")];
    done(folder.enmasse_with(&server, &["import", "o.yaml"], &variables).await);
    assert_eq!(show(&server, "service", "a").await["url"], "http://127.0.0.1:9/here/x?a=b");
    assert_eq!(show(&server, "outgoing_rest", "b").await["host"], "http://127.0.0.1:9");
    assert_eq!(show(&server, "security", "c").await["type"], "apikey");
}
