//! Conditional requests (RFC 9110, 13): the entity tag of an object is its version, `"3"`.

use axum::http::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};

use crate::problem::ApiError;

/// The conditions of a request.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// What a condition names.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: any version.
    Any,
    /// These.
    Listed(Vec<Tag>),
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    is_weak: bool,
    opaque: String,
}

impl Conditions {
    /// Reads the conditions.
    ///
    /// # Errors
    /// 400 when a header is malformed.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        Ok(Self {
            if_match: tags(headers, &IF_MATCH)?,
            if_none_match: tags(headers, &IF_NONE_MATCH)?,
        })
    }

    /// Checks the conditions of a write; `current` is the version there is.
    ///
    /// # Errors
    /// 412 when one does not hold.
    pub(crate) fn check(&self, current: Option<u64>) -> Result<(), ApiError> {
        let is = |tags: &Tags, strong| current.is_some_and(|version| tags.name(version, strong));
        if self.if_match.as_ref().is_some_and(|tags| !is(tags, true)) {
            let detail = match current {
                Some(version) => format!(
                    "the object has version {version}, not what If-Match says: look at it again \
                     before changing it"
                ),
                None => "there is no such object, so that If-Match cannot hold".to_owned(),
            };
            return Err(ApiError::precondition(detail));
        }
        if self.if_none_match.as_ref().is_some_and(|tags| is(tags, false)) {
            let detail = "the object exists, and If-None-Match says that it must not";
            return Err(ApiError::precondition(detail));
        }
        Ok(())
    }

    /// The version that a write is tied to, when the request names any.
    pub(crate) fn expect(&self, current: u64) -> Option<u64> {
        matches!(self.if_match, Some(Tags::Listed(_))).then_some(current)
    }

    /// Whether a write may only make what is not there.
    pub(crate) fn only_if_missing(&self) -> bool {
        self.if_none_match == Some(Tags::Any)
    }

    /// Whether the reader has this version already.
    pub(crate) fn is_known(&self, current: u64) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.name(current, false))
    }
}

impl Tags {
    fn name(&self, version: u64, strong: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => {
                let version = version.to_string();
                tags.iter().any(|tag| tag.opaque == version && !(strong && tag.is_weak))
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim_matches(BLANK);
        if rest == "*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        loop {
            let strong = rest.strip_prefix("W/");
            let (opaque, after) = strong.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
            if opaque.contains(|c: char| c.is_whitespace() || c.is_control()) {
                return None;
            }
            tags.push(Tag { is_weak: strong.is_some(), opaque: opaque.to_owned() });
            rest = after.trim_start_matches(BLANK);
            if rest.is_empty() {
                return Some(Self::Listed(tags));
            }
            rest = rest.strip_prefix(',')?.trim_start_matches(BLANK);
        }
    }
}

/// The tag of a version.
pub(crate) fn etag(version: u64) -> HeaderValue {
    // Digits between quotes are always a header value.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, ApiError> {
    let mut lines = Vec::new();
    for value in headers.get_all(name) {
        lines.push(value.to_str().map_err(|_| malformed(name))?);
    }
    if lines.is_empty() {
        return Ok(None);
    }
    Tags::parse(&lines.join(",")).map(Some).ok_or_else(|| malformed(name))
}

fn malformed(name: &HeaderName) -> ApiError {
    ApiError::bad_request(format!("{name}: expected a version in quotes, like \"3\", or *"))
}

const BLANK: [char; 2] = [' ', '\t'];

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(name: HeaderName, value: &str) -> Result<Conditions, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        Conditions::read(&headers)
    }

    #[test]
    fn if_match_wants_one_of_the_versions() {
        for (value, current, holds) in [
            ("\"3\"", Some(3), true),
            ("\"3\"", Some(4), false),
            ("\"03\"", Some(3), false),
            ("\"1\", \"3\"", Some(3), true),
            ("\"1\" ,\t\"3\" ", Some(3), true),
            ("W/\"3\"", Some(3), false),
            ("\"a,b\"", Some(3), false),
            ("*", Some(3), true),
            ("*", None, false),
            ("\"3\"", None, false),
        ] {
            let conditions = conditions(IF_MATCH, value).unwrap();
            assert_eq!(conditions.check(current).is_ok(), holds, "{value} {current:?}");
        }
        assert_eq!(conditions(IF_MATCH, "\"3\"").unwrap().expect(3), Some(3));
        assert_eq!(conditions(IF_MATCH, "*").unwrap().expect(3), None);
    }

    #[test]
    fn if_none_match_compares_weakly() {
        for (value, known) in [("\"3\"", true), ("W/\"3\"", true), ("\"4\"", false), ("*", true)] {
            let conditions = conditions(IF_NONE_MATCH, value).unwrap();
            assert_eq!(conditions.is_known(3), known, "{value}");
            assert_eq!(conditions.check(Some(3)).is_err(), known, "{value}");
            assert!(conditions.check(None).is_ok());
        }
    }

    #[test]
    fn malformed_tags_are_refused() {
        for value in ["", "3", "\"3", "3\"", "\"3\",", "\"3\" \"4\"", "**", "w/\"3\"", "*, \"3\""] {
            let refused = conditions(IF_MATCH, value);
            assert!(refused.is_err_and(|error| error.status() == 400), "{value}");
        }
    }
}
