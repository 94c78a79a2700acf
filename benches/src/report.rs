//! Rows, and how they are shown.

use std::fs::File;
use std::io::Write as _;

use serde::Serialize;

use crate::Result;
use crate::args::{Common, Output, Transport};

/// What one server did in one turn, or the median of several.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sample {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ops_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_us_per_op: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p999_us: Option<f64>,
    /// Of the connection that fared worst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) worst_p99_us: Option<f64>,
    /// Of the connection that fared worst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) worst_p999_us: Option<f64>,
    /// The throughput of the fastest connection divided by that of the slowest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unfairness: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kib_per_connection: Option<f64>,
    /// Cores that others kept busy meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) foreign_cores: Option<f64>,
}

/// A turn of each server, one after the other.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    spanwire: Sample,
    bare: Sample,
    /// How often others disturbed it before.
    pub(crate) repeated: u32,
}

impl Round {
    pub(crate) fn new(spanwire: Sample, bare: Sample) -> Self {
        Self { spanwire, bare, repeated: 0 }
    }

    /// Cores that others kept busy during the worse of the two turns.
    pub(crate) fn foreign_cores(&self) -> f64 {
        let of = |sample: &Sample| sample.foreign_cores.unwrap_or(0.0);
        of(&self.spanwire).max(of(&self.bare))
    }

    fn ratio(&self) -> Option<f64> {
        let ratio = self.spanwire.cost()? / self.bare.cost()?;
        ratio.is_finite().then_some(ratio)
    }
}

impl Sample {
    fn cost(&self) -> Option<f64> {
        self.cpu_us_per_op.or(self.kib_per_connection)
    }
}

/// A scenario at one point, by both servers.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    pub(crate) transport: Transport,
    pub(crate) connections: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pipeline: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<u32>,
    /// Each pair of turns that counts.
    rounds: Vec<Round>,
    seconds: f64,
    spanwire: Sample,
    bare: Sample,
    /// The cost of spanwire divided by that of the bare echo — CPU, or memory when idle: median of the rounds.
    ratio: Option<f64>,
    /// The smallest and the greatest ratio of the rounds.
    ratio_range: Option<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<Budget>,
    within_budget: Option<bool>,
    /// Whether others kept more cores busy than allowed, in at least one round.
    disturbed: bool,
    note: &'static str,
}

/// What section 11 of the design, or the aims beside the figures of other servers, allow.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Budget {
    MostRatio(f64),
    LeastRate(f64),
    MostKib(f64),
}

/// Rates are for comparing within the run only.
const NOTE: &str = "load generator and server share the cores: trust CPU per operation, not rates";

impl Row {
    /// Medians of rounds, each a turn of spanwire and one of the bare echo.
    pub(crate) fn new(
        scenario: &'static str,
        transport: Transport,
        connections: u32,
        common: &Common,
        rounds: Vec<Round>,
    ) -> Self {
        let ratios: Vec<f64> = rounds.iter().filter_map(Round::ratio).collect();
        let disturbed = rounds.iter().any(|round| round.foreign_cores() > common.max_foreign);
        let least = ratios.iter().copied().reduce(f64::min);
        let most = ratios.iter().copied().reduce(f64::max);
        Self {
            scenario,
            transport,
            connections,
            pipeline: None,
            payload: None,
            seconds: common.time().as_secs_f64(),
            spanwire: medians(&rounds.iter().map(|round| &round.spanwire).collect::<Vec<_>>()),
            bare: medians(&rounds.iter().map(|round| &round.bare).collect::<Vec<_>>()),
            ratio: median(ratios),
            ratio_range: least.zip(most),
            budget: None,
            within_budget: None,
            disturbed,
            rounds,
            note: NOTE,
        }
    }

    /// Says what is allowed, and whether it was kept.
    pub(crate) fn with_budget(mut self, budget: Option<Budget>) -> Self {
        self.budget = budget;
        self.within_budget = budget.and_then(|budget| {
            Some(match budget {
                Budget::MostRatio(most) => self.ratio? <= most,
                Budget::LeastRate(least) => self.spanwire.ops_per_second? >= least,
                Budget::MostKib(most) => self.spanwire.kib_per_connection? <= most,
            })
        });
        self
    }

