//! What else the machine does: on shared cores, work of others ends up in every figure.
//!
//! A pair of turns in which others used too much is repeated. What decides is the processor time of others alone,
//! never the figures, and how often it was repeated is reported. If no try was quiet, the quietest counts and its row
//! says so.

use std::fs;
use std::time::{Duration, Instant};

use crate::Result;
use crate::args::Common;
use crate::child::{cpu_of, ticks};
use crate::report::Round;

/// What a server used in a time, and what others used meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
    /// Cores that neither the server nor this process kept busy.
    pub(crate) foreign_cores: f64,
}

/// Something whose processor time is counted.
pub(crate) trait Measured {
    /// The processor time of all its threads so far, to a clock tick (10 ms).
    fn cpu(&self) -> Result<Duration>;
}

/// Runs while something is measured.
pub(crate) struct Watch {
    begun: Instant,
    server: Duration,
    here: Duration,
    machine: Duration,
}

impl Watch {
    pub(crate) fn start(server: &impl Measured) -> Result<Self> {
        let (server, here, machine) = (server.cpu()?, cpu_of("self")?, machine()?);
        Ok(Self { begun: Instant::now(), server, here, machine })
    }

    pub(crate) fn stop(self, server: &impl Measured) -> Result<Usage> {
        let took = self.begun.elapsed();
        let cpu = server.cpu()?.saturating_sub(self.server);
        let here = cpu_of("self")?.saturating_sub(self.here);
        let foreign = machine()?.saturating_sub(self.machine).saturating_sub(cpu + here);
        Ok(Usage { took, cpu, foreign_cores: foreign.as_secs_f64() / took.as_secs_f64() })
    }
}

/// The time that all processors were busy, interrupts and what the hypervisor took included.
fn machine() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    // cpu user nice system idle iowait irq softirq steal guest …; guests are in user already.
    let mut busy = 0;
    for (at, field) in line.split_ascii_whitespace().skip(1).take(8).enumerate() {
        if !matches!(at, IDLE | IOWAIT) {
            busy += field.parse::<u64>()?;
        }
    }
    Ok(ticks(busy))
}

const IDLE: usize = 3;
const IOWAIT: usize = 4;

/// Measures one pair of turns, again while others disturb it.
pub(crate) async fn round(
    common: &Common,
    mut pair: impl AsyncFnMut() -> Result<Round>,
) -> Result<Round> {
    let mut quietest: Option<Round> = None;
    for repeated in 0..=common.retries {
        wait_for_quiet(common).await?;
        let mut found = pair().await?;
        found.repeated = repeated;
        let foreign = found.foreign_cores();
        if foreign <= common.max_foreign {
            return Ok(found);
        }
        eprintln!("  others used {foreign:.2} cores");
        let is_better = quietest.as_ref().is_none_or(|best| foreign < best.foreign_cores());
        let best = if is_better { Some(found) } else { quietest };
        quietest = best.map(|mut best| {
            best.repeated = repeated;
            best
        });
    }
    quietest.ok_or_else(|| "nothing was measured".into())
}

/// Builds of others come and go: it pays to wait a little for their end, but not for ever.
async fn wait_for_quiet(common: &Common) -> Result<()> {
    quiet(common, LOOKS).await
}

/// The publish/subscribe scenarios have many points: they wait less for each, and tell how disturbed they were.
pub(crate) async fn wait_a_little(common: &Common) -> Result<()> {
    quiet(common, FEW_LOOKS).await
}

async fn quiet(common: &Common, looks: u32) -> Result<()> {
    for _ in 0..looks {
        let (busy, begun) = (machine()?, Instant::now());
        tokio::time::sleep(LOOK).await;
        let busy = machine()?.saturating_sub(busy);
        if busy.as_secs_f64() / begun.elapsed().as_secs_f64() <= common.max_foreign {
            break;
        }
    }
    Ok(())
}

const LOOK: Duration = Duration::from_millis(500);
const LOOKS: u32 = 30;
const FEW_LOOKS: u32 = 4;
