//! Single sign-on: users, their credentials, sessions and attributes, and the audit of who did what to whom.
//!
//! The core knows no transport: every call comes with who calls, from where and for what ([`Call`]), and is checked, carried
//! out and recorded here, whichever way it came. Passwords are hashed, tokens are stored as keyed digests, personal data is
//! encrypted with a ring of keys.
//!
//! ```
//! use std::sync::Arc;
//! use spanwire_crypto::{KeyRing, Secret};
//! use spanwire_sso::{Call, Login, NewUser, Settings, Sso};
//! use spanwire_sso::store::KeyValueUserStore;
//! use spanwire_store::MemoryStore;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = KeyValueUserStore::new(Arc::new(MemoryStore::new()));
//! let mut settings = Settings::default();
//! settings.hash.rounds = 1_000; // for an example only
//! let sso = Sso::open(Arc::new(store), Arc::new(KeyRing::ephemeral()?), settings.resolve(false))?;
//!
//! let call = Call::internal("my-program");
//! let password = Secret::new("correct horse battery staple".to_owned());
//! let joe = NewUser { username: "joe".into(), password: Some(password.clone()), ..NewUser::default() };
//! sso.create_user_as_operator(&call, &joe, true)?;
//!
//! let call = Call::new("CRM", [[127, 0, 0, 1].into()]);
//! let login = Login { username: "joe".into(), password, ..Login::default() };
//! let opened = sso.login(&call, &login)?;
//! assert_eq!(sso.current_user(&call, &opened.token)?.username, "joe");
//! # Ok(())
//! # }
//! ```
//!
//! Every call blocks: on the store, and for as long as a password takes to be hashed. Call it from threads that may wait.

mod address;
pub mod audit;
mod budget;
mod call;

mod directory;
mod error;
mod id;
pub mod import;
pub mod mail;
mod names;
pub mod operation;
mod policy;
pub mod rate;
pub mod record;
mod seal;
pub mod settings;
mod sso;
pub mod status;
pub mod store;

pub use call::{Call, Clock, Login, LoginMetadata, NewUser, SystemClock};
pub use error::{Result, SsoError};
pub use operation::{Endpoint, Operation, Who};
pub use settings::Settings;
pub use spanwire_crypto::Secret;
pub use sso::attributes::{AttributeInput, AttributeView, Scope};
pub use sso::expiring::Expiring;
pub use sso::links::{LinkView, LinkedAuth};
pub use sso::login::{Authenticated, Opened};
pub use sso::passwords::PasswordChange;
pub use sso::search::{Page, Search};
pub use sso::sessions::{SessionState, SessionView};
pub use sso::signup::{SignedUp, SignupRequest};
pub use sso::upkeep::Verified;
pub use sso::users::{FullView, UserView};
pub use sso::{Observer, Sso};
pub use status::Code;

/// The built-in service that checks new users.
pub const VALIDATOR: &str = "zato.sso.signup.validate";

/// The built-in service that hands users whose password expires to another service.
pub const EXPIRY_HANDLER: &str = "pub.zato.sso.password-expiry.handler";
