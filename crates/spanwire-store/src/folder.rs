//! The folder of a store: private, locked by one process, with its format written down.
//!
//! ```text
//! DIR/          0700
//! DIR/lock      locked while open; has the process id of the owner
//! DIR/format    `spanwire-store 1 sled`: version, engine; written last, when the rest is on disk
//! DIR/closed    `17 0a7b…`: the mark of the last clean close and its checksum; not there while open
//! DIR/sled/     the engine's files; `redb/`, and `sled-1/` and so on once rewritten
//! ```
//!
//! A folder of data that `format` does not name is left over from a rewrite that was interrupted, and is
//! removed when the store is opened; without `format` nothing is removed. It opens no engine and migrates
//! nothing: version 1 is the first. Where the operating system is not Unix the folder has whatever
//! permissions its parent gives it.

mod files;
mod format;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use self::files::{create, parent_of};
pub(crate) use self::files::{sync_all, sync_folder};
pub(crate) use self::format::Data;
use crate::engine::corrupt;
use crate::{EngineKind, OpenError};

/// A folder that this process owns until the value is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    data: Option<Data>,
    /// Whether there is no finished store in it yet.
    fresh: bool,
    /// Held for its lock.
    _lock: File,
}

impl Folder {
    /// Creates the folder where needed, locks it, checks the format and removes what a rewrite left.
    pub(crate) fn open(dir: &Path) -> Result<Self, OpenError> {
        create(dir).map_err(failed("create", dir))?;
        let lock = lock(dir)?;
        let path = dir.join(FORMAT_FILE);
        let data = match files::read(&path).map_err(failed("read", &path))? {
            Some(text) => Some(Data::parse(dir, &text)?),
            None => None,
        };
        let folder = Self { dir: dir.to_owned(), fresh: data.is_none(), data, _lock: lock };
        folder.remove_leftovers()?;
        Ok(folder)
    }

    /// Where the folder is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether there is no finished store in the folder yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// The data of the store; `None` before an engine is chosen for a new one.
    pub(crate) fn data(&self) -> Option<&Data> {
        self.data.as_ref()
    }

    /// Chooses the engine of a new store; refuses another one than the store has.
    pub(crate) fn choose(&mut self, engine: EngineKind) -> Result<(), OpenError> {
        if let Some(data) = &self.data {
            if data.engine == engine {
                return Ok(());
            }
            let dir = self.dir.clone();
            return Err(OpenError::WrongEngine { dir, found: data.engine, chosen: engine });
        }
        // Data that nothing describes may be somebody's only copy.
        let first = Data::first(engine);
        if let Some(other) = self.all_data()?.iter().find(|data| **data != first) {
            let reason = format!("its file `format` is missing beside `{}`", other.folder());
            return Err(corrupt(&self.dir, reason));
        }
        self.data = Some(first);
        Ok(())
    }

    /// The folder for the engine's files; created where needed.
    pub(crate) fn engine_dir(&self) -> Result<PathBuf, OpenError> {
        let name = self.data.as_ref().map(Data::folder).unwrap_or_default();
        let dir = self.dir.join(name);
        create(&dir).map_err(failed("create", &dir))?;
        Ok(dir)
    }

    /// Declares the store finished, once the engine's files are on disk.
    pub(crate) fn finish(&mut self) -> Result<(), OpenError> {
        if self.fresh
            && let Some(data) = &self.data
        {
            let path = self.dir.join(FORMAT_FILE);
            files::replace(&path, &data.to_text()).map_err(failed("write", &path))?;
            // A process that died may have made the folder and no more.
            let parent = parent_of(&self.dir);
            sync_folder(parent).map_err(failed("flush", parent))?;
            self.fresh = false;
        }
        Ok(())
    }

    /// The mark of the last clean close; `None` when the store was not closed.
    pub(crate) fn closed(&self) -> Result<Option<u64>, OpenError> {
        let path = self.dir.join(CLOSED_FILE);
        let Some(text) = files::read(&path).map_err(failed("read", &path))? else {
            return Ok(None);
        };
        let mark = text.split_whitespace().next().and_then(|word| word.parse().ok());
        match mark.filter(|mark| closed_text(*mark).trim_end() == text.trim_end()) {
            Some(mark) => Ok(Some(mark)),
            None => {
                let reason = "its file `closed` is; remove that file alone if the rest is sound";
                Err(corrupt(&self.dir, reason.to_owned()))
            }
        }
    }

    /// Writes the mark of a clean close.
    pub(crate) fn set_closed(&self, mark: u64) -> io::Result<()> {
        files::replace(&self.dir.join(CLOSED_FILE), &closed_text(mark))
    }

    /// Removes the mark; it is gone from the disk when this returns.
    pub(crate) fn remove_closed(&self) -> Result<(), OpenError> {
        let path = self.dir.join(CLOSED_FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &path)(error))
            }
            _ => sync_folder(&self.dir).map_err(failed("flush", &self.dir)),
        }
    }

    /// Every folder of data that is there.
    fn all_data(&self) -> Result<Vec<Data>, OpenError> {
        let names = || -> io::Result<Vec<Data>> {
            let mut found = Vec::new();
            for entry in self.dir.read_dir()? {
                found.extend(entry?.file_name().to_str().and_then(Data::from_folder));
            }
            Ok(found)
        };
        names().map_err(failed("read", &self.dir))
    }

    fn remove_leftovers(&self) -> Result<(), OpenError> {
        let Some(current) = &self.data else { return Ok(()) };
        // Only beside the data itself: whatever is left may be all there is.
        if self.dir.join(current.folder()).is_dir() {
            for other in self.all_data()?.iter().filter(|data| *data != current) {
                let path = self.dir.join(other.folder());
                fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }
}

fn closed_text(mark: u64) -> String {
    format!("{mark} {:08x}\n", crc32fast::hash(mark.to_string().as_bytes()))
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

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { action, path, source }
}

/// The format this release writes, and the newest it reads.
pub(crate) const FORMAT: u64 = 1;
const FORMAT_FILE: &str = "format";
const CLOSED_FILE: &str = "closed";
