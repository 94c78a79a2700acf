//! Single sign-on: what logins do to calls, how fast sessions are verified, how long a search takes, and whether time tells
//! who exists.

mod search;
mod timing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use spanwire_protocol::Payload;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Result;
use crate::args::{Common, Sso};
use crate::child::Child;
use crate::client::Client;
use crate::table::{self, Figure};

pub(crate) async fn measure(common: &Common, how: &Sso) -> Result<()> {
    let mut figures = logins(common, how, "pbkdf2-sha512").await?;
    figures.extend(logins(common, how, "argon2id").await?);
    table::show("sso: logins, and calls of an echo service meanwhile", &figures, common, true)?;
    let figures = verifications(common, how).await?;
    table::show(
        "sso: verifying sessions, beside an echo service over REST",
        &figures,
        common,
        false,
    )?;
    let users = how.users;
    let figure = tokio::task::spawn_blocking(move || search::measure(users)).await??;
    table::show("sso: searching", &[figure], common, false)?;
    let tries = how.tries;
    let figures = tokio::task::spawn_blocking(move || timing::measure(tries)).await??;
    table::show("sso: how long a refused login takes", &figures, common, false)
}

/// A connection that is kept, and one request after the other on it.
struct Http(TcpStream);

impl Http {
    async fn open(child: &Child) -> Result<Self> {
        let stream = TcpStream::connect(child.target.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends a request, and returns the body of its answer.
    async fn ask(&mut self, request: &[u8], buffer: &mut Vec<u8>) -> Result<()> {
        self.0.write_all(request).await?;
        buffer.clear();
        loop {
            if self.0.read_buf(buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") else { continue };
            let head =
                std::str::from_utf8(buffer.get(..end).unwrap_or_default())?.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap_or("0").trim().parse()?;
            if buffer.len() >= end + 4 + length {
                buffer.drain(..end + 4);
                return Ok(());
            }
        }
    }
}

fn request(method: &str, path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn json(child: &Child, method: &str, path: &str, body: &Value) -> Result<Value> {
    let mut answer = Vec::new();
    Http::open(child).await?.ask(&request(method, path, body), &mut answer).await?;
    Ok(serde_json::from_slice(&answer)?)
}

const PASSWORD: &str = "correct horse battery staple";
const APP: &str = "CRM";

/// A server with a super-user; returns a session of that user.
async fn start(common: &Common, settings: &str) -> Result<(Child, String)> {
    let rest = "channel_rest: [{name: echo, url_path: /echo, service: zato.helpers.echo, security_name: zato-no-security, data_format: json}]\n";
    let child = Child::with_settings(common, settings, rest).await?;
    let (address, token) = child.admin()?;
    let body = json!({"command": "create-user", "username": "root", "password": PASSWORD, "is_super_user": true}).to_string();
    let text = format!(
        "POST /api/v1/sso HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(text.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if !answer.starts_with("HTTP/1.1 200") {
        return Err(format!("no super-user: {answer}").into());
    }
    let login = login(&child, "root").await?;
    Ok((child, login))
}

async fn login(child: &Child, username: &str) -> Result<String> {
    let body = json!({"username": username, "password": PASSWORD, "current_app": APP});
    let answer = json(child, "POST", "/zato/sso/user/login", &body).await?;
    let ust = answer.get("ust").and_then(Value::as_str);
    Ok(ust.ok_or_else(|| format!("no login: {answer}"))?.to_owned())
}

/// Calls one after the other over one WebSocket: how long each takes, without and with logins at the same time.
async fn logins(common: &Common, how: &Sso, scheme: &str) -> Result<Vec<Figure>> {
    let (child, _) = start(common, &format!("[sso.hash]\nscheme = '{scheme}'\n")).await?;
    let span = Duration::from_secs_f64(how.seconds);
    let quiet = calls(&child, span).await?;
    let is_over = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let mut users = JoinSet::new();
    for _ in 0..how.callers {
        let (is_over, count) = (Arc::clone(&is_over), Arc::clone(&count));
        let mut http = Http::open(&child).await?;
        let body = json!({"username": "root", "password": PASSWORD, "current_app": APP});
        let request = request("POST", "/zato/sso/user/login", &body);
        users.spawn(async move {
            let mut answer = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                http.ask(&request, &mut answer).await?;
                if memchr::memmem::find(&answer, b"\"ust\"").is_none() {
                    return Err(format!("no login: {}", String::from_utf8_lossy(&answer)).into());
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, crate::Failure>(())
        });
    }
    let begun = Instant::now();
    let busy = calls(&child, span).await?;
    let per_second = count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    is_over.store(true, Ordering::Relaxed);
    while let Some(user) = users.join_next().await {
        user??;
    }
    let millis = |histogram: &Histogram<u64>, quantile: f64| {
        Some(histogram.value_at_quantile(quantile) as f64 / 1_000.0)
    };
    let figure = |name: String, histogram: &Histogram<u64>| {
        let mut figure = Figure::new("sso", name, "calls of an echo service");
        figure.p50_ms = millis(histogram, 0.5);
        figure.p99_ms = millis(histogram, 0.99);
        figure
    };
    let alone = figure(format!("{scheme}: alone"), &quiet);
    let mut beside = figure(format!("{scheme}: {per_second:.1} logins/s meanwhile"), &busy);
    beside.per_second = Some(per_second);
    beside.ratio = beside.p99_ms.zip(alone.p99_ms).map(|(busy, quiet)| busy / quiet);
    beside.at_most("p99 to that alone", beside.ratio, 1.5);
    Ok(vec![alone, beside])
}

/// At a pace at which the server has nothing else to do.
async fn calls(child: &Child, span: Duration) -> Result<Histogram<u64>> {
    let data = Payload::from_json(r#"{"data":"0123456789012345678901234567890123456789"}"#)?;
    let mut client = Client::open(&child.target).await?;
    let call = client.call(&data);
    let mut histogram = Histogram::new(3)?;
    let begun = Instant::now();
    while begun.elapsed() < span {
        let sent = Instant::now();
        client.exchange(&call).await?;
        histogram.record(u64::try_from(sent.elapsed().as_micros())?)?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(histogram)
}

/// Over as many kept connections as there are callers, one request after the other on each.
async fn verifications(common: &Common, how: &Sso) -> Result<Vec<Figure>> {
    let (child, root) = start(common, "").await?;
    let target = login(&child, "root").await?;
    let echo = request(
        "POST",
        "/echo",
        &json!({"current_app": APP, "current_ust": root, "target_ust": target}),
    );
    let verify = request(
        "POST",
        "/zato/sso/user/session",
        &json!({"current_app": APP, "current_ust": root, "target_ust": target}),
    );
    let own = request("GET", "/zato/sso/user", &json!({"current_app": APP, "ust": root}));
    let span = Duration::from_secs_f64(how.seconds);
    let echoed = rate(&child, &echo, b"target_ust", how.callers, span).await?;
    let mut figures = Vec::new();
    let figure = |name: &str, per_second: f64| {
        let mut figure = Figure::new("sso", name, "one after the other on each connection");
        figure.per_second = Some(per_second);
        figure
    };
    figures.push(figure("an echo service over REST", echoed));
    for (name, request, expected) in
        [("verify", &verify, &b"\"is_valid\":true"[..]), ("get oneself", &own, b"\"root\"")]
    {
        let done = rate(&child, request, expected, how.callers, span).await?;
        let mut figure = figure(name, done);
        figure.ratio = Some(done / echoed);
        if name == "verify" {
            figure.at_least("of the echo", figure.ratio, 0.5);
        }
        figures.push(figure);
    }
    Ok(figures)
}

async fn rate(
    child: &Child,
    request: &[u8],
    expected: &[u8],
    callers: u32,
    span: Duration,
) -> Result<f64> {
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..callers {
        let (mut http, request, expected) =
            (Http::open(child).await?, request.to_vec(), expected.to_vec());
        tasks.spawn(async move {
            let (mut answer, mut count) = (Vec::new(), 0_u64);
            while begun.elapsed() < span {
                http.ask(&request, &mut answer).await?;
                if memchr::memmem::find(&answer, &expected).is_none() {
                    return Err(
                        format!("not as expected: {}", String::from_utf8_lossy(&answer)).into()
                    );
                }
                count += 1;
            }
            Ok::<_, crate::Failure>(count)
        });
    }
    let mut all = 0;
    while let Some(count) = tasks.join_next().await {
        all += count??;
    }
    Ok(all as f64 / begun.elapsed().as_secs_f64())
}
