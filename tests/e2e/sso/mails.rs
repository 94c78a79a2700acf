//! Signing up, and passwords that were forgotten, by mail.

use serde_json::json;
use spanwire_tests::eventually;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{PASSWORD, World};
use crate::cli::on;

/// The token of a mail: alone on its line, or at the end of a link.
fn token(mail: &str) -> String {
    let text = mail.split("text/html").next().unwrap();
    let line = text.lines().find(|line| line.starts_with("  ")).unwrap_or_else(|| panic!("{mail}"));
    line.trim().rsplit('#').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_sign_up_from_the_first_mail_to_the_welcome() {
    let world = World::with(
        "[sso.signup]\nemail_confirm_url = 'https://e.org/c#'\nemail_reject_enabled = true\n",
        "security: []",
    )
    .await;
    let request = json!({"username": "joe", "password": PASSWORD, "email": "joe@example.com"});
    let answer = world.ok("POST", "/user/signup", request.clone()).await;
    assert!(answer.get("confirm_token").is_none(), "only the mail has it: {answer}");
    let mail = world.mail(0).await;
    assert!(
        mail.contains("To: joe@example.com") && mail.contains("From: confirm@example.com"),
        "{mail}"
    );
    assert!(mail.contains("https://e.org/c#"), "{mail}");
    let login = json!({"username": "joe", "password": PASSWORD});
    assert_eq!(world.refused("POST", "/user/login", login.clone()).await, "E005003");
    // Looking at the link changes nothing: the page sends what the button says.
    assert_eq!(
        world.refused("PATCH", "/user/signup", json!({"confirm_token": "nonsense"})).await,
        "E005001"
    );
    // Lost? Again, with the same password: the new one works, the former does not.
    world.ok("POST", "/user/signup", request).await;
    let second = world.mail(1).await;
    assert_eq!(
        world.refused("PATCH", "/user/signup", json!({"confirm_token": token(&mail)})).await,
        "E005001"
    );
    world.ok("PATCH", "/user/signup", json!({"confirm_token": token(&second)})).await;
    assert_eq!(
        world.refused("PATCH", "/user/signup", json!({"confirm_token": token(&second)})).await,
        "E005001"
    );
    assert_eq!(world.refused("POST", "/user/login", login.clone()).await, "E005004");
    let found = world
        .ok("GET", "/user/search", json!({"ust": world.root, "approval_status": "before_decision"}))
        .await;
    assert_eq!(found["total"], 1, "{found}");
    let id = &found["result"][0]["user_id"];
    // Told once, however often it is decided.
    for _ in 0..2 {
        world.ok("POST", "/user/reject", json!({"ust": world.root, "user_id": id})).await;
    }
    let rejected = world.mail(2).await;
    assert!(
        rejected.contains("Subject: Your account at Our site")
            && rejected.contains("was not approved"),
        "{rejected}"
    );
    world.ok("POST", "/user/approve", json!({"ust": world.root, "user_id": id})).await;
    let welcome = world.mail(3).await;
    assert!(
        welcome.contains("Subject: Welcome to Our site")
            && welcome.contains("From: welcome@example.com"),
        "{welcome}"
    );
    world.ok("POST", "/user/login", login).await;
    assert_eq!(
        world.refused("POST", "/user/signup", json!({"username": "x", "password": PASSWORD})).await,
        "E005001"
    );
}

#[tokio::test]
async fn a_password_that_was_forgotten() {
    let world = World::start().await;
    let id = world.create("joe").await;
    world
        .ok("PATCH", "/user", json!({"ust": world.root, "user_id": id, "email": "joe@example.com"}))
        .await;
    let session = world.login("joe").await;
    // Section 9, 46: nobody is told whether there is such a user.
    for name in ["nobody", "root", "joe"] {
        let answer = world.ok("POST", "/password/reset", json!({"credential": name})).await;
        assert_eq!(answer.as_object().unwrap().len(), 3, "{answer}");
    }
    let token = token(&world.mail(0).await);
    let key =
        world.ok("PATCH", "/password/reset", json!({ "token": token })).await["reset_key"].clone();
    let complete = |password: &str| json!({"token": token, "reset_key": key, "password": password});
    assert_eq!(world.refused("DELETE", "/password/reset", complete("short")).await, "E003002");
    world.ok("DELETE", "/password/reset", complete("another horse another staple")).await;
    assert_eq!(
        world.refused("DELETE", "/password/reset", complete("a third horse, a third staple")).await,
        "E010001"
    );
    assert_eq!(world.refused("GET", "/user", json!({"ust": session})).await, "E007001");
    world
        .ok(
            "POST",
            "/user/login",
            json!({"username": "joe", "password": "another horse another staple"}),
        )
        .await;
    assert_eq!(world.mails().len(), 1);
    assert!(!world.server.log().contains(&token));
}

/// A server that takes mails, and says what came.
async fn smtp() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mails) = mpsc::channel(10);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                let (mut mail, mut in_data) = (String::new(), false);
                let _ = write.write_all(b"220 test\r\n").await;
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer = match (in_data, line.as_str()) {
                        (true, ".") => {
                            in_data = false;
                            let _ = sender.send(std::mem::take(&mut mail)).await;
                            "250 ok\r\n"
                        }
                        (true, _) => {
                            mail += &(line + "\n");
                            continue;
                        }
                        (false, "DATA") => {
                            in_data = true;
                            "354 go on\r\n"
                        }
                        (false, "QUIT") => "221 bye\r\n",
                        (false, _) => "250 ok\r\n",
                    };
                    let _ = write.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    (format!("smtp://{address}"), mails)
}

#[tokio::test]
async fn mails_go_to_a_server() {
    let (server, mut mails) = smtp().await;
    let world = World::start().await;
    let id = world.create("joe").await;
    world
        .ok("PATCH", "/user", json!({"ust": world.root, "user_id": id, "email": "joe@example.com"}))
        .await;
    // Settings are taken while it runs.
    let file = world.server.data().join("spanwire.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let line = text.lines().find(|line| line.starts_with("server = 'file:")).unwrap();
    std::fs::write(&file, text.replace(line, &format!("server = '{server}'"))).unwrap();
    assert_eq!(on(&world.server, &["config", "reload"]).await.code, 0);
    world.ok("POST", "/password/reset", json!({"credential": "joe"})).await;
    let mail = tokio::time::timeout(spanwire_tests::PATIENCE, mails.recv()).await.unwrap().unwrap();
    assert!(
        mail.contains("Subject: Password reset") && mail.contains("To: joe@example.com"),
        "{mail}"
    );
    assert!(world.mails().is_empty());
    // A server that is not there is an error in the log, and nobody else's.
    std::fs::write(&file, text.replace(line, "server = 'smtp://127.0.0.1:1'")).unwrap();
    assert_eq!(on(&world.server, &["config", "reload"]).await.code, 0);
    world.ok("POST", "/password/reset", json!({"credential": "joe"})).await;
    eventually("it is logged", async || world.server.log().contains("a mail could not be sent"))
        .await;
}
