//! A YAML or JSON text as a tree in which every node knows its line.
//!
//! It is built from the parser's events in a loop, not by the parser's own tree builders: those
//! recurse once per nesting level without a bound, resolve aliases, and turn `1.10` into the number
//! 1.1 before anyone can say that a name was meant. Here nesting is at most [`MAX_DEPTH`] deep,
//! anchors and aliases are refused, scalars keep their text, and a key that is given twice is a
//! problem with a line. JSON is read by the same parser, which is a superset of it.
//!
//! Nothing here knows what the keys mean.

use std::borrow::Cow;
use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use serde_json::Value as Json;

use crate::problem::{Report, Source, shown_key};

/// The deepest nesting of lists and mappings that is read.
pub const MAX_DEPTH: usize = 64;

/// A part of a document.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The line it begins on, from 1; 0 when it was not read from a text.
    pub(crate) line: usize,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A text, number, boolean or null, as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Whether it was written without quotes, so that it may be a null.
    pub(crate) is_plain: bool,
    /// Whether a part of it comes from the environment, so that it must not be shown.
    pub(crate) is_from_env: bool,
}

/// A key of a mapping with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) value: Node,
}

impl Node {
    /// Parses a text; `None` and problems in the report if it is not one document.
    pub(crate) fn parse(text: &str, source: &Source, report: &mut Report) -> Option<Self> {
        let is_json = source.file.as_ref().is_some_and(|file| file.ends_with(".json"));
        let text = if is_json { join_surrogates(text) } else { Cow::Borrowed(text) };
        let text = text.as_ref();
        let mut builder = Builder::default();
        let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    let line = error.marker().line();
                    report.problem(source, line, format!("not valid YAML: {}", error.info()));
                    return None;
                }
            };
            if let Err(message) = builder.take(event, span, source, report) {
                report.problem(source, span.start.line(), message);
                return None;
            }
        }
        Some(builder.root.unwrap_or_else(|| Self::null(0)))
    }

    /// Returns the tree of a JSON value; its lines are unknown.
    pub(crate) fn from_json(value: &Json) -> Self {
        let plain =
            |text: String| Content::Scalar(Scalar { text, is_plain: true, is_from_env: false });
        let content = match value {
            Json::Null => plain(String::new()),
            Json::Bool(value) => plain(value.to_string()),
            Json::Number(number) => plain(number.to_string()),
            Json::String(text) => {
                Content::Scalar(Scalar { text: text.clone(), is_plain: false, is_from_env: false })
            }
            Json::Array(items) => Content::List(items.iter().map(Self::from_json).collect()),
            Json::Object(map) => Content::Map(
                map.iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        line: 0,
                        value: Self::from_json(value),
                    })
                    .collect(),
            ),
        };
        Self { line: 0, content }
    }

    /// Returns whether there is no value.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(scalar)
            if scalar.is_plain && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Returns what the node is, for a message.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.content {
            Content::Scalar(_) if self.is_null() => "nothing",
            Content::Scalar(_) => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping of keys to values",
        }
    }

    /// Returns a node for a text that stands in a line.
    pub(crate) fn text(line: usize, text: &str) -> Self {
        let scalar = Scalar { text: text.to_owned(), is_plain: false, is_from_env: false };
        Self { line, content: Content::Scalar(scalar) }
    }

    fn null(line: usize) -> Self {
        let scalar = Scalar { text: String::new(), is_plain: true, is_from_env: false };
        Self { line, content: Content::Scalar(scalar) }
    }
}

/// Puts events together to a tree.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

/// A list or a mapping that has not ended yet.
struct Open {
    node: Node,
    /// In a mapping: the key whose value comes next.
    key: Option<(String, usize)>,
    /// In a mapping: the keys so far.
    keys: HashSet<String>,
}

impl Builder {
    fn take(
        &mut self,
        event: Event<'_>,
        span: Span,
        source: &Source,
        report: &mut Report,
    ) -> Result<(), String> {
        let line = span.start.line();
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err("a second document begins here: put it into a file of its own \
                                and name that under 'include'"
                        .to_owned());
                }
                Ok(())
            }
            Event::Alias(_) => Err(NO_ANCHORS.to_owned()),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor > 0 =>
            {
                Err(NO_ANCHORS.to_owned())
            }
            Event::Scalar(text, style, _, tag) => {
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                let scalar = Scalar { text: text.into_owned(), is_plain, is_from_env: false };
                self.add(Node { line, content: Content::Scalar(scalar) }, source, report)
            }
            Event::SequenceStart(..) => self.begin(line, Content::List(Vec::new())),
            Event::MappingStart(..) => self.begin(line, Content::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.add(open.node, source, report),
                None => Err("not valid YAML: a list or mapping ends that did not begin".to_owned()),
            },
        }
    }

    fn begin(&mut self, line: usize, content: Content) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} levels deep: simplify the file"));
        }
        self.open.push(Open { node: Node { line, content }, key: None, keys: HashSet::new() });
        Ok(())
    }

    fn add(&mut self, node: Node, source: &Source, report: &mut Report) -> Result<(), String> {
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut parent.node.content, parent.key.take()) {
            (Content::List(items), _) => items.push(node),
            (Content::Map(entries), Some((key, line))) => {
                if !parent.keys.insert(key.clone()) {
                    let message =
                        format!("key '{}' is given twice: keep one of the two", shown_key(&key));
                    report.problem(source, line, message);
                } else {
                    entries.push(Entry { key, line, value: node });
                }
            }
            (Content::Map(_), None) => {
                let Content::Scalar(scalar) = node.content else {
                    return Err("a key must be a single word, not a list or a mapping".to_owned());
                };
                parent.key = Some((scalar.text, node.line));
            }
            (Content::Scalar(_), _) => {}
        }
        Ok(())
    }
}

/// Writes characters out that JSON escapes as two halves (`\\ud83d\\ude00`), which YAML does not know.
fn join_surrogates(text: &str) -> Cow<'_, str> {
    if !text.contains("\\ud") && !text.contains("\\uD") {
        return Cow::Borrowed(text);
    }
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, _)) = rest.split_once('\\') {
        joined.push_str(before);
        let escape = rest.get(before.len()..).unwrap_or_default();
        let pair = unit(escape).zip(escape.get(6..).and_then(unit));
        let character = pair.and_then(|(high, low)| {
            let mut decoded = char::decode_utf16([high, low]);
            decoded.next()?.ok().filter(|c| c.len_utf16() == 2)
        });
        let taken = match character {
            Some(character) => {
                joined.push(character);
                12
            }
            // Any other escape stays; its second character is not the beginning of one.
            None => {
                let taken = escape.chars().take(2).map(char::len_utf8).sum();
                joined.push_str(escape.get(..taken).unwrap_or_default());
                taken
            }
        };
        rest = escape.get(taken..).unwrap_or_default();
    }
    joined.push_str(rest);
    Cow::Owned(joined)
}

const NO_ANCHORS: &str = "anchors (&name) and aliases (*name) are not accepted: write the value out, \
     in quotes if it begins with & or *";

#[cfg(test)]
mod tests;
