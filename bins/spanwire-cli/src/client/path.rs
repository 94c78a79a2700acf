//! Paths and queries of the admin API.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use spanwire_config::Kind;

use crate::args::Change;

/// Makes a text one segment of a path, or one value of a query.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, UNSAFE).to_string()
}

/// The path of the objects of a kind.
pub(crate) fn objects(kind: Kind) -> String {
    format!("objects/{kind}")
}

/// The path of one object.
pub(crate) fn object(kind: Kind, name: &str) -> String {
    format!("objects/{kind}/{}", segment(name))
}

/// What follows the `?`; nothing while nothing was added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(String);

impl Query {
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(&segment(key));
        self.0.push('=');
        self.0.push_str(&segment(value));
        self
    }

    pub(crate) fn maybe(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    pub(crate) fn flag(self, key: &str, is_set: bool) -> Self {
        if is_set { self.with(key, "true") } else { self }
    }

    /// How a change is made.
    pub(crate) fn change(self, change: &Change) -> Self {
        self.flag("dry_run", change.dry_run).maybe("reason", change.reason.as_deref())
    }
}

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_segment() {
        assert_eq!(
            object(Kind::PubsubSubscription, "crm//customer/new"),
            "objects/pubsub_subscription/crm%2F%2Fcustomer%2Fnew"
        );
        assert_eq!(segment("a b?&%ż"), "a%20b%3F%26%25%C5%BC");
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(Query::default().to_string(), "");
        let change = Change { dry_run: true, reason: Some("a & b".to_owned()) };
        let query = Query::default().maybe("q", None).with("attr.x=", "1").change(&change);
        assert_eq!(query.to_string(), "?attr.x%3D=1&dry_run=true&reason=a%20%26%20b");
    }
}
