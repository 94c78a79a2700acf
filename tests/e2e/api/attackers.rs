//! What an attacker sends, with the token and without it: refused, told little, and nothing has changed.

mod assignment;
mod bodies;
mod browsers;
mod bundles;
mod headers;
mod paths;
mod sizes;
mod strangers;
