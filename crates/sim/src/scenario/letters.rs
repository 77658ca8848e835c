//! Messages, each with the packets it was tried with: who hears nothing tries again, as the core's rule says.
//!
//! That a message has arrived is known here from above, as an `Ack` would tell; the patience of the rule leaves time
//! for one.

use std::collections::BTreeSet;

use mainframe_base::Prefix;
use mainframe_core::packet::{packets_of_try, patience_ms};

use super::Stage;
use crate::moment::Moment;
use crate::node::NodeId;
use crate::packets::{PacketIndex, Packets};

/// A message.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) origin: NodeId,
    pub(super) destination: Prefix,
    /// Whom it is for: a relay of the destination.
    pub(super) receiver: NodeId,
    pub(super) sent_at: Moment,
    /// The packets of each try.
    pub(super) tries: Vec<Vec<PacketIndex>>,
}

impl Letter {
    /// Every packet of every try.
    pub(super) fn packets(&self) -> impl Iterator<Item = PacketIndex> + '_ {
        self.tries.iter().flatten().copied()
    }

    /// The number of the try, counted from 1, that brought it to its receiver within so many seconds of its own
    /// sending; none if none did.
    pub(super) fn arrived_with_try(&self, packets: &Packets, within_s: u64) -> Option<usize> {
        let in_time = |index: &PacketIndex| {
            let sent_at = packets.all()[*index as usize].sent_at;
            let handed = packets.arrival(*index, self.receiver.0).and_then(|arrival| arrival.handed_at);
            handed.is_some_and(|at| at <= sent_at + within_s * 1_000_000)
        };
        let at_home = self.origin == self.receiver;
        if at_home {
            Some(1)
        } else {
            self.tries.iter().position(|packets| packets.iter().any(in_time)).map(|at| at + 1)
        }
    }

    fn has_arrived(&self, packets: &Packets) -> bool {
        self.arrived_with_try(packets, u64::from(u32::MAX)).is_some()
    }
}

/// The messages of a scenario, and when their senders will have waited long enough.
#[derive(Default, Debug)]
pub(super) struct Letters {
    all: Vec<Letter>,
    patience_ends: BTreeSet<(Moment, usize)>,
}

impl Letters {
    pub(super) fn all(&self) -> &[Letter] {
        &self.all
    }

    /// Sends a message now.
    pub(super) fn send(&mut self, stage: &mut Stage<'_>, origin: NodeId, destination: Prefix, receiver: NodeId) {
        let sent_at = stage.population.world().now();
        let tries = Vec::new();
        self.all.push(Letter { origin, destination, receiver, sent_at, tries });
        self.try_once(stage, self.all.len() - 1);
    }

    /// Sends a message between two different nodes of these, chosen at random, to the full address.
    pub(super) fn send_between(&mut self, stage: &mut Stage<'_>, nodes: &[NodeId]) {
        let origin = nodes[stage.population.dice().below(nodes.len())];
        let receiver = loop {
            let receiver = nodes[stage.population.dice().below(nodes.len())];
            if receiver != origin {
                break receiver;
            }
        };
        let destination = Prefix::of(stage.population.address(receiver), mainframe_base::Luminosity::FULL);
        self.send(stage, origin, destination, receiver);
    }

    /// Lets time pass; senders whose patience ends try again, if the options allow.
    pub(super) fn run_until(&mut self, stage: &mut Stage<'_>, until: Moment, doing: &str) {
        while let Some((at, index)) = self.patience_ends.first().copied().filter(|(at, _)| *at <= until) {
            self.patience_ends.remove(&(at, index));
            stage.population.world_mut().run_until(at);
            if !self.all[index].has_arrived(stage.population.world().packets()) {
                self.try_once(stage, index);
            }
        }
        stage.population.world_mut().run_until(until);
        stage.progress.tell(&stage.population, doing);
    }

    /// Lets so much time pass after the last try that may be made.
    pub(super) fn settle(&mut self, stage: &mut Stage<'_>, seconds: u64) {
        while let Some((at, _)) = self.patience_ends.first().copied() {
            self.run_until(stage, at, "senders try again");
        }
        let end = stage.population.world().now() + seconds * 1_000_000;
        while stage.population.world().now() < end {
            let next = stage.population.world().now() + 1_000_000;
            self.run_until(stage, next.min(end), "packets settle");
        }
    }

    /// Each packet of a new try stands for one of the try before.
    fn try_once(&mut self, stage: &mut Stage<'_>, index: usize) {
        let letter = &mut self.all[index];
        let luminosity = letter.destination.luminosity();
        let number = letter.tries.len() + 1;
        let earlier = letter.tries.last().cloned().unwrap_or_default();
        let count = usize::from(packets_of_try(luminosity, number as u8));
        let sent = (0..count).map(|at| {
            let instead_of = earlier.get(at.min(earlier.len().saturating_sub(1))).copied();
            let instead_of = instead_of.map(|index| stage.population.world().packets().all()[index as usize].id);
            stage.population.send_instead_of(instead_of, letter.origin, letter.destination)
        });
        let sent = sent.collect();
        letter.tries.push(sent);
        if number < usize::from(stage.options.tries) {
            let now = stage.population.world().now();
            self.patience_ends.insert((now + patience_ms(luminosity) * 1_000, index));
        }
    }
}

/// The share of messages that have arrived after 1, 2, … tries, each packet within so many seconds of its sending.
pub(super) fn delivery_by_try(letters: &[Letter], packets: &Packets, tries: u8, within_s: u64) -> Vec<f64> {
    let arrived: Vec<Option<usize>> = letters.iter().map(|letter| letter.arrived_with_try(packets, within_s)).collect();
    let by = |number: usize| arrived.iter().filter(|try_| try_.is_some_and(|try_| try_ <= number)).count();
    (1..=usize::from(tries)).map(|number| crate::figures::ratio(by(number) as u64, letters.len() as u64)).collect()
}
