//! JSON documents whose keys have an order.

use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};
use spanwire_protocol::{CorrelationId, Timestamp};

use crate::client::Failure;
use crate::output;

/// An object whose keys stay in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Document(Vec<(&'static str, Value)>);

impl FromIterator<(&'static str, Value)> for Document {
    fn from_iter<I: IntoIterator<Item = (&'static str, Value)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Prints a failure as scripts expect it.
pub(crate) fn failed(failure: &Failure) {
    // Whoever closed stdout does not want to read it.
    let _ = output::json(&error(failure));
}

fn error(failure: &Failure) -> Document {
    let cid = match failure {
        Failure::Refused { cid: Some(cid), .. } => cid.clone(),
        _ => own_id(),
    };
    let details = failure.detail();
    [("cid", json!(cid)), ("result", json!("Error")), ("details", json!(details))]
        .into_iter()
        .collect()
}

/// An id for what no server knows of. It keeps nothing secret.
fn own_id() -> String {
    let mut bytes = [0; 12];
    let random = || RandomState::new().hash_one(0).to_le_bytes();
    let random = random().into_iter().chain(random());
    bytes.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
    CorrelationId::from_random(bytes).to_string()
}

/// The time in names that nobody chose: `2024_03_04T10_20_30_123456`.
pub(super) fn time_in_names() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_microseconds(now).to_string().replace(['-', ':', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_document_with_three_keys() {
        let body =
            br#"{"title": "t", "status": 503, "detail": "Topic is inactive `/a`", "cid": "c1"}"#;
        let text = serde_json::to_string(&error(&Failure::refused(503, body))).unwrap();
        let expected = r#"{"cid":"c1","result":"Error","details":"Topic is inactive `/a`"}"#;
        assert_eq!(text, expected);
        let Document(fields) = error(&Failure::Unreachable("gone".to_owned()));
        assert_eq!(fields[0].1.as_str().unwrap().len(), 24);
        assert_eq!(fields[2].1, json!("the server cannot be reached: gone"));
    }

    #[test]
    fn names_have_the_time_in_microseconds() {
        let time = time_in_names();
        assert_eq!(time.len(), "2024_03_04T10_20_30_123456".len());
        assert!(time.chars().all(|c| c.is_ascii_digit() || matches!(c, '_' | 'T')), "{time}");
    }
}
