//! Running programs and timing the steps made of them.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Why a command stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A check or a program failed.
    Check(String),
    /// A program that is needed is not installed.
    Missing(String),
    /// The arguments make no command.
    Usage(String),
}

impl Failure {
    /// An input or output error together with what was being done.
    pub(crate) fn io(what: impl fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Check(format!("{what}: {error}"))
    }

    /// The code that the process exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Check(_) => 1,
            Self::Missing(_) | Self::Usage(_) => 2,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(text) | Self::Missing(text) | Self::Usage(text) => f.write_str(text),
        }
    }
}

/// One program with its arguments and environment.
#[derive(Debug)]
pub(crate) struct Invocation {
    command: Command,
    line: String,
}

impl Invocation {
    pub(crate) fn new(program: impl AsRef<OsStr>, folder: &Path) -> Self {
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.current_dir(folder);
        // `cargo run` describes this package in the environment. Build scripts that watch these
        // names (ring's does) would rebuild between a bare cargo command and one started here.
        for (name, _) in std::env::vars_os() {
            let about_xtask = name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_PKG_")
                    || matches!(name, "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH")
            });
            if about_xtask {
                command.env_remove(name);
            }
        }
        Self { command, line: program.to_string_lossy().into_owned() }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let arg = arg.as_ref();
        self.line.push(' ');
        self.line.push_str(&arg.to_string_lossy());
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs to the end, output passed through.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        let status = self.command.status().map_err(Failure::io(&self.line))?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::Check(format!("{status} from `{}`", self.line)))
        }
    }

    /// Runs to the end and returns the standard output; the error stream is passed through.
    pub(crate) fn stdout(mut self) -> Result<String, Failure> {
        let output =
            self.command.stderr(Stdio::inherit()).output().map_err(Failure::io(&self.line))?;
        if !output.status.success() {
            return Err(Failure::Check(format!("{} from `{}`", output.status, self.line)));
        }
        String::from_utf8(output.stdout)
            .map_err(|_| Failure::Check(format!("output of `{}` is not UTF-8", self.line)))
    }

    /// Whether the program is there and exits with success, output thrown away.
    pub(crate) fn succeeds(mut self) -> bool {
        let quiet = self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }
}

/// Named steps in order; each says how long it took, the end says it for all.
#[derive(Debug)]
pub(crate) struct Steps {
    begun: Instant,
    done: Vec<(String, Duration)>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), done: Vec::new() }
    }

    /// Does one step; its failure names the step.
    pub(crate) fn step<T>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        println!("==> {name}");
        let begun = Instant::now();
        let result = work();
        let took = begun.elapsed();
        let outcome = if result.is_ok() { "done" } else { "FAILED" };
        println!("<== {name}: {outcome} in {:.1} s", took.as_secs_f64());
        self.done.push((name.into(), took));
        result.map_err(|failure| match failure {
            Failure::Check(text) => Failure::Check(format!("{name}: {text}")),
            Failure::Missing(text) => Failure::Missing(format!("{name}: {text}")),
            Failure::Usage(text) => Failure::Usage(text),
        })
    }

    /// Prints the table of durations.
    pub(crate) fn summary(&self) {
        println!("\nall steps passed");
        for (name, took) in &self.done {
            println!("{:>8.1} s  {name}", took.as_secs_f64());
        }
        println!("{:>8.1} s  in all", self.begun.elapsed().as_secs_f64());
    }
}
