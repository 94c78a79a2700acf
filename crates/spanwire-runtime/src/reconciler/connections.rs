//! What a change means for connections that are open: new settings, or the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use spanwire_protocol::CloseFrame;

use super::Reconciler;
use crate::wiring::Placed;

impl Reconciler {
    /// Goes through all connections; returns how many were closed because they would not be let in any more. `gone` are
    /// the channels whose connections have to end, `renamed` the former and the new names of credentials.
    pub(super) fn update_connections(
        &self,
        channels: &HashMap<u64, Placed>,
        gone: &BTreeSet<u64>,
        renamed: &BTreeMap<String, String>,
    ) -> usize {
        let mut closed = 0;
        let all = self.host.connections.handles().into_iter();
        for connection in all.filter(|connection| !connection.is_closing()) {
            let made_with = connection.channel();
            if let Some(name) = renamed.get(&*connection.principal().security_name) {
                connection.rename_principal(name.as_str().into());
            }
            let now = channels.get(&made_with.id).filter(|_| !gone.contains(&made_with.id));
            let Some(now) = now else {
                connection.disconnect(CloseFrame::SHUTTING_DOWN);
                closed += 1;
                continue;
            };
            if !Arc::ptr_eq(&now.channel, &made_with) {
                connection.reconfigure(Arc::clone(&now.channel));
            }
            // Whoever logs in after this finds the channel as it is now.
            let logged_in = self.host.connections.is_logged_in(connection.id());
            if !self.host.definitions.let_in(&connection, &now.channel, logged_in) {
                tracing::info!(connection = %connection.id(), channel = &*now.channel.name, "access was withdrawn");
                connection.disconnect(CloseFrame::NOT_LET_IN);
                closed += 1;
            }
        }
        closed
    }
}
