//! What each operation takes and returns (reference sso 2.5), for its description.

use super::Operation;

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A text.
    Text,
    /// A text that nobody else may see.
    Secret,
    /// Yes or no.
    Flag,
    /// A whole number.
    Integer,
    /// A time, UTC, without a zone.
    Time,
    /// A list of texts.
    Texts,
    /// A list.
    List,
    /// Any value.
    Any,
}

/// One field of an input or of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// Its type.
    pub kind: FieldType,
    /// Whether the key has to be there.
    pub is_required: bool,
}

const fn required(name: &'static str, kind: FieldType) -> Field {
    Field { name, kind, is_required: true }
}

const fn field(name: &'static str, kind: FieldType) -> Field {
    Field { name, kind, is_required: false }
}

use FieldType::{Any, Flag, Integer, List, Secret, Text, Texts, Time};

const UST: Field = field("ust", Secret);
const CURRENT: Field = field("current_ust", Secret);
const TARGET: Field = field("target_ust", Secret);
const WHOM: Field = field("user_id", Text);
const EMAIL: Field = field("email", Text);
const DISPLAY: Field = field("display_name", Text);
const FIRST: Field = field("first_name", Text);
const MIDDLE: Field = field("middle_name", Text);
const LAST: Field = field("last_name", Text);
const LABEL: Field = field("totp_label", Text);
const USER: &[Field] = &[
    field("user_id", Text),
    field("username", Text),
    EMAIL,
    DISPLAY,
    FIRST,
    MIDDLE,
    LAST,
    LABEL,
    field("is_totp_enabled", Flag),
    field("is_active", Flag),
    field("is_internal", Flag),
    field("is_super_user", Flag),
    field("is_approval_needed", Flag),
    field("approval_status", Text),
    field("approval_status_mod_time", Time),
    field("approval_status_mod_by", Text),
    field("is_locked", Flag),
    field("locked_time", Time),
    field("locked_by", Text),
    field("creation_ctx", Text),
    field("password_expiry", Time),
    field("password_is_set", Flag),
    field("password_must_change", Flag),
    field("password_last_set", Time),
    field("sign_up_status", Text),
    field("sign_up_time", Time),
    field("apps", Texts),
];

