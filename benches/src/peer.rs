//! Other servers, as far as they are installed: processes of this run, on loopback, in temporary folders.
//!
//! A server may be several processes. They are one group, are counted together, and are killed together.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::Result;
use crate::child::ticks;
use crate::machine::Measured;

/// A program that was found.
pub(crate) struct Program(PathBuf);

impl Program {
    /// Looks into these folders, then where programs are.
    pub(crate) fn find(name: &str, folders: &[&str]) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let further = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
        let first = folders.iter().map(PathBuf::from);
        let mut all = first.chain(std::env::split_paths(&path)).chain(further);
        all.find_map(|folder| Some(folder.join(name)).filter(|it| it.is_file())).map(Self)
    }

    pub(crate) fn command(&self) -> Command {
        Command::new(&self.0)
    }

    /// What it says of its version.
    pub(crate) fn version(&self, arguments: &[&str]) -> Option<String> {
        let output = self.command().args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.split(|it: char| it.is_whitespace() || matches!(it, '=' | 'v'))
            .find(|word| word.contains('.') && word.starts_with(|it: char| it.is_ascii_digit()))
            .map(str::to_owned)
    }
}

/// A process and all that it started, killed on drop.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.process_group(0).spawn()?))
    }

    fn group(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = i32::try_from(self.group()).ok().and_then(Pid::from_raw);
        // It may be gone already.
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running server.
pub(crate) struct Peer {
    process: Process,
    pub(crate) address: SocketAddr,
    helpers: Vec<Process>,
    /// Where its data is; goes when the processes are gone.
    _folder: TempDir,
}

impl Peer {
    /// Starts it and waits until it takes connections.
    pub(crate) async fn start(command: Command, port: u16, folder: TempDir) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let process = Process::spawn(command)?;
        let mut peer = Self { process, address, helpers: Vec::new(), _folder: folder };
        let begun = Instant::now();
        while begun.elapsed() < START {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(peer);
            }
            if let Some(status) = peer.process.0.try_wait()? {
                return Err(format!("{name} ended at once, {status}").into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(format!("{name} does not become ready").into())
    }

    /// Something that has to live as long.
    pub(crate) fn keep(&mut self, helper: Process) {
        self.helpers.push(helper);
    }
}

impl Measured for Peer {
    fn cpu(&self) -> Result<Duration> {
        let group = self.process.group().to_string();
        let mut sum = 0;
        for entry in fs::read_dir("/proc")? {
            // Processes end while one looks.
            let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
            let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
            let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
            if fields.get(GROUP) == Some(&group.as_str()) {
                for field in fields.iter().skip(UTIME).take(2) {
                    sum += field.parse::<u64>()?;
                }
            }
        }
        Ok(ticks(sum))
    }
}

/// Fields of `stat` behind the name, the state being the first.
const GROUP: usize = 2;
const UTIME: usize = 11;

/// A port that nobody has at the moment.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// RabbitMQ takes some seconds.
const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
