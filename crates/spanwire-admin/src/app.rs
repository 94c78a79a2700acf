//! What every handler reaches.

use std::sync::Arc;

use axum::extract::State;
use spanwire_config::{Author, Configuration, Edit, EditError};
use tokio::sync::Semaphore;

use crate::problem::ApiError;
use crate::{Applied, Backend};

/// The state behind the router.
pub(crate) struct App {
    pub(crate) backend: Arc<dyn Backend>,
    /// One permit for each stream of events.
    pub(crate) streams: Arc<Semaphore>,
}

pub(crate) type Shared = State<Arc<App>>;

impl App {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, streams: Arc::new(Semaphore::new(MAX_STREAMS)) }
    }

    /// Makes a change, or only tells what it would be.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub(crate) async fn change(
        &self,
        edits: Vec<Edit>,
        author: Author,
        dry_run: bool,
    ) -> Result<Applied, EditError> {
        self.backend.change(edits, author, dry_run).await
    }

    /// Reads from the configuration where that blocks.
    ///
    /// # Errors
    /// What `read` says, and 500 when it does not end.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Configuration) -> Result<T, EditError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let configuration = Arc::clone(self.backend.configuration());
        let done = tokio::task::spawn_blocking(move || read(&configuration)).await;
        Ok(done.map_err(|_| ApiError::internal("reading the configuration broke off"))??)
    }
}

/// How many streams of events there are at once.
const MAX_STREAMS: usize = 64;
