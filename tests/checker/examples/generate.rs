//! Prints a right history: `generate SEED STEPS`. For measuring the checker.

use std::io::{BufWriter, Write};

use spanwire_checker::simulation;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let seed = numbers.next().transpose()?.unwrap_or(1);
    let steps = numbers.next().transpose()?.unwrap_or(1000);
    let mut out = BufWriter::new(std::io::stdout().lock());
    for record in simulation::history(seed, usize::try_from(steps)?) {
        serde_json::to_writer(&mut out, &record)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}