impl Operation {
    /// What it takes, beside `current_app` and `purpose`.
    #[must_use]
    pub fn inputs(self) -> &'static [Field] {
        const ONE_USER: &[Field] = &[UST, required("user_id", Text)];
        const LINK: &[Field] = &[
            UST,
            WHOM,
            field("auth_type", Text),
            field("auth_username", Text),
            field("is_active", Flag),
        ];
        const USER_ATTR_WRITE: &[Field] = &[
            UST,
            WHOM,
            field("name", Text),
            field("value", Any),
            field("data", List),
            field("expiration", Integer),
            field("encrypt", Flag),
        ];
        const USER_ATTR_READ: &[Field] =
            &[UST, WHOM, field("name", Text), field("data", Texts), field("decrypt", Flag)];
        const SESSION_ATTR_WRITE: &[Field] = &[
            CURRENT,
            TARGET,
            field("name", Text),
            field("value", Any),
            field("data", List),
            field("expiration", Integer),
            field("encrypt", Flag),
        ];
        const SESSION_ATTR_READ: &[Field] =
            &[CURRENT, TARGET, field("name", Text), field("data", Texts), field("decrypt", Flag)];
        match self {
            Self::Login => {
                const {
                    &[
                        required("username", Text),
                        required("password", Secret),
                        field("totp_code", Secret),
                        field("new_password", Secret),
                        field("remote_addr", Text),
                        field("user_agent", Text),
                    ]
                }
            }
            Self::Logout | Self::SessionRenew => const { &[UST] },
            Self::Signup => {
                const {
                    &[
                        field("username", Text),
                        field("password", Secret),
                        EMAIL,
                        field("app_list", Texts),
                    ]
                }
            }
            Self::ConfirmSignup => const { &[field("confirm_token", Secret)] },
            Self::GetUser | Self::LinkedList => const { &[UST, WHOM] },
            Self::CreateUser => {
                const {
                    &[
                        UST,
                        field("username", Text),
                        field("password", Secret),
                        field("password_must_change", Flag),
                        EMAIL,
                        DISPLAY,
                        FIRST,
                        MIDDLE,
                        LAST,
                        field("is_locked", Flag),
                        field("sign_up_status", Text),
                        field("is_rate_limit_active", Flag),
                        field("rate_limit_def", Text),
                        field("is_totp_enabled", Flag),
                        field("totp_key", Secret),
                        LABEL,
                        field("auto_approve", Flag),
                        field("app_list", Texts),
                    ]
                }
            }
            Self::UpdateUser => {
                const {
                    &[
                        UST,
                        WHOM,
                        field("username", Text),
                        EMAIL,
                        DISPLAY,
                        FIRST,
                        MIDDLE,
                        LAST,
                        field("is_totp_enabled", Flag),
                        LABEL,
                        field("totp_code", Secret),
                        field("is_locked", Flag),
                        field("password_expiry", Time),
                        field("password_must_change", Flag),
                        field("sign_up_status", Text),
                        field("approval_status", Text),
                        field("apps", Texts),
                    ]
                }
            }
            Self::DeleteUser | Self::Approve | Self::Reject | Self::Lock | Self::Unlock => ONE_USER,
            Self::ChangePassword => {
                const {
                    &[
                        UST,
                        WHOM,
                        required("new_password", Secret),
                        field("old_password", Secret),
                        field("password_expiry", Integer),
                        field("must_change", Flag),
                    ]
                }
            }
            Self::ResetTotp => {
                const {
                    &[
                        UST,
                        WHOM,
                        required("totp_key", Secret),
                        required("totp_label", Text),
                        field("totp_code", Secret),
                    ]
                }
            }
            Self::Search => {
                const {
                    &[
                        UST,
                        WHOM,
                        field("username", Text),
                        EMAIL,
                        DISPLAY,
                        FIRST,
                        MIDDLE,
                        LAST,
                        field("sign_up_status", Text),
                        field("approval_status", Text),
                        field("cur_page", Integer),
                        field("page_size", Integer),
                        field("name_op", Text),
                        field("is_name_exact", Flag),
                        field("paginate", Flag),
                    ]
                }
            }
            Self::LinkedCreate | Self::LinkedDelete => LINK,
            Self::SessionVerify | Self::SessionGet => const { &[CURRENT, TARGET] },
            Self::SessionList => const { &[UST, CURRENT, TARGET] },
            Self::UserAttrCreate | Self::UserAttrUpdate | Self::UserAttrSet => USER_ATTR_WRITE,
            Self::UserAttrDelete | Self::UserAttrGet | Self::UserAttrExists => USER_ATTR_READ,
            Self::UserAttrNames => const { &[UST, WHOM] },
            Self::SessionAttrCreate | Self::SessionAttrUpdate | Self::SessionAttrSet => {
                SESSION_ATTR_WRITE
            }
            Self::SessionAttrDelete | Self::SessionAttrGet | Self::SessionAttrExists => {
                SESSION_ATTR_READ
            }
            Self::SessionAttrNames => const { &[CURRENT, TARGET] },
            Self::ResetBegin => const { &[field("credential", Text)] },
            Self::ResetAccess => const { &[field("token", Secret)] },
            Self::ResetComplete => {
                const { &[field("token", Secret), field("reset_key", Secret), field("password", Secret)] }
            }
        }
    }

    /// What a success returns, beside `status`, `sub_status` and `cid`.
    #[must_use]
    pub fn outputs(self) -> &'static [Field] {
        const ATTRIBUTE: &[Field] = &[
            field("found", Flag),
            field("name", Text),
            field("value", Any),
            field("creation_time", Time),
            field("last_modified", Time),
            field("expiration_time", Time),
            field("is_encrypted", Flag),
            field("result", Any),
        ];
        match self {
            Self::Login => const { &[field("ust", Secret)] },
            Self::Signup => const { &[field("confirm_token", Secret)] },
            Self::GetUser | Self::CreateUser => USER,
            Self::ResetTotp => const { &[field("totp_key", Secret)] },
            Self::Search => {
                const {
                    &[
                        field("total", Integer),
                        field("num_pages", Integer),
                        field("page_size", Integer),
                        field("cur_page", Integer),
                        field("has_next_page", Flag),
                        field("has_prev_page", Flag),
                        field("next_page", Any),
                        field("prev_page", Integer),
                        field("result", List),
                    ]
                }
            }
            Self::LinkedList | Self::SessionList => const { &[field("result", List)] },
            Self::SessionVerify => const { &[field("is_valid", Flag)] },
            Self::SessionRenew => const { &[field("expiration_time", Time)] },
            Self::SessionGet => {
                const {
                    &[
                        field("creation_time", Time),
                        field("expiration_time", Time),
                        field("remote_addr", Text),
                        field("user_agent", Text),
                    ]
                }
            }
            Self::UserAttrGet | Self::SessionAttrGet => ATTRIBUTE,
            Self::UserAttrExists | Self::SessionAttrExists => const { &[field("result", Any)] },
            Self::UserAttrNames | Self::SessionAttrNames => const { &[field("result", Texts)] },
            Self::ResetAccess => const { &[field("reset_key", Secret)] },
            _ => &[],
        }
    }

    /// Whether `current_app` may be left out, as existing clients do.
    #[must_use]
    pub fn is_app_optional(self) -> bool {
        matches!(
            self,
            Self::Signup
                | Self::ConfirmSignup
                | Self::ResetBegin
                | Self::ResetAccess
                | Self::ResetComplete
        )
    }
}
