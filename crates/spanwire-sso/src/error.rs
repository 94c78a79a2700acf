//! Why a call failed.

use spanwire_store::StoreError;
use thiserror::Error;

use crate::status::Code;

/// A call failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SsoError {
    /// It was refused, and the caller may know why.
    #[error("{0}")]
    Refused(Code),
    /// It was refused; the caller is told [`Code::NotAllowed`], and this is for the audit and the log.
    #[error("E005001 ({0})")]
    Hidden(Code),
    /// Too many people wait for a password to be hashed: try again.
    #[error("the server is busy: try again")]
    Busy,
    /// The store failed; nothing was changed.
    #[error("users cannot be stored or read: {0}")]
    Store(#[from] StoreError),
    /// What is stored cannot be read.
    #[error("what is stored of {what} cannot be read: {why}")]
    Unreadable {
        /// What it belongs to, without anything personal.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The system has no randomness.
    #[error(transparent)]
    Random(#[from] spanwire_crypto::RandomError),
    /// A password cannot be hashed.
    #[error(transparent)]
    Hash(#[from] spanwire_crypto::password::HashError),
}

impl SsoError {
    /// What the caller is told; `None` when that is no business of the caller's.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(code) => Some(*code),
            Self::Hidden(_) => Some(Code::NotAllowed),
            _ => None,
        }
    }

    /// The true reason, for the audit.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Refused(code) | Self::Hidden(code) => code.to_string(),
            Self::Busy => "busy".to_owned(),
            _ => "failed".to_owned(),
        }
    }
}

/// What comes of a call.
pub type Result<T> = std::result::Result<T, SsoError>;

/// Told if a setting says so, hidden otherwise.
pub(crate) fn told_if(is_told: bool, code: Code) -> SsoError {
    if is_told { SsoError::Refused(code) } else { SsoError::Hidden(code) }
}

/// No, and nothing more is said.
pub(crate) fn not_allowed() -> SsoError {
    SsoError::Refused(Code::NotAllowed)
}
