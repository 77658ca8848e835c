//! One message for many receivers (whitepaper, 组播): what does each way of sending it cost the network, and does it reach everyone?
//!
//! - one by one: a dark packet for every receiver, sealed anew for each
//! - a region each: the same, but receivers of one region share a packet
//! - a list: one packet to all regions, sealed once
//! - a group's region: one dark packet to a region that need not be any receiver's; those who stand elsewhere listen to it
//!
//! And what do conversations cost that way, with all that devices say besides the messages ([`talk`])?

mod talk;

use mainframe_base::Prefix;
use mainframe_core::switchboard::RelayCommand;
use mainframe_core::wire::{HoldClass, TagBucket};
use serde_json::{Value, json};

use super::{Stage, Tables};
use crate::dice::Dice;
use crate::figures::{least, mean, percentile};
use crate::node::NodeId;
use crate::packets::{PacketIndex, Packets};
use talk::Talk;

/// Sizes of groups in one run, at most.
pub const GROUPS_MAX: usize = 4;
/// Those that are played if nothing else is asked for.
pub(super) const GROUPS: [usize; GROUPS_MAX] = [10, 50, 100, 0];
/// Time between two messages, in seconds.
const INTERVAL_S: u64 = 1;
/// How long after the last message packets may still arrive, in seconds: twelve rounds of anti-entropy.
const SETTLED_S: u64 = 60;
/// How long members are given to find relays of the group's region, in seconds.
const ATTENDING_S: u64 = 120;
/// Bytes of a T cell's frame.
const FRAME_BYTES: u64 = 2_064;

/// Conversations whose cost is told: how many messages, and how many seconds lie between them.
const CONVERSATIONS: [(u64, u64); 4] = [(1, 60), (10, 60), (60, 60), (600, 5)];
/// Messages between two people by which it is found out what is said besides.
const PAIR_MESSAGES: u64 = 40;

/// A message and its receivers.
struct Message {
    origin: NodeId,
    /// The regions of the receivers, one for each.
    regions: Vec<Prefix>,
}

impl Message {
    fn distinct(&self) -> Vec<Prefix> {
        let mut regions = self.regions.clone();
        regions.sort();
        regions.dedup();
        regions
    }
}

/// What one way of sending came to.
struct Outcome {
    messages: u64,
    cells: u64,
    /// Of them, those that were on their way to a region.
    on_the_way: u64,
    control_bytes: u64,
    /// Honest relays of a target that were handed the packet, among all, by packet.
    coverage: Vec<f64>,
    /// Until each of them was.
    latency_ms: Vec<f64>,
}

impl Outcome {
    fn cells(&self) -> f64 {
        self.cells as f64 / self.messages as f64
    }

    /// On all links, with digests and pulls, for each message.
    fn all_bytes(&self) -> f64 {
        self.cells() * FRAME_BYTES as f64 + self.control_bytes as f64 / self.messages as f64
    }

    fn report(&mut self) -> Value {
        json!({
            "cells": self.cells(),
            "cells_on_the_way": self.on_the_way as f64 / self.messages as f64,
            "bytes": self.cells() * FRAME_BYTES as f64,
            "control_bytes": self.control_bytes as f64 / self.messages as f64,
            "coverage_mean": mean(&self.coverage),
            "coverage_min": least(&self.coverage),
            "latency_ms_p50": percentile(&mut self.latency_ms, 50),
            "latency_ms_p99": percentile(&mut self.latency_ms, 99),
        })
    }
}

pub(super) fn play(stage: &mut Stage<'_>) {
    stage.prepare();
    let sizes = stage.options.members.into_iter().filter(|members| *members > 0);
    let groups: Vec<(Value, f64, f64)> = sizes.map(|members| play_group(stage, members)).collect();
    let (coverage, over_regions): (Vec<f64>, Vec<f64>) = groups.iter().map(|(_, least, over)| (*least, *over)).unzip();
    let reports: Vec<Value> = groups.into_iter().map(|(report, ..)| report).collect();
    stage.put("luminosity", stage.options.luminosity.bits());
    stage.put("groups", reports);
    stage.put("coverage_min", least(&coverage));
    stage.put("list_over_a_region_each_max", over_regions.into_iter().fold(0.0, f64::max));
}

