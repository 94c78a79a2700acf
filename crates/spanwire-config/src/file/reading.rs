//! Where the texts of files come from: the disk, or what was collected from one.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{MAX_FILE, too_large};

/// Gives the texts of files by their paths.
pub(crate) trait Files {
    /// Returns what stands for a file, whichever way its path is written.
    fn identity(&mut self, path: &Path) -> PathBuf;

    /// Reads a text file of at most [`MAX_FILE`] bytes; `identity` is what stands for it.
    ///
    /// The error is a sentence without the path.
    fn read(&mut self, path: &Path, identity: &Path) -> Result<String, String>;
}

/// The files of this machine.
#[derive(Debug)]
pub(crate) struct Disk;

impl Files for Disk {
    fn identity(&mut self, path: &Path) -> PathBuf {
        // What has no canonical form, such as a pipe, stands for itself.
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    }

    fn read(&mut self, path: &Path, _identity: &Path) -> Result<String, String> {
        let explain =
            |error: std::io::Error| format!("cannot be read ({error}): check path and permissions");
        let file = File::open(path).map_err(explain)?;
        let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).map_err(explain)?;
        if bytes.len() > MAX_FILE {
            return Err(too_large());
        }
        let text =
            String::from_utf8(bytes).map_err(|_| "is not UTF-8: save it as UTF-8".to_owned())?;
        Ok(without_mark(&text).to_owned())
    }
}

/// Returns a text without a mark of its byte order.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
