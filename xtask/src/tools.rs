//! `tools`: the foreign clients that end-to-end tests run, installed under `target/tools`.
//!
//! `venv` is a Python environment with the Zato clients, `node` a folder with the `ws` package.
//! Versions are pinned in `tests/tools`. Each part leaves a stamp with all that it was made from;
//! an equal stamp means that nothing has to be done, so that a second run needs no network. The
//! clients are run as they are published; nothing of theirs becomes part of Spanwire.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Failure, Invocation};
use crate::workspace::Workspace;

/// What the clients' tests import; importing it here tells a broken set from a broken test.
const IMPORTS: &str = "\
from zato.websocket.client import Client, Config
from zato.client import APIClient, JSONClient
";

const STAMP: &str = "installed-from";

/// The installed clients.
#[derive(Debug)]
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Has `venv/bin/python` and `node/node_modules`.
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
    python(&pins, &folder)?;
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

/// Makes the Python environment.
fn python(pins: &Path, folder: &Path) -> Result<(), Failure> {
    let venv = folder.join("venv");
    let requirements = pins.join("requirements.txt");
    let build = pins.join("build-constraints.txt");
    let stubs = pins.join("stubs");
    let version = Invocation::new("python3", folder).arg("--version").stdout()?;
    let dictalchemy = stubs.join("dictalchemy.py");
    // The path is in it because an environment cannot be moved.
    let stamp = format!("{}\n{version}", venv.display());
    let stamp = [stamp, read(&requirements)?, read(&build)?, read(&dictalchemy)?].concat();
    if is_current(&venv, &stamp) {
        return Ok(());
    }
    remove(&venv)?;
    Invocation::new("python3", folder).args(["-m", "venv"]).arg(&venv).run()?;
    let python = venv.join("bin/python");
    Invocation::new(&python, folder)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
        .arg("--cache-dir")
        .arg(folder.join("cache/pip"))
        // The clients declare far more than they import: requirements.txt is the whole set.
        .args(["--no-deps", "-r"])
        .arg(&requirements)
        // Older versions of pip take the first for the build environments too, newer the second.
        .env("PIP_CONSTRAINT", &build)
        .env("PIP_BUILD_CONSTRAINT", &build)
        .run()?;
    let site = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let site = Invocation::new(&python, folder).args(["-c", site]).stdout()?;
    copy(&dictalchemy, &Path::new(site.trim()).join("dictalchemy.py"))?;
    Invocation::new(&python, folder)
        .args(["-c", IMPORTS])
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
