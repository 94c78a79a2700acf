//! Encryption of single fields, each bound to its place (W7): what is copied from one field to another cannot be opened.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use spanwire_crypto::{DigestKey, KeyRing, Secret};

use crate::error::{Result, SsoError};
use crate::record::{Digest, Field};

#[derive(Clone, Debug)]
pub(crate) struct Sealer {
    keys: Arc<KeyRing>,
    pub(crate) digests: DigestKey,
}

/// Where a field is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Whose it is.
    pub(crate) owner: &'a str,
    /// Which one.
    pub(crate) column: &'a str,
}

impl Sealer {
    pub(crate) fn new(keys: Arc<KeyRing>, digests: DigestKey) -> Self {
        Self { keys, digests }
    }

    pub(crate) fn digest(&self, purpose: &str, value: &str) -> Digest {
        Digest(self.digests.digest(purpose, value.as_bytes()))
    }

    /// Encrypts a value for its place.
    pub(crate) fn seal(&self, place: Place<'_>, value: &str) -> Field {
        let bound = Secret::new([place.owner, "\0", place.column, "\0", value].concat());
        Field::Sealed(self.keys.encrypt(bound.expose().as_bytes()))
    }

    /// The value of a field.
    pub(crate) fn open(&self, place: Place<'_>, field: &Field) -> Result<Secret> {
        let sealed = match field {
            Field::Plain(text) => return Ok(Secret::new(text.clone())),
            Field::Sealed(sealed) => sealed,
        };
        let unreadable =
            |why: &str| SsoError::Unreadable { what: "an encrypted field", why: why.to_owned() };
        let bytes = self.keys.decrypt(sealed).map_err(|error| unreadable(&error.to_string()))?;
        let text = Secret::new(String::from_utf8(bytes).map_err(|_| unreadable("it is no text"))?);
        let prefix = [place.owner, "\0", place.column, "\0"].concat();
        let value = text.expose().strip_prefix(&prefix);
        value
            .map(|value| Secret::new(value.to_owned()))
            .ok_or_else(|| unreadable("it belongs elsewhere"))
    }

    /// With the newest key, if it is encrypted with another; `None` if there is nothing to do.
    pub(crate) fn seal_again(&self, field: &Field) -> Result<Option<Field>> {
        match field {
            Field::Plain(_) => Ok(None),
            Field::Sealed(sealed) => Ok(self.again(sealed)?.map(Field::Sealed)),
        }
    }

    /// The same for a text that is encrypted as a whole.
    pub(crate) fn again(&self, sealed: &str) -> Result<Option<String>> {
        if self.keys.is_newest(sealed) {
            return Ok(None);
        }
        let bytes = self.keys.decrypt(sealed);
        let bytes = bytes.map_err(|error| SsoError::Unreadable {
            what: "an encrypted field",
            why: error.to_string(),
        })?;
        Ok(Some(self.keys.encrypt(&bytes)))
    }

    /// A token as it travels: encrypted, so that what is stored says nothing about it.
    pub(crate) fn wrap(&self, token: &Secret) -> Secret {
        Secret::new(self.keys.encrypt(token.expose().as_bytes()))
    }

    /// A token that came back, if it is one of ours. What is not encrypted is none.
    pub(crate) fn unwrap(&self, wire: &str, prefix: &str) -> Option<Secret> {
        // One token has one form: no other padding, no other bits at its end.
        if wire.len() > LONGEST_TOKEN
            || !wire.starts_with("gAAAA")
            || URL_SAFE.decode(wire).is_err()
        {
            return None;
        }
        let text = Secret::new(String::from_utf8(self.keys.decrypt(wire).ok()?).ok()?);
        text.expose().starts_with(prefix).then_some(text)
    }

    /// A hash as it is stored: encrypted for its user, or not.
    pub(crate) fn store_hash(&self, user_id: &str, hash: &Secret, encrypts: bool) -> String {
        match (encrypts, self.seal(hash_place(user_id), hash.expose())) {
            (true, Field::Sealed(sealed)) => sealed,
            _ => hash.expose().to_owned(),
        }
    }

    /// A hash that was stored, encrypted or not.
    pub(crate) fn load_hash(&self, user_id: &str, stored: &str) -> Result<Secret> {
        if stored.starts_with('$') {
            return Ok(Secret::new(stored.to_owned()));
        }
        self.open(hash_place(user_id), &Field::Sealed(stored.to_owned()))
    }
}

fn hash_place(user_id: &str) -> Place<'_> {
    Place { owner: user_id, column: "password" }
}

/// Longer than any token of ours.
const LONGEST_TOKEN: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer() -> Sealer {
        Sealer::new(Arc::new(KeyRing::ephemeral().unwrap()), DigestKey::generate().unwrap())
    }

    #[test]
    fn a_field_opens_in_its_own_place_only() {
        let sealer = sealer();
        let place = Place { owner: "zusr1", column: "email" };
        let field = sealer.seal(place, "joe@example.com");
        assert_eq!(sealer.open(place, &field).unwrap().expose(), "joe@example.com");
        for other in [Place { owner: "zusr2", ..place }, Place { column: "totp_key", ..place }] {
            assert!(sealer.open(other, &field).is_err());
        }
        let Field::Sealed(text) = field else { panic!() };
        assert!(!text.contains("joe"));
    }

    /// Section 9, 36: no form of a token but our own is one.
    #[test]
    fn inv_36_tokens_that_were_tampered_with_are_none() {
        let sealer = sealer();
        let token = Secret::new("zust0123456789abcdefghjkmnpq".to_owned());
        let wire = sealer.wrap(&token).expose().to_owned();
        assert_eq!(sealer.unwrap(&wire, "zust").unwrap().expose(), token.expose());
        let none = |text: &str| assert!(sealer.unwrap(text, "zust").is_none(), "{text}");
        for index in 0..wire.len() {
            let mut bytes = wire.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            none(&String::from_utf8(bytes).unwrap());
            none(wire.split_at(index).0);
        }
        none(&format!("{wire}="));
        none(&format!("{wire} "));
        none(token.expose());
        none(&"g".repeat(1_000_000));
        none("żółć");
        assert!(sealer.unwrap(&wire, "zprtrkey").is_none());
    }
}
