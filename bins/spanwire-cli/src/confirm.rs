//! Asking before something is deleted.
//!
//! On a terminal a person is asked. Without one nothing is done unless `--yes` says so: a script
//! must not wait for an answer that never comes, nor delete by mistake.

use std::io::{BufRead, IsTerminal};

use crate::client::Failure;
use crate::output;

/// Whether something may be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// `--yes`, or nothing is deleted anyway.
    Given,
    /// A person is there to be asked.
    Ask,
}

impl Consent {
    /// Finds out how consent is got, before anything is sent.
    pub(crate) fn new(yes: bool) -> Result<Self, Failure> {
        let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Self::from(yes, is_terminal)
    }

    /// The same for commands whose scripts know no `--yes`: only a person is asked.
    pub(crate) fn of_person(yes: bool) -> Result<Self, Failure> {
        let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Self::from(yes || !is_terminal, is_terminal)
    }

    fn from(yes: bool, is_terminal: bool) -> Result<Self, Failure> {
        match (yes, is_terminal) {
            (true, _) => Ok(Self::Given),
            (false, true) => Ok(Self::Ask),
            (false, false) => Err(Failure::Input(
                "there is no terminal to ask on whether this is meant: nothing was done, say --yes"
                    .to_owned(),
            )),
        }
    }

    /// Returns if it may be done.
    pub(crate) fn get(self, question: &str) -> Result<(), Failure> {
        if self == Self::Ask {
            output::question(&format!("{question} [y/N] "));
        }
        self.answered(&mut std::io::stdin().lock())
    }

    fn answered(self, answers: &mut impl BufRead) -> Result<(), Failure> {
        if self == Self::Given {
            return Ok(());
        }
        let mut answer = String::new();
        let read = answers.read_line(&mut answer);
        match (read, answer.trim().to_ascii_lowercase().as_str()) {
            (Ok(_), "y" | "yes") => Ok(()),
            _ => Err(Failure::Input("nothing was done".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_yes_is_needed() {
        let refused = Consent::from(false, false).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("--yes"));
        assert_eq!(Consent::from(true, false).unwrap(), Consent::Given);
        assert_eq!(Consent::from(true, true).unwrap(), Consent::Given);
        assert_eq!(Consent::from(false, true).unwrap(), Consent::Ask);
    }

    #[test]
    fn only_yes_is_yes() {
        for (answer, is_yes) in
            [("y\n", true), ("YES\n", true), ("n\n", false), ("\n", false), ("", false)]
        {
            let got = Consent::Ask.answered(&mut answer.as_bytes());
            assert_eq!(got.is_ok(), is_yes, "{answer:?}");
        }
        let mut nobody: &[u8] = b"";
        assert!(Consent::Given.answered(&mut nobody).is_ok());
    }
}
