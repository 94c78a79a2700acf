//! Decides from what publishers and subscribers saw whether the promises were kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::broker::Delivered;

#[derive(Clone, Debug)]
pub(super) enum Event {
    Asked {
        contents: Vec<String>,
        has_gd: bool,
        priority: i64,
    },
    Published {
        all: Vec<(String, u64)>,
        has_gd: bool,
    },
    /// Nobody knows what became of it.
    Refused,
    Holds {
        who: usize,
        id: u64,
    },
    Silenced {
        who: usize,
        id: u64,
    },
    Took {
        who: usize,
        id: u64,
        content: String,
        offset: u64,
        attempt: u32,
    },
    Acknowledged {
        who: usize,
        offsets: Vec<u64>,
    },
    /// Everything before an event is on disk.
    Flushed {
        who: usize,
        mark: usize,
    },
    Gap {
        who: usize,
        from: u64,
        to: u64,
    },
    Crashed,
}

impl Event {
    pub(super) fn took(who: usize, id: u64, it: &Delivered) -> Self {
        let content = it.message.payload().parse().unwrap();
        Self::Took { who, id, content, offset: it.position.offset, attempt: it.attempt }
    }
}

#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) events: Vec<Event>,
}

#[derive(Default)]
struct Subscriber {
    attempts: BTreeMap<u64, u32>,
    contents: BTreeSet<String>,
    /// The last first delivery, by priority.
    last: BTreeMap<i64, u64>,
    acknowledged: BTreeSet<u64>,
    durable: BTreeSet<u64>,
    /// The first offsets of gaps and the last.
    gaps: BTreeMap<u64, u64>,
    holder: u64,
}

impl Subscriber {
    fn is_gap(&self, offset: u64) -> bool {
        self.gaps.range(..=offset).any(|(_, to)| offset <= *to)
    }
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

impl History {
    pub(super) fn check(&self) -> Result<(), String> {
        let mut names: HashMap<u64, &str> = HashMap::new();
        let mut priorities: HashMap<&str, i64> = HashMap::new();
        let mut subscribers = [Subscriber::default(), Subscriber::default()];
        // What was acknowledged before a crash is not made durable by a later flush.
        let mut started = 0;
        for (at, event) in self.events.iter().enumerate() {
            match event {
                Event::Asked { contents, priority, .. } => {
                    priorities.extend(contents.iter().map(|it| (it.as_str(), *priority)));
                }
                Event::Published { all, .. } => {
                    require(all.is_sorted_by_key(|it| it.1), || format!("order of {all:?}"))?;
                    for (content, offset) in all {
                        let known = *names.entry(*offset).or_insert(content);
                        require(known == content, || format!("{offset}: {known}, {content}"))?;
                    }
                }
                Event::Refused => {}
                Event::Holds { who, id } => subscribers[*who].holder = *id,
                Event::Silenced { who, id } => {
                    let holder = subscribers[*who].holder;
                    require(holder != *id, || format!("{id} is silenced and holds"))?;
                }
                Event::Took { who, id, content, offset, attempt } => {
                    let priority = *priorities.get(content.as_str()).ok_or("made up")?;
                    let known = *names.entry(*offset).or_insert(content);
                    require(known == content, || format!("{offset}: {known}, {content}"))?;
                    let it = &mut subscribers[*who];
                    require(it.holder == *id, || format!("{id} gets {offset} after a takeover"))?;
                    let before = it.attempts.insert(*offset, *attempt);
                    require(before.is_none_or(|before| before < *attempt), || {
                        format!("{offset}: attempt {attempt} after {before:?}")
                    })?;
                    require(
                        !it.acknowledged.contains(offset) && !it.durable.contains(offset),
                        || format!("{offset} comes again to {who} after it was acknowledged"),
                    )?;
                    if before.is_none() {
                        let last = it.last.insert(priority, *offset);
                        require(last.is_none_or(|last| last < *offset), || {
                            format!("{offset} comes first to {who} after {last:?}")
                        })?;
                    }
                    require(!it.is_gap(*offset), || format!("{offset} after its gap"))?;
                    it.contents.insert(content.clone());
                }
                Event::Acknowledged { who, offsets } => {
                    subscribers[*who].acknowledged.extend(offsets);
                }
                Event::Flushed { who, mark } => {
                    for event in &self.events[started.min(*mark)..*mark.min(&at)] {
                        if let Event::Acknowledged { who: of, offsets } = event
                            && of == who
                        {
                            subscribers[*who].durable.extend(offsets);
                        }
                    }
                }
                Event::Gap { who, from, to } => {
                    let it = &mut subscribers[*who];
                    // What was handed over in vain and lost since is a gap as well.
                    let again = it.acknowledged.range(*from..=*to).next();
                    require(again.is_none(), || format!("{again:?} was had and is a gap"))?;
                    it.gaps.entry(*from).and_modify(|end| *end = (*end).max(*to)).or_insert(*to);
                }
                Event::Crashed => {
                    // What was acknowledged lazily may be forgotten, and gaps be told again.
                    subscribers.iter_mut().for_each(|it| it.acknowledged.clear());
                    started = at;
                }
            }
        }
        self.nothing_is_lost(&subscribers)
    }