/// All ways with groups of one size: the report, the least coverage, and what a list costs beside a packet for each region.
fn play_group(stage: &mut Stage<'_>, members: usize) -> (Value, f64, f64) {
    let messages: Vec<Message> = (0..stage.options.packets).map(|_| draw(stage, members)).collect();
    let mut one_by_one = send_all(stage, &messages, |stage, message| {
        message.regions.iter().map(|region| stage.population.send(message.origin, *region)).collect()
    });
    let mut a_region_each = send_all(stage, &messages, |stage, message| {
        message.distinct().iter().map(|region| stage.population.send(message.origin, *region)).collect()
    });
    let mut list = send_all(stage, &messages, |stage, message| {
        stage.population.send_to_all(message.origin, &message.regions, HoldClass::Live)
    });
    let (mut group_region, served) = send_to_group_region(stage, &messages, members);
    let coverage = [&one_by_one, &a_region_each, &list, &group_region].map(|outcome| least(&outcome.coverage));
    let regions: Vec<f64> = messages.iter().map(|message| message.distinct().len() as f64).collect();
    let over_regions = list.cells() / a_region_each.cells();
    let conversations = CONVERSATIONS.map(|conversation| {
        converse(stage.options.seed, members, conversation, one_by_one.all_bytes(), group_region.all_bytes())
    });
    let report = json!({
        "members": members,
        "conversations": conversations,
        "regions_mean": mean(&regions),
        "one_by_one": one_by_one.report(),
        "a_region_each": a_region_each.report(),
        "list": list.report(),
        "group_region": group_region.report(),
        "group_region_served_cells": served,
        "list_over_one_by_one": list.cells() / one_by_one.cells(),
        "list_over_a_region_each": over_regions,
        "group_region_over_one_by_one": group_region.cells() / one_by_one.cells(),
    });
    (report, least(&coverage), over_regions)
}

/// What a message of a conversation costs with acknowledgements: said to everyone in sessions of two, and in a group.
fn converse(seed: u64, members: usize, (messages, interval_s): (u64, u64), each_bytes: f64, group_bytes: f64) -> Value {
    let mut dice = Dice::new(seed, "talk");
    let group = Talk::play(members + 1, messages, interval_s * 1_000, &mut dice).frames_each();
    // Two people of the group hear each other this much less often than the group is heard.
    let pair_interval_ms = interval_s * 1_000 * (members as u64 + 1) / 2;
    let pair = Talk::play(2, PAIR_MESSAGES, pair_interval_ms, &mut dice).frames_each();
    json!({
        "messages": messages,
        "interval_s": interval_s,
        "group_frames_each": group,
        "pair_frames_each": pair,
        "group_bytes_each": group * group_bytes,
        "one_by_one_bytes_each": pair * each_bytes,
        "group_over_one_by_one": group * group_bytes / (pair * each_bytes),
    })
}

/// A sender and other nodes, all different, all honest.
fn draw(stage: &mut Stage<'_>, members: usize) -> Message {
    let mut honest = stage.population.honest();
    assert!(honest.len() > members, "a group has members");
    stage.population.dice().shuffle(&mut honest);
    let luminosity = stage.options.luminosity;
    let region = |id: &NodeId| Prefix::of(stage.population.address(*id), luminosity);
    Message { origin: honest[0], regions: honest[1..=members].iter().map(region).collect() }
}

