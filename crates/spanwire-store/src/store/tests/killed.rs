//! A process that writes is killed at some moment: what it acknowledged as forced is there, and what is
//! there of the rest is a prefix.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::damage::Seeded;
use super::*;

/// The process that gets killed: this test binary again, told by the environment. As a test it does nothing.
#[test]
fn child() {
    let (Ok(dir), Ok(engine)) = (std::env::var(DIR), std::env::var(ENGINE)) else { return };
    let store = open_as(EngineKind::from_name(&engine).unwrap(), Path::new(&dir)).unwrap();
    let mut number = last(&store);
    loop {
        number += 1;
        let mut batch = Batch::new();
        batch.put("log", &number.to_be_bytes(), vec![number.to_le_bytes()[0]; 200]);
        batch.put("last", b"k", number.to_be_bytes());
        if number > 3000 {
            batch.delete("gone", &number.to_be_bytes());
        } else {
            batch.put("gone", &number.to_be_bytes(), vec![1; 5000]);
        }
        let durability =
            if number.is_multiple_of(7) { Durability::Forced } else { Durability::Lazy };
        let done = move |outcome: Result<(), StoreError>| {
            outcome.unwrap();
            println!("acknowledged {durability:?} {number}");
        };
        store.submit(batch, durability, Box::new(done));
    }
}

fn last(store: &Store) -> u32 {
    let found = store.get("last", b"k").unwrap();
    found.map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
}

#[test]
fn a_killed_process_loses_nothing_forced_and_of_the_lazy_a_suffix() {
    let mut random = Seeded(11);
    for engine in ENGINES {
        let root = TempDir::new().unwrap();
        let mut forced = 0;
        for round in 0..6 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["store::tests::killed::child", "--exact", "--nocapture"])
                .env(DIR, root.path())
                .env(ENGINE, engine.name())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut output = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            let mut acknowledged = 0;
            let enough = 1 + random.below(600);
            while output.read_line(&mut line).unwrap() > 0 {
                let words: Vec<_> = line.split_whitespace().collect();
                if let ["acknowledged", durability, number] = words[..]
                    && line.ends_with('\n')
                {
                    acknowledged += 1;
                    if durability == "Forced" {
                        forced = number.parse().unwrap();
                    }
                }
                if acknowledged == enough {
                    child.kill().unwrap();
                }
                line.clear();
            }
            assert!(acknowledged >= enough, "{engine}, round {round}: the child stopped by itself");
            child.wait().unwrap();

            let store = open_as(engine, root.path()).unwrap();
            let last = last(&store);
            assert!(last >= forced, "{engine}, round {round}: {last} of {forced}");
            let log = store.scan("log", b"").unwrap();
            let expected = (1..=last)
                .map(|number| (number.to_be_bytes().to_vec(), vec![number.to_le_bytes()[0]; 200]));
            assert!(log.into_iter().eq(expected), "{engine}, round {round}: not a prefix");
        }
        assert!(forced > 0);
    }
}

const DIR: &str = "SPANWIRE_STORE_KILLED_DIR";
const ENGINE: &str = "SPANWIRE_STORE_KILLED_ENGINE";
