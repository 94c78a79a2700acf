//! What a request says, taken strictly: nothing unknown, nothing twice, nothing too large.

mod body;
mod call;
mod json;
mod path;
mod query;

pub(crate) use self::body::{JSON, MERGE_PATCH, again, bytes, fields, is_empty, object, value};
pub(crate) use self::call::Call;
pub(crate) use self::json::Fields;
pub(crate) use self::path::{Named, OfKind, Segment, Segments, encode, kind};
pub(crate) use self::query::{Params, TIMEOUT, timeout};
