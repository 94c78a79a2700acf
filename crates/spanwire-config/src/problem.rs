//! What is wrong with an input, and where: one sentence per mistake, never a secret value.
//!
//! Problems refuse the whole input, warnings do not. Both are collected, so that one run shows
//! everything there is to correct.

use std::fmt;

use crate::Kind;

/// One mistake in an input.
///
/// Shown as `objects.yaml:12: web_socket 'crm.wsx', field 'token_tll': unknown key, did you mean
/// 'token_ttl'?`, leaving out what is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", Place(self))]
#[non_exhaustive]
pub struct Problem {
    /// The file, as it was named in the call or in the `include`; `None` for input without a file.
    pub file: Option<String>,
    /// The line in the file, from 1; `None` when the input has no lines.
    pub line: Option<usize>,
    /// The kind of the object.
    pub kind: Option<Kind>,
    /// The name of the object.
    pub name: Option<String>,
    /// The key in the object.
    pub field: Option<String>,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl Problem {
    /// Returns what problems are sorted by: the file, then the line.
    pub(crate) fn place(&self) -> (Option<String>, Option<usize>) {
        (self.file.clone(), self.line)
    }
}

/// Something that is accepted although it is probably not what was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(pub Problem);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
}

impl Report {
    /// Returns whether nothing more is worth looking for.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    fn push(&mut self, problem: Problem) {
        if !self.is_full() {
            self.problems.push(problem);
        }
    }

    pub(crate) fn problem(&mut self, source: &Source, line: usize, message: impl Into<String>) {
        self.push(source.problem(line, None, message.into()));
    }

    pub(crate) fn field(
        &mut self,
        source: &Source,
        line: usize,
        field: &str,
        message: impl Into<String>,
    ) {
        self.push(source.problem(line, Some(field), message.into()));
    }

    pub(crate) fn warn(
        &mut self,
        source: &Source,
        line: usize,
        field: &str,
        message: impl Into<String>,
    ) {
        if self.warnings.len() < MAX_PROBLEMS {
            self.warnings.push(Warning(source.problem(line, Some(field), message.into())));
        }
    }
}

/// Where an object, or a part of a file that is not an object, comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub(crate) file: Option<String>,
    pub(crate) kind: Option<Kind>,
    pub(crate) name: Option<String>,
}

impl Source {
    fn problem(&self, line: usize, field: Option<&str>, message: String) -> Problem {
        Problem {
            file: self.file.clone(),
            line: (line > 0).then_some(line),
            kind: self.kind,
            name: self.name.as_deref().map(shown),
            field: field.map(str::to_owned),
            message,
        }
    }
}

/// The part of a problem's text before its message.
struct Place<'a>(&'a Problem);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = self.0;
        match (&problem.file, problem.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None) => {}
        }
        let mut separator = "";
        if let Some(kind) = problem.kind {
            write!(f, "{kind}")?;
            if let Some(name) = &problem.name {
                write!(f, " '{name}'")?;
            }
            separator = ", ";
        }
        if let Some(field) = &problem.field {
            write!(f, "{separator}field '{field}'")?;
            separator = ", ";
        }
        if separator.is_empty() { Ok(()) } else { f.write_str(": ") }
    }
}

/// Returns `, did you mean 'x'?` for the known word nearest to `word`, or an empty text.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    // Longer words may be further off; beyond 64 characters nobody mistyped anything.
    let length = word.chars().count();
    if length > 64 {
        return String::new();
    }
    let allowed = (length / 3).clamp(1, 3);
    let nearest = known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min();
    nearest.map_or_else(String::new, |(_, word)| format!(", did you mean '{word}'?"))
}

/// Returns a piece of an input as it may be shown: no control characters, not too long.
pub(crate) fn shown(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '�' } else { c };
    let mut shown: String = text.chars().take(MAX_SHOWN).map(clean).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Returns a key as it may be shown: in `{password:secret}` the missing space makes the secret a
/// part of the key, so that nothing is shown from the first unusual character on.
pub(crate) fn shown_key(key: &str) -> String {
    let usual = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let head: String = key.chars().take(MAX_SHOWN).take_while(usual).collect();
    if head.len() == key.len() { head } else { format!("{head}…") }
}

const MAX_SHOWN: usize = 80;

/// The most problems, and the most warnings, that one import returns.
pub const MAX_PROBLEMS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        Problem {
            file: Some("objects.yaml".into()),
            line: Some(12),
            kind: Some(Kind::WebSocket),
            name: Some("crm.wsx".into()),
            field: Some("token_tll".into()),
            message: "unknown key, did you mean 'token_ttl'?".into(),
        }
    }

    #[test]
    fn the_text_names_the_place() {
        let whole = problem();
        assert_eq!(
            whole.to_string(),
            "objects.yaml:12: web_socket 'crm.wsx', field 'token_tll': \
             unknown key, did you mean 'token_ttl'?"
        );
        let object = Problem { field: None, line: None, ..whole.clone() };
        assert!(object.to_string().starts_with("objects.yaml: web_socket 'crm.wsx': unknown"));
        let field = Problem { file: None, kind: None, name: None, ..whole.clone() };
        assert!(field.to_string().starts_with("line 12: field 'token_tll': unknown"));
        let bare = Problem { file: None, line: None, kind: None, field: None, ..whole };
        assert!(bare.to_string().starts_with("unknown key"));
    }

    #[test]
    fn only_near_words_are_offered() {
        let known = ["token_ttl", "ping_interval"];
        assert_eq!(did_you_mean("token_tll", known.into_iter()), ", did you mean 'token_ttl'?");
        assert_eq!(did_you_mean("colour", known.into_iter()), "");
    }

    #[test]
    fn a_secret_in_a_key_is_not_shown() {
        assert_eq!(shown_key("password:secret1"), "password…");
        assert_eq!(shown_key("token_ttl"), "token_ttl");
    }
}
