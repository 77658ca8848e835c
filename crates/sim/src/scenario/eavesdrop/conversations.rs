//! Persons who write to each other.

use std::collections::BTreeMap;

use mainframe_base::{Luminosity, Prefix};

use crate::dice::Dice;
use crate::node::NodeId;
use crate::packets::{Packet, PacketIndex};
use crate::scenario::Stage;

/// Packets of one conversation (guess).
const CONVERSATION: usize = 4;
/// One packet in so many belongs to a conversation; the others are single ones between strangers, so that what is
/// measured does not hang on a few persons (guess).
const CONVERSING: usize = 4;

/// A line of a conversation: one packet from one person to another.
pub(super) struct Line {
    pub(super) packet: PacketIndex,
    /// Which conversation it belongs to.
    pub(super) conversation: usize,
}

/// Persons at honest nodes write to each other, some of them several times, all conversations mixed.
pub(super) fn converse(
    stage: &mut Stage<'_>,
    honest: &[NodeId],
    luminosity: Luminosity,
    packets: usize,
    interval_us: u64,
) -> Vec<Line> {
    let conversing = packets / CONVERSING;
    let conversation = |index: usize| {
        if index < conversing { index / CONVERSATION } else { conversing.div_ceil(CONVERSATION) + index - conversing }
    };
    let mut order: Vec<usize> = (0..packets).map(conversation).collect();
    let pairs: Vec<(NodeId, NodeId)> =
        (0..=order.last().copied().unwrap_or(0)).map(|_| two_of(honest, stage.population.dice())).collect();
    stage.population.dice().shuffle(&mut order);
    let mut lines = Vec::with_capacity(packets);
    for conversation in order {
        let (origin, target) = pairs[conversation];
        let destination = Prefix::of(stage.population.address(target), luminosity);
        let packet = stage.population.send(origin, destination);
        lines.push(Line { packet, conversation });
        let next = stage.population.world().now() + interval_us;
        stage.population.world_mut().run_until(next);
        stage.progress.tell(&stage.population, "persons write to each other");
    }
    lines
}

fn two_of(nodes: &[NodeId], dice: &mut Dice) -> (NodeId, NodeId) {
    let one = dice.below(nodes.len());
    let other = (one + 1 + dice.below(nodes.len() - 1)) % nodes.len();
    (nodes[one], nodes[other])
}

impl Line {
    /// The truth about it.
    pub(super) fn packet<'a>(&self, stage: &'a Stage<'_>) -> &'a Packet {
        &stage.population.world().packets().all()[self.packet as usize]
    }
}

/// Pairs of packets that belong together.
pub(super) fn pairs(lines: &[Line]) -> u64 {
    let mut sizes: BTreeMap<usize, u64> = BTreeMap::new();
    for line in lines {
        *sizes.entry(line.conversation).or_default() += 1;
    }
    sizes.values().map(|size| size * (size - 1) / 2).sum()
}
