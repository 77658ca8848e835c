//! What is reported (docs/protocol/simulator.md §7).

use std::collections::BTreeMap;

use mainframe_base::Prefix;
use mainframe_core::wire::HoldClass;
use serde_json::{Value, json};

use super::analysis::Heard;
use super::conversations::pairs;
use super::{Class, Ears};
use crate::dice::Dice;
use crate::eavesdrop::attribution::Atlas;
use crate::eavesdrop::global::{Burst, Plan};
use crate::eavesdrop::linking::link;
use crate::eavesdrop::receiver::{Uncertainty, candidates, remaining, remaining_expected, remaining_held};
use crate::figures::{mean, ratio};
use crate::node::NodeId;
use crate::packets::Packet;
use crate::scenario::Stage;

/// Chance that a relay that comes and goes is online, per million (guess).
const PRESENCE_PER_MILLION: u32 = 800_000;
/// After how many packets of a conversation candidates are counted.
const INTERSECTED: [u32; 3] = [1, 10, 50];

/// Of the luminosity asked for.
pub(super) fn report_main(stage: &mut Stage<'_>, class: &Class, heard: &Heard) {
    stage.put("luminosity", class.luminosity.bits());
    stage.put("packets_seen", heard.score.packets());
    stage.put("packets_seen_on_the_way", heard.on_the_way);
    stage.put("attribution_stated", heard.score.stated());
    stage.put("attribution_true", heard.score.right());
    stage.put("attributed", ratio(heard.score.named(), class.lines.len() as u64));
    stage.put("attribution_precision", heard.score.precision());
    stage.put("calibration", heard.score.calibration());
    let first_hop = json!({
        "packets": heard.first_hop.packets(),
        "stated": heard.first_hop.stated(),
        "true": heard.first_hop.right(),
    });
    stage.put("first_hop", first_hop);
}

/// Of one luminosity.
pub(super) fn class_report(stage: &Stage<'_>, ears: &Ears, atlas: &Atlas, class: &Class, heard: &Heard) -> Value {
    let counts: Vec<usize> =
        class.lines.iter().map(|line| candidates(&line.packet(stage).destination, atlas, &ears.members)).collect();
    let receiver = Uncertainty::of(&counts);
    let linked = link(&heard.seen, pairs(&class.lines));
    json!({
        "packets": class.lines.len(),
        "seen": heard.score.packets(),
        "seen_on_the_way": heard.on_the_way,
        "attribution_stated": heard.score.stated(),
        "attribution_true": heard.score.right(),
        "attributed": ratio(heard.score.named(), class.lines.len() as u64),
        "attribution_precision": heard.score.precision(),
        "calibration": heard.score.calibration(),
        "first_hop_stated": heard.first_hop.stated(),
        "first_hop_true": heard.first_hop.right(),
        "receiver_candidates_mean": receiver.candidates_mean,
        "receiver_candidates_min": receiver.candidates_min,
        "receiver_entropy_mean": receiver.entropy_mean,
        "receiver_entropy_min": receiver.entropy_min,
        "linking_precision": linked.precision,
        "linking_recall": linked.recall,
        "global_observer": global_report(stage, atlas, class),
    })
}

/// Candidates left of each conversation's region when all who were offline once are ruled out; and when packets are held
/// for a day, and only those are who cannot have fetched one.
pub(super) fn intersect(stage: &Stage<'_>, ears: &Ears, atlas: &Atlas, class: &Class) -> Vec<Value> {
    let mut dice = Dice::new(stage.options.seed, "presence");
    let regions: BTreeMap<usize, Prefix> =
        class.lines.iter().map(|line| (line.conversation, line.packet(stage).destination)).collect();
    let counts: Vec<usize> = regions.values().map(|prefix| candidates(prefix, atlas, &ears.members)).collect();
    let over = |count: &mut dyn FnMut(usize) -> f64| {
        let left: Vec<f64> = counts.iter().map(|candidates| count(*candidates)).collect();
        mean(&left)
    };
    INTERSECTED
        .into_iter()
        .map(|packets| {
            let left = over(&mut |count| remaining(count, packets, PRESENCE_PER_MILLION, &mut dice) as f64);
            let expected = over(&mut |count| remaining_expected(count, packets, PRESENCE_PER_MILLION));
            let always_on = over(&mut |count| remaining(count, packets, 1_000_000, &mut dice) as f64);
            let held = over(&mut |count| {
                remaining_held(count, packets, PRESENCE_PER_MILLION, HoldClass::Day.hours(), &mut dice) as f64
            });
            json!({
                "packets": packets, "come_and_go": left, "expected": expected, "always_on": always_on, "held": held,
            })
        })
        .collect()
}

/// What the observer of all links made of these packets.
pub(super) fn global_report(stage: &Stage<'_>, atlas: &Atlas, class: &Class) -> Value {
    let mut bursts: BTreeMap<(NodeId, u64), &Burst> =
        class.bursts.iter().map(|burst| ((burst.sender, burst.at.0), burst)).collect();
    let plan = Plan::new(atlas);
    let (claims, mut aims) = (bursts.len() as u64, 0);
    for line in &class.lines {
        let Packet { origin, sent_at, destination, .. } = line.packet(stage);
        if let Some(burst) = bursts.remove(&(NodeId(*origin), sent_at.0)) {
            let is_aim = |aim| plan.region(&aim) == plan.region(destination);
            aims += u64::from(burst.aim(&plan).is_some_and(is_aim));
        }
    }
    let right = claims - bursts.len() as u64;
    json!({
        "packets": class.lines.len(),
        "claims": claims,
        "sender_found": ratio(right, class.lines.len() as u64),
        "claims_right": ratio(right, claims),
        "region_right": ratio(aims, right),
    })
}
