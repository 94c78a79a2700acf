//! Managed objects on the command line: `spanwire channel create wsx NAME --service …`.
//!
//! Every noun has the same verbs. Which options `create` and `edit` take, what they mean and what
//! holds without them comes from [`spanwire_config::spec`], so that a key that is added there is an
//! option here.

mod build;
mod columns;
mod field;
mod noun;
mod read;

pub(crate) use self::build::{command, list, more_verbs};
pub(crate) use self::columns::columns;
pub(crate) use self::noun::{NOUNS, Noun};
pub(crate) use self::read::{Target, Verb, read};
