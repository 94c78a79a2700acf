//! The folder of the message log: opened, rewritten for another engine or to give space back, exported, imported.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spanwire_channel::clock;
use spanwire_pubsub::store::key_value::KeyValueMessageStore;
use spanwire_store::{EngineKind, OpenError, Options, Store};

use crate::error::StartError;
use crate::settings::{MessageEngine, Settings};

/// Opens the log of a data folder; one of another engine is rewritten first.
pub(super) fn open(data: &Path, engine: MessageEngine) -> Result<Store, StartError> {
    let (folder, options) = (data.join(FOLDER), options(engine));
    match Store::open(&folder, options.clone()) {
        Err(OpenError::WrongEngine { found, .. }) => {
            tracing::info!(%found, wanted = engine.as_str(), "the message log is rewritten for another engine");
            spanwire_store::rewrite(&folder, options.clone()).map_err(StartError::data)?;
            Store::open(&folder, options).map_err(StartError::data)
        }
        opened => opened.map_err(StartError::data),
    }
}

/// What is done with the message log of a server that does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTask {
    /// Write it anew, without what nothing needs.
    Compact,
    /// Write everything in it to a file.
    Export(PathBuf),
    /// Make it of such a file. There must be none yet.
    Import(PathBuf),
}

/// Does something with the message log of a data folder that no server has open, and says what came of it.
///
/// # Errors
/// When a server has it open, a file cannot be used, or something is damaged. The log is then as it was.
pub fn run(data: &Path, settings: &Settings, task: &LogTask) -> Result<String, StartError> {
    let (folder, options) = (data.join(FOLDER), options(settings.pubsub.store));
    match task {
        LogTask::Compact => {
            let done = spanwire_store::rewrite(&folder, options).map_err(StartError::data)?;
            Ok(format!("the message log takes {} bytes; it took {}", done.after, done.before))
        }
        LogTask::Export(file) => {
            let store = open(data, settings.pubsub.store)?;
            // Never over something that is there: it may be the only copy.
            let out = File::options().write(true).create_new(true).open(file);
            let mut out = BufWriter::new(out.map_err(|error| cannot(file, &error))?);
            let exported = store.export(&mut out).map_err(StartError::data)?;
            let synced = out.flush().and_then(|()| out.get_ref().sync_all());
            synced.map_err(|error| cannot(file, &error))?;
            Ok(format!("{} entries written to {}", exported.entries, file.display()))
        }
        LogTask::Import(file) => {
            let input = File::open(file).map_err(|error| cannot(file, &error))?;
            let mut input = BufReader::new(input);
            let imported =
                spanwire_store::import(&folder, options, &mut input).map_err(StartError::data)?;
            // What was published since the export is not in it: its positions must not be mistaken for these.
            let log = KeyValueMessageStore::new(Arc::new(open(data, settings.pubsub.store)?));
            log.renew_epochs(clock::timestamp()).map_err(StartError::data)?;
            Ok(format!("{} entries read from {}", imported.entries, file.display()))
        }
    }
}

fn options(engine: MessageEngine) -> Options {
    let mut options = Options::default();
    options.engine = match engine {
        MessageEngine::Sled => EngineKind::Sled,
        MessageEngine::Redb => EngineKind::Redb,
    };
    options
}

fn cannot(file: &Path, error: &std::io::Error) -> StartError {
    StartError::Data(format!("{} cannot be used: {error}", file.display()))
}

/// Where the log is, within the data folder.
const FOLDER: &str = "messages";
