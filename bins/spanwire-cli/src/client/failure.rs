//! Why a command did not do its work, and what that means to scripts.

use spanwire_protocol::admin::Problem;
use thiserror::Error;

use crate::output::counted;

/// Why a command did not do its work.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The server said no, with this status.
    #[error("{text}")]
    Refused {
        status: u16,
        text: String,
        /// What is wrong, without the status and every single mistake.
        detail: String,
        /// The correlation id, if the server gave one.
        cid: Option<String>,
    },
    /// Arguments or files are wrong.
    #[error("{0}")]
    Input(String),
    /// What scripts know by a code of its own.
    #[error("{text}")]
    Known { code: u8, text: String },
    /// There is no server.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
}

impl Failure {
    /// Reads the answer of a server that refused: its message, then every mistake on its own line.
    pub(crate) fn refused(status: u16, body: &[u8]) -> Self {
        let problem: Option<Problem> = serde_json::from_slice(body).ok();
        let Some(problem) = problem else {
            return Self::refusal(status, &format!("the server answered {status}"));
        };
        let (text, Problem { detail, cid, .. }) = (text(&problem), problem);
        Self::Refused { status, text, detail, cid }
    }

    /// A refusal in these words.
    pub(crate) fn refusal(status: u16, text: &str) -> Self {
        Self::Refused { status, text: text.to_owned(), detail: text.to_owned(), cid: None }
    }

    /// What is wrong, in one text.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Refused { detail, .. } => detail.clone(),
            other => other.to_string(),
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { .. } => 1,
            Self::Input(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Known { code, .. } => *code,
        }
    }
}

fn text(problem: &Problem) -> String {
    // Where the detail is the first mistake, it has its line below.
    let detail = match problem.errors.first() {
        Some(first) if problem.detail.starts_with(&first.to_string()) => {
            counted(problem.errors.len(), "mistake")
        }
        _ => problem.detail.clone(),
    };
    let mut text = match &problem.cid {
        Some(cid) => format!("{detail} ({}, correlation id {cid})", problem.status),
        None => format!("{detail} ({})", problem.status),
    };
    for error in &problem.errors {
        text.push('\n');
        text.push_str(&error.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_has_its_line() {
        let body = br#"{"title": "Invalid", "status": 422, "detail": "2 mistakes", "cid": "ab12",
            "errors": [
              {"file": "o.yaml", "line": 3, "kind": "security", "name": "x", "field": "type", "message": "unknown"},
              {"message": "no such object"}]}"#;
        let failure = Failure::refused(422, body);
        let expected = "2 mistakes (422, correlation id ab12)\n\
                        o.yaml:3: security 'x', field 'type': unknown\n\
                        no such object";
        assert_eq!(failure.to_string(), expected);
        assert_eq!(failure.exit_code(), 1);
    }

    #[test]
    fn a_mistake_is_told_once() {
        let body =
            br#"{"title": "Invalid", "status": 422, "detail": "name: taken; and 1 more mistakes",
            "errors": [{"message": "name: taken"}, {"message": "type: unknown"}]}"#;
        let expected = "2 mistakes (422)\nname: taken\ntype: unknown";
        assert_eq!(Failure::refused(422, body).to_string(), expected);
    }

    #[test]
    fn an_answer_of_somebody_else_is_told_by_its_status() {
        assert_eq!(Failure::refused(502, b"<html>").to_string(), "the server answered 502");
    }
}
