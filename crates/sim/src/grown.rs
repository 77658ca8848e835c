//! A network that has joined, kept so that several runs can start from it.

use mainframe_core::switchboard::Relay;

use crate::actor::Actor;
use crate::population::Population;

/// What a join depends on, written out: two runs with one such text have one join.
pub type GrowthKey = String;

/// A network as it stands after its join, and before anything else happened to it.
#[derive(Debug)]
pub struct Grown {
    key: GrowthKey,
    population: Population<Relay>,
    complete: f64,
    wall_s: f64,
}

/// A population that is about to play a scenario.
#[derive(Debug)]
pub struct Joined {
    /// Everyone, online.
    pub population: Population,
    /// How complete neighbourhoods are, 0..=1.
    pub complete: f64,
    /// Real seconds the join took.
    pub wall_s: f64,
}

impl Grown {
    /// Keeps a copy of it.
    ///
    /// # Panics
    /// If there are guises or people in it: the one has no copy, and the keys of the other are not copied.
    pub fn of(key: GrowthKey, joined: &Joined) -> Grown {
        let population = joined.population.copied(Actor::copied);
        Grown { key, population, complete: joined.complete, wall_s: joined.wall_s }
    }

    /// The same network again.
    pub fn joined(&self) -> Joined {
        let population = self.population.copied(|relay| Actor::new(relay.clone()));
        Joined { population, complete: self.complete, wall_s: self.wall_s }
    }

    /// What it depends on.
    pub fn key(&self) -> &GrowthKey {
        &self.key
    }
}
