//! `tools`: the foreign clients that end-to-end tests run, installed under `target/tools`.
//!
//! `venv` is a Python environment with the Zato clients, `fuzz` one with schemathesis, `node` a folder with the `ws`
//! package. Versions are pinned in `tests/tools`. Each part leaves a stamp with all that it was made from;
//! an equal stamp means that nothing has to be done, so that a second run needs no network. The
//! clients are run as they are published; nothing of theirs becomes part of Spanwire.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Failure, Invocation};
use crate::workspace::Workspace;

/// A Python environment. Its requirements are its whole set: packages declare far more than what is used of them.
struct Environment {
    name: &'static str,
    requirements: &'static str,
    /// What builds those that come as source.
    build: Option<&'static str>,
    /// A module that is imported and not used.
    stub: Option<&'static str>,
    /// What the tests import; importing it here tells a broken set from a broken test.
    imports: &'static str,
}

const ENVIRONMENTS: &[Environment] = &[
    Environment {
        name: "venv",
        requirements: "requirements.txt",
        build: Some("build-constraints.txt"),
        stub: Some("stubs/dictalchemy.py"),
        imports: "\
from zato.websocket.client import Client, Config
from zato.client import APIClient, JSONClient
",
    },
    // Apart from the clients, which keep what they are pinned to.
    Environment {
        name: "fuzz",
        requirements: "fuzz-requirements.txt",
        build: None,
        stub: None,
        imports: "from schemathesis.cli import schemathesis",
    },
];

const STAMP: &str = "installed-from";

/// The installed clients.
#[derive(Debug)]
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Has `venv/bin/python`, `fuzz/bin/python` and `node/node_modules`.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Installs what is missing or out of date.
pub(crate) fn install(workspace: &Workspace) -> Result<Tools, Failure> {
    let pins = workspace.root().join("tests/tools");
    let folder = workspace.target().join("tools");
    fs::create_dir_all(&folder).map_err(Failure::io(folder.display()))?;
    require_programs(&folder)?;
    for environment in ENVIRONMENTS {
        python(&pins, &folder, environment)?;
    }
    node(&pins, &folder)?;
    println!("{}", folder.display());
    Ok(Tools { folder })
}

/// A program that the tests need, how to see that it is there, and the Debian package with it.
struct Program {
    name: &'static str,
    probe: &'static [&'static str],
    package: &'static str,
}

const PROGRAMS: &[Program] = &[
    Program {
        name: "python3 with venv",
        probe: &["python3", "-c", "import venv, ensurepip"],
        package: "python3-venv",
    },
    Program { name: "node", probe: &["node", "--version"], package: "nodejs" },
    Program { name: "npm", probe: &["npm", "--version"], package: "npm" },
    Program { name: "curl", probe: &["curl", "--version"], package: "curl" },
    // Makes calls of the operating system fail.
    Program { name: "strace", probe: &["strace", "--version"], package: "strace" },
];

impl Program {
    fn is_missing(&self, folder: &Path) -> bool {
        let [program, args @ ..] = self.probe else {
            return true;
        };
        !Invocation::new(program, folder).args(args).succeeds()
    }
}

/// Checks for the programs; as root on a Debian-like system installs the missing ones.
fn require_programs(folder: &Path) -> Result<(), Failure> {
    let missing = || PROGRAMS.iter().filter(|program| program.is_missing(folder));
    let packages: Vec<&str> = missing().map(|program| program.package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    if is_root(folder) && Invocation::new("apt-get", folder).arg("--version").succeeds() {
        let apt = || Invocation::new("apt-get", folder).env("DEBIAN_FRONTEND", "noninteractive");
        apt().args(["-q", "update"]).run()?;
        apt().args(["-q", "install", "-y", "--no-install-recommends"]).args(&packages).run()?;
    }
    let missing: Vec<&str> = missing().map(|program| program.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Missing(format!(
        "not installed: {} (Debian packages: {})",
        missing.join(", "),
        packages.join(" ")
    )))
}

fn is_root(folder: &Path) -> bool {
    Invocation::new("id", folder).arg("-u").stdout().is_ok_and(|id| id.trim() == "0")
}

/// Makes a Python environment.
fn python(pins: &Path, folder: &Path, environment: &Environment) -> Result<(), Failure> {
    let venv = folder.join(environment.name);
    let pinned = |file: &str| pins.join(file);
    let requirements = pinned(environment.requirements);
    let (build, stub) = (environment.build.map(pinned), environment.stub.map(pinned));
    let version = Invocation::new("python3", folder).arg("--version").stdout()?;
    // The path is in it because an environment cannot be moved.
    let mut stamp = format!("{}\n{version}", venv.display());
    for file in [Some(&requirements), build.as_ref(), stub.as_ref()].into_iter().flatten() {
        stamp.push_str(&read(file)?);
    }
    if is_current(&venv, &stamp) {
        return Ok(());
    }
    remove(&venv)?;
    Invocation::new("python3", folder).args(["-m", "venv"]).arg(&venv).run()?;
    let python = venv.join("bin/python");
    let mut install = Invocation::new(&python, folder)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
        .arg("--cache-dir")
        .arg(folder.join("cache/pip"))
        .args(["--no-deps", "-r"])
        .arg(&requirements);
    if let Some(build) = &build {
        // Older versions of pip take the first for the build environments too, newer the second.
        install = install.env("PIP_CONSTRAINT", build).env("PIP_BUILD_CONSTRAINT", build);
    }
    install.run()?;
    if let Some((stub, name)) = stub.as_ref().and_then(|stub| Some((stub, stub.file_name()?))) {
        let site = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let site = Invocation::new(&python, folder).args(["-c", site]).stdout()?;
        copy(stub, &Path::new(site.trim()).join(name))?;
    }
    Invocation::new(&python, folder)
        .args(["-c", environment.imports])
        .env("SQLALCHEMY_SILENCE_UBER_WARNING", "1")
        .run()?;
    finish(&venv, &stamp)
}

/// Installs the npm packages exactly as locked.
fn node(pins: &Path, folder: &Path) -> Result<(), Failure> {
    let node = folder.join("node");
    let (manifest, lock) = (pins.join("package.json"), pins.join("package-lock.json"));
    let stamp = read(&manifest)? + &read(&lock)?;
    if is_current(&node, &stamp) {
        return Ok(());
    }
    remove(&node)?;
    fs::create_dir_all(&node).map_err(Failure::io(node.display()))?;
    copy(&manifest, &node.join("package.json"))?;
    copy(&lock, &node.join("package-lock.json"))?;
    Invocation::new("npm", &node)
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--cache"])
        .arg(folder.join("cache/npm"))
        .run()?;
    finish(&node, &stamp)
}

fn is_current(folder: &Path, stamp: &str) -> bool {
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|found| found == stamp)
}

/// Marks a folder as complete; an installation that broke off has no stamp and starts again.
fn finish(folder: &Path, stamp: &str) -> Result<(), Failure> {
    fs::write(folder.join(STAMP), stamp).map_err(Failure::io(folder.display()))
}

fn remove(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Failure::io(folder.display()))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(Failure::io(path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to).map(|_| ()).map_err(Failure::io(to.display()))
}
