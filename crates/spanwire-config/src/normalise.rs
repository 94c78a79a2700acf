//! From what was written about one object to a checked, typed [`Object`].
//!
//! Everything is read off the kind's [`KindSpec`]. What concerns several keys of an object is in
//! [`crate::rules`], what concerns several objects in [`crate::validate`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Map;

use crate::document::{Content, Entry, Node};
use crate::environment::{Environment, resolve};
use crate::kind::Kind;
use crate::object::{Object, subscription_name};
use crate::problem::{Report, Source, did_you_mean, shown, shown_key};
use crate::rules;
use crate::spec::{Effect, FieldSpec, KindSpec, ValueType};
use crate::value;

/// An object as it was written.
#[derive(Debug, Clone)]
pub(crate) struct RawObject {
    pub(crate) source: Source,
    pub(crate) line: usize,
    entries: Vec<Entry>,
    /// Keys whose values are known to be wrong and are left out of `entries`.
    broken: BTreeSet<String>,
}

/// An object that is valid by itself, and where its parts were written.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) object: Object,
    pub(crate) source: Source,
    line: usize,
    lines: BTreeMap<&'static str, usize>,
}

impl RawObject {
    /// Takes an object out of a document; the source names its kind.
    pub(crate) fn new(source: Source, node: Node, report: &mut Report) -> Option<Self> {
        Self::with_environment(source, node, None, report)
    }

    pub(crate) fn with_environment(
        mut source: Source,
        node: Node,
        env: Option<Environment<'_>>,
        report: &mut Report,
    ) -> Option<Self> {
        let line = node.line;
        let description = node.describe();
        let Content::Map(mut entries) = node.content else {
            let message =
                format!("an object is keys with values, like 'name: x', not {description}");
            report.problem(&source, line, message);
            return None;
        };
        let mut mistakes = Vec::new();
        if let Some(env) = env {
            entries.retain_mut(|entry| {
                let mut found = Vec::new();
                resolve(&mut entry.value, env, &mut found);
                let is_fine = found.is_empty();
                mistakes
                    .extend(found.into_iter().map(|(line, text)| (entry.key.clone(), line, text)));
                is_fine
            });
        }
        source.name = source.kind.and_then(|kind| written_name(kind, &entries));
        let mut broken = BTreeSet::new();
        for (key, line, message) in mistakes {
            report.field(&source, line, &shown_key(&key), message);
            broken.insert(key);
        }
        Some(Self { source, line, entries, broken })
    }

