//! Records of who did what to whom (reference sso 1.13, W25), each bound to the one before it by a keyed digest: who
//! removes or edits one without the key of this server is found out.

use serde::{Deserialize, Serialize};
use spanwire_crypto::DigestKey;
use spanwire_protocol::Timestamp;

use crate::record::Digest;

/// One record: an access to personal data, or an event of security.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRecord {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When, UTC.
    pub timestamp_utc: Timestamp,
    /// The correlation id, as in the answer.
    pub cid: String,
    /// What was done: `user.login`, …
    pub op: String,
    /// The id of who did it; empty when that is not known.
    pub current_user: String,
    /// The id of whom it was about; empty when that is not known.
    pub target_user: String,
    /// `ok` or `error`.
    pub result: String,
    /// The true reason of an error, which the caller may not have been told.
    pub sub_status: String,
    /// The application.
    pub current_app: String,
    /// From where, several joined by `;`.
    pub remote_addr: String,
    /// With what.
    pub user_agent: String,
    /// For which purpose, as the caller said.
    pub purpose: String,
    /// Names of attributes and the like; never values.
    pub extra: String,
    /// Records that could not be stored, with their digests: the disk was full.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<(u64, Digest)>,
    /// The digest of the record before.
    pub before: Digest,
    /// The digest of this one.
    pub digest: Digest,
}

/// Where the chain ends.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) digest: Digest,
    /// Records that are in the chain and not yet in the store.
    pub(crate) waiting: Vec<AuditRecord>,
}

impl Head {
    pub(crate) fn of(last: Option<&AuditRecord>) -> Self {
        Self {
            seq: last.map_or(0, |last| last.seq),
            digest: last.map_or(Digest([0; 32]), |last| last.digest),
            waiting: Vec::new(),
        }
    }

    /// Makes a record the newest one.
    pub(crate) fn append(&mut self, key: &DigestKey, mut record: AuditRecord) -> AuditRecord {
        record.seq = self.seq + 1;
        record.before = self.digest;
        record.digest = record.expected(key);
        (self.seq, self.digest) = (record.seq, record.digest);
        record
    }
}

impl AuditRecord {
    /// What its digest has to be: of everything else, each part with its length, so that no two records are the same bytes.
    fn expected(&self, key: &DigestKey) -> Digest {
        let mut bytes = Vec::with_capacity(512);
        let mut add = |part: &[u8]| {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        };
        add(&self.seq.to_be_bytes());
        add(&self.timestamp_utc.as_microseconds().to_be_bytes());
        for text in [
            &self.cid,
            &self.op,
            &self.current_user,
            &self.target_user,
            &self.result,
            &self.sub_status,
            &self.current_app,
            &self.remote_addr,
            &self.user_agent,
            &self.purpose,
            &self.extra,
        ] {
            add(text.as_bytes());
        }
        for (seq, digest) in &self.lost {
            add(&seq.to_be_bytes());
            add(&digest.0);
        }
        add(&self.before.0);
        Digest(key.digest("audit", &bytes))
    }
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainProblem {
    /// At which record.
    pub seq: u64,
    /// What.
    pub problem: String,
}

/// Checks records that follow each other.
#[derive(Debug)]
pub struct Verifier<'a> {
    key: &'a DigestKey,
    /// The record before; none at the start, where older ones may have been deleted after their time.
    before: Option<(u64, Digest)>,
    /// Records that were missing, with the digest that the next one expected.
    missing: Vec<(u64, Digest)>,
    count: u64,
    problems: Vec<ChainProblem>,
}

impl<'a> Verifier<'a> {
    /// At the oldest record there is.
    #[must_use]
    pub fn new(key: &'a DigestKey) -> Self {
        Self { key, before: None, missing: Vec::new(), count: 0, problems: Vec::new() }
    }

