//! Users whose password has expired, or will soon: for whoever warns them (R12).

use spanwire_protocol::Timestamp;

use super::{Sso, after, days};
use crate::call::Call;
use crate::error::Result;
use crate::record::Approval;

/// A user to be warned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// The user name.
    pub username: String,
    /// The address.
    pub email: Option<String>,
    /// Shown to people.
    pub display_name: Option<String>,
    /// When the password expires.
    pub password_expiry: Timestamp,
    /// Whether it has.
    pub is_password_expired: bool,
}

impl Sso {
    /// Users who are not locked, and whose password has expired or expires within the days of
    /// `password.about_to_expire_threshold`. Reads every user.
    ///
    /// # Errors
    /// When the store fails.
    pub fn expiring_passwords(&self, call: &Call) -> Result<Vec<Expiring>> {
        self.record(call, "user.get_expiring_passwords", |trail| {
            let now = self.now();
            let threshold = after(now, days(self.settings().password.about_to_expire_threshold));
            let mut found = Vec::new();
            let mut from: Option<String> = None;
            loop {
                let users = self.store().users(from.as_deref(), super::PAGE)?;
                let Some(last) = users.last() else { break };
                from = Some(last.user_id.clone());
                for user in users {
                    let is_wanted = !user.is_locked && user.approval_status == Approval::Approved;
                    if is_wanted && user.password_expiry < threshold {
                        let view = self.view(&user, false)?;
                        found.push(Expiring {
                            username: view.username,
                            email: view.email,
                            display_name: view.display_name,
                            password_expiry: user.password_expiry,
                            is_password_expired: user.password_expiry <= now,
                        });
                    }
                }
            }
            trail.extra = format!("{} users", found.len());
            Ok(found)
        })
    }
}
