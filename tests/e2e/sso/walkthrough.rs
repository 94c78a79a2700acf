//! docs/sso.md: every example, in the shell, in Python and in Rust.

use std::fmt::Write as _;

use serde_json::{Value, json};
use spanwire_runtime::{App, Context, ServiceError};
use spanwire_service::sso::SsoError;
use spanwire_tests::Server;
use spanwire_tests::http::request;
use spanwire_tests::server::{binary, command, workspace};

use super::{PASSWORD, World};
use crate::process::finish;

const OBJECTS: &str =
    "security: [{name: crm, type: basic_auth, username: crm, password: secret1}]\n";
const EXAMPLES: &str = "channel_rest: [{name: examples, url_path: /examples, service: examples, security_name: zato-no-security}]\n";

fn page() -> String {
    std::fs::read_to_string(workspace().join("docs/sso.md")).unwrap()
}

fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    page.split(start.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A server as the page needs it, without its first user.
fn server() -> (Server, tempfile::TempDir) {
    let mails = tempfile::tempdir().unwrap();
    let more = "[sso.signup]\nalways_return_confirm_token = true\n";
    (Server::setup().settings(&super::settings(mails.path(), more)).objects(OBJECTS).start(), mails)
}

#[tokio::test]
async fn the_commands_do_what_they_say() {
    let (server, _mails) = server();
    let page = page().replace("http://127.0.0.1:17010", &format!("http://{}", server.address()));
    let page = page.replace("--data data", &format!("--data {}", server.data().display()));
    let mut script = "set -euo pipefail\n".to_owned();
    let mut expectations = 0;
    for line in blocks(&page, "sh").into_iter().flat_map(str::lines) {
        match line.strip_prefix("#> ") {
            Some(expected) => {
                expectations += 1;
                let text = expected.replace('\'', "'\\''");
                writeln!(script, "case \"$out\" in *'{text}'*) ;; *) echo 'not: {text}'; echo \"$out\"; exit 1;; esac").unwrap();
            }
            None if line.starts_with("export ") || line.starts_with("value()") => {
                writeln!(script, "{line}").unwrap()
            }
            None => writeln!(script, "out=$({line})").unwrap(),
        }
    }
    assert!(expectations >= 45, "{expectations}");
    let programs = binary("spanwire").parent().unwrap().to_owned();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut bash = command("timeout");
    bash.args(["-s", "KILL", "60", "bash", "-c", &script]).env("PATH", path);
    let ended = finish(bash).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test]
async fn the_python_does_what_it_says() {
    let world = World::with("[sso.signup]\nalways_return_confirm_token = true\n", OBJECTS).await;
    let page = page();
    let program = blocks(&page, "python").concat();
    assert!(program.matches("call(").count() >= 40);
    let mut python = command("timeout");
    let sso = format!("http://{}/zato/sso", world.server.address());
    python.args(["-s", "KILL", "60", "python3", "-c", &program]).env("SSO", sso);
    let ended = finish(python).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

fn text(answer: &Value, key: &str) -> String {
    answer[key].as_str().unwrap().to_owned()
}

include!(concat!(env!("OUT_DIR"), "/sso_examples.rs"));

#[tokio::test]
async fn the_rust_does_what_it_says() {
    let mut settings =
        spanwire_runtime::Settings { listen: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    settings.sso.hash.rounds = 1_000;
    settings.sso.apps.signup_allowed = Some(vec!["CRM".to_owned()]);
    settings.sso.signup.always_return_confirm_token = Some(true);
    let app = App::builder()
        .settings(settings)
        .objects(format!("{OBJECTS}{EXAMPLES}"))
        .service_fn("examples", async |ctx: Context, _: Value| {
            examples(ctx)
                .await
                .map_err(|error: SsoError| ServiceError::bad_request(error.to_string()))
        })
        .start()
        .await
        .unwrap();
    let root = spanwire_sso::NewUser {
        username: "root".to_owned(),
        password: Some(spanwire_sso::Secret::new(PASSWORD.to_owned())),
        is_super_user: true,
        ..Default::default()
    };
    let sso = app.sso().unwrap();
    sso.create_user_as_operator(&spanwire_sso::Call::internal("test"), &root, true).unwrap();
    let done = request(app.address(), "POST", "/examples", &[], "{}").await;
    assert_eq!(done.status, 200, "{done:?}");
    app.shutdown().await;
}