    /// Takes the next record.
    pub fn next(&mut self, record: &AuditRecord) {
        self.count += 1;
        if record.expected(self.key) != record.digest {
            self.problem(record.seq, "the record was changed");
        }
        if let Some((seq, digest)) = self.before {
            match record.seq.checked_sub(seq + 1) {
                Some(0) if record.before == digest => {}
                Some(0) => self.problem(record.seq, "it does not follow from the record before"),
                Some(_) => self.missing.push((record.seq - 1, record.before)),
                None => self.problem(record.seq, "the order of records was changed"),
            }
            for missing in seq + 2..record.seq {
                // Of several in a row only the last one's digest is known here.
                self.missing.push((missing - 1, Digest([0; 32])));
            }
        }
        for (seq, digest) in &record.lost {
            self.missing.retain(|(missing, expected)| {
                *missing != *seq || (*expected != *digest && expected.0 != [0; 32])
            });
        }
        self.before = Some((record.seq, record.digest));
    }

    fn problem(&mut self, seq: u64, problem: &str) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(ChainProblem { seq, problem: problem.to_owned() });
        }
    }

    /// How many records there were, and what is wrong with them. `last` is the newest one that was ever stored.
    #[must_use]
    pub fn finish(mut self, last: Option<u64>) -> (u64, Vec<ChainProblem>) {
        for (seq, _) in std::mem::take(&mut self.missing) {
            self.problem(seq, "the record is missing");
        }
        if let (Some(last), Some((seq, _))) = (last, self.before)
            && seq < last
        {
            self.problem(last, "the newest records are missing");
        }
        (self.count, self.problems)
    }
}

const MOST_PROBLEMS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(key: &DigestKey, count: usize) -> Vec<AuditRecord> {
        let mut head = Head::of(None);
        (0..count).map(|number| head.append(key, record(number))).collect()
    }

    fn record(number: usize) -> AuditRecord {
        AuditRecord {
            seq: 0,
            timestamp_utc: Timestamp::from_microseconds(number.try_into().unwrap()),
            cid: format!("c{number}"),
            op: "user.login".to_owned(),
            current_user: String::new(),
            target_user: String::new(),
            result: "ok".to_owned(),
            sub_status: String::new(),
            current_app: "CRM".to_owned(),
            remote_addr: String::new(),
            user_agent: String::new(),
            purpose: String::new(),
            extra: String::new(),
            lost: Vec::new(),
            before: Digest([0; 32]),
            digest: Digest([0; 32]),
        }
    }

    fn verify(key: &DigestKey, records: &[AuditRecord], last: u64) -> Vec<ChainProblem> {
        let mut verifier = Verifier::new(key);
        records.iter().for_each(|record| verifier.next(record));
        let (count, problems) = verifier.finish(Some(last));
        assert_eq!(count, records.len() as u64);
        problems
    }

    /// Section 9, 24.
    #[test]
    fn inv_24_whatever_is_done_to_a_record_is_noticed() {
        let key = DigestKey::generate().unwrap();
        let whole = chain(&key, 6);
        assert_eq!(verify(&key, &whole, 6), []);
        // The oldest may go, after their time.
        assert_eq!(verify(&key, &whole[2..], 6), []);
        for index in 0..6 {
            let mut edited = whole.clone();
            edited[index].op = "user.logout".to_owned();
            assert!(!verify(&key, &edited, 6).is_empty(), "edited {index}");
            // With a digest of whoever has another key.
            edited[index].digest = edited[index].expected(&DigestKey::generate().unwrap());
            assert!(!verify(&key, &edited, 6).is_empty(), "edited and signed {index}");
            if index > 0 {
                let mut removed = whole.clone();
                removed.remove(index);
                assert!(!verify(&key, &removed, 6).is_empty(), "removed {index}");
            }
        }
        let mut swapped = whole.clone();
        swapped.swap(2, 3);
        assert!(!verify(&key, &swapped, 6).is_empty());
        let mut two_removed = whole.clone();
        two_removed.drain(2..4);
        assert_eq!(verify(&key, &two_removed, 6).len(), 2);
    }

    #[test]
    fn a_record_that_could_not_be_stored_is_admitted() {
        let key = DigestKey::generate().unwrap();
        let mut head = Head::of(None);
        let mut records: Vec<_> = (0..3).map(|number| head.append(&key, record(number))).collect();
        let lost: Vec<_> = (3..5).map(|number| head.append(&key, record(number))).collect();
        let lost = lost.iter().map(|record| (record.seq, record.digest)).collect();
        records.push(head.append(&key, AuditRecord { lost, ..record(5) }));
        assert_eq!(verify(&key, &records, 6), []);
    }
}