    fn nothing_is_lost(&self, subscribers: &[Subscriber]) -> Result<(), String> {
        for (who, it) in subscribers.iter().enumerate() {
            for event in &self.events {
                match event {
                    Event::Published { all, has_gd } => {
                        for (content, offset) in all {
                            let has_it = it.contents.contains(content);
                            require(has_it || !has_gd, || format!("{who} never got {content}"))?;
                            let is_told = has_it || it.is_gap(*offset);
                            require(is_told || who != 0, || format!("{who} misses {content}"))?;
                        }
                    }
                    Event::Asked { contents, has_gd: true, .. } => {
                        let got = contents.iter().filter(|content| it.contents.contains(*content));
                        let got = got.count();
                        require(got == 0 || got == contents.len(), || {
                            format!("{who} got {got} of {contents:?}")
                        })?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Event {
        Event::Asked { contents: vec!["a".into(), "b".into()], has_gd: true, priority: 5 }
    }

    fn published() -> Event {
        Event::Published { all: vec![("a".into(), 1), ("b".into(), 2)], has_gd: true }
    }

    fn took(who: usize, content: &str, offset: u64, attempt: u32) -> Event {
        Event::Took { who, id: 0, content: content.into(), offset, attempt }
    }

    fn good() -> Vec<Event> {
        let mut events = vec![asked(), published()];
        for who in 0..2 {
            events.extend([took(who, "a", 1, 1), took(who, "b", 2, 1)]);
        }
        events
    }

    #[test]
    fn wrong_histories_are_told_from_right_ones() {
        assert_eq!(History { events: good() }.check(), Ok(()));
        let acknowledged = || Event::Acknowledged { who: 0, offsets: vec![1] };
        let wrong: Vec<(&str, Vec<Event>)> = vec![
            ("lost", good().into_iter().take(5).collect()),
            ("made up", [good(), vec![took(0, "c", 3, 1)]].concat()),
            ("same attempt", [good(), vec![took(0, "a", 1, 1)]].concat()),
            ("two names", [good(), vec![took(0, "b", 1, 2)]].concat()),
            ("again", [good(), vec![acknowledged(), took(0, "a", 1, 2)]].concat()),
            ("order", vec![asked(), took(0, "b", 2, 1), took(0, "a", 1, 1)]),
            ("part", vec![asked(), took(0, "a", 1, 1)]),
            ("takeover", [vec![Event::Holds { who: 0, id: 9 }], good()].concat()),
            ("silence", vec![Event::Holds { who: 0, id: 9 }, Event::Silenced { who: 0, id: 9 }]),
            (
                "durable",
                [
                    good(),
                    vec![
                        acknowledged(),
                        Event::Flushed { who: 0, mark: 7 },
                        Event::Crashed,
                        took(0, "a", 1, 2),
                    ],
                ]
                .concat(),
            ),
            (
                "gap of what was had",
                [good(), vec![acknowledged(), Event::Gap { who: 0, from: 1, to: 1 }]].concat(),
            ),
            ("gap before", [vec![Event::Gap { who: 0, from: 1, to: 1 }], good()].concat()),
        ];
        for (name, events) in wrong {
            assert!(History { events }.check().is_err(), "{name}");
        }
    }
}
