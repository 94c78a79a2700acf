//! Builds a running spanwire server out of its parts; the only crate that knows them all.
//!
//! ```
//! use spanwire_runtime::App;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let app = App::builder()
//!     .service_fn("greet", |_ctx, name: String| async move { Ok(format!("Hello {name}")) })
//!     .objects("web_socket: [{name: greetings, address: /ws/greet, service: greet, sec_def: zato-no-security}]")
//!     .start()
//!     .await?;
//! println!("clients connect to ws://{}/ws/greet", app.address());
//! app.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?; Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `app` | starts and stops everything, in order |
//! | [`settings`] | `spanwire.toml`, `SPANWIRE_*`, and what they mean |
//! | `data` | the data folder: keys, token, store, `listen.json` |
//! | `check` | `spanwire-server check` |
//! | `reconciler` | wanted against running: puts a configuration to work, touches only what differs |
//! | `wiring` | one managed object as what runs it |
//! | `backend` | the ports of the channels: logins, calls, connections |
//! | `security` | credentials, and the throttling of wrong ones |
//! | `connections` | live connections, and those that ended |
//! | [`resolver`] | host names of clients, off the path of connections |
//! | `admin` | the server as the admin API sees it; every change goes through it |
//! | `status` | how the running server stands to each object |
//! | `events` | what happens, for those who watch |
//! | [`telemetry`] | logs and metrics |

mod admin;
mod app;
mod backend;
mod check;
mod connections;
mod data;
mod demo;
mod error;
mod events;
mod hooks;
mod outconns;
mod pubsub;
mod reconciler;
pub mod resolver;
mod rest_calls;
mod security;
pub mod settings;
mod sso;
mod status;
pub mod telemetry;
mod wiring;

pub use app::{App, AppBuilder, ReloadSignal, StopSignal};
pub use check::check;
pub use error::StartError;
pub use pubsub::{LogTask, run_log_task};
pub use settings::{Profile, Settings};
pub use spanwire_service::{
    ChannelType, ConnectionFilter, Connections, Context, Origin, PayloadService, Service,
    ServiceError,
};
