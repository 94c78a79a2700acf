//! The real server binary as a child process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::PATIENCE;

/// A running server with a data folder of its own.
#[derive(Debug)]
pub struct Server {
    child: Child,
    dir: TempDir,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    wrapper: Vec<String>,
    listening: Value,
}

/// What a server is started with.
#[derive(Debug, Default)]
pub struct Setup {
    objects: Vec<String>,
    settings: String,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    wrapper: Vec<String>,
    data: Option<PathBuf>,
}

/// How a start ended that came to nothing.
#[derive(Debug)]
pub struct NotStarted {
    /// The exit status.
    pub status: ExitStatus,
    /// Everything the server printed.
    pub log: String,
}

impl Setup {
    /// With managed objects, written as in a file.
    #[must_use]
    pub fn objects(mut self, yaml: &str) -> Self {
        self.objects.push(yaml.to_owned());
        self
    }

    /// With settings, written as in `spanwire.toml`.
    #[must_use]
    pub fn settings(mut self, toml: &str) -> Self {
        self.settings.push_str(toml);
        self
    }

    /// With further arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&a| a.to_owned()));
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Run by another program, which is given the server's command line behind its own arguments; `{data}` in them
    /// is the data folder. The program has to become the server, or its signals go nowhere.
    #[must_use]
    pub fn wrapper(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(|&part| part.to_owned()).collect();
        self
    }

    /// With a copy of a data folder.
    #[must_use]
    pub fn data(mut self, from: &Path) -> Self {
        self.data = Some(from.to_owned());
        self
    }

    /// Starts the server and waits until it is ready.
    #[must_use]
    pub fn start(self) -> Server {
        self.try_start().unwrap_or_else(|ended| panic!("the server does not start:\n{}", ended.log))
    }

    /// Starts the server and waits until it is ready, or has ended.
    ///
    /// # Errors
    /// When it has ended.
    pub fn try_start(self) -> Result<Server, NotStarted> {
        let dir = tempfile::tempdir().unwrap();
        let mut arguments = Vec::new();
        // Arguments would win over what a test sets.
        if !self.settings.contains("listen =") {
            let any = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
            arguments.extend(any.map(str::to_owned));
        }
        for (n, yaml) in self.objects.iter().enumerate() {
            let file = dir.path().join(format!("objects-{n}.yaml"));
            std::fs::write(&file, yaml).unwrap();
            arguments.extend(["--import".to_owned(), file.display().to_string()]);
        }
        arguments.extend(self.arguments);
        let data = dir.path().join("data");
        if let Some(from) = &self.data {
            copy(from, &data);
            let _ = std::fs::remove_file(data.join("listen.json"));
        }
        if !self.settings.is_empty() {
            std::fs::create_dir_all(&data).unwrap();
            std::fs::write(data.join("spanwire.toml"), &self.settings).unwrap();
        }
        let child = spawn(dir.path(), &arguments, &self.variables, &self.wrapper);
        let mut server = Server {
            child,
            dir,
            arguments,
            variables: self.variables,
            wrapper: self.wrapper,
            listening: Value::Null,
        };
        match server.wait_until_ready() {
            None => Ok(server),
            Some(status) => Err(NotStarted { status, log: server.log() }),
        }
    }
}

impl Server {
    /// A server to be set up.
    #[must_use]
    pub fn setup() -> Setup {
        Setup::default()
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The main listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listening["listen"].as_str().unwrap().parse().unwrap()
    }

    /// The admin listener.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.listening["admin"].as_str().unwrap().parse().unwrap()
    }

    /// The listener of a channel that has its own.
    #[must_use]
    pub fn channel_address(&self, channel: &str) -> SocketAddr {
        self.listening["channels"][channel].as_str().unwrap().parse().unwrap()
    }

    /// A WebSocket URL on the main listener.
    #[must_use]
    pub fn ws(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address())
    }

    /// An HTTP URL on the main listener.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The admin token.
    #[must_use]
    pub fn admin_token(&self) -> String {
        std::fs::read_to_string(self.data().join("admin.token")).unwrap().trim().to_owned()
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything the server printed.
    #[must_use]
    pub fn log(&self) -> String {
        let read = |name: &str| std::fs::read(self.dir.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&[read("stdout.txt"), read("stderr.txt")].concat()).into_owned()
    }

    /// Asks the server to stop, as SIGTERM does, and waits for its exit.
    pub fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.wait_for_exit()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the process to end.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let end = Instant::now() + 2 * PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the server does not stop:\n{}", self.log());
            pause();
        }
    }

    /// Kills the server, as kill -9 does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same data folder and the same ports.
    pub fn start_again(&mut self) {
        let (listen, admin) = (self.address().to_string(), self.admin_address().to_string());
        let mut arguments = self.arguments.clone();
        for (name, value) in [("--listen", listen), ("--admin-listen", admin)] {
            let at = arguments.iter().position(|a| a == name).unwrap();
            arguments[at + 1] = value;
        }
        let _ = std::fs::remove_file(self.data().join("listen.json"));
        self.child = spawn(self.dir.path(), &arguments, &self.variables, &self.wrapper);
        let ended = self.wait_until_ready();
        assert!(ended.is_none(), "the server does not start:\n{}", self.log());
    }

    /// Resident memory of the server, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }

    /// Waits until it is ready; the status when it has ended instead.
    fn wait_until_ready(&mut self) -> Option<ExitStatus> {
        let (file, end) = (self.data().join("listen.json"), Instant::now() + 2 * PATIENCE);
        loop {
            if let Some(listening) =
                std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok())
            {
                self.listening = listening;
                return None;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            assert!(Instant::now() < end, "the server does not start:\n{}", self.log());
            pause();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A binary of this build.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("SPANWIRE_BIN_DIR").map_or_else(
        || {
            let own = std::env::current_exe().unwrap();
            own.parent().unwrap().parent().unwrap().to_owned()
        },
        PathBuf::from,
    );
    // Given relative to the workspace, while tests run in the folder of their package.
    let folder = if folder.is_absolute() { folder } else { workspace().join(folder) };
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run cargo build --bins --examples", path.display());
    path
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A command without the variables that steer tests, which a server refuses as unknown.
#[must_use]
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SPANWIRE_"))
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the server to its end, for starts that must fail.
#[must_use]
pub fn run_server(arguments: &[&str]) -> Output {
    command(binary("spanwire-server")).args(arguments).output().unwrap()
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

fn spawn(
    dir: &Path,
    arguments: &[String],
    variables: &[(String, String)],
    wrapper: &[String],
) -> Child {
    let open = |name: &str| {
        std::fs::OpenOptions::new().create(true).append(true).open(dir.join(name)).unwrap()
    };
    let data = dir.join("data");
    let mut program = match wrapper {
        [] => command(binary("spanwire-server")),
        [program, given @ ..] => {
            let mut program = command(program);
            let given = given.iter().map(|it| it.replace("{data}", &data.display().to_string()));
            program.args(given).arg(binary("spanwire-server"));
            program
        }
    };
    program
        .arg("--data")
        .arg(data)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdout(open("stdout.txt"))
        .stderr(open("stderr.txt"))
        .spawn()
        .unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "waits for another process, which has no condition to wait on"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}
