//! Names that are searched by, without regard to case.
//!
//! A search looks at every user, and most of its time goes into fetching names from memory. Each has a digest of its pairs
//! of bytes beside its pointer: who lacks a pair of what is wanted is passed over unread.

use memchr::memmem::Finder;

/// A user's.
#[derive(Debug)]
pub(crate) struct Name {
    text: Box<str>,
    pairs: u64,
}

/// What is searched for.
pub(crate) struct Wanted {
    finder: Finder<'static>,
    pairs: u64,
}

impl Name {
    pub(crate) fn new(name: &str) -> Self {
        let text: Box<str> = name.to_uppercase().into();
        Self { pairs: pairs(&text), text }
    }
}

impl Wanted {
    pub(crate) fn new(name: &str) -> Self {
        let text = name.to_uppercase();
        Self { pairs: pairs(&text), finder: Finder::new(&text).into_owned() }
    }

    /// Whether a name is this one.
    pub(crate) fn is(&self, name: &Name) -> bool {
        name.pairs == self.pairs && name.text.as_bytes() == self.finder.needle()
    }

    /// Whether this is a part of a name.
    pub(crate) fn is_part_of(&self, name: &Name) -> bool {
        name.pairs & self.pairs == self.pairs && self.finder.find(name.text.as_bytes()).is_some()
    }
}

/// One bit of 64 for each pair of bytes.
fn pairs(text: &str) -> u64 {
    let bit = |pair: &[u8]| {
        let number = pair.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        number.wrapping_mul(0x9E37_79B1) >> 26
    };
    text.as_bytes().windows(2).fold(0, |bits, pair| bits | 1 << bit(pair))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_digest_passes_over_nobody_who_matches(name in "[a-cäß]{0,12}", part in "[a-cäß]{1,4}") {
            let (name, part) = (name.as_str(), part.as_str());
            let (upper, wanted) = (name.to_uppercase(), part.to_uppercase());
            prop_assert_eq!(Wanted::new(part).is_part_of(&Name::new(name)), upper.contains(&wanted));
            prop_assert_eq!(Wanted::new(part).is(&Name::new(name)), upper == wanted);
        }
    }
}
