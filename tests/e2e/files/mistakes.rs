//! Every mistake is told with its file, line and key, and then nothing at all is applied.

mod cases;

use std::collections::BTreeSet;

use spanwire_tests::Server;

use self::cases::{CASES, Case, Found};
use super::{Folder, names, state};
use crate::process::{Finished, finish, server};

const THERE: &str = "security: [{name: there, type: basic_auth, username: there, password: x}]\n\
                     web_socket: [{name: there, address: /there, service: zato.ping, sec_def: there}]\n";

/// A folder with the files of a case, and a valid one; the one that is imported.
fn prepare(case: &Case) -> (Folder, &'static str) {
    let folder = Folder::new();
    folder.write("good.yaml", "pubsub_topic: [{name: /good}]\n");
    for (name, text) in case.files {
        folder.write(name, text);
    }
    (folder, case.files.first().map_or("a.yaml", |(name, _)| name))
}

/// Checks that all mistakes are told, each once, and no others.
fn check(case: &Case, ended: &Finished, lines: &[&str]) {
    assert!(ended.out.is_empty(), "{}: {ended:?}", case.what);
    for (begin, rest) in case.said {
        let found = lines.iter().filter(|line| line.starts_with(begin) && line.contains(rest));
        assert_eq!(found.count(), 1, "{}: {begin}…{rest} is not once in {ended:?}", case.what);
    }
    assert_eq!(lines.len(), case.said.len(), "{}: {ended:?}", case.what);
    for line in lines {
        assert!(line.len() < 400 && !line.contains(char::is_control), "{line}");
    }
}

#[tokio::test]
async fn a_running_server_is_left_as_it_was() {
    let server = Server::setup().objects(THERE).start();
    let before = state(&server).await;
    for case in CASES {
        let (folder, file) = prepare(case);
        for verb in [
            &["import"][..],
            &["import", "--replace"],
            &["import", "--replace", "--dry-run"],
            &["import", "--replace", "--label", "x", "--prune", "--yes"],
            &["diff"],
        ] {
            let ended = folder.enmasse(&server, &[verb, &["good.yaml", file]].concat()).await;
            let mut lines: Vec<&str> = ended.err.lines().collect();
            if case.found == Found::There {
                // Above the mistakes stands how many there are.
                let count = case.said.len();
                let expected =
                    format!("{count} mistake{} (422)", if count == 1 { "" } else { "s" });
                assert_eq!(lines.remove(0), expected, "{}: {ended:?}", case.what);
            }
            let code = if case.found == Found::Here { 2 } else { 1 };
            assert_eq!(ended.code, code, "{}: {ended:?}", case.what);
            check(case, &ended, &lines);
            assert_eq!(state(&server).await, before, "{}", case.what);
        }
    }
}

#[tokio::test]
async fn a_start_is_refused_with_the_same_words() {
    let mut running = Server::setup().objects(THERE).start();
    let before = state(&running).await;
    let mut said: Vec<BTreeSet<String>> = Vec::new();
    for case in CASES {
        let (folder, file) = prepare(case);
        let ended = folder.enmasse(&running, &["import", "good.yaml", file]).await;
        said.push(ended.err.lines().map(str::to_owned).collect());
    }
    assert!(running.stop().success());
    for (case, mut said) in CASES.iter().zip(said) {
        let (folder, file) = prepare(case);
        let import = ["--import", "good.yaml", "--import", file];
        for arguments in [&import[..], &[&["check"], &import[..]].concat()] {
            let mut start = server(&running.data(), arguments);
            start.current_dir(folder.path());
            let ended = finish(start).await;
            assert_eq!(ended.code, 2, "{}: {ended:?}", case.what);
            let lines: Vec<&str> = ended.err.lines().collect();
            check(case, &ended, &lines);
            said.retain(|line| !lines.contains(&line.as_str()));
        }
        said.retain(|line| !line.ends_with("(422)"));
        assert!(said.is_empty(), "{}: said only to a running server: {said:?}", case.what);
    }
    running.start_again();
    assert_eq!(state(&running).await, before);
}

/// E12 in Zato; here services may come later.
#[tokio::test]
async fn a_service_that_is_not_there_yet_is_a_warning() {
    let text = "channel_rest:\n- {name: r, url_path: /r, service: crm.late}\n";
    let folder = Folder::new();
    folder.write("a.yaml", text);
    let server = Server::setup().start();
    let said = "a.yaml:2: channel_rest 'r', field 'service': there is no service 'crm.late' yet";
    let ended = folder.enmasse(&server, &["import", "a.yaml"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.starts_with(&format!("warning: {said}")), "{ended:?}");
    assert_eq!(names(&server, "channel_rest").await, ["demo.echo", "r"]);
    let started = Server::setup().objects(text).start();
    assert!(started.log().contains("there is no service 'crm.late' yet"), "{}", started.log());
    assert_eq!(names(&started, "channel_rest").await, ["demo.echo", "r"]);
}

#[tokio::test]
async fn what_a_mistake_shows_of_a_file_is_no_secret_and_not_long() {
    let server = Server::setup().start();
    let long = "x".repeat(5_000);
    let texts = [
        "security:\n- {name: x, type: apikey, password:MARKED}\n".to_owned(),
        "security:\n- {name: x, type: apikey, password: [MARKED]}\n".to_owned(),
        "security:\n- {name: x, type: apikey, passwort: MARKED}\n".to_owned(),
        "service:\n- {name: x, url: 'http://u:MARKED@h'}\n".to_owned(),
        "service:\n- {name: x, url: 'http://h', method: Spanwire_Env.SECRET}\n".to_owned(),
        "security:\n- {name: x, type: apikey, password: MARKED\n".to_owned(),
        format!("security:\n- {{name: {long}, type: apikey}}\n"),
        format!("security:\n- {{name: x, type: {long}}}\n"),
        format!("{long}: []\n"),
        "security:\n- {name: \"a\\e[31m\", type: apikey}\n".to_owned(),
        "security:\n- {name: a, \"b\\e[31m\": apikey}\n".to_owned(),
    ];
    let folder = Folder::new();
    for text in texts {
        folder.write("o.yaml", &text);
        let variables = [("SECRET", "MARKED or not")];
        let ended = folder.enmasse_with(&server, &["import", "o.yaml"], &variables).await;
        assert_eq!((ended.code, &*ended.out), (1, ""), "{text:.80}: {ended:?}");
        assert!(!ended.err.contains("MARKED"), "{text:.80}: {ended:?}");
        assert!(ended.err.lines().all(|line| line.len() < 600), "{text:.80}: {ended:?}");
        assert!(ended.err.contains("o.yaml:"), "{text:.80}: {ended:?}");
        assert!(!ended.err.contains('\u{1b}'), "{text:.80}: {ended:?}");
    }
    assert!(!server.log().contains("MARKED"), "{}", server.log());
}
