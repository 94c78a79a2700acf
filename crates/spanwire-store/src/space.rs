//! Room on the disk: what is free, what a store takes, and the gate before a full disk.
//!
//! A write that fails for want of room poisons the store, so it is refused before it is tried. The gate
//! reads and never writes; what others put on the disk between its look and the write it cannot know,
//! which is what the reserve is for.

use std::io;
use std::path::Path;

use crate::{Batch, Durability, StoreError};

/// Tells how many bytes are free; `None` when that cannot be known, which stops nothing.
pub(crate) type Available = Box<dyn Fn() -> Option<u64> + Send>;

/// Says which batches may be written.
pub(crate) struct Gate {
    available: Available,
    reserve: u64,
}

impl Gate {
    pub(crate) fn new(available: Available, reserve: u64) -> Self {
        Self { available, reserve }
    }

    /// Looks at the disk for one group.
    pub(crate) fn look(&self) -> Look {
        let available = if self.reserve == 0 { None } else { (self.available)() };
        Look { available: available.unwrap_or(u64::MAX), reserve: self.reserve, taken: 0 }
    }
}

/// What was free when a group was started.
pub(crate) struct Look {
    available: u64,
    reserve: u64,
    /// What the group writes so far.
    taken: u64,
}

impl Look {
    /// Refuses a forced batch with puts when it would go into the reserve. One of deletes only is refused
    /// when the reserve is nearly gone, since deleting takes some room before it gives any, and so is a
    /// lazy or an urgent one: what nobody waits for are the small notes by which room is given back.
    pub(crate) fn admit(
        &mut self,
        batch: &Batch,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let bytes =
            if batch.has_puts() { u64::try_from(batch.bytes()).unwrap_or(u64::MAX) } else { 0 };
        let waits = durability == Durability::Forced && !batch.is_urgent();
        let kept = match bytes > 0 && waits {
            true => self.reserve,
            false => self.reserve / DELETES_SHARE,
        };
        let needed = kept.saturating_add(self.taken).saturating_add(bytes);
        if self.available < needed && !batch.is_empty() {
            return Err(StoreError::Full { available: self.available, needed });
        }
        self.taken = self.taken.saturating_add(bytes);
        Ok(())
    }
}

/// The bytes that an unprivileged user may still write where `dir` is.
#[cfg(unix)]
pub(crate) fn available(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Not known here.
#[cfg(not(unix))]
pub(crate) fn available(_: &Path) -> Option<u64> {
    None
}

/// The bytes that the files in `dir` take on the disk, those in its folders included. Files that come and
/// go meanwhile count or not.
pub(crate) fn taken(dir: &Path) -> io::Result<u64> {
    let mut sum = 0_u64;
    for entry in dir.read_dir()? {
        let entry = entry?;
        let bytes = match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => taken(&entry.path()),
            Ok(metadata) => Ok(on_disk(&metadata)),
            Err(error) => Err(error),
        };
        match bytes {
            Ok(bytes) => sum = sum.saturating_add(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

/// What a file takes: engines make files longer than what they have written.
#[cfg(unix)]
fn on_disk(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata).saturating_mul(512)
}

#[cfg(not(unix))]
fn on_disk(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}

/// Deletes go on until this fraction of the reserve is left.
const DELETES_SHARE: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const FORCED: Durability = Durability::Forced;

    fn put(bytes: usize) -> Batch {
        let mut batch = Batch::new();
        batch.put("t", b"k", vec![0; bytes]);
        batch
    }

    #[test]
    fn each_batch_of_a_group_is_judged_by_what_is_left_for_it() {
        let gate = Gate::new(Box::new(|| Some(10_000)), 8_000);
        let mut look = gate.look();
        assert_eq!(look.admit(&put(1000), FORCED), Ok(()));
        let full = StoreError::Full { available: 10_000, needed: 8_000 + 1065 + 1065 };
        assert_eq!(look.admit(&put(1000), FORCED), Err(full));
        assert_eq!(look.admit(&put(10), FORCED), Ok(()));
        assert_eq!(look.admit(Batch::new().delete("t", b"k"), FORCED), Ok(()));
        assert_eq!(gate.look().admit(&put(1000), FORCED), Ok(()), "each group looks again");
    }

    #[test]
    fn deletes_go_on_until_the_reserve_is_nearly_gone() {
        let admit = |available| {
            Gate::new(Box::new(move || available), 8_000)
                .look()
                .admit(Batch::new().delete("t", b"k"), FORCED)
        };
        assert_eq!(admit(Some(1_000)), Ok(()));
        assert!(matches!(admit(Some(999)), Err(StoreError::Full { .. })));
        assert_eq!(admit(None), Ok(()), "not known");
    }

    #[test]
    fn what_nobody_waits_for_goes_on_like_deletes() {
        let gate = Gate::new(Box::new(|| Some(4_000)), 8_000);
        assert!(gate.look().admit(&put(100), FORCED).is_err());
        assert_eq!(gate.look().admit(&put(100), Durability::Lazy), Ok(()));
        assert!(gate.look().admit(&put(4_000), Durability::Lazy).is_err());
    }

    #[test]
    fn no_reserve_is_no_check() {
        let gate = Gate::new(Box::new(|| Some(0)), 0);
        assert_eq!(gate.look().admit(&put(1), FORCED), Ok(()));
    }

    #[test]
    fn folders_are_counted_with_what_is_in_them() {
        let root = tempfile::TempDir::new().unwrap();
        std::fs::create_dir(root.path().join("inner")).unwrap();
        std::fs::write(root.path().join("inner/file"), [1; 100_000]).unwrap();
        std::fs::File::open(root.path().join("inner/file")).unwrap().sync_all().unwrap();
        assert!((100_000..200_000).contains(&taken(root.path()).unwrap()));
        assert!(available(root.path()).is_some());
    }
}
