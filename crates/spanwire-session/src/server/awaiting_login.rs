//! Before the session is open: waiting for `create-session`, and for the check of its credentials.

use std::time::Instant;

use spanwire_protocol::{Action, CloseFrame, MessageId};

use super::established::Established;
use super::io::{AskError, Input, LoginId, Output};
use super::{Common, State};
use crate::Now;

/// Connected, no login yet.
pub(super) struct AwaitingLogin {
    pub(super) deadline: Instant,
}

impl AwaitingLogin {
    pub(super) fn on(self, input: Input<'_>, now: Now, common: &mut Common) -> State {
        match input {
            Input::Message(message) => match (message.action, &message.id) {
                // Unprocessable, so it gets no answer, and the timer runs on (wsx-protocol 2.6).
                (Action::CreateSession, None) => State::AwaitingLogin(self),
                (Action::CreateSession, Some(id)) => State::Authenticating(Authenticating {
                    login: common.start_login(&message),
                    reply_to: id.clone(),
                    deadline: self.deadline,
                }),
                (Action::Invoke | Action::Cancel | Action::ClientResponse, _) => common.refuse(now),
            },
            Input::Disconnect(frame) => common.close(frame),
            Input::Drain(_) => common.close(CloseFrame::SHUTTING_DOWN),
            Input::Ask { ask, .. } => {
                common.push(Output::Answered { ask, answer: Err(AskError::Disconnected) });
                State::AwaitingLogin(self)
            }
            Input::Undecodable(_)
            | Input::Pong
            | Input::LoginDecided { .. }
            | Input::Completed { .. }
            | Input::Tell(_)
            | Input::Deliver(_) => State::AwaitingLogin(self),
        }
    }
}

/// Credentials are being checked. The client has no token yet, so whatever it sends now lacks one and is refused, as
/// it would be after the check.
pub(super) struct Authenticating {
    login: LoginId,
    reply_to: MessageId,
    pub(super) deadline: Instant,
}

impl Authenticating {
    pub(super) fn on(self, input: Input<'_>, now: Now, common: &mut Common) -> State {
        match input {
            Input::LoginDecided { login, accepted } if login == self.login => {
                if !accepted {
                    return common.refuse(now);
                }
                common.push(Output::Opened(common.client.clone()));
                let established = Established::open(self.reply_to, now, common);
                State::Established(Box::new(established))
            }
            Input::Message(_) => common.refuse(now),
            Input::Disconnect(frame) => common.close(frame),
            Input::Drain(_) => common.close(CloseFrame::SHUTTING_DOWN),
            Input::Ask { ask, .. } => {
                common.push(Output::Answered { ask, answer: Err(AskError::Disconnected) });
                State::Authenticating(self)
            }
            Input::Undecodable(_)
            | Input::Pong
            | Input::LoginDecided { .. }
            | Input::Completed { .. }
            | Input::Tell(_)
            | Input::Deliver(_) => State::Authenticating(self),
        }
    }
}
