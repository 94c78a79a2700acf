//! Mails on their way: to a server, or into a folder for whoever develops.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use lettre::message::MultiPart;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{Message, SmtpTransport, Transport as _};
use spanwire_sso::Sso;
use spanwire_sso::mail::Mail;
use spanwire_sso::settings;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(super) struct Mailer {
    sso: Sso,
}

impl Mailer {
    pub(super) fn new(sso: Sso) -> Self {
        Self { sso }
    }

    /// Sends what comes, one after the other. What waits when the server stops is lost: the mail of a sign-up or of a
    /// password reset can be asked for again.
    pub(super) async fn run(self, mut mails: mpsc::Receiver<Mail>, stop: CancellationToken) {
        while let Some(Some(mail)) = stop.run_until_cancelled(mails.recv()).await {
            let message = match message(&mail) {
                Ok(message) => message,
                Err(problem) => {
                    tracing::error!(subject = mail.subject, problem, "a mail cannot be sent");
                    continue;
                }
            };
            for pause in PAUSES {
                let (settings, tried) = (self.sso.settings(), message.clone());
                let sending = tokio::task::spawn_blocking(move || send(&settings.mail, &tried));
                let problem = match sending.await {
                    Ok(Ok(())) => break,
                    Ok(Err(problem)) => problem,
                    Err(_) => "sending ended unexpectedly".to_owned(),
                };
                // Neither the recipient nor the body belongs in a log.
                tracing::error!(subject = mail.subject, problem, "a mail could not be sent");
                if pause.is_zero()
                    || stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none()
                {
                    break;
                }
            }
        }
    }
}

fn send(settings: &settings::Mail, message: &Message) -> Result<(), String> {
    let server = settings.server.as_str();
    if server.is_empty() {
        tracing::warn!("there is no sso.mail.server: a mail was not sent");
        return Ok(());
    }
    if let Some(folder) = server.strip_prefix("file:") {
        return leave(Path::new(folder), message);
    }
    let (scheme, rest) = server.split_once("://").ok_or("sso.mail.server has no scheme")?;
    let rest = rest.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, Some(port.parse::<u16>().map_err(|_| "sso.mail.server has no valid port")?))
        }
        _ => (rest, None),
    };
    let plain = |error: lettre::transport::smtp::Error| error.to_string();
    let builder = match scheme {
        "smtps" => SmtpTransport::relay(host).map_err(plain)?,
        "smtp+starttls" => SmtpTransport::starttls_relay(host).map_err(plain)?,
        _ => SmtpTransport::builder_dangerous(host),
    };
    let mut builder = builder.timeout(Some(TIMEOUT));
    if let Some(port) = port {
        builder = builder.port(port);
    }
    if let Some(file) = &settings.password_file {
        let password = std::fs::read_to_string(file)
            .map_err(|error| format!("sso.mail.password_file cannot be read: {error}"))?;
        builder = builder.credentials(Credentials::new(
            settings.username.clone(),
            password.trim_end().to_owned(),
        ));
    }
    builder.build().send(message).map(drop).map_err(plain)
}

fn message(mail: &Mail) -> Result<Message, String> {
    let address =
        |text: &str, what: &str| text.parse().map_err(|_| format!("{what} is no e-mail address"));
    Message::builder()
        .from(address(&mail.from, "the sender")?)
        .to(address(&mail.to, "the recipient")?)
        .subject(&mail.subject)
        .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
        .map_err(|error| error.to_string())
}

/// A file for each mail, for its owner's eyes.
fn leave(folder: &Path, message: &Message) -> Result<(), String> {
    let problem = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(problem)?;
    let name = spanwire_crypto::random::hex_token(8).map_err(|error| error.to_string())?;
    let time = spanwire_channel::clock::timestamp().as_microseconds();
    let name = format!("{time}-{}", name.expose());
    let part = folder.join(format!("{name}.part"));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(problem)?;
    file.write_all(&message.formatted()).map_err(problem)?;
    // Whoever watches the folder sees whole files only.
    std::fs::rename(&part, folder.join(format!("{name}.eml"))).map_err(problem)
}

/// Between attempts; after the last one there is none.
const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(20), Duration::ZERO];
const TIMEOUT: Duration = Duration::from_secs(15);
