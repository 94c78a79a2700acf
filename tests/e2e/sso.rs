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

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use spanwire_tests::http::{Answer, request};
use spanwire_tests::{Server, eventually};

use crate::cli::passwords::with_stdin;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Hashes that take no time, mails in a folder, and a super-user `root`.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) root: String,
    mails: tempfile::TempDir,
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
        let mut world = Self { server, root: String::new(), mails };
        world.root = world.login("root").await;
        world
    }

    /// Any call; `ok` or not.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let path = format!("/zato/sso{path}");
        request(self.server.address(), method, &path, &[], &body.to_string()).await
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

fn with_app(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.entry("current_app").or_insert_with(|| "CRM".into());
    }
    body
}
