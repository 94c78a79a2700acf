//! How often linked credentials of a user may call, and from where (reference sso 1.14): lines such as `*=100/m` and
//! `10.0.0.0/8=1000/h`. The first line whose network has the address counts; an address that no line has may not call.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;

/// What a limit says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// It may be made.
    Yes,
    /// Not so often.
    TooMany,
    /// Not from there.
    NotFromThere,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    /// Any if `None`.
    network: Option<IpNet>,
    most: u32,
    span: Duration,
}

/// Reads lines; what is wrong with the first bad one otherwise.
fn parse(text: &str) -> Result<Vec<Line>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = |line: &str| {
        let wrong = || {
            format!(
                "`{line}` is no limit: write ADDRESS=COUNT/UNIT, such as `*=100/m`; units are s, m, h and d"
            )
        };
        let (from, limit) = line.split_once('=').ok_or_else(wrong)?;
        let network = match from.trim() {
            "*" => None,
            text => {
                let network = text.parse::<IpNet>().ok();
                Some(
                    network
                        .or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)))
                        .ok_or_else(wrong)?,
                )
            }
        };
        let (most, unit) = limit.trim().split_once('/').ok_or_else(wrong)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        let most = most.trim().parse().map_err(|_| wrong())?;
        Ok(Line { network, most, span: Duration::from_secs(seconds) })
    };
    lines.map(line).collect()
}

/// Whether a text is a list of limits.
pub(crate) fn is_valid(text: &str) -> bool {
    parse(text).is_ok_and(|lines| !lines.is_empty())
}

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    /// By user and line: since when, and how often.
    counted: Mutex<HashMap<(String, usize), (Instant, u32)>>,
}

impl RateLimits {
    /// Counts a call, if it may be made.
    pub(crate) fn take(
        &self,
        user_id: &str,
        limits: &str,
        from: &[IpAddr],
        now: Instant,
    ) -> Allowance {
        let Ok(lines) = parse(limits) else { return Allowance::NotFromThere };
        let has = |line: &Line| {
            line.network.is_none_or(|network| {
                !from.is_empty() && from.iter().all(|it| network.contains(&it.to_canonical()))
            })
        };
        let Some((index, line)) = lines.iter().enumerate().find(|(_, line)| has(line)) else {
            return Allowance::NotFromThere;
        };
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= MOST_COUNTED {
            counted
                .retain(|_, (since, _)| now.duration_since(*since) < Duration::from_secs(86_400));
        }
        let entry = counted.entry((user_id.to_owned(), index)).or_insert((now, 0));
        if now.duration_since(entry.0) >= line.span {
            *entry = (now, 0);
        }
        if entry.1 >= line.most {
            return Allowance::TooMany;
        }
        entry.1 += 1;
        Allowance::Yes
    }
}

const MOST_COUNTED: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_has_the_address_counts() {
        let limits = RateLimits::default();
        let text = "10.0.0.0/8 = 2/m\n\n192.0.2.1=1/d\n";
        let now = Instant::now();
        let take = |from: &str, at| limits.take("zusr1", text, &[from.parse().unwrap()], at);
        for expected in [Allowance::Yes, Allowance::Yes, Allowance::TooMany] {
            assert_eq!(take("10.1.2.3", now), expected);
        }
        assert_eq!(take("10.9.9.9", now + Duration::from_secs(60)), Allowance::Yes);
        assert_eq!(take("192.0.2.1", now), Allowance::Yes);
        assert_eq!(take("192.0.2.1", now + Duration::from_secs(86_000)), Allowance::TooMany);
        assert_eq!(take("203.0.113.1", now), Allowance::NotFromThere);
        assert_eq!(
            limits.take("zusr2", text, &["10.1.2.3".parse().unwrap()], now),
            Allowance::Yes,
            "each user has its own"
        );
        assert_eq!(limits.take("zusr2", "*=0/s", &[], now), Allowance::TooMany);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for right in ["*=1/s", "10.0.0.1=5/h", "10.0.0.0/8=5/d\n*=1/m"] {
            assert!(is_valid(right), "{right}");
        }
        for wrong in ["", "*", "*=", "*=1", "*=1/w", "x=1/m", "*=-1/m", "*=1/m\nx"] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }
}
