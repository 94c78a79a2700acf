//! The key ring: the file `secret.key` that encrypts secrets at rest.
//!
//! The first line of the file is `spanwire-secret-key 1`, each further line is one Fernet key, newest
//! first. The newest key encrypts, every key decrypts. A rotation adds a key and keeps the others, so
//! that old values stay readable until their owner has encrypted them again.
//!
//! It does not find or re-encrypt stored values, and does not lock the file: the process that owns the
//! data folder is the only one that opens it.
//!
//! **Invariant:** the file is either the ring before a rotation or the ring after it, also after a
//! power cut, and the ring in memory never has a key that is not on disk.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use zeroize::Zeroizing;

use crate::{DecryptError, KeyRingError, RandomError, private_file, random};

/// The keys of one data folder, newest first; never empty. Shared by reference: a rotation is seen by all.
pub struct KeyRing {
    path: PathBuf,
    keys: RwLock<Arc<Keys>>,
    /// One rotation at a time.
    rotating: Mutex<()>,
}

/// The keys at one moment.
struct Keys {
    newest: Arc<Key>,
    older: Vec<Arc<Key>>,
}

impl KeyRing {
    /// Opens the ring at `path`, or creates one with a fresh key where there is no file.
    ///
    /// The folder must exist. A new file has mode 0600 and is on disk when this returns.
    ///
    /// # Errors
    ///
    /// [`KeyRingError`] when the file cannot be read or made, when other users of the machine may
    /// read or write it, when a later release wrote it, and when it is not a key ring. An existing file
    /// is never replaced here.
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self, KeyRingError> {
        let path = path.as_ref().to_owned();
        if let Some(text) = private_file::read(&path)? {
            return Self::parse(path, &text);
        }
        let keys = Keys { newest: Arc::new(Key::generate()?), older: Vec::new() };
        private_file::replace(&path, &file_text(keys.iter()))?;
        Ok(Self::new(path, keys))
    }

    /// A ring with a fresh key that is on no disk, for what need not be readable later. It cannot be rotated.
    ///
    /// # Errors
    ///
    /// [`KeyRingError`] when no key can be made.
    pub fn ephemeral() -> Result<Self, KeyRingError> {
        let keys = Keys { newest: Arc::new(Key::generate()?), older: Vec::new() };
        Ok(Self::new(PathBuf::new(), keys))
    }

    /// Encrypts with the newest key. The result is a Fernet token: printable ASCII, about a third
    /// longer than the input and 100 bytes more.
    #[must_use]
    pub fn encrypt(&self, plain: &[u8]) -> String {
        self.now().newest.fernet.encrypt(plain)
    }

    /// Decrypts with whichever key fits. The age of the value does not matter, nor does a clock that
    /// was set back since.
    ///
    /// # Errors
    ///
    /// [`DecryptError::NoKeyFits`] when no key of this ring encrypted `token` or it was changed since.
    pub fn decrypt(&self, token: &str) -> Result<Vec<u8>, DecryptError> {
        self.now()
            .iter()
            .find_map(|key| key.fernet.decrypt_at_time(token, None, END_OF_TIME).ok())
            .ok_or(DecryptError::NoKeyFits)
    }

    /// Adds a new newest key, on disk first. Values encrypted so far stay readable.
    ///
    /// # Errors
    ///
    /// [`KeyRingError`] when no key can be made or the file cannot be replaced; the ring in memory is
    /// unchanged then. Where only the last flush of the folder failed the file already has the new key,
    /// which the next open reads: still nothing is lost.
    pub fn rotate(&self) -> Result<(), KeyRingError> {
        let _one_at_a_time = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let older: Vec<_> = self.now().iter().map(Arc::clone).collect();
        if older.len() >= MAX_KEYS {
            return Err(KeyRingError::Full { path: self.path.clone(), keys: older.len() });
        }
        let keys = Keys { newest: Arc::new(Key::generate()?), older };
        private_file::replace(&self.path, &file_text(keys.iter()))?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// Whether the newest key encrypted `token`, so that it needs no encrypting again.
    #[must_use]
    pub fn is_newest(&self, token: &str) -> bool {
        self.now().newest.fernet.decrypt_at_time(token, None, END_OF_TIME).is_ok()
    }

    /// How many keys the ring has; at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.now().older.len() + 1
    }

    fn new(path: PathBuf, keys: Keys) -> Self {
        Self { path, keys: RwLock::new(Arc::new(keys)), rotating: Mutex::new(()) }
    }

    fn now(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn parse(path: PathBuf, text: &str) -> Result<Self, KeyRingError> {
        let malformed =
            |line, problem| KeyRingError::Malformed { path: path.clone(), line, problem };
        let mut lines = text.lines().zip(1..);
        let version = lines
            .next()
            .and_then(|(line, _)| line.trim_end().strip_prefix(HEADER)?.trim().parse::<u64>().ok())
            .filter(|version| *version > 0)
            .ok_or_else(|| malformed(1, "the file does not start with `spanwire-secret-key 1`"))?;
        if version > FORMAT {
            return Err(KeyRingError::NewerFormat { path, found: version, supported: FORMAT });
        }
        let mut keys = Vec::new();
        for (line, number) in lines {
            let line = line.trim();
            if !line.is_empty() {
                let key = Key::parse(line);
                keys.push(key.ok_or_else(|| malformed(number, "this is not a Fernet key"))?);
            }
        }
        let mut keys = keys.into_iter();
        let newest = keys.next().ok_or_else(|| malformed(2, "there is no key in the file"))?;
        let older = keys.map(Arc::new).collect();
        Ok(Self::new(path, Keys { newest: Arc::new(newest), older }))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("path", &self.path)
            .field("keys", &format_args!("{} hidden", self.count()))
            .finish()
    }
}

impl Keys {
    fn iter(&self) -> impl Iterator<Item = &Arc<Key>> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

/// One key, as the file has it and ready for use. Both forms are wiped on drop.
struct Key {
    text: Zeroizing<String>,
    fernet: Fernet,
}

impl Key {
    fn generate() -> Result<Self, RandomError> {
        // Not `Fernet::generate_key`, which panics where there is no randomness.
        let bytes = Zeroizing::new(random::bytes::<32>()?);
        let text = Zeroizing::new(URL_SAFE.encode(bytes.as_slice()));
        // 32 bytes encoded this way are a key by definition.
        Self::parse(&text).ok_or_else(|| RandomError::Unavailable {
            reason: "a new key was not recognised as one".to_owned(),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        Some(Self { fernet: Fernet::new(text)?, text: Zeroizing::new(text.to_owned()) })
    }
}

/// The content of the file that holds `keys`.
fn file_text<'a>(keys: impl Iterator<Item = &'a Arc<Key>>) -> Zeroizing<String> {
    let keys: Vec<&str> = keys.map(|key| key.text.as_str()).collect();
    let room = HEADER.len() + 24 + keys.iter().map(|key| key.len() + 1).sum::<usize>();
    // All the room at once: growing would leave unwiped copies behind.
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.push_str(HEADER);
    text.push_str(&FORMAT.to_string());
    text.push('\n');
    for key in keys {
        text.push_str(key);
        text.push('\n');
    }
    text
}

/// The most keys of a ring: its file must stay one that is read.
const MAX_KEYS: usize = 1_000;

const HEADER: &str = "spanwire-secret-key ";
const FORMAT: u64 = 1;

/// A "now" after every time stamp: values at rest have no expiry, and Fernet's refusal of time stamps
/// more than a minute ahead would lock out a machine whose clock was set back.
const END_OF_TIME: u64 = i64::MAX.unsigned_abs();

#[cfg(test)]
mod tests;
