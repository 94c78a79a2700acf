//! Single sign-on over HTTP and WebSockets.

mod basics;
mod crash;
mod linked;
mod mails;
mod matrix;
mod operators;
mod profiles;
mod schema;
mod secrecy;
mod sockets;
mod walkthrough;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::{Value, json};
use spanwire_tests::http::{Answer, request};
use spanwire_tests::secrecy::{contains, files};
use spanwire_tests::{Server, eventually};

use crate::cli::passwords::with_stdin;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Hashes that take no time, mails in a folder, and a super-user `root`.
///
/// At its end, no secret that went through it may be in the server's files or in what it logged.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) root: String,
    mails: tempfile::TempDir,
    secrets: Mutex<BTreeSet<String>>,
}

pub(crate) fn settings(mails: &std::path::Path, more: &str) -> String {
    format!(
        "[sso]\nsite_name = 'Our site'\n\
         [sso.hash]\nrounds = 1000\n\
         [sso.apps]\nsignup_allowed = ['CRM']\n\
         [sso.mail]\nserver = 'file:{}'\nper_recipient = 1000\nper_address = 10000\n{more}",
        mails.display()
    )
}

impl World {
    /// Around a server that nobody has used yet.
    pub(crate) fn of(server: Server, mails: tempfile::TempDir) -> Self {
        Self { server, root: String::new(), mails, secrets: Mutex::default() }
    }

    pub(crate) async fn start() -> Self {
        Self::with("", "security: []").await
    }

    pub(crate) async fn with(more: &str, objects: &str) -> Self {
        let mails = tempfile::tempdir().unwrap();
        let server =
            Server::setup().settings(&settings(mails.path(), more)).objects(objects).start();
        let created = with_stdin(
            &server,
            &["sso", "create-super-user", "root", "--password-stdin"],
            &format!("{PASSWORD}\n"),
        )
        .await;
        assert_eq!(created.code, 0, "{created:?}");
        let mut world = Self::of(server, mails);
        world.root = world.login("root").await;
        world
    }

    /// Any call; `ok` or not.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let path = format!("/zato/sso{path}");
        let answer = request(self.server.address(), method, &path, &[], &body.to_string()).await;
        self.note(body);
        if let Ok(told) = serde_json::from_str(&answer.body) {
            self.note(&told);
        }
        answer
    }

    /// Remembers what is secret of a call or of its answer.
    fn note(&self, fields: &Value) {
        let is_encrypted = fields["encrypt"] == true;
        let secret = fields.as_object().into_iter().flatten().filter_map(|(name, value)| {
            let is_secret =
                SECRET_FIELDS.contains(&name.as_str()) || (is_encrypted && name == "value");
            // Shorter ones are in some file by chance.
            value.as_str().filter(|text| is_secret && text.len() >= 12)
        });
        self.secrets.lock().unwrap().extend(secret.map(str::to_owned));
    }

    /// A call of an application, which has to succeed.
    pub(crate) async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.send(method, path, &with_app(body)).await;
        let json = answer.json();
        assert_eq!(
            (answer.status, &json["status"]),
            (200, &json!("ok")),
            "{method} {path}: {json}"
        );
        assert_eq!(json["cid"].as_str().unwrap().len(), 24, "{json}");
        json
    }

    /// A call of an application, which has to be refused; tells with what.
    pub(crate) async fn refused(&self, method: &str, path: &str, body: Value) -> String {
        let answer = self.send(method, path, &with_app(body)).await;
        let json = answer.json();
        assert_eq!(
            (answer.status, &json["status"]),
            (403, &json!("error")),
            "{method} {path}: {json}"
        );
        assert_eq!(json.as_object().unwrap().len(), 3, "{json}");
        let codes = json["sub_status"].as_array().unwrap();
        assert_eq!(codes.len(), 1, "{json}");
        codes[0].as_str().unwrap().to_owned()
    }

    pub(crate) async fn login(&self, name: &str) -> String {
        let body = json!({"username": name, "password": PASSWORD});
        self.ok("POST", "/user/login", body).await["ust"].as_str().unwrap().to_owned()
    }

    /// A user who can log in; tells the id.
    pub(crate) async fn create(&self, name: &str) -> String {
        let body =
            json!({"ust": self.root, "username": name, "password": PASSWORD, "auto_approve": true});
        self.ok("POST", "/user", body).await["user_id"].as_str().unwrap().to_owned()
    }

    /// Mails so far, the oldest first.
    pub(crate) fn mails(&self) -> Vec<String> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.mails.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|it| it == "eml"));
        files.sort();
        files.iter().map(|file| fs::read_to_string(file).unwrap()).collect()
    }

    /// The mail that is sent next after `count`.
    pub(crate) async fn mail(&self, count: usize) -> String {
        eventually("a mail is sent", async || self.mails().len() > count).await;
        self.mails()[count].clone()
    }
}

const SECRET_FIELDS: [&str; 12] = [
    "ust",
    "current_ust",
    "target_ust",
    "password",
    "old_password",
    "new_password",
    "email",
    "confirm_token",
    "reset_token",
    "token",
    "reset_key",
    "totp_key",
];

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.server.kill();
        let secrets = std::mem::take(&mut *self.secrets.lock().unwrap());
        assert_nowhere(&self.server, &secrets);
    }
}

/// No such text is in a file or in the log of a server that has ended.
fn assert_nowhere(server: &Server, secrets: &BTreeSet<String>) {
    let files = files(&server.data());
    let stored = files.iter().map(|file| (file.display().to_string(), fs::read(file).unwrap()));
    let log = ("the log".to_owned(), server.log().into_bytes());
    for (place, bytes) in stored.chain([log]) {
        for secret in secrets {
            assert!(!contains(&bytes, secret), "{secret} is in {place}");
        }
    }
}

fn with_app(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.entry("current_app").or_insert_with(|| "CRM".into());
    }
    body
}
