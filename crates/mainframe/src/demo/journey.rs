//! Where a packet went: the steps all nodes told, put together.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_sdk::TraceStep;

/// A step, told by the node that made it. Nodes by their overlay address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(crate) at_ms: u64,
    pub(crate) node: String,
    pub(crate) peer: Option<String>,
    pub(crate) step: TraceStep,
}

/// The steps of one packet.
#[derive(Clone, Default, Debug)]
pub(crate) struct Journey {
    steps: Vec<Step>,
}

impl Journey {
    /// Adds a step; they may come in any order.
    pub(crate) fn add(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// How many times the cell crossed a link.
    pub(crate) fn transmissions(&self) -> u64 {
        self.steps.iter().filter(|step| step.peer.is_some() && is_transmission(step.step)).count() as u64
    }

    /// The nodes of the region that have it.
    pub(crate) fn arrived(&self) -> BTreeSet<&str> {
        let arrived = |step: &&Step| step.step == TraceStep::Arrived;
        self.steps.iter().filter(arrived).map(|step| step.node.as_str()).collect()
    }

    /// Milliseconds from the sender's first step to the last node's arrival.
    pub(crate) fn spread_ms(&self) -> u64 {
        let first = self.steps.iter().map(|step| step.at_ms).min().unwrap_or(0);
        let arrivals = self.steps.iter().filter(|step| step.step == TraceStep::Arrived);
        arrivals.map(|step| step.at_ms.saturating_sub(first)).max().unwrap_or(0)
    }

    /// One line for each node and kind of step, in the order of time: when, who, to whom, why.
    pub(crate) fn lines(&self, names: &BTreeMap<String, String>) -> Vec<[String; 4]> {
        let name = |overlay: &str| names.get(overlay).map_or_else(|| overlay.chars().take(8).collect(), String::clone);
        let mut sends: Vec<&Step> =
            self.steps.iter().filter(|step| step.peer.is_some() && is_transmission(step.step)).collect();
        sends.sort_by_key(|step| (step.at_ms, depth_of(step.step)));
        let first = self.steps.iter().map(|step| step.at_ms).min().unwrap_or(0);
        let mut lines: Vec<(&str, &'static str, u64, Vec<String>)> = Vec::new();
        for step in sends {
            let (node, why) = (step.node.as_str(), why(step.step));
            let peer = name(step.peer.as_deref().unwrap_or_default());
            match lines.iter_mut().find(|line| line.0 == node && line.1 == why) {
                Some(line) => line.3.push(peer),
                None => lines.push((node, why, step.at_ms - first, vec![peer])),
            }
        }
        let told = |(node, why, at_ms, peers): (&str, &str, u64, Vec<String>)| {
            [format!("{at_ms} ms"), name(node), peers.join(", "), why.to_owned()]
        };
        lines.into_iter().map(told).collect()
    }
}

fn is_transmission(step: TraceStep) -> bool {
    match step {
        TraceStep::Routed
        | TraceStep::RoutedStandby
        | TraceStep::Delegated(_)
        | TraceStep::Neighbourhood
        | TraceStep::Pulled => true,
        TraceStep::Originated | TraceStep::Arrived => false,
    }
}

/// Steps of the same millisecond come in the order in which a packet takes them.
fn depth_of(step: TraceStep) -> u16 {
    match step {
        TraceStep::Originated => 0,
        TraceStep::Routed | TraceStep::RoutedStandby => 1,
        TraceStep::Arrived => 2,
        TraceStep::Delegated(bits) => 3 + bits,
        TraceStep::Neighbourhood => 300,
        TraceStep::Pulled => 301,
    }
}

fn why(step: TraceStep) -> &'static str {
    match step {
        TraceStep::Originated | TraceStep::Arrived => "",
        TraceStep::Routed => "towards the region",
        TraceStep::RoutedStandby => "towards the region, a second way in",
        TraceStep::Delegated(_) => "inside: answer for a part of it",
        TraceStep::Neighbourhood => "inside: neighbours",
        TraceStep::Pulled => "inside: asked for it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at_ms: u64, node: &str, peer: Option<&str>, step: TraceStep) -> Step {
        Step { at_ms, node: node.into(), peer: peer.map(str::to_owned), step }
    }

    fn journey() -> Journey {
        let mut journey = Journey::default();
        journey.add(step(13, "c", None, TraceStep::Arrived));
        journey.add(step(12, "b", Some("d"), TraceStep::Delegated(3)));
        journey.add(step(12, "b", Some("c"), TraceStep::Delegated(2)));
        journey.add(step(12, "b", None, TraceStep::Arrived));
        journey.add(step(10, "a", Some("b"), TraceStep::Routed));
        journey.add(step(10, "a", None, TraceStep::Originated));
        journey
    }

    #[test]
    fn every_crossing_of_a_link_is_a_transmission() {
        assert_eq!(journey().transmissions(), 3);
        assert_eq!(journey().arrived(), BTreeSet::from(["b", "c"]));
        assert_eq!(journey().spread_ms(), 3);
    }

    #[test]
    fn lines_are_in_the_order_of_time_and_grouped_by_node() {
        let names = BTreeMap::from([("a".to_owned(), "alice".to_owned())]);
        let lines = journey().lines(&names);
        assert_eq!(lines[0], ["0 ms", "alice", "b", "towards the region"]);
        assert_eq!(lines[1], ["2 ms", "b", "c, d", "inside: answer for a part of it"]);
    }
}
