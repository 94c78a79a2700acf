//! Everything that can be asked, in one table: its service, its REST path and verb, and who may.
//!
//! The REST channels, the API's description, the checks of the core and the tests of who may do what are made of it.

mod fields;

pub use self::fields::{Field, FieldType};

/// Who may ask for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anybody.
    Anybody,
    /// Whoever has a session, about themselves; super-users about anybody.
    Owner,
    /// Super-users.
    SuperUser,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// What it does.
    pub operation: Operation,
    /// The built-in service.
    pub service: &'static str,
    /// The verb.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// Who may.
    pub who: Who,
    /// The name in the audit.
    pub audit: &'static str,
    /// Whether a password is hashed: it takes long.
    pub hashes: bool,
}

macro_rules! endpoints {
    ($($operation:ident, $meaning:literal, $service:literal, $method:literal, $path:literal, $who:ident, $audit:literal, $hashes:literal;)*) => {
        /// What can be asked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation {
            $(#[doc = $meaning] $operation,)*
        }

        /// The table (reference sso 2.5.16).
        pub const ENDPOINTS: &[Endpoint] = &[
            $(Endpoint {
                operation: Operation::$operation, service: $service, method: $method, path: $path, who: Who::$who,
                audit: $audit, hashes: $hashes,
            },)*
        ];

        impl Operation {
            /// What it does, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$operation => $meaning,)* }
            }

            /// Its line of the table.
            #[must_use]
            pub fn endpoint(self) -> &'static Endpoint {
                // The table has a line for each, in the order of the enum.
                ENDPOINTS.get(self as usize).unwrap_or(&FIRST)
            }
        }
    };
}

