//! Reading secrets: from a prompt without echo, or from stdin; never from an argument.

mod prompt;

use std::io::{self, BufRead, IsTerminal};

use crate::client::Failure;

/// Where a new secret comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A person types it, twice.
    Prompt,
    /// The first line of stdin.
    Stdin,
}

/// Reads a new secret.
pub(crate) fn read(source: Source) -> Result<String, Failure> {
    let secret = match source {
        Source::Stdin => first_line(io::stdin().lock())?,
        Source::Prompt if io::stdin().is_terminal() => {
            let asked = prompt::without_echo(|ask| twice(ask));
            asked.map_err(|error| unreadable(&error))??
        }
        Source::Prompt => {
            return Err(Failure::Input(
                "there is no terminal to ask for the password on: use --password-stdin".to_owned(),
            ));
        }
    };
    if secret.is_empty() {
        return Err(Failure::Input("the password is empty".to_owned()));
    }
    Ok(secret)
}

fn first_line(input: impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    let read = input.take(MAX_SECRET).read_line(&mut line);
    read.map_err(|error| Failure::Input(format!("stdin cannot be read: {error}")))?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn twice(ask: &mut dyn FnMut(&str) -> io::Result<String>) -> Result<String, Failure> {
    let mut ask = |prompt| ask(prompt).map_err(|error| unreadable(&error));
    let secret = ask("New password: ")?;
    if ask("Again: ")? == secret {
        Ok(secret)
    } else {
        Err(Failure::Input("the passwords differ: nothing was done".to_owned()))
    }
}

fn unreadable(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::Interrupted => Failure::Input("nothing was done".to_owned()),
        _ => Failure::Input(format!("the terminal cannot be read: {error}")),
    }
}

/// The longest line that is taken for a secret, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stdin_gives_its_first_line() {
        for (input, expected) in [
            ("secret1\nsecret2\n", "secret1"),
            ("secret1", "secret1"),
            ("with space \r\n", "with space "),
            ("", ""),
        ] {
            assert_eq!(first_line(input.as_bytes()).unwrap(), expected, "{input:?}");
        }
        assert_eq!(first_line(&b"\xff\n"[..]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_prompt_asks_twice() {
        let mut answers = vec!["a", "a"];
        let got = twice(&mut |_| Ok(answers.pop().unwrap_or_default().to_owned()));
        assert_eq!(got.unwrap(), "a");
        let mut answers = vec!["a", "b"];
        let got = twice(&mut |_| Ok(answers.pop().unwrap_or_default().to_owned()));
        assert_eq!(got.unwrap_err().exit_code(), 2);
        let got = twice(&mut |_| Err(io::ErrorKind::NotConnected.into()));
        assert_eq!(got.unwrap_err().exit_code(), 2);
    }
}
