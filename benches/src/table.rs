//! Figures of the publish/subscribe scenarios, and how they are shown: one table a scenario, with the columns that it has.

use std::fs::OpenOptions;
use std::io::Write as _;

use serde::Serialize;

use crate::Result;
use crate::args::{Common, Output};
use crate::report::{Sample, fixed};

/// One line.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figure {
    pub(crate) scenario: &'static str,
    /// Which server.
    pub(crate) server: String,
    /// What was measured.
    pub(crate) point: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_s_per_100k: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
    /// What the subscriber got, where `per_second` is what publishers did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delivered_per_second: Option<f64>,
    /// How long the whole took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rss_mib: Option<f64>,
    /// `per_second` divided by that of others in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to_redis: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to_rabbitmq: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to_disk: Option<f64>,
    /// To the quiet run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    /// Cores that others kept busy meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) foreign_cores: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) goals: Vec<Goal>,
}

/// What a figure is held against.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    text: String,
    met: bool,
}

impl Figure {
    pub(crate) fn new(
        scenario: &'static str,
        server: impl Into<String>,
        point: impl Into<String>,
    ) -> Self {
        Self { scenario, server: server.into(), point: point.into(), ..Self::default() }
    }

    pub(crate) fn with(mut self, sample: &Sample) -> Self {
        self.per_second = sample.ops_per_second;
        // Microseconds for one are a tenth of seconds for 100,000.
        self.cpu_s_per_100k = sample.cpu_us_per_op.map(|micros| micros / 10.0);
        self.p50_ms = sample.p50_us.map(|micros| micros / 1_000.0);
        self.p99_ms = sample.p99_us.map(|micros| micros / 1_000.0);
        self.foreign_cores = sample.foreign_cores;
        self
    }

    pub(crate) fn at_least(&mut self, what: &str, found: Option<f64>, least: f64) {
        if let Some(found) = found {
            self.goals.push(Goal { text: format!("{what} ≥ {least}"), met: found >= least });
        }
    }

    pub(crate) fn at_most(&mut self, what: &str, found: Option<f64>, most: f64) {
        if let Some(found) = found {
            self.goals.push(Goal { text: format!("{what} ≤ {most}"), met: found <= most });
        }
    }

    fn cells(&self) -> [String; HEADINGS.len()] {
        let goals = self
            .goals
            .iter()
            .map(|goal| format!("{} {}", goal.text, if goal.met { "ok" } else { "MISSED" }));
        let some =
            |value: Option<f64>, digits| value.map_or(String::new(), |it| fixed(Some(it), digits));
        [
            self.point.clone(),
            self.bytes.map_or(String::new(), |bytes| bytes.to_string()),
            self.server.clone(),
            some(self.per_second, 0),
            some(self.delivered_per_second, 0),
            some(self.p50_ms, 2),
            some(self.p99_ms, 2),
            some(self.cpu_s_per_100k, 3),
            some(self.seconds, 2),
            some(self.cpu_s, 2),
            some(self.rss_mib, 0),
            some(self.to_redis, 2),
            some(self.to_rabbitmq, 2),
            some(self.to_disk, 2),
            some(self.ratio, 2),
            some(self.foreign_cores, 2),
            goals.collect::<Vec<_>>().join(", "),
        ]
    }
}

const HEADINGS: [&str; 17] = [
    "point",
    "bytes",
    "server",
    "ops/s",
    "delivered/s",
    "p50 ms",
    "p99 ms",
    "CPU s/100k",
    "seconds",
    "CPU s",
    "RSS MiB",
    "× Redis",
    "× RabbitMQ",
    "× disk",
    "ratio",
    "others",
    "goals",
];

/// Columns of words; the others are numbers.
const WORDS: [usize; 3] = [0, 2, HEADINGS.len() - 1];

/// Shows the figures of one scenario as it was asked for, behind those of the scenarios before.
pub(crate) fn show(title: &str, figures: &[Figure], common: &Common, first: bool) -> Result<()> {
    if let Some(path) = &common.json {
        let mut open = OpenOptions::new();
        let open = open.create(true).write(true).truncate(first).append(!first);
        let mut file = open.open(path)?;
        for figure in figures {
            writeln!(file, "{}", serde_json::to_string(figure)?)?;
        }
    }
    match common.output {
        Output::Json => {
            for figure in figures {
                println!("{}", serde_json::to_string(figure)?);
            }
        }
        Output::Table => table(title, figures),
    }
    Ok(())
}

fn table(title: &str, figures: &[Figure]) {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(figures.iter().map(Figure::cells));
    let width = |column: usize| {
        let cells = lines.iter().skip(1).filter_map(|line| line.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        let heading = HEADINGS.get(column).map_or(0, |heading| heading.chars().count());
        if widest == 0 { 0 } else { widest.max(heading) }
    };
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    println!("\n{title}");
    for line in &lines {
        let columns = line.iter().zip(&widths).enumerate().filter(|(_, (_, width))| **width > 0);
        let cells = columns.map(|(column, (cell, width))| match WORDS.contains(&column) {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        });
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
