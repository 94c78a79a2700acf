//! docs/federation.md, command by command.

use std::fmt::Write as _;

use spanwire_tests::server::{binary, command, workspace};

use crate::process::finish;

/// The commands of the page, each with a check of what it has to print.
fn script(page: &str) -> String {
    let mut script =
        "set -euo pipefail\ntrap 'kill $(jobs -p) 2> /dev/null; wait' EXIT\n".to_owned();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    for line in blocks.flat_map(str::lines) {
        match line.strip_prefix("#> ") {
            Some(expected) => writeln!(
                script,
                "case \"$out\" in *'{expected}'*) ;; *) echo \"not: {0}\"; echo \"$out\"; exit 1;; esac",
                expected.replace('"', "\\\"")
            ),
            None if line.ends_with('&') || line.starts_with("until ") || line.starts_with("export ") => {
                writeln!(script, "{line}")
            }
            None => writeln!(script, "out=$({line})"),
        }
        .unwrap();
    }
    script
}

#[tokio::test]
async fn the_walk_through_does_what_it_says() {
    let mut page = std::fs::read_to_string(workspace().join("docs/federation.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let example = workspace().join("examples/federation");
    for file in ["cluster-a.yaml", "cluster-b.yaml", "hook.py"] {
        std::fs::copy(example.join(file), folder.path().join(file)).unwrap();
    }
    // Nobody else's ports.
    let ports = ["17011", "8184", "9000", "17010", "8183"]
        .map(|port| (port, std::net::TcpListener::bind("127.0.0.1:0").unwrap()));
    for (port, free) in &ports {
        page =
            page.replace(&format!(":{port}"), &format!(":{}", free.local_addr().unwrap().port()));
        page = page
            .replace(&format!(".py {port}"), &format!(".py {}", free.local_addr().unwrap().port()));
    }
    drop(ports);
    let script = script(&page);
    let expectations = page.matches("\n#> ").count();
    assert!(expectations >= 6, "{expectations}");
    let programs = binary("spanwire-server").parent().unwrap().to_owned();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    // Which ends what it has started, too.
    let mut bash = command("timeout");
    bash.args(["-s", "KILL", "12", "bash", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path);
    let ended = finish(bash).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{script}");
}
