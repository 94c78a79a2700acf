//! The servers that are measured, as child processes, and what the system says of them.
//!
//! A child dies with its [`Child`]: it is killed by its handle on drop. What it wrote is in its own temporary folder,
//! which goes then too.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::Result;
use crate::args::pubsub::Store;
use crate::args::{Common, Transport};
use crate::client::{HOST, PASSWORD, PATH, Target, USERNAME};
use crate::machine::Measured;

/// A running server.
pub(crate) struct Child {
    process: Process,
    pub(crate) target: Target,
    admin: Option<SocketAddr>,
    folder: TempDir,
}

/// Killed, and waited for, by its handle.
struct Process(std::process::Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Child {
    /// Starts the real server with a channel on the echo service.
    pub(crate) async fn spanwire(common: &Common, tls: Option<&Certificate>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        fs::create_dir(&data)?;
        fs::write(folder.path().join(OBJECTS), objects_file())?;
        if let Some(tls) = tls {
            fs::write(data.join("spanwire.toml"), tls.settings())?;
        }
        let (process, listening) = launch(common, folder.path()).await?;
        let tls = tls.map(|tls| tls.connector.clone());
        let target = Target { address: listening.main, tls, bare_token: None };
        Ok(Self { process, target, admin: Some(listening.admin), folder })
    }

    /// Starts the real server with further objects beside the channel.
    pub(crate) async fn with_objects(common: &Common, objects: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join(OBJECTS), format!("{}{objects}", objects_file()))?;
        let (process, listening) = launch(common, folder.path()).await?;
        let target = Target { address: listening.main, tls: None, bare_token: None };
        Ok(Self { process, target, admin: Some(listening.admin), folder })
    }

    /// Starts the real server with settings, and further objects beside the channel.
    pub(crate) async fn with_settings(
        common: &Common,
        settings: &str,
        objects: &str,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        fs::create_dir(&data)?;
        fs::write(data.join("spanwire.toml"), settings)?;
        fs::write(folder.path().join(OBJECTS), format!("{}{objects}", objects_file()))?;
        let (process, listening) = launch(common, folder.path()).await?;
        let target = Target { address: listening.main, tls: None, bare_token: None };
        Ok(Self { process, target, admin: Some(listening.admin), folder })
    }

    /// Starts the real server with topics, and a channel on which everything about messages can be called.
    pub(crate) async fn with_messages(
        common: &Common,
        store: Store,
        topics: &[String],
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        fs::create_dir(&data)?;
        fs::write(data.join("spanwire.toml"), format!("[pubsub]\nstore = '{}'\n", store.name()))?;
        fs::write(folder.path().join(OBJECTS), message_objects(topics))?;
        let (process, listening) = launch(common, folder.path()).await?;
        let target = Target { address: listening.main, tls: None, bare_token: None };
        Ok(Self { process, target, admin: Some(listening.admin), folder })
    }

    /// As [`restart`](Self::restart), until the server says itself that it is ready.
    pub(crate) async fn restart_until_ready(&mut self, common: &Common) -> Result<Duration> {
        let begun = Instant::now();
        self.restart(common).await?;
        while begun.elapsed() < START {
            let mut stream = TcpStream::connect(self.target.address).await?;
            stream.write_all(READY).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            if answer.starts_with(b"HTTP/1.1 200 ") {
                return Ok(begun.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err("the server does not become ready".into())
    }

    /// Ends the real server and starts it again on what it has stored; tells how long it took to be ready.
    pub(crate) async fn restart(&mut self, common: &Common) -> Result<Duration> {
        self.process.0.kill()?;
        self.process.0.wait()?;
        let folder = self.folder.path();
        let _ = fs::remove_file(folder.join(OBJECTS));
        let _ = fs::remove_file(folder.join("data/listen.json"));
        let begun = Instant::now();
        let (process, listening) = launch(common, folder).await?;
        let took = begun.elapsed();
        self.process = process;
        self.target.address = listening.main;
        self.admin = Some(listening.admin);
        Ok(took)
    }

    /// Where the real server is administered, and the token for it.
    pub(crate) fn admin(&self) -> Result<(SocketAddr, String)> {
        let token = fs::read_to_string(self.folder.path().join("data/admin.token"))?;
        Ok((self.admin.ok_or("the bare echo is not administered")?, token.trim().to_owned()))
    }

    /// Starts the bare echo. Its clients put `token` where those of the real server put theirs.
    pub(crate) fn bare(
        common: &Common,
        tls: Option<&Certificate>,
        token: Arc<str>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--bare-read-buffer").arg(common.bare_read_buffer.to_string());
        command.arg("bare-echo");
        if let Some(tls) = tls {
            command.arg("--certificate").arg(&tls.certificate).arg("--key").arg(&tls.key);
        }
        // Its stdin ends with this process, whatever happens to it, and it ends with its stdin.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = Process(command.spawn()?);
        let mut line = String::new();
        if let Some(stdout) = process.0.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim().parse();
        let address =
            address.map_err(|_| format!("the bare echo said {line:?} instead of its address"))?;
        let tls = tls.map(|tls| tls.connector.clone());
        Ok(Self {
            process,
            target: Target { address, tls, bare_token: Some(token) },
            admin: None,
            folder,
        })
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_ascii_whitespace().next());
        Ok(kib.ok_or("no VmRSS: the server is gone")?.parse()?)
    }
}

impl Measured for Child {
    fn cpu(&self) -> Result<Duration> {
        cpu_of(&self.process.0.id().to_string())
    }
}

/// The processor time of all threads of a process.
pub(crate) fn cpu_of(process: &str) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may hold anything; the state, field 3, is the first behind it.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let used = fields.split_ascii_whitespace().skip(UTIME_AFTER_NAME).take(2);
    Ok(ticks(used.map(str::parse::<u64>).sum::<Result<u64, _>>()?))
}

/// Clock ticks as a time.
pub(crate) fn ticks(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}

/// `utime` is field 14 and `stime` field 15; the first behind the name is field 3.
const UTIME_AFTER_NAME: usize = 11;

/// How long a server may take until it is ready.
const START: Duration = Duration::from_secs(120);

/// Pings would wake idle connections: they are put off beyond the longest scenario.
fn objects_file() -> String {
    format!(
        "security: [{{name: bench, type: basic_auth, username: {USERNAME}, password: '{PASSWORD}'}}]\n\
         web_socket: [{{name: bench, address: {PATH}, service: zato.helpers.echo, sec_def: bench, \
         data_format: json, new_token_wait_time: 30, ping_interval: 900}}]\n"
    )
}

/// Topics as deep as they may be, and an endpoint that may do everything with them.
fn message_objects(topics: &[String]) -> String {
    let mut text = format!(
        "security: [{{name: bench, type: basic_auth, username: {USERNAME}, password: '{PASSWORD}'}}]\n\
         wsx_gateway: [{{name: bench.gateway, services_allowed: ['zato.pubsub.pubapi.*', \
         zato.pubsub.publish.publish, zato.pubsub.resume-wsx-subscription, \
         zato.pubsub.subscription.create-wsx-subscription, spanwire.pubsub.acknowledge]}}]\n\
         web_socket: [{{name: bench, address: {PATH}, service: bench.gateway, sec_def: bench, \
         data_format: json, new_token_wait_time: 30, ping_interval: 900}}]\n\
         pubsub_endpoint: [{{name: bench, endpoint_type: wsx, role: pub-sub, ws_channel_name: bench, \
         topic_patterns: \"pub=/bench/**\\nsub=/bench/**\"}}]\n\
         pubsub_topic:\n"
    );
    for topic in topics {
        text.push_str("  - {name: ");
        text.push_str(topic);
        text.push_str(", max_depth_gd: 1000000000, max_depth_non_gd: 1000000000}\n");
    }
    text
}

const READY: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What is imported at the first start, in the folder of the child.
const OBJECTS: &str = "objects.yaml";

/// Where a server listens.
struct Listening {
    main: SocketAddr,
    admin: SocketAddr,
}

/// Starts the server on the data in a folder, and waits until it is ready.
async fn launch(common: &Common, folder: &Path) -> Result<(Process, Listening)> {
    let (data, objects, log) = (folder.join("data"), folder.join(OBJECTS), folder.join("log"));
    let mut command = Command::new(common.server()?);
    command.arg("--data").arg(&data);
    if objects.exists() {
        command.arg("--import").arg(&objects);
    }
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command.args(["--profile", "dev"]);
    // Variables meant for this program are mistakes to the server.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("SPANWIRE_")) {
            command.env_remove(name);
        }
    }
    command.env("RUST_LOG", &common.server_log);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
    let mut process = Process(command.spawn()?);
    let listening = listening(&mut process.0, &data.join("listen.json"), &log).await?;
    Ok((process, listening))
}

