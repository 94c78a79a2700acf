//! Managed objects of Spanwire: what may be configured, how files say it, and whether it is right.
//!
//! A file maps kinds (`security`, `web_socket`, `pubsub_topic`, …) to lists of objects. [`import`]
//! reads such files, YAML or JSON, and returns typed [`Object`]s, or *every* mistake with its file,
//! line and field. Files of existing systems are read too, including their older words.
//!
//! ```
//! use spanwire_config::{Existing, ObjectSet, Security, parse_str};
//!
//! let text = "security:\n  - {name: app1, type: basic_auth, username: app1, password: secret1}\n";
//! let import = parse_str("objects.yaml", text, &|_| None, Existing::nothing()).unwrap();
//! let mut set = ObjectSet::new();
//! assert_eq!(set.apply(import.objects).created, 1);
//! assert_eq!(set.find::<Security>("app1").unwrap().username.as_deref(), Some("app1"));
//!
//! let wrong = parse_str("objects.yaml", &text.replace("basic_auth", "jwt"), &|_| None, Existing::nothing());
//! assert!(wrong.unwrap_err()[0].to_string().starts_with("objects.yaml:2: security 'app1', field 'type'"));
//! ```
//!
//! # Modules
//!
//! | Module | Concern |
//! |---|---|
//! | `kind` | names of kinds |
//! | [`spec`] | **the description of every kind and key**, from which the rest derives |
//! | [`schema`] | JSON Schemas of objects and files |
//! | `document` | a text as a tree with lines |
//! | `environment` | values from variables |
//! | `file` | files and includes |
//! | `bundle` | files that are collected on one machine to be imported on another |
//! | `label` | words by which objects are grouped |
//! | `value` | one value: its normal form, or what is wrong |
//! | `normalise`, `rules` | one object: all of its keys, and keys against each other |
//! | `validate` | several objects: duplicates, references |
//! | `object` | the typed forms; storing and showing them; what they mention |
//! | `export` | objects as files |
//! | `diff` | what differs between two versions of an object |
//! | `select` | objects selected by types and names |
//! | `set` | objects by kind and name; create or update |
//! | `edit` | edits judged together: what differs then, or every reason why not |
//! | `snapshot`, `change` | all objects at one moment; what differs between two, and whose wish that was |
//! | `configuration` | what holds now, its history, and going back |
//! | [`store`] | the port to where it is kept, and the key-value implementation |
//!
//! # What it does not do
//!
//! It starts nothing: whoever puts objects to work compares the snapshots before and after a change. Reading files
//! needs neither store nor keys, which are behind the feature `store` (on by default); `testing` adds the suite that
//! every store passes.
//!
//! **Invariants:** an [`Object`] is valid by itself. No message, `Debug` output or masked form
//! contains a password, a value from the environment that was not accepted, or a secret query
//! parameter.

mod address;
mod bundle;
#[cfg(feature = "store")]
mod change;
#[cfg(feature = "store")]
mod configuration;
mod diff;
mod document;
#[cfg(feature = "store")]
mod edit;
mod environment;
mod export;
mod file;
mod import;
mod kind;
mod label;
mod normalise;
mod object;
mod password;
mod problem;
mod rules;
pub mod schema;
mod select;
mod set;
#[cfg(feature = "store")]
mod snapshot;
pub mod spec;
#[cfg(feature = "store")]
pub mod store;
#[cfg(all(feature = "store", any(test, feature = "testing")))]
pub mod testing;
mod validate;
mod value;

pub use crate::address::{RemoteUrl, WebSocketAddress};
pub use crate::bundle::{Bundle, BundledFile, collect, import_bundle};
#[cfg(feature = "store")]
pub use crate::change::{Author, ChangedObject};
#[cfg(feature = "store")]
pub use crate::configuration::{Configuration, Revision, Version};
pub use crate::diff::{FieldChange, diff};
pub use crate::document::MAX_DEPTH;
#[cfg(feature = "store")]
pub use crate::edit::{Edit, EditError, ImportOptions, Outcome, import_edits};
pub use crate::environment::Environment;
pub use crate::export::{ExportFormat, ExportOptions, export};
pub use crate::file::{MAX_FILE, MAX_FILES};
pub use crate::import::{Existing, Import, import, parse_str};
pub use crate::kind::{GENERIC_CONNECTION, Kind};
pub use crate::label::{MAX_LABEL, MAX_LABELS, parse_label};
pub use crate::object::{
    ActiveStatus, ContentEncoding, DataFormat, DeliveryMethod, EndpointType, HttpService,
    NoSubscribers, Object, OutgoingRest, OutgoingWsx, ParamsPriority, PubSubEndpoint,
    PubSubSubscription, PubSubTopic, Reference, RestChannel, Role, Security, SecurityType,
    StoredError, UrlParamsPriority, WebSocketChannel, WsxGateway,
};
pub use crate::password::{MASK, Password};
pub use crate::problem::{MAX_PROBLEMS, Problem, Warning};
pub use crate::select::Selection;
pub use crate::set::{Action, Applied, Change, Managed, ObjectSet};
#[cfg(feature = "store")]
pub use crate::snapshot::{Meta, Snapshot, StateHash};

pub use value::duration as parse_duration;