endpoints! {
    Login, "Logs a user in.", "zato.sso.user.login", "POST", "/zato/sso/user/login", Anybody, "user.login", true;
    Logout, "Ends a session.", "zato.sso.user.logout", "POST", "/zato/sso/user/logout", Anybody, "user.logout", false;
    Signup, "Signs a new user up.", "zato.sso.user.signup", "POST", "/zato/sso/user/signup", Anybody, "user.signup", true;
    ConfirmSignup, "Confirms a sign-up with the token from the mail.", "zato.sso.user.confirm-signup", "PATCH", "/zato/sso/user/signup", Anybody, "user.confirm_signup", false;
    GetUser, "Returns the caller, or another user to a super-user.", "zato.sso.user.get", "GET", "/zato/sso/user", Owner, "user.get_current_user", false;
    CreateUser, "Creates a user.", "zato.sso.user.create", "POST", "/zato/sso/user", SuperUser, "user.create_user", true;
    UpdateUser, "Changes fields of a user.", "zato.sso.user.update", "PATCH", "/zato/sso/user", Owner, "user.update_current_user", false;
    DeleteUser, "Deletes a user with everything that is the user's.", "zato.sso.user.delete", "DELETE", "/zato/sso/user", SuperUser, "user.delete_user_by_id", false;
    Approve, "Approves a user.", "zato.sso.user.approve", "POST", "/zato/sso/user/approve", SuperUser, "user.approve_user", false;
    Reject, "Rejects a user.", "zato.sso.user.reject", "POST", "/zato/sso/user/reject", SuperUser, "user.reject_user", false;
    Lock, "Locks a user out.", "zato.sso.user.lock", "POST", "/zato/sso/user/lock", SuperUser, "user.lock_user", false;
    Unlock, "Lets a locked user in again.", "zato.sso.user.unlock", "DELETE", "/zato/sso/user/lock", SuperUser, "user.unlock_user", false;
    ChangePassword, "Changes a password.", "zato.sso.user.change-password", "PATCH", "/zato/sso/user/password", Owner, "user.change_password", true;
    ResetTotp, "Sets a new key for the authenticator app.", "zato.sso.user.reset-totp-key", "PATCH", "/zato/sso/user/totp", Owner, "user.reset_totp_key", false;
    Search, "Searches for users.", "zato.sso.user.search", "GET", "/zato/sso/user/search", SuperUser, "user.search", false;
    LinkedList, "Lists credentials that are linked to a user.", "zato.sso.user.linked.get-list", "GET", "/zato/sso/user/linked", Owner, "user.get_linked_auth_list", false;
    LinkedCreate, "Links credentials to a user.", "zato.sso.user.linked.create", "POST", "/zato/sso/user/linked", SuperUser, "user.create_linked_auth", false;
    LinkedDelete, "Unlinks credentials.", "zato.sso.user.linked.delete", "DELETE", "/zato/sso/user/linked", SuperUser, "user.delete_linked_auth", false;
    SessionVerify, "Tells whether a session is good.", "zato.sso.session.verify", "POST", "/zato/sso/user/session", SuperUser, "session.verify", false;
    SessionRenew, "Renews the caller's session.", "zato.sso.session.renew", "PATCH", "/zato/sso/user/session", Owner, "session.renew", false;
    SessionGet, "Returns a session.", "zato.sso.session.get", "GET", "/zato/sso/user/session", SuperUser, "session.get", false;
    SessionList, "Lists the sessions of a user.", "zato.sso.session.get-list", "GET", "/zato/sso/user/session/list", Owner, "session.get_list", false;
    UserAttrCreate, "Creates attributes of a user.", "zato.sso.user.attr.create", "POST", "/zato/sso/user/attr", Owner, "attr.create", false;
    UserAttrUpdate, "Changes attributes of a user.", "zato.sso.user.attr.update", "PATCH", "/zato/sso/user/attr", Owner, "attr.update", false;
    UserAttrSet, "Creates or changes attributes of a user.", "zato.sso.user.attr.set", "PUT", "/zato/sso/user/attr", Owner, "attr.set", false;
    UserAttrDelete, "Deletes attributes of a user.", "zato.sso.user.attr.delete", "DELETE", "/zato/sso/user/attr", Owner, "attr.delete", false;
    UserAttrGet, "Returns attributes of a user.", "zato.sso.user.attr.get", "GET", "/zato/sso/user/attr", Owner, "attr.get", false;
    UserAttrExists, "Tells whether a user has attributes.", "zato.sso.user.attr.exists", "GET", "/zato/sso/user/attr/exists", Owner, "attr.exists", false;
    UserAttrNames, "Lists the names of a user's attributes.", "zato.sso.user.attr.names", "GET", "/zato/sso/user/attr/names", Owner, "attr.names", false;
    SessionAttrCreate, "Creates attributes of a session.", "zato.sso.session.attr.create", "POST", "/zato/sso/session/attr", Owner, "attr.create", false;
    SessionAttrUpdate, "Changes attributes of a session.", "zato.sso.session.attr.update", "PATCH", "/zato/sso/session/attr", Owner, "attr.update", false;
    SessionAttrSet, "Creates or changes attributes of a session.", "zato.sso.session.attr.set", "PUT", "/zato/sso/session/attr", Owner, "attr.set", false;
    SessionAttrDelete, "Deletes attributes of a session.", "zato.sso.session.attr.delete", "DELETE", "/zato/sso/session/attr", Owner, "attr.delete", false;
    SessionAttrGet, "Returns attributes of a session.", "zato.sso.session.attr.get", "GET", "/zato/sso/session/attr", Owner, "attr.get", false;
    SessionAttrExists, "Tells whether a session has attributes.", "zato.sso.session.attr.exists", "GET", "/zato/sso/session/attr/exists", Owner, "attr.exists", false;
    SessionAttrNames, "Lists the names of a session's attributes.", "zato.sso.session.attr.names", "GET", "/zato/sso/session/attr/names", Owner, "attr.names", false;
    ResetBegin, "Sends a mail to a user whose password was forgotten.", "zato.sso.password-reset.begin", "POST", "/zato/sso/password/reset", Anybody, "password_reset.begin", false;
    ResetAccess, "Takes the token from the mail, and returns a key for the new password.", "zato.sso.password-reset.access", "PATCH", "/zato/sso/password/reset", Anybody, "password_reset.access", false;
    ResetComplete, "Sets the new password.", "zato.sso.password-reset.complete", "DELETE", "/zato/sso/password/reset", Anybody, "user.set_password", true;
}

const FIRST: Endpoint = Endpoint {
    operation: Operation::Login,
    service: "zato.sso.user.login",
    method: "POST",
    path: "/zato/sso/user/login",
    who: Who::Anybody,
    audit: "user.login",
    hashes: true,
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_operation_has_its_own_line_service_and_path_with_verb() {
        for endpoint in ENDPOINTS {
            assert_eq!(endpoint.operation.endpoint().service, endpoint.service);
            assert!(!endpoint.operation.meaning().is_empty());
        }
        let services: HashSet<_> = ENDPOINTS.iter().map(|it| it.service).collect();
        let places: HashSet<_> = ENDPOINTS.iter().map(|it| (it.method, it.path)).collect();
        assert_eq!((services.len(), places.len()), (ENDPOINTS.len(), ENDPOINTS.len()));
    }
}
