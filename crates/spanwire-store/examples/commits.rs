//! Measures forced commits per second: `cargo run --release -p spanwire-store --example commits -- DIR`.
//!
//! One put per commit, many submitters, each waiting for its own; next to a plain append with fdatasync.

use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use spanwire_store::{EngineKind, KeyValue, Options, Store, StoreError};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("the folder to write to is missing")?;
    let dir = Path::new(&dir);
    let mut out = std::io::stdout().lock();
    for bytes in [128, 512] {
        writeln!(out, "append + fdatasync, {bytes} bytes: {:.0}/s", append(dir, bytes)?)?;
        for engine in [EngineKind::Sled, EngineKind::Redb] {
            for submitters in [1, 16, 64, 256] {
                let folder = dir.join(format!("{engine}-{bytes}-{submitters}"));
                let rate = commits(&folder, engine, bytes, submitters)?;
                writeln!(out, "{engine}, {bytes} bytes, {submitters} submitters: {rate:.0}/s")?;
            }
        }
    }
    Ok(())
}

fn append(dir: &Path, bytes: usize) -> Result<f64, Box<dyn Error>> {
    let mut file = File::create(dir.join("append"))?;
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < TIME {
        file.write_all(&vec![7; bytes])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

fn commits(
    dir: &Path,
    engine: EngineKind,
    bytes: usize,
    submitters: u64,
) -> Result<f64, Box<dyn Error>> {
    let mut options = Options::default();
    options.engine = engine;
    let store = Store::open(dir, options)?;
    let (over, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..submitters)
            .map(|submitter| {
                let (store, over, count) = (&store, &over, &count);
                scope.spawn(move || -> Result<(), StoreError> {
                    let mut number = submitter << 40;
                    while !over.load(Ordering::Relaxed) {
                        number += 1;
                        store.put("t", &number.to_be_bytes(), &body(number, bytes))?;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        while let Some(left) = TIME.checked_sub(start.elapsed()) {
            thread::park_timeout(left);
        }
        over.store(true, Ordering::Relaxed);
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })?;
    let count = u32::try_from(count.load(Ordering::Relaxed))?;
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// Bytes that do not compress.
fn body(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..bytes.div_ceil(8)).flat_map(|_| next()).take(bytes).collect()
}

const TIME: Duration = Duration::from_secs(3);