/// Sends every message, lets everything settle, and counts.
fn send_all(
    stage: &mut Stage<'_>,
    messages: &[Message],
    mut send: impl FnMut(&mut Stage<'_>, &Message) -> Vec<PacketIndex>,
) -> Outcome {
    let before = stage.population.world().counts().clone();
    let mut sent = Vec::new();
    for message in messages {
        sent.extend(send(stage, message));
        stage.run_seconds(INTERVAL_S, "messages travel");
    }
    stage.run_seconds(SETTLED_S, "messages settle");
    let after = stage.population.world().counts();
    let cells = |counts: &crate::world::Counts| counts.cells_on_the_way + counts.cells_shared;
    Outcome {
        messages: messages.len() as u64,
        cells: cells(after) - cells(&before),
        on_the_way: after.cells_on_the_way - before.cells_on_the_way,
        control_bytes: after.packet_control_bytes - before.packet_control_bytes,
        coverage: sent.iter().filter_map(|packet| coverage(stage, *packet)).collect(),
        latency_ms: sent.iter().flat_map(|packet| latency_ms(stage, *packet)).collect(),
    }
}

fn relays_of(stage: &Stage<'_>, packet: PacketIndex) -> Vec<NodeId> {
    let region = stage.population.world().packets().all()[packet as usize].destination;
    let mut relays = stage.population.honest();
    relays.retain(|id| region.matches(stage.population.address(*id)));
    relays
}

fn latency_ms(stage: &Stage<'_>, packet: PacketIndex) -> Vec<f64> {
    let packets = stage.population.world().packets();
    let sent_at = packets.all()[packet as usize].sent_at;
    let handed_at = relays_of(stage, packet).into_iter().filter_map(|id| packets.arrival(packet, id.0)?.handed_at);
    handed_at.map(|at| at.since(sent_at) as f64 / 1e3).collect()
}

/// The share of a target's honest relays that were handed the packet; none if there are no such relays.
fn coverage(stage: &Stage<'_>, packet: PacketIndex) -> Option<f64> {
    let packets = stage.population.world().packets();
    let (got, missed): (Vec<NodeId>, Vec<NodeId>) =
        relays_of(stage, packet).into_iter().partition(|id| was_handed(packets, packet, *id));
    let all = got.len() + missed.len();
    (all > 0).then(|| got.len() as f64 / all as f64)
}

fn was_handed(packets: &Packets, packet: PacketIndex, id: NodeId) -> bool {
    packets.arrival(packet, id.0).is_some_and(|arrival| arrival.handed_at.is_some())
}

/// The messages to one region. Members elsewhere listen to it where there is an overlay to do so; over settled tables what
/// each of them is sent is added by the rule (docs/protocol/holding.md): one cell, from the first of its two sources, while
/// the second tells only. Returns also the cells that members were served, by message.
fn send_to_group_region(stage: &mut Stage<'_>, messages: &[Message], members: usize) -> (Outcome, f64) {
    let mut group = stage.population.honest();
    stage.population.dice().shuffle(&mut group);
    let somewhere = group.pop().expect("a group has members");
    let region = Prefix::of(stage.population.address(somewhere), stage.options.luminosity);
    group.truncate(members);
    group.retain(|id| !region.matches(stage.population.address(*id)));
    let listens = stage.options.tables == Tables::Grown;
    if listens {
        let since = stage.population.world().now().time();
        for id in &group {
            stage.population.command(*id, RelayCommand::Attend { region, bucket: TagBucket::ALL, since });
        }
        stage.run_seconds(ATTENDING_S, "members begin to listen");
    }
    let first = stage.population.world().packets().all().len() as PacketIndex;
    let mut outcome = send_all(stage, messages, |stage, message| {
        stage.population.send_to_all(message.origin, &[region], HoldClass::Hour)
    });
    if !listens {
        outcome.cells += (group.len() * messages.len()) as u64;
        return (outcome, group.len() as f64);
    }
    let packets = stage.population.world().packets();
    let all = first..packets.all().len() as PacketIndex;
    let served = |packet| group.iter().filter(|id| was_handed(packets, packet, **id)).count();
    let served: Vec<f64> = all.map(|packet| served(packet) as f64).collect();
    outcome
        .coverage
        .extend(served.iter().map(|served| if group.is_empty() { 1.0 } else { served / group.len() as f64 }));
    for id in &group {
        stage.population.command(*id, RelayCommand::Unattend(region));
    }
    (outcome, mean(&served))
}
