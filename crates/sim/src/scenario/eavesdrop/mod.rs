//! Who learns what by listening (docs/protocol/packet.md §8): a crawler, relays that compare notes, an observer of all
//! links. Persons write to each other; observers name whom they can; only then the truth is brought out.

mod analysis;
mod conversations;
mod crawl;
mod reports;

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::Luminosity;
use mainframe_core::neighbours::Neighbours;
use serde_json::{Value, json};

use super::Stage;
use crate::eavesdrop::attribution::Atlas;
use crate::eavesdrop::coalition::Coalition;
use crate::eavesdrop::global::{Burst, GlobalObserver};
use crate::node::NodeId;
use analysis::analyse;
use conversations::{Line, converse};
use crawl::crawl;
use reports::{class_report, global_report, intersect, report_main};

/// Luminosities that are tried besides the one asked for, each with a part of its packets.
const OTHERS: [Luminosity; 3] = [Luminosity::DARKEST, Luminosity::at_most(6), Luminosity::FULL];
/// That part: one in so many.
const OTHERS_PART: usize = 8;
/// How long packets may travel, in seconds: the tree, and pulls.
const SETTLED_S: u64 = 10;
/// Light traffic: packets, and seconds between two. Each burst is over before the next begins.
const LIGHT_PACKETS: usize = 40;
const LIGHT_S: u64 = 5;

pub(super) fn play(stage: &mut Stage<'_>) {
    stage.prepare();
    let mut atlas = crawl(stage);
    let ears = Ears::choose(stage, &mut atlas);
    stage.put("colluders", stage.options.colluders);
    stage.put("colluding_nodes", ears.members.len());
    let chosen = stage.options.luminosity;
    let mut table = BTreeMap::new();
    let main = listen(stage, &ears, chosen, stage.options.packets);
    let heard = analyse(stage, &ears, &atlas, &main);
    report_main(stage, &main, &heard);
    let intersection = intersect(stage, &ears, &atlas, &main);
    stage.put("intersection", json!({ "resident": intersection }));
    table.insert(chosen.bits().to_string(), class_report(stage, &ears, &atlas, &main, &heard));
    for luminosity in OTHERS.into_iter().filter(|other| *other != chosen) {
        let class = listen(stage, &ears, luminosity, stage.options.packets.div_ceil(OTHERS_PART));
        let heard = analyse(stage, &ears, &atlas, &class);
        table.insert(luminosity.bits().to_string(), class_report(stage, &ears, &atlas, &class, &heard));
    }
    stage.put("by_luminosity", table);
    stage.put("packet_rate", stage.options.packet_rate);
    let heavy = global_report(stage, &atlas, &main);
    let light = watch_light_traffic(stage, &ears, &atlas);
    stage.put("global_observer", json!({ "heavy": heavy, "light": light }));
}

/// Who listens, and who does not.
struct Ears {
    members: BTreeSet<NodeId>,
    honest: Vec<NodeId>,
}

impl Ears {
    /// A random share of the relays; two persons at least are left who write to each other. What members know of
    /// their neighbours by `Hello` goes into the atlas.
    fn choose(stage: &mut Stage<'_>, atlas: &mut Atlas) -> Ears {
        let mut online = stage.population.online();
        stage.population.dice().shuffle(&mut online);
        let count = (online.len() as f64 * stage.options.colluders).round() as usize;
        let honest = online.split_off(count.min(online.len() - 2));
        for id in &online {
            atlas.insert(*id, *stage.population.address(*id));
            let neighbours = stage.population.world().machine(*id).map(|actor| actor.relay().neighbours());
            for relay in neighbours.map_or(&[][..], Neighbours::all) {
                atlas.extend(stage.population.world().find(&relay.key).map(|id| (id, relay.address)));
            }
        }
        Ears { members: online.into_iter().collect(), honest }
    }
}

/// Lines of one luminosity, and what was heard of them.
struct Class {
    luminosity: Luminosity,
    lines: Vec<Line>,
    coalition: Coalition,
    bursts: Vec<Burst>,
}

/// Lets conversations go on and everyone listen.
fn listen(stage: &mut Stage<'_>, ears: &Ears, luminosity: Luminosity, packets: usize) -> Class {
    let taps = stage.population.world_mut().taps_mut();
    taps.coalition = Some(Coalition::new(ears.members.iter().copied()));
    taps.global = Some(GlobalObserver::default());
    let interval_us = 1_000_000 / stage.options.packet_rate;
    let lines = converse(stage, &ears.honest, luminosity, packets, interval_us);
    stage.run_seconds(SETTLED_S, "packets settle");
    let taps = std::mem::take(stage.population.world_mut().taps_mut());
    let coalition = taps.coalition.expect("it listened all the time");
    let bursts = taps.global.map_or_else(Vec::new, |observer| observer.bursts().to_vec());
    Class { luminosity, lines, coalition, bursts }
}

fn watch_light_traffic(stage: &mut Stage<'_>, ears: &Ears, atlas: &Atlas) -> Value {
    stage.population.world_mut().taps_mut().global = Some(GlobalObserver::default());
    let luminosity = stage.options.luminosity;
    let lines = converse(stage, &ears.honest, luminosity, LIGHT_PACKETS, LIGHT_S * 1_000_000);
    let observer = stage.population.world_mut().taps_mut().global.take();
    let bursts = observer.map_or_else(Vec::new, |observer| observer.bursts().to_vec());
    global_report(stage, atlas, &Class { luminosity, lines, coalition: Coalition::new([]), bursts })
}
