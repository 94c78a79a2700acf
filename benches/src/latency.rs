//! How long operations took: one histogram for each connection, merged for the whole.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Result;
use crate::machine::Usage;
use crate::report::Sample;

/// Of one connection, in nanoseconds; as many as it had operations.
pub(crate) type Latencies = Histogram<u32>;

/// One microsecond to a minute, to one percent.
const LEAST: u64 = 1_000;
const MOST: u64 = 60_000_000_000;
const DIGITS: u8 = 2;

pub(crate) fn empty() -> Result<Latencies> {
    Ok(Histogram::new_with_bounds(LEAST, MOST, DIGITS)?)
}

pub(crate) fn record(latencies: &mut Latencies, took: Duration) {
    latencies.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(MOST));
}

/// What the connections had in a time, in which the server used so much processor time.
///
/// # Errors
/// When there was no operation at all.
pub(crate) fn summary(connections: &[Latencies], usage: Usage) -> Result<Sample> {
    let mut all = empty()?;
    for one in connections {
        all.add(one)?;
    }
    if all.is_empty() {
        return Err("no operation ended in the time".into());
    }
    let operations = all.len() as f64;
    let quantile = |quantile| Some(micros(all.value_at_quantile(quantile)));
    let worst =
        |quantile| connections.iter().map(|one| one.value_at_quantile(quantile)).max().map(micros);
    let most = connections.iter().map(Histogram::len).max().unwrap_or(0);
    let least = connections.iter().map(Histogram::len).min().unwrap_or(0);
    Ok(Sample {
        ops_per_second: Some(operations / usage.took.as_secs_f64()),
        cpu_us_per_op: Some(usage.cpu.as_secs_f64() * 1e6 / operations),
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        p999_us: quantile(0.999),
        worst_p99_us: worst(0.99),
        worst_p999_us: worst(0.999),
        // A connection that got nothing counts as one that got one call.
        unfairness: Some(most as f64 / least.max(1) as f64),
        kib_per_connection: None,
        foreign_cores: Some(usage.foreign_cores),
    })
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_connection_is_not_hidden_by_the_others() {
        let (mut fast, mut slow) = (empty().unwrap(), empty().unwrap());
        for _ in 0..1000 {
            record(&mut fast, Duration::from_micros(10));
        }
        for _ in 0..4 {
            record(&mut slow, Duration::from_millis(50));
        }
        let second = Duration::from_secs(1);
        let usage = Usage { took: second, cpu: second, foreign_cores: 0.0 };
        let sample = summary(&[fast, slow], usage).unwrap();
        assert_eq!((sample.ops_per_second, sample.unfairness), (Some(1004.0), Some(250.0)));
        assert!(sample.p99_us.unwrap() < 11.0);
        assert!(sample.worst_p99_us.unwrap() > 49_000.0);
    }
}
