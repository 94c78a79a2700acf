//! Labels: words by which objects are grouped.
//!
//! An import that prunes removes only objects that carry its label, and selections name labels. They
//! mean nothing else: no object does anything because of a label.

use crate::object::Object;

/// The longest label, in characters.
pub const MAX_LABEL: usize = 63;

/// The most labels that an object carries.
pub const MAX_LABELS: usize = 32;

/// Checks a label: 1 to [`MAX_LABEL`] characters of `A-Za-z0-9._-/`.
///
/// # Errors
/// The accepted form, as a sentence that does not repeat the text.
pub fn parse_label(text: &str) -> Result<(), String> {
    let is_accepted = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
    if !text.is_empty() && text.len() <= MAX_LABEL && text.bytes().all(is_accepted) {
        return Ok(());
    }
    Err(format!(
        "a label is 1 to {MAX_LABEL} ASCII letters, digits, '.', '_', '-' and '/', such as \
         team/crm: correct it"
    ))
}

/// Returns labels in their normal form: each once, in the order in which they were written.
pub(crate) fn normal_form(written: Vec<String>) -> Result<Vec<String>, String> {
    let mut labels: Vec<String> = Vec::new();
    for label in written {
        parse_label(&label)?;
        if labels.contains(&label) {
            continue;
        }
        if labels.len() >= MAX_LABELS {
            return Err(too_many());
        }
        labels.push(label);
    }
    Ok(labels)
}

impl Object {
    /// Returns the labels, in the order in which they were given.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        match self {
            Self::Security(it) => &it.labels,
            Self::Service(it) => &it.labels,
            Self::WsxGateway(it) => &it.labels,
            Self::WebSocket(it) => &it.labels,
            Self::ChannelRest(it) => &it.labels,
            Self::OutgoingRest(it) => &it.labels,
            Self::OutgoingWsx(it) => &it.labels,
            Self::PubsubTopic(it) => &it.labels,
            Self::PubsubEndpoint(it) => &it.labels,
            Self::PubsubSubscription(it) => &it.labels,
        }
    }

    /// Adds a label after the others; one that is there already changes nothing.
    ///
    /// # Errors
    /// The label is not one, as [`parse_label`] says, or there are [`MAX_LABELS`] already. The object
    /// stays as it is.
    pub fn add_label(&mut self, label: &str) -> Result<(), String> {
        parse_label(label)?;
        let labels = self.labels_mut();
        if labels.iter().any(|known| known == label) {
            return Ok(());
        }
        if labels.len() >= MAX_LABELS {
            return Err(too_many());
        }
        labels.push(label.to_owned());
        Ok(())
    }

    fn labels_mut(&mut self) -> &mut Vec<String> {
        match self {
            Self::Security(it) => &mut it.labels,
            Self::Service(it) => &mut it.labels,
            Self::WsxGateway(it) => &mut it.labels,
            Self::WebSocket(it) => &mut it.labels,
            Self::ChannelRest(it) => &mut it.labels,
            Self::OutgoingRest(it) => &mut it.labels,
            Self::OutgoingWsx(it) => &mut it.labels,
            Self::PubsubTopic(it) => &mut it.labels,
            Self::PubsubEndpoint(it) => &mut it.labels,
            Self::PubsubSubscription(it) => &mut it.labels,
        }
    }
}

fn too_many() -> String {
    format!("an object carries at most {MAX_LABELS} labels: remove some")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;

    fn topic(labels: &serde_json::Value) -> Result<Object, String> {
        Object::from_json(Kind::PubsubTopic, &json!({"name": "/t", "labels": labels}))
            .map_err(|problems| problems[0].to_string())
    }

    #[test]
    fn labels_are_a_list_or_lines() {
        for written in [json!(["a/b", "C_1.x-y", "a/b"]), json!("a/b\n\n C_1.x-y \n")] {
            assert_eq!(topic(&written).unwrap().labels(), ["a/b", "C_1.x-y"], "{written}");
        }
        for written in [json!(null), json!([]), json!("")] {
            let topic = topic(&written).unwrap();
            assert!(topic.labels().is_empty());
            assert!(topic.to_masked().get("labels").is_none(), "shown only where there are some");
        }
    }

    #[test]
    fn other_labels_are_refused_with_the_form() {
        let long = "x".repeat(MAX_LABEL + 1);
        for written in [json!(["a b"]), json!(["ü"]), json!([long]), json!("a,b"), json!(["a\nb"])]
        {
            let error = topic(&written).unwrap_err();
            assert!(error.contains("field 'labels': a label is 1 to 63"), "{written}: {error}");
        }
        assert!(topic(&json!({"a": 1})).is_err());
        assert!(parse_label("").is_err());
        assert!(parse_label(&"x".repeat(MAX_LABEL)).is_ok());
        let many: Vec<_> = (0..=MAX_LABELS).map(|n| n.to_string()).collect();
        assert!(topic(&json!(many)).unwrap_err().contains("at most 32 labels"));
        assert!(topic(&json!(many[1..])).is_ok());
    }

    #[test]
    fn labels_are_added_once() {
        let mut topic = topic(&json!([])).unwrap();
        topic.add_label("a").unwrap();
        topic.add_label("a").unwrap();
        assert_eq!(topic.labels(), ["a"]);
        assert!(topic.add_label("a b").is_err());
        (1..MAX_LABELS).for_each(|n| topic.add_label(&n.to_string()).unwrap());
        assert!(topic.add_label("one-more").is_err());
        assert!(topic.add_label("a").is_ok());
        assert_eq!(topic.labels().len(), MAX_LABELS);
    }
}
