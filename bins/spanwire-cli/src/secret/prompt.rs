//! Asking a person for a secret on the terminal, without echo.
//!
//! The library puts the prompt out before it switches the echo off, so that what a program types at
//! once would be seen, and a Ctrl-C at once would be a signal instead of an answer; after it the
//! terminal would stay as it is at that moment. Hence echo and signals are off here around all
//! questions, and Ctrl-C is an answer like another: no.

use std::io;

/// Asks with the function that is passed in; the terminal is afterwards what it was.
pub(super) fn without_echo<T>(
    ask: impl FnOnce(&mut dyn FnMut(&str) -> io::Result<String>) -> T,
) -> io::Result<T> {
    ctrlc::set_handler(|| {}).map_err(io::Error::other)?;
    let _quiet = Quiet::new()?;
    Ok(ask(&mut |prompt| rpassword::prompt_password(prompt)))
}

/// The terminal without echo and signals until this is dropped.
#[cfg(unix)]
struct Quiet(rustix::termios::Termios);

#[cfg(unix)]
impl Quiet {
    fn new() -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

        let earlier = tcgetattr(io::stdin())?;
        let mut quiet = earlier.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Now, &quiet)?;
        Ok(Self(earlier))
    }
}

#[cfg(unix)]
impl Drop for Quiet {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};

        // A terminal that is gone needs no echo.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Elsewhere the library alone sees to it.
#[cfg(not(unix))]
struct Quiet;

#[cfg(not(unix))]
impl Quiet {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }
}
