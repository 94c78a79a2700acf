//! Bodies of the admin API under `/api/v1`, shared by the server and the command line.
//!
//! Field names are those of JSON. Times are UTC. With the feature `openapi` every type describes itself for the
//! OpenAPI document.

mod change;
mod connection;
mod event;
mod object;
mod outconn;
mod problem;
pub mod pubsub;
mod server;
mod settings;
pub mod sso;

pub use change::{
    Changed, FieldChange, HistoryVerified, ObjectAction, ObjectChange, ObjectVersion, Revision,
};
pub use connection::{
    AddressSource, ClosedConnection, ConnectionInfo, ConnectionState, ConnectionSubscription,
    Disconnect, Disconnected, InvokeConnection, LastClose, NameSource,
};
pub use event::{ConnectionEvent, Event, StateEvent};
pub use object::{ManagedObject, ObjectMeta, ObjectState};
pub use outconn::{OutconnInfo, OutconnSocket, Pinged};
pub use problem::{FieldProblem, Problem};
pub use server::{Invoked, KeyRotated, ServerInfo, ServiceInfo};
pub use settings::{Reloaded, SettingInfo, SettingOrigin};

/// What a name is when nobody could find it out.
pub const UNKNOWN: &str = "(Unknown)";
