//! Which objects an import or an export is about, by types and names.

use wildmatch::WildMatchPattern;

use crate::Kind;
use crate::kind::GENERIC_CONNECTION;
use crate::problem::{did_you_mean, shown};

/// Objects selected by their kinds and names; by default, every object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// The kinds; all of them if there are none.
    kinds: Vec<Kind>,
    /// What a name must match one of; anything if there are none.
    names: Vec<Pattern>,
}

/// A name in which `*` is any text. No name contains the character that would be one character.
type Pattern = WildMatchPattern<'*', '\0'>;

impl Selection {
    /// Reads the words of `--include-type` and `--include-name`.
    ///
    /// A type is a kind, an older word for one, or a group: `all`, `rest` (`channel_rest` and
    /// `outgoing_rest`), `websockets` (`web_socket`, `outgoing_wsx` and `wsx_gateway`) or `pubsub` (the
    /// three kinds of publish/subscribe). A name is exact, or has `*` for any text, also in the middle
    /// and more than once. An object is selected if one of the types and one of the names fits; no
    /// types select every kind, no names every name.
    ///
    /// # Errors
    /// A word is not a type, or a name is empty; the text says which words there are.
    pub fn parse(types: &[String], names: &[String]) -> Result<Self, String> {
        let mut selection = Self::default();
        for word in types {
            let kinds = kinds(word.trim()).ok_or_else(|| unknown(word.trim()))?;
            selection.kinds.extend(kinds);
        }
        for name in names.iter().map(|name| name.trim()) {
            if name.is_empty() {
                return Err("a name to include is empty: write a name, or '*' for any".to_owned());
            }
            selection.names.push(Pattern::new(name));
        }
        Ok(selection)
    }

    /// Returns whether an object is selected.
    #[must_use]
    pub fn contains(&self, kind: Kind, name: &str) -> bool {
        let is_kind = self.kinds.is_empty() || self.kinds.contains(&kind);
        is_kind && (self.names.is_empty() || self.names.iter().any(|it| it.matches(name)))
    }
}

/// Returns the kinds that a word stands for.
fn kinds(word: &str) -> Option<Vec<Kind>> {
    let group = GROUPS.iter().find(|(name, _)| *name == word).map(|(_, kinds)| kinds.to_vec());
    let generic = || (word == GENERIC_CONNECTION).then_some(Kind::OutgoingWsx);
    group.or_else(|| Kind::from_key(word).or_else(generic).map(|kind| vec![kind]))
}

fn unknown(word: &str) -> String {
    let kinds = || Kind::ALL.into_iter().map(Kind::as_str);
    let groups = || GROUPS.iter().map(|(name, _)| *name);
    let hint = did_you_mean(word, kinds().chain(groups()));
    let all = kinds().collect::<Vec<_>>().join(", ");
    let groups = groups().collect::<Vec<_>>().join(", ");
    format!("unknown type '{}'{hint}: the types are {all}, and the groups {groups}", shown(word))
}

const GROUPS: [(&str, &[Kind]); 4] = [
    ("all", &Kind::ALL),
    ("rest", &[Kind::ChannelRest, Kind::OutgoingRest]),
    ("websockets", &[Kind::WebSocket, Kind::OutgoingWsx, Kind::WsxGateway]),
    ("pubsub", &[Kind::PubsubTopic, Kind::PubsubEndpoint, Kind::PubsubSubscription]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(types: &[&str], names: &[&str]) -> Result<Selection, String> {
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        Selection::parse(&owned(types), &owned(names))
    }

    fn kinds_of(types: &[&str]) -> Vec<&'static str> {
        let selection = selection(types, &[]).unwrap();
        let selected = Kind::ALL.into_iter().filter(|kind| selection.contains(*kind, "x"));
        selected.map(Kind::as_str).collect()
    }

    #[test]
    fn types_are_kinds_older_words_and_groups() {
        assert_eq!(kinds_of(&["security"]), ["security"]);
        assert_eq!(kinds_of(&["def_sec", "service"]), ["security", "service"]);
        assert_eq!(kinds_of(&["zato_generic_connection"]), ["outgoing_wsx"]);
        assert_eq!(kinds_of(&["rest"]), ["channel_rest", "outgoing_rest"]);
        assert_eq!(kinds_of(&["websockets"]), ["wsx_gateway", "web_socket", "outgoing_wsx"]);
        assert_eq!(kinds_of(&["pubsub", "rest"]).len(), 5);
        for all in [&["all"][..], &[], &["security", "all"]] {
            assert_eq!(kinds_of(all).len(), Kind::ALL.len(), "{all:?}");
        }
    }

    #[test]
    fn unknown_types_are_told_with_the_known_ones() {
        let error = selection(&["websocket"], &[]).unwrap_err();
        let expected =
            "unknown type 'websocket', did you mean 'web_socket'?: the types are security";
        assert!(error.starts_with(expected), "{error}");
        assert!(error.ends_with("and the groups all, rest, websockets, pubsub"), "{error}");
        assert!(selection(&[""], &[]).is_err() && selection(&[], &[" "]).is_err());
    }

    #[test]
    fn names_are_exact_or_have_wildcards() {
        let cases = [
            ("crm", "crm", true),
            ("crm", "crm.x", false),
            ("crm.*", "crm.x", true),
            ("crm.*", "crm", false),
            ("*new", "/customer/new", true),
            ("/c*/n*w", "/customer/new", true),
            ("*", "anything", true),
            ("a?c", "abc", false),
            ("a?c", "a?c", true),
            ("CRM", "crm", false),
        ];
        for (name, of, expected) in cases {
            let selection = selection(&[], &[name]).unwrap();
            assert_eq!(selection.contains(Kind::Service, of), expected, "{name} {of}");
        }
        let both = selection(&["service"], &["a", "b*"]).unwrap();
        assert!(both.contains(Kind::Service, "a") && both.contains(Kind::Service, "bc"));
        assert!(!both.contains(Kind::Security, "a") && !both.contains(Kind::Service, "c"));
        assert!(Selection::default().contains(Kind::Security, "x"));
    }
}
