//! One key of an object as an option: its name, its help, and its value in JSON.
//!
//! Values are not checked here beyond what completions and helps know: the server does, and names
//! the key. Secrets are no options, because arguments are visible to others.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::{Map, Number, Value};
use spanwire_config::Kind;
use spanwire_config::spec::{Effect, Fallback, FieldSpec, KindSpec, ValueType};

use super::noun::identity;

/// The keys of a kind that are options when an object is created.
pub(super) fn at_create(kind: Kind) -> impl Iterator<Item = &'static FieldSpec> {
    let fields = KindSpec::of(kind).fields();
    fields.filter(|field| {
        field.effect == Effect::Applied && field.value != ValueType::Secret && field.key != "name"
    })
}

/// The keys of a kind that are options when an object is edited.
pub(super) fn at_edit(kind: Kind) -> impl Iterator<Item = &'static FieldSpec> {
    at_create(kind).filter(move |field| !identity(kind).contains(&field.key))
}

/// The name of the option of a key.
pub(super) fn long(key: &str) -> String {
    key.replace('_', "-")
}

/// The id of the option of a key, which no other option has.
fn id(key: &str) -> String {
    format!("field:{key}")
}

/// Returns the option of a key.
pub(super) fn option(field: &FieldSpec, is_required: bool) -> Arg {
    let arg = Arg::new(id(field.key))
        .long(long(field.key))
        .help(help(field))
        .required(is_required)
        .action(if is_list(field.value) { ArgAction::Append } else { ArgAction::Set });
    match field.value {
        ValueType::Bool => {
            arg.value_name("BOOL").value_parser(PossibleValuesParser::new(["true", "false"]))
        }
        ValueType::Choice(words) => {
            arg.value_name("WORD").value_parser(PossibleValuesParser::new(words.iter().copied()))
        }
        other => arg.value_name(placeholder(other)),
    }
}

fn placeholder(value: ValueType) -> &'static str {
    match value {
        ValueType::Name | ValueType::Reference(..) => "NAME",
        ValueType::Path => "PATH",
        ValueType::Url(_) => "URL",
        ValueType::ListenAddress => "ADDRESS",
        ValueType::FilePath => "FILE",
        ValueType::Method => "METHOD",
        ValueType::HeaderName => "HEADER",
        ValueType::Integer { .. } => "N",
        ValueType::Duration { .. } | ValueType::TimeLimit => "TIME",
        ValueType::Size { .. } => "SIZE",
        ValueType::LabelList => "LABEL",
        ValueType::OriginList => "ORIGIN",
        ValueType::TopicPatterns => "PATTERN",
        ValueType::ServiceName => "SERVICE",
        _ => "TEXT",
    }
}

fn help(field: &FieldSpec) -> String {
    let doc = field.doc.strip_suffix('.').unwrap_or(field.doc);
    let default = match field.default {
        Fallback::Bool(value) => value.to_string(),
        Fallback::Integer(value) => value.to_string(),
        Fallback::Text(text) if !text.is_empty() => text.to_owned(),
        _ => {
            return if is_list(field.value) {
                format!("{doc}; may be repeated")
            } else {
                doc.to_owned()
            };
        }
    };
    format!("{doc} [default: {default}]")
}

const fn is_list(value: ValueType) -> bool {
    matches!(
        value,
        ValueType::TextList
            | ValueType::LabelList
            | ValueType::OriginList
            | ValueType::TopicPatterns
    )
}

/// Returns the keys that were given, with their values.
pub(super) fn given(
    fields: impl Iterator<Item = &'static FieldSpec>,
    matches: &ArgMatches,
) -> Map<String, Value> {
    let given = fields.filter_map(|field| {
        let texts = matches.get_many::<String>(&id(field.key))?;
        let value = value(field.value, &texts.map(String::as_str).collect::<Vec<_>>())?;
        Some((field.key.to_owned(), value))
    });
    given.collect()
}

/// Makes texts from the command line a value in JSON.
///
/// What should be a number and is none stays a text: times and sizes may have units, and the server
/// says what is wrong with the rest.
fn value(value: ValueType, texts: &[&str]) -> Option<Value> {
    if is_list(value) {
        return Some(texts.iter().copied().collect());
    }
    let text = *texts.last()?;
    let json = match value {
        ValueType::Bool => text.parse().map_or_else(|_| text.into(), Value::Bool),
        ValueType::Integer { .. }
        | ValueType::Duration { .. }
        | ValueType::TimeLimit
        | ValueType::Size { .. } => {
            text.parse().map_or_else(|_| text.into(), |number: Number| number.into())
        }
        _ => text.into(),
    };
    Some(json)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_have_the_types_of_json() {
        let duration = ValueType::Duration { min_ms: 1, max_ms: 10 };
        let integer = ValueType::Integer { min: 1, max: 10 };
        for (kind, text, expected) in [
            (ValueType::Bool, "true", json!(true)),
            (ValueType::Bool, "false", json!(false)),
            (integer, "7", json!(7)),
            (integer, "seven", json!("seven")),
            (integer, "7 ", json!("7 ")),
            (duration, "5s", json!("5s")),
            (duration, "0.5", json!(0.5)),
            (duration, "NaN", json!("NaN")),
            (ValueType::TimeLimit, "0", json!(0)),
            (ValueType::Size { min: 1, max: 2 }, "2MiB", json!("2MiB")),
            (ValueType::Text, "7", json!("7")),
            (ValueType::Text, "", json!("")),
            (ValueType::ServiceName, "true", json!("true")),
        ] {
            assert_eq!(value(kind, &[text]), Some(expected), "{text}");
        }
        assert_eq!(value(ValueType::TextList, &["a", "b,c"]), Some(json!(["a", "b,c"])));
        assert_eq!(value(ValueType::TopicPatterns, &["pub=/*"]), Some(json!(["pub=/*"])));
    }

    #[test]
    fn secrets_and_what_has_no_effect_are_no_options() {
        for kind in Kind::ALL {
            for field in at_create(kind) {
                assert_ne!(field.value, ValueType::Secret, "{kind}.{}", field.key);
                assert_eq!(field.effect, Effect::Applied, "{kind}.{}", field.key);
            }
        }
        assert!(at_create(Kind::Security).all(|field| field.key != "password"));
    }

    #[test]
    fn lists_are_known() {
        let labels = KindSpec::of(Kind::Security).field("labels").unwrap();
        assert_eq!(value(labels.value, &["team/crm"]), Some(json!(["team/crm"])));
    }

    #[test]
    fn helps_tell_the_default() {
        let spec = KindSpec::of(Kind::WebSocket);
        let text = help(spec.field("new_token_wait_time").unwrap());
        assert_eq!(text, "How long a client may take to log in, in seconds [default: 5]");
        let text = help(spec.field("allowed_origins").unwrap());
        assert!(text.ends_with("; may be repeated"), "{text}");
    }
}
