//! The folder of a store: private, locked by one process, with its format written down.
//!
//! ```text
//! DIR/          0700
//! DIR/lock      locked while open; has the process id of the owner
//! DIR/format    `spanwire-store 1 sled`: version, engine; written last, when the rest is on disk
//! DIR/sled/     the engine's files
//! ```
//!
//! It opens no engine and migrates nothing: version 1 is the first. Where the operating system is not Unix
//! the folder has whatever permissions its parent gives it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::OpenError;

/// A folder that this process owns until the value is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    /// Whether there is no finished store in it yet.
    fresh: bool,
    /// Held for its lock.
    _lock: File,
}

impl Folder {
    /// Creates the folder where needed, locks it and checks the format.
    pub(crate) fn open(dir: &Path) -> Result<Self, OpenError> {
        create(dir).map_err(failed("create", dir))?;
        let lock = lock(dir)?;
        let fresh = !has_format(dir)?;
        Ok(Self { dir: dir.to_owned(), fresh, _lock: lock })
    }

    /// Whether there is no finished store in the folder yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// The folder for the engine's files; created where needed.
    pub(crate) fn engine_dir(&self) -> Result<PathBuf, OpenError> {
        let dir = self.dir.join(ENGINE);
        create(&dir).map_err(failed("create", &dir))?;
        Ok(dir)
    }

    /// Declares the store finished, once the engine's files are on disk.
    pub(crate) fn finish(&mut self) -> Result<(), OpenError> {
        if self.fresh {
            let path = self.dir.join("format");
            write_format(&path).map_err(failed("write", &path))?;
            // The parent again: a process that died may have made the folder and no more.
            for dir in [&self.dir, parent_of(&self.dir)] {
                sync_folder(dir).map_err(failed("flush", dir))?;
            }
            self.fresh = false;
        }
        Ok(())
    }
}

/// Forces the names in a folder to disk.
#[cfg(unix)]
pub(crate) fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Forces the names in a folder to disk, which other systems do by themselves.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Creates a folder and those above it, each on disk before the next.
fn create(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = parent_of(dir);
    create(parent)?;
    let mut builder = DirBuilder::new();
    // Another process may make the same folder at the same time; the lock decides later.
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)?;
    sync_folder(parent)
}

/// The folder above; `.` for a bare name.
fn parent_of(dir: &Path) -> &Path {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::Locked { dir: dir.to_owned(), holder: holder(&file) });
        }
        Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
    }
    // For people only: the lock itself ends with the process, the text may stay.
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(failed("write", &path))?;
    Ok(file)
}

/// Who wrote its number into a lock file.
fn holder(file: &File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    match text.trim().parse::<u32>() {
        Ok(process) if read.is_ok() => format!("process {process}"),
        _ => "another process".to_owned(),
    }
}

/// Whether there is a format file; refuses one that this release does not read.
fn has_format(dir: &Path) -> Result<bool, OpenError> {
    let path = dir.join("format");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed("read", &path)(error)),
    };
    let dir = dir.to_owned();
    let mut words = text.split_whitespace();
    let version = words.next().filter(|word| *word == NAME).and(words.next());
    match version.and_then(|word| word.parse().ok()) {
        Some(found) if found > FORMAT => {
            Err(OpenError::NewerFormat { dir, found, supported: FORMAT })
        }
        Some(1..) => match words.next().unwrap_or_default() {
            ENGINE => Ok(true),
            engine => Err(OpenError::OtherEngine { dir, engine: engine.to_owned() }),
        },
        _ => {
            let reason = "its file `format` does not start with `spanwire-store 1`".to_owned();
            Err(OpenError::Corrupt { dir, reason })
        }
    }
}

fn write_format(path: &Path) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    writeln!(file, "{NAME} {FORMAT} {ENGINE}")?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { action, path, source }
}

/// The format this release writes, and the newest it reads.
pub(crate) const FORMAT: u64 = 1;
const NAME: &str = "spanwire-store";
const ENGINE: &str = "sled";
