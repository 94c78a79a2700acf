//! Values from the environment: `Spanwire_Env.NAME` as a whole value, `{Spanwire_Env.NAME}` inside.
//!
//! `{Spanwire_Env.}`, without a name, is nothing at all. It breaks up a text that looks like a
//! variable and is not meant to be one: `{Spanwire_Env.}Spanwire_Env.NAME` is `Spanwire_Env.NAME`.
//!
//! The environment is a function that the caller passes in; nothing here reads the process's own.
//! What comes from it is marked, so that no message shows it.

use crate::document::{Content, Node, Scalar};

/// Where values of variables come from: a name in, the value out, `None` if it is not set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces references to variables in a node and in what it contains.
///
/// The result is one message per mistake, with the line.
pub(crate) fn resolve(node: &mut Node, env: Environment<'_>, problems: &mut Vec<(usize, String)>) {
    // An unquoted placeholder as the whole value is a mapping to the parser.
    if let Content::Map(entries) = &node.content
        && let [entry] = entries.as_slice()
        && entry.value.is_null()
        && reference(&entry.key).is_some()
    {
        let scalar = Scalar { text: entry.key.clone(), is_plain: true, is_from_env: false };
        node.content = Content::Scalar(scalar);
    }
    match &mut node.content {
        Content::Scalar(scalar) => {
            match replaced(&scalar.text, env) {
                Ok(Some(text)) => {
                    // Not plain: what looks like a null in a variable is a text.
                    *scalar = Scalar { text, is_plain: false, is_from_env: true };
                }
                Ok(None) => {}
                Err(messages) => {
                    problems.extend(messages.into_iter().map(|message| (node.line, message)));
                }
            }
        }
        Content::List(items) => items.iter_mut().for_each(|item| resolve(item, env, problems)),
        Content::Map(entries) => {
            entries.iter_mut().for_each(|entry| resolve(&mut entry.value, env, problems));
        }
    }
}

/// Returns the text with variables replaced, or `None` if it names none.
fn replaced(text: &str, env: Environment<'_>) -> Result<Option<String>, Vec<String>> {
    if let Some(name) = reference(text.trim()) {
        return value(name, env).map(Some).map_err(|message| vec![message]);
    }
    let mut problems = Vec::new();
    let mut result = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some((before, after)) = rest.split_once('{') {
        let inner = after.split_once('}').and_then(|(inner, tail)| Some((reference(inner)?, tail)));
        result.push_str(before);
        if let Some((name, tail)) = inner {
            if !name.is_empty() {
                match value(name, env) {
                    Ok(value) => result.push_str(&value),
                    Err(message) => problems.push(message),
                }
            }
            rest = tail;
            found = true;
        } else {
            result.push('{');
            rest = after;
        }
    }
    result.push_str(rest);
    if problems.is_empty() { Ok(found.then_some(result)) } else { Err(problems) }
}

/// Returns a text that [`resolve`] turns into this one, or `None` if that is the text itself.
pub(crate) fn escaped(text: &str) -> Option<String> {
    if reference(text.trim()).is_some() {
        return Some(format!("{NOTHING}{text}"));
    }
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let inner = after.split_once('}').map(|(inner, _)| inner);
        result.push_str(before);
        result.push('{');
        if inner.and_then(reference).is_some() {
            result.push_str(NOTHING);
        }
        rest = after;
    }
    result.push_str(rest);
    (result != text).then_some(result)
}

/// Returns the name after the prefix, valid or not.
fn reference(text: &str) -> Option<&str> {
    let name = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix))?;
    // A longer text that merely begins like a reference is a text.
    (!name.contains([' ', '\n', '{', '}', '/'])).then_some(name)
}

fn value(name: &str, env: Environment<'_>) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(
            "no valid variable name follows: write Spanwire_Env.NAME with letters, digits \
                    and underscores"
                .to_owned(),
        );
    }
    env(name)
        .ok_or_else(|| format!("environment variable '{name}' is not set: set it and import again"))
}

/// What is replaced by nothing.
const NOTHING: &str = "{Spanwire_Env.}";

const PREFIXES: [&str; 4] =
    ["Spanwire_Env.", "SpanwireEnv.", "Zato_Enmasse_Env.", "ZatoEnmasseEnv."];

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("example.com".to_owned()),
            "Acme_Password" => Some("s3cret{HOST}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn references_are_replaced() {
        let cases = [
            ("Spanwire_Env.HOST", "example.com"),
            ("SpanwireEnv.HOST", "example.com"),
            ("Zato_Enmasse_Env.Acme_Password", "s3cret{HOST}"),
            ("ZatoEnmasseEnv.HOST", "example.com"),
            (
                "ws://{Spanwire_Env.HOST}:1/{Zato_Enmasse_Env.HOST}/{id}",
                "ws://example.com:1/example.com/{id}",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(replaced(text, &env).unwrap().as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_stay() {
        for text in ["", "x", "/a/{id}", "{", "}", "{x", "Spanwire_Env is nice", "Spanwire_Env. x"]
        {
            assert_eq!(replaced(text, &env).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn texts_are_kept_from_being_references() {
        let cases = [
            ("Spanwire_Env.HOST", "{Spanwire_Env.}Spanwire_Env.HOST"),
            (" ZatoEnmasseEnv.a-b", "{Spanwire_Env.} ZatoEnmasseEnv.a-b"),
            ("x{SpanwireEnv.HOST}", "x{{Spanwire_Env.}SpanwireEnv.HOST}"),
            ("{Spanwire_Env.}", "{{Spanwire_Env.}Spanwire_Env.}"),
        ];
        for (text, expected) in cases {
            assert_eq!(escaped(text).as_deref(), Some(expected));
            assert_eq!(replaced(expected, &env).unwrap().as_deref(), Some(text));
        }
        for text in ["", "x", "/a/{id}", "{{", "a Spanwire_Env.HOST"] {
            assert_eq!(escaped(text), None, "{text}");
        }
    }

    #[test]
    fn missing_variables_are_named() {
        for text in ["Spanwire_Env.NOPE", "x{Spanwire_Env.NOPE}"] {
            let error = replaced(text, &env).unwrap_err();
            assert_eq!(error, ["environment variable 'NOPE' is not set: set it and import again"]);
        }
        assert_eq!(replaced("{Spanwire_Env.A1} {Spanwire_Env.A2}", &env).unwrap_err().len(), 2);
        assert!(replaced("Spanwire_Env.", &env).unwrap_err()[0].contains("no valid variable name"));
        assert!(
            replaced("Spanwire_Env.a-b", &env).unwrap_err()[0].contains("no valid variable name")
        );
    }
}
