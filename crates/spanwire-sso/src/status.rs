//! Status codes of the API (reference sso 2.4).

/// Why something was not done. Applications switch on the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The user name is missing, or contains what it may not.
    UsernameInvalid,
    /// Somebody has the user name.
    UsernameExists,
    /// The user name is too long.
    UsernameTooLong,
    /// The user name has spaces or other invisible characters.
    UsernameHasWhitespace,
    /// There is no such user; told to super-users only.
    UserIdInvalid,
    /// The e-mail address is none, or contains what it may not.
    EmailInvalid,
    /// Somebody has the e-mail address.
    EmailExists,
    /// The e-mail address is too long.
    EmailTooLong,
    /// The e-mail address has spaces.
    EmailHasWhitespace,
    /// An e-mail address is needed.
    EmailMissing,
    /// The password contains what none may, or was used before.
    PasswordInvalid,
    /// The password is too short.
    PasswordTooShort,
    /// The password is too long.
    PasswordTooLong,
    /// The password has expired.
    PasswordExpired,
    /// A warning: the password expires soon.
    PasswordExpiresSoon,
    /// The password expires soon, and that keeps its user out.
    PasswordExpiresSoonRefused,
    /// The password has to be changed: a new one is needed.
    PasswordMustSendNew,
    /// The password is too easy to guess.
    PasswordNotComplexEnough,
    /// The application is unknown, or may not do this.
    AppInvalid,
    /// Users cannot sign up to the application.
    AppNoSignup,
    /// No, and nothing more is said.
    NotAllowed,
    /// The user is locked.
    Locked,
    /// The user has not confirmed the sign-up.
    NotConfirmed,
    /// The user was not approved.
    NotApproved,
    /// The code of the authenticator app is missing.
    TotpMissing,
    /// The application may not say from where somebody logs in.
    MetadataNotAllowed,
    /// There is no such session, or it has ended.
    NoSuchSession,
    /// This cannot be done to this user.
    InvalidOperation,
    /// A field has a value that it cannot have.
    InvalidInput,
    /// There is nothing to do.
    MissingInput,
    /// There is an attribute of this name.
    AttributeExists,
    /// There is no attribute of this name.
    NoSuchAttribute,
    /// The token or the key for a new password is wrong, used or too old.
    ResetNotPossible,
}

impl Code {
    /// The text on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UsernameInvalid => "E001001",
            Self::UsernameExists => "E001002",
            Self::UsernameTooLong => "E001003",
            Self::UsernameHasWhitespace => "E001004",
            Self::UserIdInvalid => "E001100",
            Self::EmailInvalid => "E002001",
            Self::EmailExists => "E002002",
            Self::EmailTooLong => "E002003",
            Self::EmailHasWhitespace => "E002004",
            Self::EmailMissing => "E002005",
            Self::PasswordInvalid => "E003001",
            Self::PasswordTooShort => "E003002",
            Self::PasswordTooLong => "E003003",
            Self::PasswordExpired => "E003004",
            Self::PasswordExpiresSoon => "W003005",
            Self::PasswordExpiresSoonRefused => "E003006",
            Self::PasswordMustSendNew => "E003007",
            Self::PasswordNotComplexEnough => "E003008",
            Self::AppInvalid => "E004001",
            Self::AppNoSignup => "E004002",
            Self::NotAllowed => "E005001",
            Self::Locked => "E005002",
            Self::NotConfirmed => "E005003",
            Self::NotApproved => "E005004",
            Self::TotpMissing => "E005008",
            Self::MetadataNotAllowed => "E006001",
            Self::NoSuchSession => "E007001",
            Self::InvalidOperation => "E008001",
            Self::InvalidInput => "E008002",
            Self::MissingInput => "E008003",
            Self::AttributeExists => "E009001",
            Self::NoSuchAttribute => "E009002",
            Self::ResetNotPossible => "E010001",
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
