//! A file that only its owner may read, replaced as a whole or not at all.
//!
//! It knows nothing of keys. Called by the key ring only. Where the operating system is not Unix the
//! permission bits are not checked: the folder's own protection has to do.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{KeyRingError, random};

/// Reads the file; `None` when there is none.
///
/// Refuses a file that others may read or write, one above [`MAX_BYTES`], and one that is not UTF-8.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, KeyRingError> {
    let failed = |source| KeyRingError::Io { action: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Of the open file, not of the path: nobody can swap it in between.
    let metadata = file.metadata().map_err(failed)?;
    refuse_open_to_others(path, &metadata)?;
    if metadata.len() > MAX_BYTES {
        let problem = "the file is far too long for a key ring";
        return Err(KeyRingError::Malformed { path: path.to_owned(), line: 1, problem });
    }
    // All the room at once: growing would leave unwiped copies behind.
    let room = usize::try_from(metadata.len()).unwrap_or(0) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// Writes `text` so that the path names either the old content or the new one, also after a power cut.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), KeyRingError> {
    let temporary = temporary_beside(path)?;
    let written = write_new(&temporary, text)
        .map_err(|source| KeyRingError::Io { action: "write", path: temporary.clone(), source })
        .and_then(|()| {
            fs::rename(&temporary, path).map_err(|source| KeyRingError::Io {
                action: "replace",
                path: path.to_owned(),
                source,
            })
        });
    if written.is_err() {
        // It may not exist; the first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    let folder = folder_of(path);
    sync_folder(folder).map_err(|source| KeyRingError::Io {
        action: "flush",
        path: folder.to_owned(),
        source,
    })
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn temporary_beside(path: &Path) -> Result<PathBuf, KeyRingError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", random::hex_token(8)?.expose()));
    Ok(path.with_file_name(name))
}

/// The folder of `path`; `.` for a bare file name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
fn refuse_open_to_others(path: &Path, metadata: &fs::Metadata) -> Result<(), KeyRingError> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyRingError::OpenToOthers { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_open_to_others(_: &Path, _: &fs::Metadata) -> Result<(), KeyRingError> {
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Room for more than a thousand keys.
const MAX_BYTES: u64 = 64 * 1024;
