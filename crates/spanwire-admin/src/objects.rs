//! Managed objects: list, show, write, go back.

mod list;
mod read;
mod secret;
mod submitted;
mod write;

pub(crate) use self::list::{filters, list};
pub(crate) use self::read::{show, versions};
pub(crate) use self::secret::set_password;
pub(crate) use self::write::{create, delete, patch, put, revert};

/// The largest body of an object.
const MAX_BODY: usize = 1024 * 1024;
/// How often a write without `If-Match` is decided again when somebody else was faster.
const ATTEMPTS: usize = 5;
