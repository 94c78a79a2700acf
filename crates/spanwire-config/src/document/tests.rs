use super::*;

fn parse(text: &str) -> Result<Node, String> {
    let mut report = Report::default();
    let node = Node::parse(text, &Source::default(), &mut report);
    match (node, report.problems.first()) {
        (Some(node), None) => Ok(node),
        (_, Some(problem)) => Err(problem.to_string()),
        (None, None) => Err("no problem reported".to_owned()),
    }
}

fn entries(node: &Node) -> &[Entry] {
    match &node.content {
        Content::Map(entries) => entries,
        other => panic!("not a mapping: {other:?}"),
    }
}

fn text(node: &Node) -> &str {
    match &node.content {
        Content::Scalar(scalar) => &scalar.text,
        other => panic!("not a scalar: {other:?}"),
    }
}

#[test]
fn nodes_know_their_lines() {
    let root = parse("a: 1\nb:\n  - {c: 2}\n  - c: |\n      x\n      y\n").unwrap();
    let [a, b] = entries(&root) else { panic!() };
    assert_eq!((a.line, b.line), (1, 2));
    let Content::List(items) = &b.value.content else { panic!() };
    assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(text(&entries(&items[1])[0].value), "x\ny\n");
}

#[test]
fn scalars_keep_their_text() {
    let root = parse("a: 1.10\nb: 007\nc: \"~\"\nd: ~\ne:\nf: yes\n").unwrap();
    let texts: Vec<_> = entries(&root).iter().map(|entry| text(&entry.value)).collect();
    assert_eq!(texts, ["1.10", "007", "~", "~", "", "yes"]);
    let nulls: Vec<_> = entries(&root).iter().map(|entry| entry.value.is_null()).collect();
    assert_eq!(nulls, [false, false, false, true, true, false]);
}

#[test]
fn json_is_read_with_lines() {
    let json = "{\n\t\"a\": [1, true, null],\n\t\"b\": {\"c\": \"x\\/\\u00e9\\n\"}\n}\n";
    let root = parse(json).unwrap();
    let [a, b] = entries(&root) else { panic!() };
    assert_eq!((a.line, b.line), (2, 3));
    assert_eq!(text(&entries(&b.value)[0].value), "x/é\n");
}

#[test]
fn halves_of_characters_are_joined() {
    let cases = [
        (r"\ud83d\ude00", "😀"),
        (r"a\n\uD83D\uDE00é", r"a\n😀é"),
        (r"\\ud83d\ude00", r"\\ud83d\ude00"),
        (r"\ud83d", r"\ud83d"),
        (r"\ud83d\u0041", r"\ud83d\u0041"),
        (r"\ud83dé", r"\ud83dé"),
        (r"x\", r"x\"),
    ];
    for (text, expected) in cases {
        assert_eq!(join_surrogates(text), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let cases = [
        ("a: &x 1\n", "line 1: anchors (&name) and aliases (*name) are not accepted"),
        ("a: 1\nb: *x\n", "line 2: "),
        ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' is given twice: keep one of the two"),
        ("a: 1\n---\nb: 2\n", "line 2: a second document begins here"),
        ("a: [1, 2\n", "not valid YAML"),
        ("? [a]\n: 1\n", "line 1: a key must be a single word"),
    ];
    for (text, expected) in cases {
        let error = parse(text).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn deep_nesting_is_refused_without_recursion() {
    for text in ["[".repeat(200), "- ".repeat(100_000), "{a: ".repeat(200)] {
        let error = parse(&text).unwrap_err();
        assert!(error.contains("nested more than 64 levels deep"), "{error}");
    }
    let fitting = format!("{}1{}", "[".repeat(64), "]".repeat(64));
    assert!(parse(&fitting).is_ok());
}

#[test]
fn an_empty_text_is_null() {
    for text in ["", "\n", "# only a comment\n", "---\n"] {
        assert!(parse(text).unwrap().is_null(), "{text:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*|[-a:{}\\[\\], \n&*!|>'\"#?%\\t]{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_json_text_is_read_back(value in "[\\x20-\\uD7FF]{0,40}") {
        let json = serde_json::json!({ "key": value }).to_string();
        let root = parse(&json).unwrap();
        proptest::prop_assert_eq!(text(&entries(&root)[0].value), value);
    }
}
