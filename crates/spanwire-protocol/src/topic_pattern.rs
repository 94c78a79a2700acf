//! Patterns of topic names: what an endpoint may publish to and subscribe to (pubsub 1.3).
//!
//! | token | meaning |
//! |---|---|
//! | `*` | any characters except `/` |
//! | `**` | any characters |
//! | `?` | one character except `/` |
//! | `[…]` | one character of a class, such as `[a-z]` |
//! | `{…}` | a regular expression |
//! | `\` | the next character as it is |
//!
//! A pattern matches the **whole** name. `/*` alone means every name, because existing installations mean that by it.

use regex_lite::{Regex, RegexBuilder};
use thiserror::Error;

/// What an endpoint asks to do with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicAccess {
    /// Publish to it.
    Publish,
    /// Subscribe to it.
    Subscribe,
}

impl TopicAccess {
    /// The prefix of patterns that grant it.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Publish => "pub=",
            Self::Subscribe => "sub=",
        }
    }
}

/// One line of an endpoint's patterns, such as `pub=/customer/*/changed`.
///
/// ```
/// use spanwire_protocol::{TopicAccess, TopicPattern};
///
/// let pattern = TopicPattern::parse("pub=/usa/va/*")?;
/// assert!(pattern.grants(TopicAccess::Publish, "/usa/va/richmond"));
/// assert!(!pattern.grants(TopicAccess::Publish, "/usa/va/richmond/x"));
/// assert!(!pattern.grants(TopicAccess::Subscribe, "/usa/va/richmond"));
/// # Ok::<(), spanwire_protocol::TopicPatternError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TopicPattern {
    line: String,
    access: TopicAccess,
    name: Regex,
}

/// Why a text is no pattern of topics.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TopicPatternError {
    /// It starts with neither `pub=` nor `sub=`.
    #[error("a pattern of topics starts with pub= or sub=")]
    Prefix,
    /// Nothing follows the prefix.
    #[error("a pattern of topics needs a name after its prefix, or ** for every topic")]
    Empty,
    /// A class or an expression is not closed, or is none.
    #[error("a class […] or an expression {{…}} in the pattern is not complete")]
    Expression,
}

impl TopicPattern {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is no pattern.
    pub fn parse(line: &str) -> Result<Self, TopicPatternError> {
        let line = line.trim();
        let (access, glob) = [TopicAccess::Publish, TopicAccess::Subscribe]
            .into_iter()
            .find_map(|access| Some((access, line.strip_prefix(access.prefix())?.trim())))
            .ok_or(TopicPatternError::Prefix)?;
        let source = match glob {
            "" => return Err(TopicPatternError::Empty),
            "/*" => r"\A.*\z".to_owned(),
            glob => format!(r"\A{}\z", translate(glob)?),
        };
        let mut name = RegexBuilder::new(&source);
        let name = name.dot_matches_new_line(true).size_limit(MAX_SIZE).build();
        let name = name.map_err(|_| TopicPatternError::Expression)?;
        Ok(Self { line: line.to_owned(), access, name })
    }

    /// Whether this pattern grants this access to a topic.
    #[must_use]
    pub fn grants(&self, access: TopicAccess, topic: &str) -> bool {
        self.access == access && self.name.is_match(topic)
    }

    /// The line as it was written, with its prefix: what is recorded as the pattern that matched.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.line
    }
}

/// Writes a glob as a regular expression.
fn translate(glob: &str) -> Result<String, TopicPatternError> {
    let mut expression = String::with_capacity(glob.len() * 2);
    let mut characters = glob.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' if characters.next_if_eq(&'*').is_some() => expression.push_str(".*"),
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '[' => {
                let class: String = characters.by_ref().take_while(|next| *next != ']').collect();
                // What is escaped nowhere else may be written as it is in a class, except for another class.
                expression.push_str(&format!("[{}]", class.replace('[', r"\[")));
            }
            '{' => {
                let inner: String = characters.by_ref().take_while(|next| *next != '}').collect();
                // By itself it must be one, or its parentheses could undo the anchors around it.
                Regex::new(&inner).map_err(|_| TopicPatternError::Expression)?;
                expression.push_str(&format!("(?:{inner})"));
            }
            '\\' => {
                let escaped = characters.next().ok_or(TopicPatternError::Expression)?;
                expression.push_str(&regex_lite::escape(escaped.encode_utf8(&mut [0; 4])));
            }
            literal => expression.push_str(&regex_lite::escape(literal.encode_utf8(&mut [0; 4]))),
        }
    }
    let opened = |open: char, close: char| {
        let mut depth = 0_u32;
        let mut escaped = false;
        for character in glob.chars() {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == open && depth == 0 => depth = 1,
                c if c == close => depth = 0,
                _ => {}
            }
        }
        depth > 0
    };
    if opened('[', ']') || opened('{', '}') {
        return Err(TopicPatternError::Expression);
    }
    Ok(expression)
}

/// What a compiled pattern may take, in bytes.
const MAX_SIZE: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, name: &str) -> bool {
        TopicPattern::parse(&format!("pub={glob}")).unwrap().grants(TopicAccess::Publish, name)
    }

    /// The column of the documentation in pubsub 1.3, except that `/*` alone means everything.
    #[test]
    fn invariant_31_patterns_match_whole_names() {
        for (glob, name, expected) in [
            ("/*", "/zato/demo/sample", true),
            ("/usa/va/*", "/usa/va/richmond", true),
            ("/usa/va/*", "/usa/va/richmond/x", false),
            ("/usa/va/richmond", "/usa/va/richmond/secret", false),
            ("/usa/va/richmond", "/usa/va/richmond2", false),
            ("/usa/va/richmond", "/usa/va/richmond", true),
            ("/customer/*/changed", "/customer/a/b/changed", false),
            ("/customer/*/changed", "/customer/a/changed2", false),
            ("/customer/*/changed", "/customer//changed", true),
            ("/usa/**", "/usa", false),
            ("/usa/**", "/usa/", true),
            ("/usa/**", "/usa/a/b", true),
            ("/**/x", "/x", false),
            ("/**/x", "/a/b/x", true),
            ("/a?c", "/abc", true),
            ("/a?c", "/a/c", false),
            ("/a[bx]c", "/axc", true),
            ("/a[^b]c", "/abc", false),
            ("/{a|b}/c", "/b/c", true),
            ("/{a|b}/c", "/ab/c", false),
            (r"/a\*", "/a*", true),
            (r"/a\*", "/ab", false),
            ("/a.c", "/abc", false),
            ("/A", "/a", false),
            ("**", "no/slash/first", true),
            ("/a", "/a\n", false),
            ("/**", "/a\nb", true),
        ] {
            assert_eq!(matches(glob, name), expected, "{glob} on {name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (line, error) in [
            ("pub=", TopicPatternError::Empty),
            ("sub= ", TopicPatternError::Empty),
            ("/a", TopicPatternError::Prefix),
            ("PUB=/a", TopicPatternError::Prefix),
            ("pub=/[a", TopicPatternError::Expression),
            ("pub=/{a", TopicPatternError::Expression),
            (r"pub=/a\", TopicPatternError::Expression),
            ("pub=/{(}", TopicPatternError::Expression),
            ("pub=/{a)|(b}", TopicPatternError::Expression),
        ] {
            assert_eq!(TopicPattern::parse(line).map(drop), Err(error), "{line}");
        }
    }
}
