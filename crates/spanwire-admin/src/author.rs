//! Who changes something, from where and why, as the history keeps it.

use std::fmt::Write as _;
use std::net::SocketAddr;

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use spanwire_config::Author;

use crate::Caller;
use crate::problem::ApiError;

/// The header by which a program names the person it acts for. It is a note, not a proof.
pub(crate) const USER: &str = "x-spanwire-user";

/// Puts the author together. A user or a program that is not plainly named is left out.
///
/// # Errors
/// 400 when the reason is too long or has control characters.
pub(crate) fn author(
    caller: &Caller,
    peer: Option<SocketAddr>,
    headers: &HeaderMap,
    reason: Option<&str>,
) -> Result<Author, ApiError> {
    let mut who = caller.name.clone();
    let user = headers.get(USER).and_then(|value| value.to_str().ok()).map(str::trim);
    let is_plain = |text: &&str| !text.is_empty() && text.len() <= MAX_USER && is_printable(text);
    if let Some(user) = user.filter(is_plain) {
        let _ = write!(who, " ({user})");
    }

    let program = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).map(str::trim);
    let is_plain =
        |text: &&str| !text.is_empty() && text.len() <= MAX_PROGRAM && is_printable(text);
    let program = program.filter(is_plain);
    let from = match (peer, program) {
        (Some(peer), Some(program)) => format!("{peer}, {program}"),
        (Some(peer), None) => peer.to_string(),
        (None, Some(program)) => program.to_owned(),
        (None, None) => "admin API".to_owned(),
    };

    let is_wrong =
        |text: &str| text.chars().count() > MAX_REASON || text.contains(char::is_control);
    if reason.is_some_and(is_wrong) {
        return Err(ApiError::bad_request(format!(
            "reason: expected at most {MAX_REASON} characters without control characters"
        )));
    }
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    Ok(Author::new(who, from).because(reason.map(str::to_owned)))
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

const MAX_USER: usize = 64;
const MAX_PROGRAM: usize = 100;
/// The longest reason, in characters.
pub(crate) const MAX_REASON: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn made(headers: &[(&'static str, &str)], reason: Option<&str>) -> Result<Author, ApiError> {
        let headers = headers.iter().map(|(name, value)| {
            (axum::http::HeaderName::from_static(name), value.parse().unwrap())
        });
        let peer = Some("127.0.0.1:5".parse().unwrap());
        author(&Caller { name: "admin".to_owned() }, peer, &headers.collect(), reason)
    }

    #[test]
    fn the_user_and_the_program_are_named() {
        let author = made(&[(USER, "ada"), ("user-agent", "curl/8")], Some(" why ")).unwrap();
        let author = (&*author.who, &*author.from, author.reason.as_deref());
        assert_eq!(author, ("admin (ada)", "127.0.0.1:5, curl/8", Some("why")));
    }

    #[test]
    fn odd_names_are_left_out_and_odd_reasons_refused() {
        let long = "x".repeat(101);
        for value in [long.as_str(), "a\tb", "", "ä"] {
            let author = made(&[(USER, value), ("user-agent", value)], None).unwrap();
            assert_eq!((&*author.who, &*author.from), ("admin", "127.0.0.1:5"), "{value}");
        }
        for text in ["a\nb", "a\n", "\u{85}"] {
            assert!(made(&[], Some(text)).is_err(), "{text:?}");
        }
        assert!(made(&[], Some(&"ä".repeat(501))).is_err());
        assert!(made(&[], Some(&"ä".repeat(500))).is_ok());
        assert_eq!(made(&[], Some("")).unwrap().reason, None);
    }
}
