//! Outgoing connections: the client by itself, connections that are kept, links between servers.

mod client;
