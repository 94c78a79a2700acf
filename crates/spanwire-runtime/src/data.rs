//! The data folder: `spanwire.toml`, `secret.key`, `admin.token`, `store/`, `listen.json` (DESIGN 4).

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use spanwire_crypto::{KeyRing, Secret, random};
use spanwire_store::{Options, Store};

use crate::error::StartError;
use crate::reconciler::Addresses;

/// An open data folder. Its store holds the lock that keeps a second process out.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    pub(crate) store: Arc<Store>,
    pub(crate) keys: Arc<KeyRing>,
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
        let keys = Arc::new(keys);
        let admin_token = open_or_create_token(&path.join(TOKEN_FILE))?;
        let folder = Self { path: path.to_owned(), store: Arc::new(store), keys, admin_token };
        folder.forget_addresses();
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that says where the server listens.
    pub(crate) fn address_file(&self) -> AddressFile {
        AddressFile(Some(Arc::new((self.path.join(LISTEN_FILE), Mutex::new(State::Starting)))))
    }

    fn forget_addresses(&self) {
        // There is nothing to forget at the first start.
        let _ = fs::remove_file(self.path.join(LISTEN_FILE));
    }
}

/// `listen.json`: there as long as the server is ready, and true. Without a data folder it does nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressFile(Option<Arc<(PathBuf, Mutex<State>)>>);

#[derive(Debug, PartialEq, Eq)]
enum State {
    Starting,
    Ready(Addresses),
    Stopped,
}

impl AddressFile {
    /// Says for the first time where the server listens.
    pub(crate) fn publish(
        &self,
        addresses: impl FnOnce() -> Arc<Addresses>,
    ) -> Result<(), StartError> {
        let Some((path, state)) = self.0.as_deref() else { return Ok(()) };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = &*addresses();
        *state = State::Ready(addresses.clone());
        replace(path, addresses.to_json().to_string().as_bytes()).map_err(StartError::data)
    }

    /// Says it again where it has changed.
    pub(crate) fn write(&self, addresses: impl FnOnce() -> Arc<Addresses>) {
        let Some((path, state)) = self.0.as_deref() else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked for under the lock, so that the newest ones are written last.
        let addresses = &*addresses();
        if !matches!(&*state, State::Ready(known) if known != addresses) {
            return;
        }
        *state = State::Ready(addresses.clone());
        if let Err(error) = replace(path, addresses.to_json().to_string().as_bytes()) {
            tracing::error!(%error, path = %path.display(), "the file of addresses cannot be written");
        }
    }

    /// Addresses of a server that does not run would mislead scripts.
    pub(crate) fn forget(&self) {
        let Some((path, state)) = self.0.as_deref() else { return };
        *state.lock().unwrap_or_else(PoisonError::into_inner) = State::Stopped;
        // It may be gone already.
        let _ = fs::remove_file(path);
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
