//! The folder of a store: private, locked by one process, with its format written down.
//!
//! ```text
//! DIR/          0700
//! DIR/lock      locked while open; has the process id of the owner
//! DIR/format    `spanwire-store 1 sled`: version, engine; written last, when the rest is on disk
//! DIR/witness   `00000000000000000017 0a7b…`: the last group that was forced, and its checksum (`witness`)
//! DIR/building  only while data is being written into a new folder: the folders of which one goes
//! DIR/sled/     the engine's files; `redb/`, and `sled-1/` and so on once rewritten
//! ```
//!
//! New data is built in a folder of its own, and replacing `format` is the moment at which it takes the
//! place of the old. Whatever `building` names and `format` does not is removed then, or at the next open
//! after a crash; nothing else ever is. It opens no engine and migrates nothing: version 1 is the first. Where the operating system is not Unix the folder has whatever
//! permissions its parent gives it.

mod files;
mod format;
mod witness;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use self::files::{create, parent_of};
pub(crate) use self::files::{sync_all, sync_folder};
pub(crate) use self::format::Data;
pub(crate) use self::witness::Witness;
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
    /// Creates the folder where needed, locks it, checks the format and removes what an interrupted rewrite left.
    pub(crate) fn open(dir: &Path) -> Result<Self, OpenError> {
        create(dir).map_err(failed("create", dir))?;
        let lock = lock(dir)?;
        let path = dir.join(FORMAT_FILE);
        let data = match files::read(&path).map_err(failed("read", &path))? {
            Some(text) => Some(Data::parse(dir, &text)?),
            None => None,
        };
        let folder = Self { dir: dir.to_owned(), fresh: data.is_none(), data, _lock: lock };
        folder.end_building()?;
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

    /// Refuses an engine that lost groups which were forced: `number` is that of the last group it has.
    ///
    /// Without the file nothing is known, and what there is is taken: so an operator goes on with what is left.
    pub(crate) fn check_witness(&self, number: u64) -> Result<(), OpenError> {
        let path = self.dir.join(WITNESS_FILE);
        let Some(text) = files::read(&path).map_err(failed("read", &path))? else {
            return Ok(());
        };
        let reason = match witness::parse(&text) {
            Some(forced) if forced <= number => return Ok(()),
            Some(forced) => format!(
                "its last writes are gone: group {forced} was on disk, and {number} is the last one found; restore a \
                 backup, or remove its file `witness` alone to go on with what is left"
            ),
            None => "its file `witness` is; remove that file alone if the rest is sound".to_owned(),
        };
        Err(corrupt(&self.dir, reason))
    }

    /// Begins to note the groups that are forced from now on, behind the last one that the engine has.
    pub(crate) fn start_witness(&self, number: u64) -> Result<Witness, OpenError> {
        let path = self.dir.join(WITNESS_FILE);
        Witness::start(&path, number).map_err(failed("write", &path))
    }

    /// Removes the witness; it is gone from the disk when this returns.
    fn remove_witness(&self) -> Result<(), OpenError> {
        let path = self.dir.join(WITNESS_FILE);
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

    /// Whether there is data of any kind.
    pub(crate) fn is_empty(&self) -> Result<bool, OpenError> {
        Ok(self.fresh && self.all_data()?.is_empty())
    }

    /// Makes an empty folder for new data that is to replace what there is.
    pub(crate) fn begin_building(&self, engine: EngineKind) -> Result<(Data, PathBuf), OpenError> {
        let generation = self.data.as_ref().map_or(0, |data| data.generation).saturating_add(1);
        let new = Data { engine, generation };
        let path = self.dir.join(BUILDING_FILE);
        let text = building_text(self.data.as_ref().filter(|_| !self.fresh), &new);
        files::replace(&path, &text).map_err(failed("write", &path))?;
        let dir = self.dir.join(new.folder());
        // There is nothing in it but what an interrupted rewrite left.
        remove_folder(&dir)?;
        create(&dir).map_err(failed("create", &dir))?;
        Ok((new, dir))
    }

    /// Puts the new data, which nobody has open, in the place of the old: after a crash there is one or
    /// the other. The old engine may be open still.
    pub(crate) fn switch(&mut self, new: Data) -> Result<(), OpenError> {
        let dir = self.dir.join(new.folder());
        sync_all(&dir).map_err(failed("flush", &dir))?;
        // It is that of the old data.
        self.remove_witness()?;
        self.data = Some(new);
        self.fresh = true;
        self.finish()
    }

    /// Removes what [`Folder::begin_building`] left, whichever way it ended.
    pub(crate) fn end_building(&self) -> Result<(), OpenError> {
        let path = self.dir.join(BUILDING_FILE);
        let Some(text) = files::read(&path).map_err(failed("read", &path))? else {
            return Ok(());
        };
        let current = self.data.as_ref().filter(|_| !self.fresh);
        for data in parse_building(&text, current).iter().filter(|data| Some(*data) != current) {
            let dir = self.dir.join(data.folder());
            remove_folder(&dir)?;
        }
        sync_folder(&self.dir).map_err(failed("flush", &self.dir))?;
        fs::remove_file(&path).map_err(failed("remove", &path))
    }
}

/// Removes a folder with all in it, if it is there.
fn remove_folder(dir: &Path) -> Result<(), OpenError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", dir)(error)),
        _ => Ok(()),
    }
}

/// The folders that take part in a rewrite, with a checksum, since they may be removed.
fn building_text(old: Option<&Data>, new: &Data) -> String {
    let old = old.map_or("-".to_owned(), Data::folder);
    let text = format!("{old} {}", new.folder());
    format!("{text} {:08x}\n", crc32fast::hash(text.as_bytes()))
}

/// The folders that a rewrite left; none when the text is damaged, or the current one is not among them.
fn parse_building(text: &str, current: Option<&Data>) -> Vec<Data> {
    let mut words = text.split_whitespace();
    let (old, new) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let old = Data::from_folder(old);
    let Some(new) = Data::from_folder(new) else { return Vec::new() };
    // Without `format` only what replaces nothing may go.
    let known = if current.is_none() {
        old.is_none()
    } else {
        current == old.as_ref() || current == Some(&new)
    };
    if known && building_text(old.as_ref(), &new).trim_end() == text.trim_end() {
        old.into_iter().chain([new]).collect()
    } else {
        Vec::new()
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

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { action, path, source }
}

/// The format this release writes, and the newest it reads.
pub(crate) const FORMAT: u64 = 1;
const FORMAT_FILE: &str = "format";
const WITNESS_FILE: &str = "witness";
const BUILDING_FILE: &str = "building";
