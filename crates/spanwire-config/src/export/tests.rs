use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::object::tests::full;
use crate::{Existing, ObjectSet, parse_str};

const FORMATS: [(ExportFormat, &str); 2] =
    [(ExportFormat::Yaml, "objects.yaml"), (ExportFormat::Json, "objects.json")];

const REVEAL: ExportOptions = ExportOptions { reveal: true };

fn env(name: &str) -> Option<String> {
    (name == "HOME").then(|| "/home/somebody".to_owned())
}

fn imported(name: &str, text: &str) -> Vec<Object> {
    let set = ObjectSet::new();
    let everything = Existing::new(&set, &|_, _| true);
    let import = parse_str(name, text, &env, everything);
    import.unwrap_or_else(|problems| panic!("{problems:?}\n{text}")).objects
}

fn objects() -> Vec<Object> {
    full().iter().map(|(kind, value)| Object::from_json(*kind, value).unwrap()).collect()
}

#[test]
fn an_export_reads_well() {
    let make = |kind, value: Json| Object::from_json(kind, &value).unwrap();
    let objects = [
        make(Kind::PubsubTopic, json!({"name": "/b", "has_gd": true, "max_depth_gd": 10_000})),
        make(Kind::PubsubTopic, json!({"name": "/a", "labels": ["team/crm"]})),
        make(
            Kind::Security,
            json!({"name": "app 1", "type": "basic_auth", "username": "no", "password": "x"}),
        ),
    ];
    let yaml = "security:
- name: \"app 1\"
  type: basic_auth
  username: \"no\"

pubsub_topic:
- name: /a
  labels:
    - team/crm
- name: /b
  has_gd: true
";
    assert_eq!(export(&objects, ExportFormat::Yaml, ExportOptions::new()), yaml);
    let json = export(&objects, ExportFormat::Json, ExportOptions::new());
    let compact: String = json.split_whitespace().collect();
    let expected = r#"{"security":[{"name":"app1","type":"basic_auth","username":"no"}],"#;
    assert!(compact.starts_with(expected), "{compact}");
    for (format, name) in FORMATS {
        assert_eq!(export([], format, REVEAL), "{}\n");
        assert_eq!(imported(name, "{}\n"), []);
    }
}

#[test]
fn every_kind_survives() {
    for (format, name) in FORMATS {
        let text = export(&objects(), format, REVEAL);
        assert_eq!(imported(name, &text), objects(), "{text}");
    }
}

#[test]
fn secrets_are_left_out_or_masked() {
    let objects = objects();
    for (format, name) in FORMATS {
        let text = export(&objects, format, ExportOptions::default());
        assert!(!text.contains("hunter2") && !text.contains("password"), "{text}");
        assert!(text.contains("token=***"));
        let text = text.replace("=***", "=hunter2");
        let mut set: ObjectSet = objects.iter().cloned().collect();
        assert_eq!(set.apply(imported(name, &text)).unchanged, objects.len());
        // As it is, the masked address is refused rather than taken for the secret.
        let text = export(&objects, format, ExportOptions::default());
        let problems = parse_str(name, &text, &env, Existing::new(&set, &|_, _| true)).unwrap_err();
        assert!(problems.iter().all(|it| it.message.contains("stands for a secret")));
    }
}

#[test]
fn texts_that_look_like_variables_stay_texts() {
    for text in [
        "Spanwire_Env.HOME",
        "ZatoEnmasseEnv.NOPE",
        "x{Spanwire_Env.HOME}y{Zato_Enmasse_Env.HOME}",
        "{Spanwire_Env.}",
        "{{SpanwireEnv.HOME}}",
        "{Spanwire_Env.}Spanwire_Env.HOME",
        " Spanwire_Env.HOME",
    ] {
        let security = json!({"name": text, "type": "apikey", "password": text});
        let gateway = json!({"name": "g", "services_allowed": [text, "a"]});
        let objects = [
            Object::from_json(Kind::Security, &security).unwrap(),
            Object::from_json(Kind::WsxGateway, &gateway).unwrap(),
        ];
        for (format, name) in FORMATS {
            assert_eq!(imported(name, &export(&objects, format, REVEAL)), objects, "{text}");
        }
    }
}

/// A text as people name things, or worse.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "yes",
        "~",
        "1e3",
        "null",
        "-",
        "- a",
        "a: b",
        "a #b",
        "'",
        "\"",
        "\\",
        "\\n",
        "{",
        "}",
        "[]",
        "{Spanwire_Env.HOME}",
        "Spanwire_Env.HOME",
        "{Spanwire_Env.}",
        "007",
        "0x1f",
        "1.10",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "!a",
        "&a",
        "*a",
        "?",
        ":",
        ",",
        "=",
        "<<",
        "---",
        "...",
        "\u{feff}",
        "\u{2028}",
        "\u{7f}",
        "é😀",
        "\\ud83d",
        "x: {y",
        "a\u{a0}b",
    ]);
    let any = "[\\PC]{1,12}|[-a:{}\\[\\], &*!|>'\"#?%\\\\~]{1,8}";
    prop_oneof![
        odd.clone().prop_map(ToOwned::to_owned),
        any,
        (odd, any).prop_map(|(odd, any)| format!("{odd}{any}")),
    ]
    .prop_filter("names are not blank", |text| !text.trim().is_empty())
}

/// Puts a random value into every key of an object that takes texts or lists of texts.
fn with_texts(kind: Kind, value: &Json, texts: &[String]) -> Option<Object> {
    use crate::spec::ValueType;
    let mut value = value.clone();
    let mut texts = texts.iter().cycle();
    for field in KindSpec::of(kind).fields().filter(|field| field.effect == Effect::Applied) {
        let text = texts.next()?;
        value[field.key] = match field.value {
            ValueType::Name if kind == Kind::PubsubTopic => {
                text.replace(|c: char| !c.is_ascii(), "?").into()
            }
            // Services and gateways share their names.
            ValueType::Name if kind == Kind::WsxGateway => format!("{text}+").into(),
            ValueType::Text if field.key == "username" => text.replace(':', ";").into(),
            ValueType::Secret => format!("{text} ").into(),
            ValueType::TextList => json!([text, "a\nb", texts.next()?]),
            ValueType::TopicPatterns => json!([format!("pub={text}")]),
            ValueType::Text
            | ValueType::Name
            | ValueType::FilePath
            | ValueType::Reference(..)
            | ValueType::ServiceName => text.as_str().into(),
            _ => continue,
        };
    }
    // Some texts are not names: those with control characters.
    Object::from_json(kind, &value).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_objects_survive_both_formats(texts in prop::collection::vec(text(), 1..12)) {
        let objects: Vec<Object> = full()
            .iter()
            .filter_map(|(kind, value)| with_texts(*kind, value, &texts))
            .collect();
        let is_name = |text: &String| !text.contains(char::is_control);
        prop_assert!(objects.len() == full().len() || !texts.iter().all(is_name));
        for (format, name) in FORMATS {
            let text = export(&objects, format, REVEAL);
            prop_assert_eq!(&imported(name, &text), &objects, "{}", text);
        }
    }
}
