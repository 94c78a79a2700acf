//! What the disk can do at best: appends that are each forced, one after the other.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::Result;

/// How many appends of so many bytes are forced in a second.
pub(crate) async fn forced_appends(bytes: u32, time: Duration) -> Result<f64> {
    tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir()?;
        let mut file = File::create(folder.path().join("appends"))?;
        let block = vec![b'x'; bytes as usize];
        let (begun, mut count) = (Instant::now(), 0.0);
        while begun.elapsed() < time {
            file.write_all(&block)?;
            file.sync_data()?;
            count += 1.0;
        }
        Ok(count / begun.elapsed().as_secs_f64())
    })
    .await?
}
