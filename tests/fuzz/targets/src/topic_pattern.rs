//! Patterns of topics, which administrators write, against names, which callers do: `pattern` and `name`, a line each.

use spanwire_protocol::{TopicAccess, TopicPattern};

/// Reads the pattern and tries it on the name.
///
/// # Panics
/// When a pattern grants what it was not written for, or a name that is a pattern of itself does not match.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (line, name) = text.split_once('\n').unwrap_or((text, text));
    if let Ok(pattern) = TopicPattern::parse(line) {
        let both =
            [TopicAccess::Publish, TopicAccess::Subscribe].map(|it| pattern.grants(it, name));
        assert!(!both.iter().all(|granted| *granted), "a pattern is for one kind of access");
        assert_eq!(pattern.as_str(), line.trim());
    }
    // Every character escaped, a name matches itself and nothing that goes on behind it.
    let literal: String = name.chars().flat_map(|character| ['\\', character]).collect();
    if let Ok(pattern) = TopicPattern::parse(&format!("pub={literal}"))
        && literal == literal.trim()
    {
        assert!(pattern.grants(TopicAccess::Publish, name), "{name:?} is not matched by itself");
        assert!(
            !pattern.grants(TopicAccess::Publish, &format!("{name}x")),
            "{name:?} is not anchored"
        );
    }
}
