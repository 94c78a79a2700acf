//! Going back may delete what came since: then it is asked about, as every delete is.

use spanwire_protocol::admin::{Changed, ObjectAction};

use crate::args::Change;
use crate::client::Failure;
use crate::confirm::Consent;
use crate::output::counted;

/// Returns if a change may be made. `send` makes it, or with `dry_run` tells what it would be.
pub(super) fn consent(
    yes: bool,
    change: &Change,
    send: impl Fn(&Change) -> Result<Changed, Failure>,
) -> Result<(), Failure> {
    if yes || change.dry_run {
        return Ok(());
    }
    let preview = send(&Change { dry_run: true, ..change.clone() })?;
    let deleted = preview.changes.iter().filter(|it| it.action == ObjectAction::Deleted).count();
    match deleted {
        0 => Ok(()),
        deleted => Consent::new(false)?.get(&format!("delete {}?", counted(deleted, "object"))),
    }
}
