//! Files of objects on this machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use spanwire_config::Bundle;

use crate::client::Failure;

/// Reads files with what they include and the variables that they name.
///
/// The values of variables go with the files, as the server must not take its own for them.
pub(super) fn collect(paths: &[PathBuf]) -> Result<Bundle, Failure> {
    let bundle = spanwire_config::collect(paths, &|name| std::env::var(name).ok());
    bundle.map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::Input(problems.join("\n"))
    })
}

/// Writes a file whole or not at all; one with secrets is readable by its owner only.
pub(super) fn write(path: &Path, text: &str, is_secret: bool) -> Result<(), Failure> {
    let written = match fs::metadata(path) {
        // A device or a pipe cannot be replaced.
        Ok(found) if !found.is_file() => fs::write(path, text),
        _ => replace(path, text, is_secret),
    };
    written
        .map_err(|error| Failure::Input(format!("{} cannot be written: {error}", path.display())))
}

fn replace(path: &Path, text: &str, is_secret: bool) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut fresh = name.to_owned();
    fresh.push(format!(".{}.tmp", std::process::id()));
    let fresh = path.with_file_name(fresh);
    let written = create(&fresh, is_secret).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let done = written.and_then(|()| fs::rename(&fresh, path));
    if done.is_err() {
        // What is there is not complete; if it cannot be removed, the first error counts.
        let _ = fs::remove_file(&fresh);
    }
    done
}

fn create(path: &Path, is_secret: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if is_secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = is_secret;
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_with_what_they_include() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("objects.yaml");
        fs::write(&root, "include: [more.yaml]\n").unwrap();
        let missing = collect(std::slice::from_ref(&root)).unwrap_err();
        assert_eq!(missing.exit_code(), 2);
        assert!(missing.to_string().contains("objects.yaml:1: "), "{missing}");
        fs::write(dir.path().join("more.yaml"), "security: []\n").unwrap();
        let bundle = collect(&[root]).unwrap();
        assert_eq!((bundle.roots.len(), bundle.files.len()), (1, 2));
    }

    #[test]
    fn files_are_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.yaml");
        write(&path, "a", false).unwrap();
        write(&path, "b", false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let nowhere = write(&dir.path().join("no/out.yaml"), "a", false).unwrap_err();
        assert_eq!(nowhere.exit_code(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn files_with_secrets_are_for_their_owner() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.yaml");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, "secret", true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
