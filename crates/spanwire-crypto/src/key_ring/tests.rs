//! The rules of the key ring, on real files.

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.key");
    (folder, path)
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_new_file_is_private_versioned_and_alone_in_its_folder() {
    let (folder, path) = folder();
    KeyRing::open_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().next(), Some("spanwire-secret-key 1"));
    assert_eq!(text.lines().count(), 2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_was_encrypted_is_read_after_a_reopen() {
    let (_folder, path) = folder();
    for plain in [&b""[..], b"x", &[0, 159, 146, 150], &[7; 5000]] {
        let token = KeyRing::open_or_create(&path).unwrap().encrypt(plain);
        assert_eq!(KeyRing::open_or_create(&path).unwrap().decrypt(&token).unwrap(), plain);
    }
}

#[test]
fn the_same_text_is_never_encrypted_the_same() {
    let (_folder, path) = folder();
    let ring = KeyRing::open_or_create(&path).unwrap();
    assert_ne!(ring.encrypt(b"same"), ring.encrypt(b"same"));
}

#[test]
fn a_rotation_encrypts_with_a_new_key_and_reads_the_old() {
    let (folder, path) = folder();
    let ring = KeyRing::open_or_create(&path).unwrap();
    let before = ring.encrypt(b"before");
    let old_file = fs::read_to_string(&path).unwrap();
    ring.rotate().unwrap();
    let after = ring.encrypt(b"after");
    ring.rotate().unwrap();

    for ring in [ring, KeyRing::open_or_create(&path).unwrap()] {
        assert_eq!(ring.decrypt(&before).unwrap(), b"before");
        assert_eq!(ring.decrypt(&after).unwrap(), b"after");
    }
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 4);
    assert_eq!(text.lines().last(), old_file.lines().last(), "the oldest key comes last");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");

    write(&path, &old_file);
    let old_ring = KeyRing::open_or_create(&path).unwrap();
    assert_eq!(old_ring.decrypt(&after), Err(DecryptError::NoKeyFits));
}

#[test]
fn foreign_changed_and_senseless_values_are_refused() {
    let (_folder, path) = folder();
    let (_other_folder, other_path) = folder();
    let ring = KeyRing::open_or_create(&path).unwrap();
    let foreign = KeyRing::open_or_create(&other_path).unwrap().encrypt(b"x");
    let mut changed = ring.encrypt(b"x");
    let last = changed.remove(40);
    changed.insert(40, if last == 'A' { 'B' } else { 'A' });
    for token in [foreign.as_str(), &changed, "", "not a token", "gAAAAA"] {
        assert_eq!(ring.decrypt(token), Err(DecryptError::NoKeyFits), "{token}");
    }
}

#[test]
fn a_value_from_the_future_is_read() {
    let (_folder, path) = folder();
    let ring = KeyRing::open_or_create(&path).unwrap();
    let year_2100 = 4_102_444_800;
    let token = ring.now().newest.fernet.encrypt_at_time(b"x", year_2100);
    assert_eq!(ring.decrypt(&token).unwrap(), b"x");
}

#[test]
fn a_file_open_to_others_is_refused_with_the_command_to_run() {
    let (_folder, path) = folder();
    KeyRing::open_or_create(&path).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let text = KeyRing::open_or_create(&path).unwrap_err().to_string();
        assert!(text.contains(&format!("chmod 600 {}", path.display())), "{text}");
        assert!(text.contains(&format!("{mode:03o}")), "{text}");
    }
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let (_folder, path) = folder();
    write(&path, "spanwire-secret-key 2\nwhatever\n");
    let error = KeyRing::open_or_create(&path).unwrap_err();
    assert!(matches!(error, KeyRingError::NewerFormat { found: 2, supported: 1, .. }), "{error}");
    assert!(error.to_string().contains("use the release that wrote it"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "spanwire-secret-key 2\nwhatever\n");
}

#[test]
fn a_malformed_file_is_refused_with_its_line_and_without_its_content() {
    let key = URL_SAFE.encode([7; 32]);
    let cases = [
        (String::new(), 1),
        ("\n".to_owned(), 1),
        ("hello 1\n".to_owned(), 1),
        (format!("{key}\n"), 1),
        (format!("spanwire-secret-key\n{key}\n"), 1),
        (format!("spanwire-secret-key 0\n{key}\n"), 1),
        (format!("spanwire-secret-key one\n{key}\n"), 1),
        ("spanwire-secret-key 1\n".to_owned(), 2),
        ("spanwire-secret-key 1\nshort-key\n".to_owned(), 2),
        (format!("spanwire-secret-key 1\n{key}\n\nshort-key\n"), 4),
        ("x".repeat(70_000), 1),
    ];
    for (text, expected) in cases {
        let (_folder, path) = folder();
        write(&path, &text);
        let error = KeyRing::open_or_create(&path).unwrap_err();
        match &error {
            KeyRingError::Malformed { line, .. } => assert_eq!(*line, expected, "{error}"),
            other => panic!("{other:?}"),
        }
        assert!(!error.to_string().contains("short-key") && !error.to_string().contains(&key));
    }
}

#[test]
fn windows_line_ends_and_blank_lines_are_accepted() {
    let (_folder, path) = folder();
    let key = URL_SAFE.encode([7; 32]);
    write(&path, &format!("spanwire-secret-key 1\r\n\r\n{key}\r\n"));
    KeyRing::open_or_create(&path).unwrap();
}

#[test]
fn a_missing_folder_is_named() {
    let (folder, _) = folder();
    let error = KeyRing::open_or_create(folder.path().join("none/secret.key")).unwrap_err();
    assert!(matches!(error, KeyRingError::Io { action: "write", .. }), "{error}");
    assert!(error.to_string().contains("none"), "{error}");
    assert!(error.source().is_some());
}

#[test]
fn debug_hides_the_keys() {
    let (_folder, path) = folder();
    let ring = KeyRing::open_or_create(&path).unwrap();
    ring.rotate().unwrap();
    let shown = format!("{ring:?}");
    assert!(shown.contains("2 hidden"), "{shown}");
    assert!(ring.now().iter().all(|key| !shown.contains(key.text.as_str())));
}