    fn cells(&self) -> [String; 16] {
        let (a, b) = (&self.spanwire, &self.bare);
        let number = |value: Option<u32>| value.map_or("–".to_owned(), |value| value.to_string());
        let pair = |s: &Sample| format!("{}/{}", fixed(s.p50_us, 0), fixed(s.p99_us, 0));
        let budget = match self.budget {
            None => String::new(),
            Some(Budget::MostRatio(most)) => format!("≤ {most} ×"),
            Some(Budget::LeastRate(least)) => format!("≥ {least}/s"),
            Some(Budget::MostKib(most)) => format!("≤ {most} KiB"),
        };
        let range = self.ratio_range.map(|(least, most)| format!("{least:.2}–{most:.2}"));
        let range = range.unwrap_or_default();
        let most_foreign = self.rounds.iter().map(Round::foreign_cores).fold(0.0, f64::max);
        let others = format!("{most_foreign:.2}{}", if self.disturbed { " DISTURBED" } else { "" });
        let kept = match self.within_budget {
            None => "",
            Some(true) => " ok",
            Some(false) => " MISSED",
        };
        [
            format!("{} {:?}", self.scenario, self.transport).to_lowercase(),
            self.connections.to_string(),
            number(self.pipeline),
            number(self.payload),
            fixed(a.ops_per_second, 0),
            fixed(b.ops_per_second, 0),
            fixed(a.cost(), 2),
            fixed(b.cost(), 2),
            fixed(self.ratio, 2),
            range,
            pair(a),
            pair(b),
            fixed(a.worst_p99_us, 0),
            fixed(a.unfairness, 2),
            others,
            format!("{budget}{kept}"),
        ]
    }
}

const HEADINGS: [&str; 16] = [
    "scenario",
    "conns",
    "pipe",
    "bytes",
    "ops/s",
    "bare",
    "cost/op",
    "bare",
    "ratio",
    "range",
    "p50/p99 µs",
    "bare",
    "worst p99",
    "max/min",
    "others",
    "budget",
];

/// Shows the rows as it was asked for.
pub(crate) fn show(rows: &[Row], common: &Common) -> Result<()> {
    if let Some(path) = &common.json {
        let mut file = File::create(path)?;
        for row in rows {
            writeln!(file, "{}", serde_json::to_string(row)?)?;
        }
    }
    match common.output {
        Output::Json => {
            for row in rows {
                println!("{}", serde_json::to_string(row)?);
            }
        }
        Output::Table => table(rows),
    }
    Ok(())
}

fn table(rows: &[Row]) {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let mut widths = [0; HEADINGS.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    for line in &lines {
        let cells: Vec<String> =
            line.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        println!("{}", cells.join("  "));
    }
    println!("\ncost/op: µs of server CPU for each operation; KiB for each connection when idle");
    println!(
        "ratio, range: of the rounds, each a turn of both; others: cores busy with other work, at worst"
    );
    println!("{NOTE}");
}

pub(crate) fn fixed(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
}

pub(crate) fn medians(samples: &[&Sample]) -> Sample {
    let of = |field: fn(&Sample) -> Option<f64>| {
        median(samples.iter().filter_map(|sample| field(sample)).collect())
    };
    Sample {
        ops_per_second: of(|s| s.ops_per_second),
        cpu_us_per_op: of(|s| s.cpu_us_per_op),
        p50_us: of(|s| s.p50_us),
        p99_us: of(|s| s.p99_us),
        p999_us: of(|s| s.p999_us),
        worst_p99_us: of(|s| s.worst_p99_us),
        worst_p999_us: of(|s| s.worst_p999_us),
        unfairness: of(|s| s.unfairness),
        kib_per_connection: of(|s| s.kib_per_connection),
        foreign_cores: of(|s| s.foreign_cores),
    }
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some((upper + lower) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
