//! Other protocols in the same harness: each is a guise over a real relay, so that table, links, losses and liars under
//! it are the very ones ours has, and only what happens to a packet is the other's rule
//! (docs/protocol/simulator.md, "Beside the others").
//!
//! The way to the region is the core's for all of them but flooding, which knows no regions: that is in their favour,
//! since none of them has custody.

mod flood;
mod gossip;
mod guise;
mod kadcast;
mod pss;

use mainframe_base::Luminosity;

use crate::dice::Dice;
use crate::node::NodeId;
use crate::population::Population;
use flood::Flood;
use gossip::{Gossip, meshes};
use guise::Spreader;
use kadcast::Kadcast;
use pss::Pss;

/// Links of a node in a gossip mesh (GossipSub v1.1: D = 6).
pub const MESH_DEGREE: usize = 6;

/// A protocol to stand beside ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Baseline {
    /// Swarm's postal service: one peer towards the region, every matching peer inside it.
    Pss,
    /// Everyone tells every neighbour.
    Flood,
    /// A mesh of six links inside the region, and lazy digests.
    Gossip,
    /// Kadcast with one delegate for each bucket.
    KadcastOne,
    /// Kadcast with three delegates for each bucket, its authors' choice.
    KadcastThree,
}

impl Baseline {
    /// All of them.
    pub const ALL: [Baseline; 5] =
        [Baseline::Pss, Baseline::Flood, Baseline::Gossip, Baseline::KadcastOne, Baseline::KadcastThree];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Baseline::Pss => "pss",
            Baseline::Flood => "flood",
            Baseline::Gossip => "gossip",
            Baseline::KadcastOne => "kadcast_1",
            Baseline::KadcastThree => "kadcast_3",
        }
    }

    /// Puts every node that runs into this protocol's guise, for packets of one luminosity.
    pub fn dress(self, population: &mut Population, luminosity: Luminosity, seed: u64) {
        match self {
            Baseline::Pss => wear(population, |_| Pss::default()),
            Baseline::Flood => wear(population, |_| Flood),
            Baseline::Gossip => {
                let meshes = meshes(population, luminosity, &mut Dice::new(seed, "baselines/mesh"));
                wear(population, |id| {
                    let mesh = meshes.get(&id).cloned().unwrap_or_default();
                    Gossip::new(mesh, luminosity, dice_of(seed, id))
                });
            }
            Baseline::KadcastOne => wear(population, |id| Kadcast::new(1, dice_of(seed, id))),
            Baseline::KadcastThree => wear(population, |id| Kadcast::new(3, dice_of(seed, id))),
        }
    }
}

/// Takes off every guise: our own protocol again.
pub fn undress(population: &mut Population) {
    for id in population.online() {
        if let Some(actor) = population.world_mut().machine_mut(id) {
            actor.undress();
        }
    }
}

fn wear<R: guise::Rule + 'static>(population: &mut Population, rule: impl Fn(NodeId) -> R) {
    for id in population.online() {
        if let Some(actor) = population.world_mut().machine_mut(id) {
            actor.wear(Box::new(Spreader::new(rule(id))));
        }
    }
}

fn dice_of(seed: u64, id: NodeId) -> Dice {
    Dice::new(seed, &format!("baselines/{}", id.0))
}
