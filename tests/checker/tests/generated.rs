//! Right histories of the simulation are accepted, thousands of them.

use spanwire_checker::{History, check, simulation};

#[test]
fn right_histories_are_never_reported() {
    let (mut owed, mut repeats, mut gaps, mut stops) = (0, 0, 0, 0);
    for seed in 0..3000 {
        let records = simulation::history(seed, 400);
        let history = History::from_records(&format!("seed {seed}"), records).unwrap();
        let report = check(&history);
        if let Some(violation) = report.violations.first() {
            for place in &violation.events {
                let record = &simulation::history(seed, 400)[place.line - 1];
                eprintln!("{} {}", place.line, serde_json::to_string(record).unwrap());
            }
            panic!("seed {seed}: {violation}");
        }
        owed += report.counts.owed;
        repeats += report.counts.repeats;
        gaps += report.counts.gaps;
        stops += report.counts.stops;
    }
    // A simulation in which nothing happens would be accepted too.
    assert!(
        owed > 30_000 && repeats > 3000 && gaps > 1000 && stops > 1000,
        "{owed} {repeats} {gaps} {stops}"
    );
}
