//! The admin API of spanwire, under `/api/v1`: managed objects and their history, live connections, services, settings.
//!
//! [`router`] makes an [`axum::Router`] over a [`Backend`], which the host implements; the crate itself knows neither
//! sockets nor how objects are put to work.

mod backend;

pub use backend::{Applied, Backend, BoxFuture, Caller, Failure, ObjectStatus};
