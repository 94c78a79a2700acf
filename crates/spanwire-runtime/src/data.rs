//! The data folder: `spanwire.toml`, `secret.key`, `admin.token`, `store/`, `listen.json` (DESIGN 4).

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spanwire_crypto::{KeyRing, Secret, random};
use spanwire_store::{Options, Store};

use crate::error::StartError;

/// An open data folder. Its store holds the lock that keeps a second process out.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    pub(crate) store: Arc<Store>,
    pub(crate) keys: KeyRing,
    pub(crate) admin_token: Secret,
}

impl DataFolder {
    /// Opens the folder; makes it a working environment if it is empty or missing.
    pub(crate) fn open(path: &Path) -> Result<Self, StartError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path).map_err(|error| {
            StartError::Data(format!("{} cannot be created: {error}", path.display()))
        })?;
        // The lock first: two processes must not make keys at the same time.
        let store =
            Store::open(&path.join("store"), Options::default()).map_err(StartError::data)?;
        let keys = KeyRing::open_or_create(path.join(KEY_FILE)).map_err(StartError::data)?;
        let admin_token = open_or_create_token(&path.join(TOKEN_FILE))?;
        let folder = Self { path: path.to_owned(), store: Arc::new(store), keys, admin_token };
        folder.forget_addresses();
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Says where the server listens; only once it is ready.
    pub(crate) fn write_addresses(&self, addresses: &serde_json::Value) -> Result<(), StartError> {
        replace(&self.path.join(LISTEN_FILE), addresses.to_string().as_bytes())
            .map_err(StartError::data)
    }

    /// Addresses of a server that does not run would mislead scripts.
    pub(crate) fn forget_addresses(&self) {
        // There is nothing to forget at the first start.
        let _ = fs::remove_file(self.path.join(LISTEN_FILE));
    }
}

const KEY_FILE: &str = "secret.key";
const TOKEN_FILE: &str = "admin.token";
const LISTEN_FILE: &str = "listen.json";

fn open_or_create_token(path: &Path) -> Result<Secret, StartError> {
    if !path.exists() {
        let token = random::hex_token(32).map_err(StartError::data)?;
        replace(path, token.expose().as_bytes()).map_err(StartError::data)?;
        return Ok(token);
    }
    let mode = fs::metadata(path).map_err(StartError::data)?.permissions().mode();
    if mode & 0o077 != 0 {
        let path = path.display();
        return Err(StartError::Data(format!(
            "{path} can be read by others: run chmod 600 {path}"
        )));
    }
    let text = fs::read_to_string(path).map_err(StartError::data)?;
    let token = text.trim();
    if token.len() < 32 {
        let path = path.display();
        return Err(StartError::Data(format!(
            "{path} holds no token: delete it, and a new one is made"
        )));
    }
    Ok(Secret::new(token.to_owned()))
}

/// Replaces a file in one step, readable by its owner only.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}
