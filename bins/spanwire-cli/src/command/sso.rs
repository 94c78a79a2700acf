//! `spanwire sso …`: users, their sessions, and the audit. Exit codes are those of existing scripts: 20 for a user who
//! exists, 21 for what is wrong with a password or a name, 22 for a user who does not exist.

mod import;

use serde_json::{Value, json};
use spanwire_protocol::admin::sso::{NewSsoUser, SsoCommand, SsoSearch};

use crate::args::{Audit, Lifetime, NewSsoArgs, Sso};
use crate::client::{Client, Failure};
use crate::confirm::Consent;
use crate::output::{self, Output};
use crate::secret::{self, Source};

pub(crate) fn run(verb: &Sso, client: &Client, output: &Output) -> Result<(), Failure> {
    let users = Users { client, output };
    match verb {
        Sso::CreateUser(new) => users.create(new, false),
        Sso::CreateSuperUser(new) => users.create(new, true),
        Sso::Show { username } => output.object(&users.of(username, &show(username))?),
        Sso::DeleteUser { username, yes } => users.delete(username, *yes),
        Sso::LockUser { username } => {
            let done = users.of(username, &SsoCommand::LockUser { username: username.clone() })?;
            output.result(&done, [format!("Locked user account `{username}`")])
        }
        Sso::UnlockUser { username } => {
            let done =
                users.of(username, &SsoCommand::UnlockUser { username: username.clone() })?;
            output.result(&done, [format!("Unlocked user account `{username}`")])
        }
        Sso::Login { username } => {
            let session = users.of(username, &SsoCommand::Login { username: username.clone() })?;
            output.object(&session)
        }
        Sso::Logout => {
            let ust = secret::read(Source::Stdin)?;
            let done = users.ask(&SsoCommand::Logout { ust })?;
            output.result(&done, ["User logged out by UST".to_owned()])
        }
        Sso::ResetTotpKey { username, key_stdin, key_label } => {
            users.reset_totp(username, *key_stdin, key_label)
        }
        Sso::ResetUserPassword { username, how } => {
            let set = users.of(username, &change(username, None, how))?;
            let password = set.get("password").and_then(Value::as_str).unwrap_or_default();
            output.result(&set, [format!("Password for user `{username}` reset to `{password}`")])
        }
        Sso::ChangeUserPassword { username, password_stdin, how } => {
            let password = secret::read(source(*password_stdin))?;
            let done = users.of(username, &change(username, Some(password), how))?;
            output.result(&done, [format!("Changed password for user `{username}`")])
        }
        Sso::List => users.list(&SsoSearch::default()),
        Sso::Search { name, email, sign_up_status, approval_status } => users.list(&SsoSearch {
            name: name.clone(),
            email: email.clone(),
            sign_up_status: sign_up_status.clone(),
            approval_status: approval_status.clone(),
            ..SsoSearch::default()
        }),
        Sso::Sessions { username } => {
            let sessions =
                users.of(username, &SsoCommand::Sessions { username: username.clone() })?;
            let rows = sessions.as_array().cloned().unwrap_or_default();
            output.list(
                &rows,
                &[
                    "session",
                    "auth_type",
                    "creation_time",
                    "expiration_time",
                    "remote_addr",
                    "user_agent",
                ],
            )
        }
        Sso::RevokeSessions { username } => {
            let ended =
                users.of(username, &SsoCommand::RevokeSessions { username: username.clone() })?;
            let count = ended.get("revoked").and_then(Value::as_u64).unwrap_or_default();
            output.result(&ended, [format!("Ended {count} sessions of user `{username}`")])
        }
        Sso::Import { file, dry_run } => import::run(&users, file, *dry_run),
        Sso::Export => users.export(),
        Sso::Audit(verb) => users.audit(verb),
        Sso::HashCalibrate { milliseconds } => {
            let found = users.ask(&SsoCommand::HashCalibrate { milliseconds: *milliseconds })?;
            let (rounds, took) = (at(&found, "rounds"), at(&found, "milliseconds"));
            output.result(
                &found,
                [format!("sso.hash.rounds = {rounds}: {took} ms for a password on this machine")],
            )
        }
    }
}

/// The users of a server.
struct Users<'a> {
    client: &'a Client,
    output: &'a Output,
}

