//! What is unique about names and addresses, whatever their case and form (W24).

use unicode_normalization::UnicodeNormalization as _;

/// A name as it is compared: compatibility forms are one, and so are cases.
pub(crate) fn fold(text: &str) -> String {
    // Lower case may undo the form, so it is made twice.
    let folded: String = text.trim().nfkc().collect();
    folded.to_lowercase().nfkc().collect()
}

/// As passwords are hashed: the composed form, whatever keyboard they come from. Nothing is cut off.
pub(crate) fn password(text: &str) -> String {
    text.nfc().collect()
}

/// Whether a text has spaces, or characters that nobody sees.
pub(crate) fn has_invisible(text: &str) -> bool {
    text.chars().any(|c| {
        c.is_whitespace()
            || c.is_control()
            // Unicode's Default_Ignorable_Code_Point, and what is drawn as nothing.
            || matches!(
                c,
                '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                    | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                    | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
                    | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
            )
    })
}

/// Whether a text looks like an e-mail address: something, `@`, a host name with a dot or one word.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && !local.contains(['"', '<', '>', '(', ')', ',', ';', ':', '\\', '[', ']', '@'])
        && !has_invisible(text)
        && host.split('.').all(is_label)
}

/// Not empty, without what surrounds it.
pub(crate) fn given(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_are_the_same() {
        for other in ["ＡＤＭＩＮ", "Admin", " admin ", "ａｄｍｉｎ"] {
            assert_eq!(fold(other), "admin", "{other}");
        }
        assert_eq!(fold("Straße"), fold("STRAßE"));
        assert_ne!(fold("jose"), fold("josé"));
        assert_eq!(fold("jos\u{e9}"), fold("jose\u{301}"));
    }

    #[test]
    fn addresses_are_told_from_other_texts() {
        for right in ["a@b", "joe.o'neil+x@mail.example.com", "żółw@example.com", "a@ex-ample.com"]
        {
            assert!(is_email(right), "{right}");
        }
        for wrong in [
            "",
            "a",
            "@b",
            "a@",
            "a b@c",
            "a@b..c",
            "a@-b",
            "<a>@b",
            "a@b@c d",
            "a\u{200b}@b.com",
            "a@b,c",
            "a..b@c.d",
            ".a@c.d",
        ] {
            assert!(!is_email(wrong), "{wrong}");
        }
    }
}
