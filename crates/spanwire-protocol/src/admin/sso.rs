//! Users of single sign-on, as who operates the server deals with them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is to be done. The answer is a JSON value that belongs to the command.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SsoCommand {
    /// Creates a user who can log in at once; answers with the user.
    CreateUser(NewSsoUser),
    /// Returns a user.
    ShowUser {
        /// The user name.
        username: String,
    },
    /// Deletes a user with all that is the user's.
    DeleteUser {
        /// The user name.
        username: String,
    },
    /// Locks a user out.
    LockUser {
        /// The user name.
        username: String,
    },
    /// Lets a locked user in again.
    UnlockUser {
        /// The user name.
        username: String,
    },
    /// Opens a session without a password; answers with its token.
    Login {
        /// The user name.
        username: String,
    },
    /// Ends a session.
    Logout {
        /// Its token.
        ust: String,
    },
    /// Sets a new key for the authenticator app; answers with it.
    ResetTotpKey {
        /// The user name.
        username: String,
        /// The key in base32; a new one if it is empty.
        #[serde(default)]
        key: String,
        /// What the app shows.
        #[serde(default)]
        label: String,
    },
    /// Changes a password; answers with it if it was made here.
    ChangePassword {
        /// The user name.
        username: String,
        /// The new one; a random one is made if not given.
        #[serde(default)]
        password: Option<String>,
        /// Days until it expires; as the settings say if not given.
        #[serde(default)]
        expiry: Option<u32>,
        /// Whether it has to be changed at the next login; as it was if not given.
        #[serde(default)]
        must_change: Option<bool>,
    },
    /// Searches for users; answers with a page.
    Search(SsoSearch),
    /// Lists the sessions of a user.
    Sessions {
        /// The user name.
        username: String,
    },
    /// Ends all sessions of a user; answers with their number.
    RevokeSessions {
        /// The user name.
        username: String,
    },
    /// Creates users; answers with a report for each line.
    Import {
        /// The users, as in a line of NDJSON.
        users: Vec<Value>,
        /// The number of the first of them.
        first_line: u64,
        /// Whether it is only said what would come of it.
        #[serde(default)]
        dry_run: bool,
    },
    /// Lists records of the audit, the oldest first.
    AuditList {
        /// After this number.
        #[serde(default)]
        after: u64,
        /// So many at most, up to 1,000.
        #[serde(default)]
        limit: Option<usize>,
        /// Of this operation.
        #[serde(default)]
        op: Option<String>,
        /// With this correlation id.
        #[serde(default)]
        cid: Option<String>,
    },
    /// Returns all records about a user, or of what the user did.
    AuditExport {
        /// The user name.
        username: String,
    },
    /// Tells whether records were changed or removed.
    AuditVerify,
    /// Tells with how many iterations a password takes so long to be hashed here.
    HashCalibrate {
        /// How long, in milliseconds, at most 1,000.
        milliseconds: u32,
    },
}

/// A user that is to be.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewSsoUser {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
    /// Whether everything is allowed.
    #[serde(default)]
    pub is_super_user: bool,
    /// The e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// Shown to people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// First name.
    #[serde(default)]
    pub first_name: Option<String>,
    /// Middle name.
    #[serde(default)]
    pub middle_name: Option<String>,
    /// Last name.
    #[serde(default)]
    pub last_name: Option<String>,
}

/// What users are searched for by.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SsoSearch {
    /// Exactly this user.
    pub username: Option<String>,
    /// Exactly this address.
    pub email: Option<String>,
    /// A part of the display name.
    pub name: Option<String>,
    /// `before_confirmation` or `final`.
    pub sign_up_status: Option<String>,
    /// `before_decision`, `approved` or `rejected`.
    pub approval_status: Option<String>,
    /// Which page, from 1.
    pub page: Option<u32>,
    /// Users on a page.
    pub page_size: Option<u32>,
}

impl std::fmt::Debug for SsoCommand {
    /// Without what may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SsoCommand")
    }
}

impl std::fmt::Debug for NewSsoUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSsoUser").finish_non_exhaustive()
    }
}