impl Users<'_> {
    fn ask(&self, command: &SsoCommand) -> Result<Value, Failure> {
        let body = serde_json::to_vec(command).unwrap_or_default();
        self.client.post("sso", body)
    }

    /// A command about one user, whose failures have codes of their own.
    fn of(&self, username: &str, command: &SsoCommand) -> Result<Value, Failure> {
        self.ask(command).map_err(|failure| named(failure, username))
    }

    fn create(&self, new: &NewSsoArgs, is_super_user: bool) -> Result<(), Failure> {
        let password = secret::read(source(new.password_stdin))?;
        let user = NewSsoUser {
            username: new.username.clone(),
            password,
            is_super_user,
            email: new.email.clone(),
            display_name: new.display_name.clone(),
            first_name: new.first_name.clone(),
            middle_name: new.middle_name.clone(),
            last_name: new.last_name.clone(),
        };
        let created = self.of(&new.username, &SsoCommand::CreateUser(user))?;
        let kind = if is_super_user { "super-user" } else { "user" };
        self.output.result(&created, [format!("Created {kind} `{}`", new.username)])
    }

    fn delete(&self, username: &str, yes: bool) -> Result<(), Failure> {
        let consent = Consent::new(yes)?;
        self.of(username, &show(username))?;
        if consent.get(&format!("Delete user `{username}`?")).is_err() {
            return self.output.done(&format!("User `{username}` kept intact"));
        }
        let done = self.of(username, &SsoCommand::DeleteUser { username: username.to_owned() })?;
        self.output.result(&done, [format!("Deleted user `{username}`")])
    }

    fn reset_totp(&self, username: &str, key_stdin: bool, label: &str) -> Result<(), Failure> {
        let key = if key_stdin { secret::read(Source::Stdin)? } else { String::new() };
        let command = SsoCommand::ResetTotpKey {
            username: username.to_owned(),
            key,
            label: label.to_owned(),
        };
        let set = self.of(username, &command)?;
        if key_stdin {
            return self.output.result(&set, []);
        }
        let key = set.get("totp_key").and_then(Value::as_str).unwrap_or_default();
        self.output.result(&set, [format!("TOTP key for user `{username}` reset to `{key}`")])
    }

    /// Every user that matches, page by page.
    fn all(&self, search: &SsoSearch) -> Result<Vec<Value>, Failure> {
        let mut users = Vec::new();
        for page in 1.. {
            let found = self.ask(&SsoCommand::Search(SsoSearch {
                page: Some(page),
                page_size: Some(100),
                ..search.clone()
            }))?;
            users.extend(at(&found, "users").as_array().cloned().unwrap_or_default());
            if u64::from(page) >= at(&found, "num_pages").as_u64().unwrap_or_default() {
                break;
            }
        }
        Ok(users)
    }

    fn list(&self, search: &SsoSearch) -> Result<(), Failure> {
        let columns = [
            "username",
            "display_name",
            "user_id",
            "is_super_user",
            "is_locked",
            "approval_status",
            "sign_up_status",
        ];
        self.output.list(&self.all(search)?, &columns)
    }

    fn export(&self) -> Result<(), Failure> {
        let users = self.all(&SsoSearch::default())?;
        lines(&users)
    }

    fn audit(&self, verb: &Audit) -> Result<(), Failure> {
        match verb {
            Audit::List { after, limit, op, cid } => {
                let limit = usize::try_from(*limit).ok();
                let command = SsoCommand::AuditList {
                    after: *after,
                    limit,
                    op: op.clone(),
                    cid: cid.clone(),
                };
                let records = self.ask(&command)?.as_array().cloned().unwrap_or_default();
                let columns = [
                    "seq",
                    "timestamp_utc",
                    "op",
                    "result",
                    "sub_status",
                    "current_user",
                    "target_user",
                    "current_app",
                    "remote_addr",
                    "purpose",
                    "cid",
                ];
                self.output.list(&records, &columns)
            }
            Audit::Export { username } => {
                let records =
                    self.of(username, &SsoCommand::AuditExport { username: username.clone() })?;
                lines(records.as_array().map(Vec::as_slice).unwrap_or_default())
            }
            Audit::Verify => {
                let verified = self.ask(&SsoCommand::AuditVerify)?;
                let problems = at(&verified, "problems").as_array().cloned().unwrap_or_default();
                if problems.is_empty() {
                    let count = at(&verified, "records");
                    return self
                        .output
                        .result(&verified, [format!("{count} records, none changed or removed")]);
                }
                let text: Vec<String> = problems
                    .iter()
                    .map(|it| {
                        format!(
                            "record {}: {}",
                            at(it, "seq"),
                            at(it, "problem").as_str().unwrap_or_default()
                        )
                    })
                    .collect();
                Err(Failure::refusal(422, &text.join("\n")))
            }
        }
    }
}

/// A field; null where there is none.
fn at<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

/// One JSON value a line.
fn lines(values: &[Value]) -> Result<(), Failure> {
    for value in values {
        output::line(&value.to_string())?;
    }
    Ok(())
}

fn show(username: &str) -> SsoCommand {
    SsoCommand::ShowUser { username: username.to_owned() }
}

fn change(username: &str, password: Option<String>, how: &Lifetime) -> SsoCommand {
    SsoCommand::ChangePassword {
        username: username.to_owned(),
        password,
        expiry: how.expiry,
        must_change: how.must_change,
    }
}

fn source(is_stdin: bool) -> Source {
    if is_stdin { Source::Stdin } else { Source::Prompt }
}

/// What scripts know a failure by.
fn named(failure: Failure, username: &str) -> Failure {
    let detail = failure.detail();
    let reason = detail.split(':').next().unwrap_or_default();
    match reason {
        "E001002" => Failure::Known { code: 20, text: format!("User already exists `{username}`") },
        "E001100" => Failure::Known { code: 22, text: format!("No such SSO user `{username}`") },
        code if code.starts_with("E001")
            || code.starts_with("E002")
            || code.starts_with("E003") =>
        {
            Failure::Known { code: 21, text: format!("Validation error, reason code:{detail}") }
        }
        _ => failure,
    }
}

/// What is asked of the server at a time.
fn import_command(users: Vec<Value>, first_line: u64, dry_run: bool) -> SsoCommand {
    SsoCommand::Import { users, first_line, dry_run }
}

/// A report as a line.
fn report_line(report: &Value) -> String {
    let text = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
    let problem = match text("problem") {
        problem if problem.is_empty() => String::new(),
        problem => format!(": {problem}"),
    };
    format!("line {} {} {}{problem}", at(report, "line"), text("username"), text("result"))
}

/// Where a report stands in the whole.
fn summary(reports: &[Value]) -> Value {
    let count =
        |result: &str| reports.iter().filter(|report| at(report, "result") == result).count();
    json!({
        "created": count("created"), "would_be_created": count("would be created"), "exists": count("exists"),
        "failed": count("failed"),
    })
}
