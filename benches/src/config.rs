//! Configuration: a start with many objects, changes of one among them, and what clients of others notice.
//!
//! There is nothing to compare a start and a change with; the third figure is a ratio, of the latency while changes are
//! made to the latency while none are.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use spanwire_protocol::{Codec, Payload};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Result;
use crate::args::{Common, Config};
use crate::child::{Child, raise_descriptor_limit};
use crate::client::{Client, Target};

/// Measures all three and prints a line for each.
pub(crate) async fn measure(common: &Common, how: &Config) -> Result<()> {
    raise_descriptor_limit();
    let mut child = Child::with_objects(common, &objects(how.objects)).await?;
    let mut starts = Vec::new();
    for _ in 0..common.rounds() {
        starts.push(child.restart(common).await?);
    }
    println!("start with {} objects: {} (goal: below 2 s)", how.objects, spread(&mut starts));
    println!("resident memory then: {} MiB", child.resident_kib()? / 1024);

    let mut api = Api::open(&child).await?;
    let mut changes = Vec::new();
    for number in 0..how.changes {
        changes.push(api.change(how.objects, number).await?);
    }
    println!(
        "one change among them, as its caller sees it: {} (goal: below 50 ms)",
        spread(&mut changes)
    );

    let mut ratios = Vec::new();
    for _ in 0..common.rounds() {
        let (mut quiet, mut changed) = noticed(&child, common, how, &mut api).await?;
        let (quiet, changed) = (percentile(&mut quiet, 0.99), percentile(&mut changed, 0.99));
        let ratio = changed.as_secs_f64() / quiet.as_secs_f64().max(1e-9);
        println!(
            "p99 of {} sockets: {quiet:.2?} without changes, {changed:.2?} with them, ratio {ratio:.2}",
            how.sockets
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().unwrap_or_default();
    println!("median ratio {median:.2} (goal: at most 1.5)");
    Ok(())
}

/// A quarter each of credentials, services behind HTTP, WebSocket channels and REST channels.
fn objects(count: u32) -> String {
    let quarter = count / 4;
    let section = |head: &str, line: &dyn Fn(u32, &mut String)| {
        let mut text = format!("{head}:\n");
        (0..quarter).for_each(|n| line(n, &mut text));
        text
    };
    // Writing to a text cannot fail. The file begins with two sections in flow style, so these are other kinds.
    let services = section("service", &|n, text| {
        let _ = writeln!(text, "  - {{name: s{n}, url: 'http://127.0.0.1:9/{n}'}}");
    });
    let gateways = section("wsx_gateway", &|n, text| {
        let _ = writeln!(text, "  - {{name: g{n}, services_allowed: [zato.ping, 's{n}']}}");
    });
    let rest = section("channel_rest", &|n, text| {
        let _ = writeln!(
            text,
            "  - {{name: r{n}, url_path: '/api/{n}/{{id}}', service: s{n}, security_name: bench}}"
        );
    });
    let topics = section("pubsub_topic", &|n, text| {
        let _ = writeln!(text, "  - {{name: /t/{n}}}");
    });
    [services, gateways, rest, topics].concat()
}

/// One connection to the admin API.
struct Api {
    stream: TcpStream,
    token: String,
}

impl Api {
    async fn open(child: &Child) -> Result<Self> {
        let (address, token) = child.admin()?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, token })
    }

    /// Changes one object, another one each time; tells how long that took.
    async fn change(&mut self, objects: u32, number: u32) -> Result<Duration> {
        let which = number.wrapping_mul(7919) % (objects / 4);
        let (path, body) = match number % 3 {
            0 => (format!("service/s{which}"), format!("{{\"timeout\": {}}}", 1 + number % 1000)),
            1 => (
                format!("channel_rest/r{which}"),
                format!("{{\"timeout\": {}}}", 1 + number % 1000),
            ),
            _ => (
                format!("wsx_gateway/g{which}"),
                format!("{{\"services_allowed\": [\"a{number}\"]}}"),
            ),
        };
        let request = format!(
            "PATCH /api/v1/objects/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        let begun = Instant::now();
        self.stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        loop {
            let mut chunk = [0; 4096];
            let read = self.stream.read(&mut chunk).await?;
            answer.extend_from_slice(chunk.get(..read).unwrap_or_default());
            let text = String::from_utf8_lossy(&answer);
            if read == 0
                || (text.contains("\r\n\r\n") && text.ends_with("}"))
                || text.ends_with("0\r\n\r\n")
            {
                break;
            }
        }
        let took = begun.elapsed();
        if answer.starts_with(b"HTTP/1.1 200") {
            Ok(took)
        } else {
            Err(format!("a change was refused: {}", String::from_utf8_lossy(&answer)).into())
        }
    }
}

const QUIET: u8 = 0;
const CHANGING: u8 = 1;
const STOPPING: u8 = 2;

/// Each socket calls this often: the figure is about waiting, not about a machine that is full.
const CALL_EVERY: Duration = Duration::from_millis(20);

/// Latencies of calls without and with changes.
async fn noticed(
    child: &Child,
    common: &Common,
    how: &Config,
    api: &mut Api,
) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let phase = Arc::new(AtomicU8::new(QUIET));
    let mut sockets = JoinSet::new();
    for _ in 0..how.sockets {
        sockets.spawn(call_often(child.target.clone(), Arc::clone(&phase)));
    }
    tokio::time::sleep(common.time()).await;
    phase.store(CHANGING, Ordering::Relaxed);
    let until = Instant::now() + common.time();
    let mut number = 0;
    while Instant::now() < until {
        api.change(how.objects, number).await?;
        number += 1;
    }
    phase.store(STOPPING, Ordering::Relaxed);
    let (mut quiet, mut changing) = (Vec::new(), Vec::new());
    while let Some(ended) = sockets.join_next().await {
        let (one, other) = ended??;
        quiet.extend(one);
        changing.extend(other);
    }
    Ok((quiet, changing))
}

async fn call_often(
    target: Target,
    phase: Arc<AtomicU8>,
) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let mut client = Client::open(&target).await?;
    let data = Payload::from_serialize(Codec::Json, &"x".repeat(100))?;
    let frame = client.call(&data);
    let (mut quiet, mut changing) = (Vec::new(), Vec::new());
    let mut interval = tokio::time::interval(CALL_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let now = phase.load(Ordering::Relaxed);
        let begun = Instant::now();
        client.exchange(&frame).await?;
        match now {
            QUIET => quiet.push(begun.elapsed()),
            CHANGING => changing.push(begun.elapsed()),
            _ => break,
        }
    }
    client.abort()?;
    Ok((quiet, changing))
}

fn percentile(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into what was just counted"
    )]
    let at = (last as f64 * part).round() as usize;
    times.get(at).copied().unwrap_or_default()
}

fn spread(times: &mut [Duration]) -> String {
    let (median, p99) = (percentile(times, 0.5), percentile(times, 0.99));
    format!("median {median:.2?}, p99 {p99:.2?}")
}
