//! Path patterns: `/api/customer/{id}`.

use percent_encoding::percent_decode_str;
use thiserror::Error;

/// A path with `{parameters}`.
///
/// A parameter takes the rest of its segment; with `match_slash` it may span several. Parameters, and literal text after
/// the last of them, are percent-decoded; other literal text compares exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    parts: Vec<Part>,
    match_slash: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Parameter(String),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathPatternError {
    /// It does not start with `/`.
    #[error("a path must start with /")]
    Relative,
    /// A brace is not closed, or closed without being opened.
    #[error("each {{ in a path needs a }}, and the other way round")]
    Braces,
    /// A parameter has no name, or one with other characters than letters, digits, `_`, `-` and `.`.
    #[error("a parameter needs a name of letters, digits, _, - or .")]
    Name,
    /// Two parameters touch, so that nobody could say where one ends.
    #[error("two parameters need text between them")]
    Adjacent,
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str, match_slash: bool) -> Result<Self, PathPatternError> {
        if !text.starts_with('/') {
            return Err(PathPatternError::Relative);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(opened) = rest.strip_prefix('{') {
                let (name, after) = opened.split_once('}').ok_or(PathPatternError::Braces)?;
                let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
                if name.is_empty() || !name.chars().all(named) {
                    return Err(PathPatternError::Name);
                }
                if matches!(parts.last(), Some(Part::Parameter(_))) {
                    return Err(PathPatternError::Adjacent);
                }
                parts.push(Part::Parameter(name.to_owned()));
                rest = after;
            } else {
                let (literal, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
                if literal.contains('}') {
                    return Err(PathPatternError::Braces);
                }
                parts.push(Part::Literal(literal.to_owned()));
                rest = after;
            }
        }
        Ok(Self { text: text.to_owned(), parts, match_slash })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many parameters it has; fewer is more specific.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Parameter(_))).count()
    }

    /// The parameters of a path that matches, percent-decoded; `None` when it does not match.
    ///
    /// ```
    /// use spanwire_channel::rest::PathPattern;
    /// let pattern = PathPattern::parse("/customer/{id}", false)?;
    /// assert_eq!(pattern.matches("/customer/a%20b"), Some(vec![("id".to_owned(), "a b".to_owned())]));
    /// assert_eq!(pattern.matches("/customer/1/2"), None);
    /// # Ok::<(), spanwire_channel::rest::PathPatternError>(())
    /// ```
    #[must_use]
    pub fn matches(&self, path: &str) -> Option<Vec<(String, String)>> {
        let mut found = Vec::new();
        self.match_from(&self.parts, path, &mut found).then_some(found)
    }

    fn match_from(&self, parts: &[Part], path: &str, found: &mut Vec<(String, String)>) -> bool {
        match parts {
            [] => path.is_empty(),
            [Part::Literal(literal), rest @ ..] => match path.strip_prefix(literal.as_str()) {
                Some(after) => self.match_from(rest, after, found),
                // Equal only after decoding, such as %7E for ~.
                None => rest.is_empty() && decode(path).is_some_and(|path| path == *literal),
            },
            [Part::Parameter(name), rest @ ..] => {
                let limit = if self.match_slash {
                    path.len()
                } else {
                    path.find('/').unwrap_or(path.len())
                };
                let end = match rest.first() {
                    Some(Part::Literal(literal)) => {
                        let window =
                            path.get(..(limit + literal.len()).min(path.len())).unwrap_or(path);
                        if self.match_slash { window.rfind(literal) } else { window.find(literal) }
                    }
                    _ => Some(limit),
                };
                let Some((value, after)) = end.and_then(|end| path.split_at_checked(end)) else {
                    return false;
                };
                let Some(value) = decode(value).filter(|value| !value.is_empty()) else {
                    return false;
                };
                found.push((name.clone(), value));
                self.match_from(rest, after, found)
            }
        }
    }
}

/// Percent-decodes; `None` for what is not UTF-8 then.
fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, match_slash: bool, path: &str, expected: Option<&[(&str, &str)]>) {
        let found = PathPattern::parse(pattern, match_slash).unwrap().matches(path);
        let expected: Option<Vec<(String, String)>> =
            expected.map(|e| e.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
        assert_eq!(found, expected, "{pattern} on {path}");
    }

    #[test]
    fn patterns_match_whole_paths() {
        check("/a", false, "/a", Some(&[]));
        check("/a", false, "/a/", None);
        check("/a~b", false, "/a%7Eb", Some(&[]));
        check("/c/{id}", false, "/c/7", Some(&[("id", "7")]));
        check("/c/{id}", false, "/c/", None);
        check("/c/{id}", false, "/c/7/8", None);
        check("/c/{id}", false, "/c/%ff", None);
        check("/c/{id}", false, "/c/a%2Fb", Some(&[("id", "a/b")]));
        check("/c/{id}/o/{order}", false, "/c/7/o/9", Some(&[("id", "7"), ("order", "9")]));
        check("/c/{id}.json", false, "/c/7.json", Some(&[("id", "7")]));
        check("/f/{path}", true, "/f/a/b/c", Some(&[("path", "a/b/c")]));
        check("/f/{path}/raw", true, "/f/a/raw/b/raw", Some(&[("path", "a/raw/b")]));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, error) in [
            ("a", PathPatternError::Relative),
            ("/{a", PathPatternError::Braces),
            ("/a}", PathPatternError::Braces),
            ("/{}", PathPatternError::Name),
            ("/{a b}", PathPatternError::Name),
            ("/{a}{b}", PathPatternError::Adjacent),
        ] {
            assert_eq!(PathPattern::parse(text, false), Err(error), "{text}");
        }
    }
}