async fn listening(
    process: &mut std::process::Child,
    listen: &Path,
    log: &Path,
) -> Result<Listening> {
    let begun = Instant::now();
    while begun.elapsed() < START {
        if let Ok(text) = fs::read_to_string(listen) {
            let value: serde_json::Value = serde_json::from_str(&text)?;
            let address = |key: &str| {
                let address = value.get(key).and_then(serde_json::Value::as_str);
                Ok::<SocketAddr, crate::Failure>(
                    address.ok_or("listen.json without an address")?.parse()?,
                )
            };
            return Ok(Listening { main: address("listen")?, admin: address("admin")? });
        }
        if let Some(status) = process.try_wait()? {
            let log = fs::read_to_string(log).unwrap_or_default();
            return Err(format!("the server ended at once, {status}:\n{log}").into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("the server does not become ready".into())
}

/// A certificate for this run, and clients that trust it.
pub(crate) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    connector: TlsConnector,
    _folder: TempDir,
}

impl Certificate {
    /// A certificate when the transport needs one.
    pub(crate) fn for_transport(transport: Transport) -> Result<Option<Self>> {
        (transport == Transport::Tls).then(Self::create).transpose()
    }

    fn create() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let pair = rcgen::generate_simple_self_signed(vec![HOST.to_owned()])?;
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        fs::write(&certificate, pair.cert.pem())?;
        fs::write(&key, pair.signing_key.serialize_pem())?;
        let mut roots = RootCertStore::empty();
        roots.add(pair.cert.der().clone())?;
        let mut config =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        // Every handshake in full: a thousand different clients do not share tickets.
        config.resumption = Resumption::disabled();
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { certificate, key, connector, _folder: folder })
    }

    fn settings(&self) -> String {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        format!("tls_certificate = '{certificate}'\ntls_key = '{key}'\n")
    }
}

/// Raises the limit of open descriptors as far as it goes; tells how many there may be. Children inherit it.
pub(crate) fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}
