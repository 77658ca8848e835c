//! What a coalition makes of the packets it saw, and how often it is right.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::Address;
use mainframe_core::neighbours::Neighbours;

use super::{Class, Ears};
use crate::dice::Dice;
use crate::eavesdrop::attribution::{Analyst, Atlas};
use crate::eavesdrop::coalition::{File, What};
use crate::eavesdrop::linking::Seen;
use crate::eavesdrop::model::Model;
use crate::eavesdrop::score::Score;
use crate::node::NodeId;
use crate::packets::Packet;
use crate::scenario::Stage;

/// Tables a coalition looks at to learn how packets travel: more would not change the shares.
const TABLES_MAX: usize = 200;

/// What the coalition can do with one class of packets.
#[derive(Default)]
pub(super) struct Heard {
    /// Of all together.
    pub(super) score: Score,
    /// Packets seen before they reached their region.
    pub(super) on_the_way: u64,
    /// What there is to be linked.
    pub(super) seen: Vec<Seen>,
    /// Of each member by itself, of those who saw a packet on its way.
    pub(super) first_hop: Score,
}

pub(super) fn analyse(stage: &Stage<'_>, ears: &Ears, atlas: &Atlas, class: &Class) -> Heard {
    let mut heard = Heard::default();
    let tables: Vec<&Neighbours> = ears
        .members
        .iter()
        .take(TABLES_MAX)
        .filter_map(|id| Some(stage.population.world().machine(*id)?.relay().neighbours()))
        .collect();
    let known: Vec<Address> = atlas.values().copied().collect();
    let mut dice = Dice::new(stage.options.seed, "analyst");
    let mut model = |share| Model::new(&tables, &known, class.luminosity, share, &mut dice);
    let all = atlas.len().max(1) as f64;
    let (together, alone) = (model(ears.members.len() as f64 / all), model(1.0 / all));
    let analyst = Analyst { members: &ears.members, atlas, model: &together };
    for line in &class.lines {
        let Packet { id, origin, destination, .. } = line.packet(stage);
        let Some(file) = class.coalition.files().get(id) else { continue };
        let Some(opinion) = analyst.opinion(file) else { continue };
        heard.score.add(opinion.confidence, opinion.sender == Some(NodeId(*origin)));
        heard.on_the_way += u64::from(opinion.on_the_way);
        heard.seen.push(Seen { destination: *destination, entry: opinion.entry, conversation: line.conversation });
        for (member, file) in alone_on_the_way(file) {
            let members = BTreeSet::from([member]);
            let analyst = Analyst { members: &members, atlas, model: &alone };
            if let Some(opinion) = analyst.opinion(&file) {
                heard.first_hop.add(opinion.confidence, opinion.sender == Some(NodeId(*origin)));
            }
        }
    }
    heard
}

/// The file each member would have by itself, of those who saw the packet on its way.
fn alone_on_the_way(file: &File) -> BTreeMap<NodeId, File> {
    let mut files: BTreeMap<NodeId, File> = BTreeMap::new();
    for glimpse in file.glimpses.iter().filter(|glimpse| matches!(glimpse.what, What::Routed { .. })) {
        let own = files.entry(glimpse.member).or_default();
        own.destination = file.destination;
        own.glimpses.push(*glimpse);
    }
    files
}