    /// Returns the text that was written for a field, and its line.
    pub(crate) fn written(&self, field: &FieldSpec) -> Option<(&str, usize)> {
        let is_it = |entry: &&Entry| entry.key == field.key || field.aliases.contains(&&*entry.key);
        let entry = self.entries.iter().find(is_it).filter(|entry| !entry.value.is_null())?;
        match &entry.value.content {
            Content::Scalar(scalar) => {
                Some((scalar.text.trim(), entry.line)).filter(|(text, _)| !text.is_empty())
            }
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// Returns one subscription per topic of a `topic_list`, or the object itself.
    pub(crate) fn expand(mut self, report: &mut Report) -> Vec<Self> {
        let is_list = |entry: &Entry| TOPIC_LISTS.contains(&entry.key.as_str());
        let position = self.entries.iter().position(is_list);
        let (Some(Kind::PubsubSubscription), Some(at)) = (self.source.kind, position) else {
            return vec![self];
        };
        let list = self.entries.remove(at);
        let topics = match value::list(&list.value) {
            Ok(topics) if !topics.is_empty() => topics,
            Ok(_) => {
                report.field(&self.source, list.line, &list.key, "is empty: name a topic");
                return Vec::new();
            }
            Err(message) => {
                report.field(&self.source, list.line, &list.key, message);
                return Vec::new();
            }
        };
        let one = |topic: &String| {
            let mut object = self.clone();
            let value = Node::text(list.line, topic);
            object.entries.push(Entry { key: "topic_name".to_owned(), line: list.line, value });
            object.source.name = written_name(Kind::PubsubSubscription, &object.entries);
            object
        };
        topics.iter().map(one).collect()
    }
}

impl Checked {
    /// Returns the line of a key, or of the object if the key was not written.
    pub(crate) fn line_of(&self, key: &str) -> usize {
        self.lines.get(key).copied().unwrap_or(self.line)
    }
}

/// Checks an object by itself; `None` and problems in the report if it is not valid.
pub(crate) fn normalise(raw: &RawObject, report: &mut Report) -> Option<Checked> {
    let kind = raw.source.kind?;
    let spec = KindSpec::of(kind);
    let known = report.problems.len();
    let mut fields = Map::new();
    let mut lines = BTreeMap::new();
    let mut given: BTreeMap<&'static str, &str> = BTreeMap::new();
    // Keys that were written, but not well: they are not missing.
    let named = |key: &String| spec.field(key).map(|field| field.key);
    let mut wrong: BTreeSet<&'static str> = raw.broken.iter().filter_map(named).collect();
    for Entry { key, line, value } in &raw.entries {
        // What is left would only be left out of the report.
        if report.is_full() {
            return None;
        }
        let Some(field) = spec.field(key) else {
            report.field(&raw.source, *line, &shown_key(key), unknown_key(spec, key));
            continue;
        };
        if let Some(other) = given.insert(field.key, key) {
            let message = format!("is another word for '{other}', which is given too: keep one");
            report.field(&raw.source, *line, key, message);
            continue;
        }
        lines.insert(field.key, *line);
        match field.effect {
            Effect::Ignored => {}
            Effect::Unsupported if is_set(value) => {
                let message = "is not supported and has no effect: remove it to silence this";
                report.warn(&raw.source, *line, key, message);
            }
            Effect::Refused if is_set(value) => {
                let message = "is not supported, and without it the channel would be more open than \
                               it is meant to be: remove it and use 'security_name'";
                report.field(&raw.source, *line, key, message);
            }
            Effect::Unsupported | Effect::Refused => {}
            Effect::Applied => match value::normalise(field.value, value) {
                Ok(Some(json)) if field.required || !is_none_word(field, &json) => {
                    fields.insert(field.key.to_owned(), json);
                }
                Ok(_) => {}
                Err(message) => {
                    report.field(&raw.source, *line, key, message);
                    wrong.insert(field.key);
                }
            },
        }
        if field.value == ValueType::TopicPatterns {
            warn_of_other_lines(raw, *line, key, value, report);
        }
    }
    for field in spec.fields().filter(|field| field.effect == Effect::Applied) {
        if fields.contains_key(field.key) || wrong.contains(field.key) {
            continue;
        }
        if field.required {
            let line = lines.get(field.key).copied().unwrap_or(raw.line);
            report.field(&raw.source, line, field.key, missing(field));
        } else if let Some(default) = value::fallback(field) {
            fields.insert(field.key.to_owned(), default);
        }
    }
    if report.problems.len() > known || !raw.broken.is_empty() {
        return None;
    }
    let Some(object) = Object::from_fields(kind, fields) else {
        report.problem(&raw.source, raw.line, "cannot be represented: report this as a defect");
        return None;
    };
    let checked = Checked { object, source: raw.source.clone(), line: raw.line, lines };
    rules::check(&checked, report);
    (report.problems.len() == known).then_some(checked)
}

fn unknown_key(spec: &KindSpec, key: &str) -> String {
    let known = spec
        .fields()
        .flat_map(|field| std::iter::once(field.key).chain(field.aliases.iter().copied()));
    let hint = did_you_mean(key, known);
    if !hint.is_empty() {
        return format!("unknown key{hint}");
    }
    if key.contains(':') {
        return "unknown key: write a space between ':' and the value".to_owned();
    }
    "unknown key: remove it or correct its spelling".to_owned()
}

fn missing(field: &FieldSpec) -> String {
    match field.value {
        ValueType::Reference(Kind::Security, [none, ..]) => {
            format!("is missing: name a security definition, or write '{none}' to let everyone in")
        }
        ValueType::Choice(words) => format!("is missing: write one of {}", words.join(", ")),
        _ => "is missing: add it".to_owned(),
    }
}

/// Returns the name of an object as it was written, so that problems can say which one it is.
fn written_name(kind: Kind, entries: &[Entry]) -> Option<String> {
    let text = |key: &str| {
        let field = KindSpec::of(kind).field(key)?;
        let is_it = |entry: &&Entry| entry.key == field.key || field.aliases.contains(&&*entry.key);
        let entry = entries.iter().find(is_it).filter(|entry| !entry.value.is_null())?;
        match &entry.value.content {
            Content::Scalar(scalar) => {
                Some(scalar.text.trim().to_owned()).filter(|text| !text.is_empty())
            }
            Content::List(_) | Content::Map(_) => None,
        }
    };
    match kind {
        Kind::PubsubSubscription => {
            Some(subscription_name(&text("endpoint_name")?, &text("topic_name")?))
        }
        _ => text("name"),
    }
}

/// Returns whether a value asks for something.
fn is_set(node: &Node) -> bool {
    match &node.content {
        Content::Scalar(scalar) => {
            let text = scalar.text.trim().to_ascii_lowercase();
            !node.is_null()
                && !matches!(
                    text.as_str(),
                    "" | "false" | "no" | "off" | "0" | "none" | "zato_none"
                )
        }
        Content::List(items) => !items.is_empty(),
        Content::Map(entries) => !entries.is_empty(),
    }
}

fn is_none_word(field: &FieldSpec, json: &serde_json::Value) -> bool {
    matches!((field.value, json.as_str()), (ValueType::Reference(_, none), Some(text)) if none.contains(&text))
}

fn warn_of_other_lines(raw: &RawObject, line: usize, key: &str, node: &Node, report: &mut Report) {
    for other in value::list(node).unwrap_or_default() {
        if !value::is_topic_pattern(&other) {
            let message = format!(
                "'{}' begins neither with pub= nor with sub= and grants nothing: correct it",
                shown(&other)
            );
            report.warn(&raw.source, line, key, message);
        }
    }
}

/// Keys that stand for several subscriptions at once.
pub(crate) const TOPIC_LISTS: [&str; 3] = ["topic_list", "topic_list_text", "topics"];
