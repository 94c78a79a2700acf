//! Arguments of users: `spanwire sso …`. Passwords are typed, or come by stdin; none is an argument.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// `spanwire sso`
#[derive(Debug, Subcommand)]
pub(crate) enum Sso {
    /// Create a user who can log in at once.
    CreateUser(NewUser),
    /// Create a user who may do everything.
    CreateSuperUser(NewUser),
    /// Show a user.
    Show {
        /// The user name.
        username: String,
    },
    /// Delete a user with all that is the user's.
    DeleteUser {
        /// The user name.
        username: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Lock a user out.
    LockUser {
        /// The user name.
        username: String,
    },
    /// Let a locked user in again.
    UnlockUser {
        /// The user name.
        username: String,
    },
    /// Open a session without a password, and print its token.
    Login {
        /// The user name.
        username: String,
    },
    /// End the session whose token comes by stdin.
    Logout,
    /// Set a new key for the authenticator app, and print it.
    ResetTotpKey {
        /// The user name.
        username: String,
        /// Read the key, in base32, from stdin; a new one is made otherwise.
        #[arg(long)]
        key_stdin: bool,
        /// What the app shows.
        #[arg(long, value_name = "TEXT", default_value = "")]
        key_label: String,
    },
    /// Set a random password, and print it.
    ResetUserPassword {
        /// The user name.
        username: String,
        #[command(flatten)]
        how: Lifetime,
    },
    /// Set a password.
    ChangeUserPassword {
        /// The user name.
        username: String,
        /// Read the password from stdin.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        how: Lifetime,
    },
    /// List users, by name.
    List,
    /// Search for users.
    Search {
        /// A part of the display name.
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Exactly this address.
        #[arg(long)]
        email: Option<String>,
        /// `before_confirmation` or `final`.
        #[arg(long, value_name = "STATUS")]
        sign_up_status: Option<String>,
        /// `before_decision`, `approved` or `rejected`.
        #[arg(long, value_name = "STATUS")]
        approval_status: Option<String>,
    },
    /// List the sessions of a user.
    Sessions {
        /// The user name.
        username: String,
    },
    /// End all sessions of a user.
    RevokeSessions {
        /// The user name.
        username: String,
    },
    /// Create users from a file: NDJSON, or CSV with a line of column names.
    Import {
        /// The file; `-` is stdin, as NDJSON.
        file: PathBuf,
        /// Only say what would come of it.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print all users as NDJSON, without secrets.
    Export,
    /// Records of who did what: list, export, verify.
    #[command(subcommand)]
    Audit(Audit),
    /// Find out with how many iterations a password takes so long to be hashed on the server's machine.
    HashCalibrate {
        /// How long, in milliseconds.
        #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        milliseconds: u32,
    },
}

/// A user that is to be.
#[derive(Debug, ClapArgs)]
pub(crate) struct NewUser {
    /// The user name.
    pub(crate) username: String,
    /// The e-mail address.
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// Shown to people.
    #[arg(long, value_name = "NAME")]
    pub(crate) display_name: Option<String>,
    /// First name.
    #[arg(long, value_name = "NAME")]
    pub(crate) first_name: Option<String>,
    /// Middle name.
    #[arg(long, value_name = "NAME")]
    pub(crate) middle_name: Option<String>,
    /// Last name.
    #[arg(long, value_name = "NAME")]
    pub(crate) last_name: Option<String>,
    /// Read the password from stdin.
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// For how long a password is good.
#[derive(Debug, ClapArgs)]
pub(crate) struct Lifetime {
    /// Days until it expires.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) expiry: Option<u32>,
    /// Whether it has to be changed at the next login.
    #[arg(long, value_name = "BOOL")]
    pub(crate) must_change: Option<bool>,
}

/// `spanwire sso audit`
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List records, the oldest first.
    List {
        /// After this number.
        #[arg(long, value_name = "N", default_value_t = 0)]
        after: u64,
        /// So many at most.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
        /// Of this operation, such as `user.login`.
        #[arg(long)]
        op: Option<String>,
        /// With this correlation id.
        #[arg(long)]
        cid: Option<String>,
    },
    /// Print all records about a user, or of what the user did, as NDJSON.
    Export {
        /// The user name.
        username: String,
    },
    /// Tell whether records were changed or removed.
    Verify,
}
