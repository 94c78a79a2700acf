//! Query strings. Unknown and repeated keys are refused: a filter with a typing error would mean everything.

use std::ops::RangeInclusive;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::problem::{ApiError, shown};

/// The keys and values of a query string.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Reads a query string.
    ///
    /// # Errors
    /// 400 when a key is repeated or something is not UTF-8.
    pub(crate) fn parse(query: &str) -> Result<Self, ApiError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
            let (key, value) = (decoded(key)?, decoded(value)?);
            if pairs.iter().any(|(known, _)| *known == key) {
                let detail = format!("query key '{}' is given twice: keep one", shown(&key));
                return Err(ApiError::bad_request(detail));
            }
            if pairs.len() >= MAX_PAIRS {
                let detail = format!("the query has more than {MAX_PAIRS} keys");
                return Err(ApiError::bad_request(detail));
            }
            pairs.push((key, value));
        }
        Ok(Self { pairs })
    }

    /// Refuses every key that is not one of these.
    ///
    /// # Errors
    /// 400, naming the key and the known ones.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        self.only_if(known, |_| false)
    }

    /// Refuses every key that is neither one of these nor `open`.
    ///
    /// # Errors
    /// As [`Params::only`].
    pub(crate) fn only_if(
        &self,
        known: &[&str],
        open: impl Fn(&str) -> bool,
    ) -> Result<(), ApiError> {
        let is_known = |key: &str| known.contains(&key) || open(key);
        let Some((key, _)) = self.pairs.iter().find(|(key, _)| !is_known(key)) else {
            return Ok(());
        };
        let known = match known {
            [] => "this path takes none".to_owned(),
            known => format!("known are {}", known.join(", ")),
        };
        Err(ApiError::bad_request(format!("unknown query key '{}': {known}", shown(key))))
    }

    /// Every key with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The value of a key.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// A switch; off when it is not given.
    ///
    /// # Errors
    /// 400 for anything but `true` and `false`.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, ApiError> {
        match self.text(key) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(wrong(key, "true or false")),
        }
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// 400 for anything else.
    pub(crate) fn number(
        &self,
        key: &str,
        bounds: RangeInclusive<u64>,
    ) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_plain && bounds.contains(number));
        number.map(Some).ok_or_else(|| {
            wrong(key, &format!("a whole number from {} to {}", bounds.start(), bounds.end()))
        })
    }

    /// A time in seconds.
    ///
    /// # Errors
    /// 400 unless it is above 0 and at most an hour.
    pub(crate) fn seconds(&self, key: &str) -> Result<Option<Duration>, ApiError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let is_plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.'));
        let seconds = text.parse().ok().filter(|_| is_plain).and_then(timeout);
        seconds.map(Some).ok_or_else(|| wrong(key, TIMEOUT))
    }

    /// The items of a list with commas.
    pub(crate) fn list(&self, key: &str) -> Option<Vec<&str>> {
        let text = self.text(key)?;
        Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
    }
}

/// A number of seconds as a time that may be waited for.
pub(crate) fn timeout(seconds: f64) -> Option<Duration> {
    let time = Duration::try_from_secs_f64(seconds).ok()?;
    (!time.is_zero() && time <= MAX_TIMEOUT).then_some(time)
}

/// What [`timeout`] accepts.
pub(crate) const TIMEOUT: &str = "a number of seconds above 0, at most 3600";

fn wrong(key: &str, expected: &str) -> ApiError {
    ApiError::bad_request(format!("query key '{key}': expected {expected}"))
}

fn decoded(text: &str) -> Result<String, ApiError> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8();
    let decoded = decoded.map_err(|_| ApiError::bad_request("the query is not UTF-8"))?;
    Ok(decoded.into_owned())
}

const MAX_PAIRS: usize = 100;
const MAX_TIMEOUT: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        let params = Params::parse("a=1+2%2B&&b&c=%C3%A4=").unwrap();
        let pairs: Vec<_> = params.iter().collect();
        assert_eq!(pairs, [("a", "1 2+"), ("b", ""), ("c", "ä=")]);
    }

    #[test]
    fn odd_queries_are_refused() {
        for query in ["a=1&a=2", "a=%ff", "%ff", "a=1&%61=2"] {
            assert!(Params::parse(query).is_err(), "{query}");
        }
        let refused = Params::parse("q=1&limt=2").unwrap().only(&["q", "limit"]).unwrap_err();
        let text = format!("{refused:?}");
        assert!(text.contains("unknown query key 'limt': known are q, limit"), "{text}");
    }

    #[test]
    fn numbers_and_times_have_bounds() {
        for text in ["", "-1", "+1", " 1", "1.0", "0x1", "11", "99999999999999999999999", "١"] {
            let params = Params { pairs: vec![("n".to_owned(), text.to_owned())] };
            assert!(params.number("n", 1..=10).is_err(), "{text}");
        }
        assert_eq!(Params::parse("n=10").unwrap().number("n", 1..=10).unwrap(), Some(10));
        for text in ["", "0", "-1", "NaN", "inf", "1e3", "3601", "0.0000000001", "1s", "+1"] {
            let params = Params { pairs: vec![("t".to_owned(), text.to_owned())] };
            assert!(params.seconds("t").is_err(), "{text}");
        }
        let half = Params::parse("t=0.5").unwrap().seconds("t").unwrap();
        assert_eq!(half, Some(Duration::from_millis(500)));
    }
}
