//! The admin API of spanwire, under `/api/v1`: managed objects and their history, live connections,
//! publish/subscribe, services, settings.
//!
//! [`router()`] makes an [`axum::Router`] over a [`Backend`], which the host implements; the crate itself knows neither
//! sockets nor how objects are put to work.
//!
//! | Module | Concern |
//! |---|---|
//! | `router`, `auth`, `audit` | paths and methods; who calls; a line for whatever may have done something |
//! | `extract` | what a request says, taken strictly |
//! | `condition` | `ETag`, `If-Match`, `If-None-Match` |
//! | `page` | lists in pages |
//! | `author` | who wants a change, from where and why |
//! | `problem` | errors, as problem details |
//! | `show` | what the configuration knows, as the API shows it |
//! | `objects`, `history`, `transfer` | managed objects, their history, files of them |
//! | `pubsub` | topics and queues: what they hold, and what an operator does with it |
//! | `connections`, `services`, `settings`, `server`, `events` | the running server |
//! | `openapi` | the description of all this |
//!
//! **Invariants:** nothing under `/api` is looked at before the token; no answer and no error shows a secret, except an
//! export that asks for them; what a body says beyond its schema is refused, never left out silently.

mod app;
mod audit;
mod auth;
mod author;
mod backend;
mod condition;
mod connections;
mod events;
mod extract;
mod history;
mod objects;
mod openapi;
mod outconns;
mod page;
mod problem;
mod pubsub;
mod router;
mod server;
mod services;
mod settings;
mod show;
mod sso;
mod transfer;

pub use backend::{
    Applied, Backend, BoxFuture, Caller, Failure, ObjectStatus, Place, PubSubBackend, Take,
};
pub use openapi::openapi;
pub use router::router;
pub use show::event;
