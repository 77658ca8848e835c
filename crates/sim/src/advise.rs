//! `sim advise`: what the advisor says, without playing anything.

use anyhow::{Context, bail};
use mainframe_base::Luminosity;
use mainframe_core::cost::{Network, Obstacle, Sight, Situation, advise};
use mainframe_core::wire::SizeClass;
use serde::Serialize;

/// Relays over which sixteen look-ups average.
const RECORDS: u32 = 320;

/// A wish, as the command line has it.
#[derive(Clone, Debug, clap::Args)]
pub struct Wish {
    /// Relays of the network
    #[arg(long)]
    nodes: u64,
    /// What sixteen look-ups took them for; without it the number is known exactly
    #[arg(long)]
    estimate: Option<u64>,
    /// Honest relays among which the receiver wants to hide
    #[arg(long)]
    candidates: u64,
    /// Share of the relays expected to misbehave, 0 to 0.9
    #[arg(long, default_value_t = 0.0)]
    droppers: f64,
    /// Transmissions the sender is willing to cause; any number unless given
    #[arg(long)]
    budget: Option<u64>,
    /// Milliseconds within which 99 of 100 relays of the region are to have the packet; any time unless given
    #[arg(long, value_name = "MS")]
    latency: Option<u64>,
    /// The receiver tells no more bits than these
    #[arg(long, default_value_t = 256)]
    luminosity_max: u16,
    /// Print JSON in one line
    #[arg(long)]
    pub json: bool,
}

/// What came out; names as in docs/protocol/simulator.md.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Answer {
    granted: bool,
    luminosity: u16,
    set_p01: u64,
    set_median: u64,
    /// What the true number of nodes gives in half of all cases.
    set_real_median: u64,
    transmissions: u64,
    bytes: u64,
    latency_ms_p50: u64,
    latency_ms_p99: u64,
    nodes_needed: Option<u64>,
    budget_needed: Option<u64>,
    latency_ms_needed: Option<u64>,
}

impl Wish {
    /// Asks the advisor.
    ///
    /// # Errors
    /// If a number is out of range.
    pub fn answer(&self) -> anyhow::Result<Answer> {
        if !(0.0..=0.9).contains(&self.droppers) {
            bail!("--droppers is {}; it is a share of the relays, 0 to 0.9, such as 0.1 for a tenth", self.droppers);
        }
        let luminosity_max = Luminosity::new(self.luminosity_max)
            .with_context(|| format!("--luminosity-max is {}; it is 0 to 254 bits, or 256", self.luminosity_max))?;
        let droppers_per_mille = (self.droppers * 1e3).round() as u64;
        let advice = advise(&Situation {
            network: Network { relays: self.estimate.unwrap_or(self.nodes), droppers_per_mille },
            records: if self.estimate.is_some() { RECORDS } else { u32::MAX },
            candidates_wanted: self.candidates,
            luminosity_max,
            transmissions_max: self.budget.unwrap_or(u64::MAX),
            latency_ms_max: self.latency.unwrap_or(u64::MAX),
            size_class: SizeClass::T,
        });
        let real = Sight::by_size(self.nodes, u32::MAX, advice.luminosity).honest(droppers_per_mille);
        let needed = |of: fn(Obstacle) -> Option<u64>| advice.obstacle.and_then(of);
        Ok(Answer {
            granted: advice.obstacle.is_none(),
            luminosity: advice.luminosity.bits(),
            set_p01: advice.candidates.p01,
            set_median: advice.candidates.median,
            set_real_median: real.median,
            transmissions: advice.quote.milli_transmissions.div_ceil(1_000),
            bytes: advice.quote.bytes,
            latency_ms_p50: advice.latency.p50_ms,
            latency_ms_p99: advice.latency.p99_ms,
            nodes_needed: needed(
                |obstacle| if let Obstacle::TooFewRelays(nodes) = obstacle { Some(nodes) } else { None },
            ),
            budget_needed: needed(|obstacle| if let Obstacle::TooDear(cells) = obstacle { Some(cells) } else { None }),
            latency_ms_needed: needed(|obstacle| if let Obstacle::TooSlow(ms) = obstacle { Some(ms) } else { None }),
        })
    }
}

impl Answer {
    /// For people.
    pub fn text(&self) -> String {
        let obstacle = match (self.nodes_needed, self.budget_needed, self.latency_ms_needed) {
            (Some(nodes), _, _) => format!("not granted: it would take {nodes} relays"),
            (_, Some(cells), _) => format!("not granted: it would take {cells} transmissions"),
            (_, _, Some(ms)) => format!("not granted: it would take {ms} ms"),
            (None, None, None) => "granted".to_owned(),
        };
        format!(
            "{obstacle}\nluminosity    {}\nhidden among  {} honest relays at least (99 %), {} in the median\ncost          \
             {} transmissions, {} bytes\nlatency       {} ms to half of the region, {} ms to 99 %\n",
            self.luminosity,
            self.set_p01,
            self.set_median,
            self.transmissions,
            self.bytes,
            self.latency_ms_p50,
            self.latency_ms_p99
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        wish: Wish,
    }

    fn answer(line: &str) -> anyhow::Result<Answer> {
        Line::parse_from(std::iter::once("sim").chain(line.split(' '))).wish.answer()
    }

    #[test]
    fn an_estimate_too_high_still_promises_less_than_there_is() {
        let answer = answer("--nodes 10000 --estimate 11000 --candidates 64 --droppers 0.1").unwrap();
        assert!(answer.granted && answer.set_p01 >= 64, "{answer:?}");
        assert!(answer.set_p01 <= answer.set_real_median, "{answer:?}");
    }

    #[test]
    fn what_is_in_the_way_is_said_with_what_would_remove_it() {
        let dear = answer("--nodes 1000 --candidates 100 --budget 20").unwrap();
        assert!(!dear.granted && dear.budget_needed.is_some_and(|cells| cells > 100), "{dear:?}");
        assert!(answer("--nodes 1000 --candidates 1001").unwrap().nodes_needed.is_some());
        assert!(answer("--nodes 1000 --candidates 100 --latency 10").unwrap().latency_ms_needed.is_some());
        assert!(answer("--nodes 1000 --candidates 1 --droppers 2").is_err());
    }
}
