//! Relays of the real core, and how they come and go.

use std::collections::BTreeMap;

use mainframe_base::{Address, Locator, Luminosity, NetworkId, PacketId, Prefix, Role, Secret};
use mainframe_core::crypto::{NodeKeys, Verifier};
use mainframe_core::overlay::Myself;
use mainframe_core::switchboard::{CommandId, Dispatch, Relay, RelayCommand, RelayConfig, RelayInput, RelayReply};

use crate::actor::Actor;
use crate::dice::Dice;
use crate::masks::Mask;
use crate::net::{NetConfig, Nudge};
use crate::node::NodeId;
use crate::packets::PacketIndex;
use crate::traffic::random_cell;
use crate::truth::Truth;
use crate::world::{Stop, World};

/// Nodes that newcomers are told of. They are relays like all others.
const BOOTSTRAP_NODES: usize = 5;
/// How many of them each newcomer is told of.
const BOOTSTRAP_HINTS: usize = 3;
/// Records and bindings the shared verifier remembers: more than a run has nodes, each with a few records.
const VERIFIED_MAX: usize = 1 << 20;

/// What a population is made of.
#[derive(Clone, Debug)]
pub struct PopulationConfig {
    /// How good the network is.
    pub net: NetConfig,
    /// How the relays are configured.
    pub relay: RelayConfig,
    /// The run's seed.
    pub seed: u64,
    /// One latency value to change.
    pub nudge: Option<Nudge>,
}

struct Member {
    address: Address,
    chain_secret: Secret<32>,
    link_secret: Secret<32>,
}

/// A world full of relays.
pub struct Population {
    world: World<Actor>,
    relay: RelayConfig,
    verifier: Verifier,
    keys: Dice,
    traffic: Dice,
    members: Vec<Member>,
    bootstrap: Vec<NodeId>,
    commands: u64,
}

impl std::fmt::Debug for Population {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Population({:?})", self.world)
    }
}

impl Population {
    /// Nobody yet.
    pub fn new(config: PopulationConfig) -> Population {
        Population {
            world: World::new(config.net, config.seed, config.nudge),
            relay: config.relay,
            verifier: Verifier::new(VERIFIED_MAX),
            keys: Dice::new(config.seed, "keys"),
            traffic: Dice::new(config.seed, "traffic"),
            members: Vec::new(),
            bootstrap: Vec::new(),
            commands: 0,
        }
    }

    /// The world they live in.
    pub fn world(&self) -> &World<Actor> {
        &self.world
    }

    /// The world they live in, to act on.
    pub fn world_mut(&mut self) -> &mut World<Actor> {
        &mut self.world
    }

    /// How the relays are configured.
    pub fn relay_config(&self) -> &RelayConfig {
        &self.relay
    }

    /// Where a node stands.
    pub fn address(&self, id: NodeId) -> &Address {
        &self.members[id.index()].address
    }

    /// The nodes that newcomers are told of.
    pub fn bootstrap(&self) -> &[NodeId] {
        &self.bootstrap
    }

    /// Every node that runs.
    pub fn online(&self) -> Vec<NodeId> {
        self.world.ids().filter(|id| self.world.is_online(*id)).collect()
    }

    /// Every node that runs and does not lie.
    pub fn honest(&self) -> Vec<NodeId> {
        self.world.ids().filter(|id| self.world.is_online(*id) && self.world.mask_of(*id) == Mask::Honest).collect()
    }

    /// A new node joins, through some of the nodes that newcomers are told of; the first ones become those.
    pub fn add(&mut self) -> NodeId {
        let mut known = self.bootstrap.clone();
        self.keys.shuffle(&mut known);
        let through: Vec<NodeId> = known.into_iter().take(BOOTSTRAP_HINTS).collect();
        let id = self.add_through(&through);
        if self.bootstrap.len() < BOOTSTRAP_NODES {
            self.bootstrap.push(id);
        }
        id
    }

    /// A new node joins through these.
    pub fn add_through(&mut self, through: &[NodeId]) -> NodeId {
        let keys = self.draw_keys();
        let id = self.world.add(keys.link_key());
        self.members.push(Member {
            address: keys.overlay(NetworkId::MAIN, &[0; 32]),
            chain_secret: keys.chain_secret(),
            link_secret: keys.link_secret(),
        });
        self.run_relay(id, keys, through);
        id
    }

    /// A node that was stopped starts again, with what its store kept and the bootstrap nodes it was told of.
    pub fn restart(&mut self, id: NodeId) {
        let member = &self.members[id.index()];
        let keys = NodeKeys::from_secrets(member.chain_secret.clone(), member.link_secret.clone());
        let through = self.bootstrap.clone();
        self.run_relay(id, keys.expect("they were keys before"), &through);
    }

    /// Stops a node.
    pub fn stop(&mut self, id: NodeId, how: Stop) {
        self.world.stop(id, how);
    }

    /// Lets so many seconds pass.
    pub fn run_seconds(&mut self, seconds: u64) {
        self.world.run_until(self.world.now() + seconds * 1_000_000);
    }

    /// Who is online, and so what the tables should hold.
    pub fn truth(&self) -> Truth {
        Truth::new(self.online().into_iter().map(|id| (*self.address(id), id)))
    }

    /// How complete the neighbourhoods are, 0..=1.
    pub fn completeness(&self) -> f64 {
        self.truth().completeness(|id| self.world.machine(id).map(|actor| actor.relay().neighbours()))
    }

    /// Sends a followed packet now.
    pub fn send(&mut self, origin: NodeId, destination: Prefix) -> PacketIndex {
        self.send_instead_of(None, origin, destination)
    }

    /// Sends a followed packet now, as another try of an earlier one if there is one.
    pub fn send_instead_of(&mut self, earlier: Option<PacketId>, origin: NodeId, destination: Prefix) -> PacketIndex {
        let now = self.world.now();
        let cell = random_cell(destination, now, &mut self.traffic);
        let packet = self.world.packets_mut().follow(&cell, origin.0, now);
        let command = self.next_command();
        let dispatch = Dispatch { instead_of: earlier, ..Dispatch::first(cell) };
        self.world.give(origin, RelayInput::Cell(command, dispatch));
        packet
    }

    /// Sends a followed packet to one node now.
    pub fn send_to(&mut self, origin: NodeId, target: NodeId) -> PacketIndex {
        let destination = Prefix::of(self.address(target), Luminosity::FULL);
        self.send(origin, destination)
    }

    /// Asks a relay something now; the answer comes among the world's replies.
    pub fn command(&mut self, id: NodeId, command: RelayCommand) -> CommandId {
        let name = self.next_command();
        self.world.give(id, RelayInput::Command(name, command));
        name
    }

    /// Chance for the scenario: whom to stop, where to send.
    pub fn dice(&mut self) -> &mut Dice {
        &mut self.traffic
    }

    /// Asks every running relay for its counters and adds them up by name.
    pub fn counters(&mut self) -> BTreeMap<&'static str, u64> {
        self.world.take_replies();
        for id in self.online() {
            let command = self.next_command();
            self.world.give(id, RelayInput::Command(command, RelayCommand::Status));
        }
        let mut sums = BTreeMap::new();
        for (_, _, reply) in self.world.take_replies() {
            if let RelayReply::Status(status) = reply {
                for (name, count) in &status.counters {
                    *sums.entry(*name).or_default() += count;
                }
            }
        }
        sums
    }

    fn next_command(&mut self) -> CommandId {
        self.commands += 1;
        CommandId(self.commands)
    }

    fn draw_keys(&mut self) -> NodeKeys {
        loop {
            let (chain, link) = (Secret::new(self.keys.bytes()), Secret::new(self.keys.bytes()));
            if let Some(keys) = NodeKeys::from_secrets(chain, link) {
                return keys;
            }
        }
    }

    fn run_relay(&mut self, id: NodeId, keys: NodeKeys, through: &[NodeId]) {
        let bootstrap: Vec<Locator> =
            through.iter().filter(|other| **other != id).map(|other| self.world.locator(*other)).collect();
        let myself = Myself {
            network: NetworkId::MAIN,
            role: Role::Relay,
            keys,
            seed: [0; 32],
            verifier: self.verifier.clone(),
        };
        let rng_seed = self.keys.bytes();
        let config = self.relay.clone();
        self.world
            .start(id, |now, store| Actor::new(Relay::new(now.time(), config, myself, bootstrap, rng_seed, store)));
    }
}

/// Joins a network node by node and lets it settle.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// How many nodes.
    pub nodes: usize,
    /// Time between two of them, in microseconds.
    pub interval_us: u64,
    /// The completeness to wait for.
    pub completeness: f64,
    /// How long to wait for it after the last node, in seconds.
    pub patience_s: u64,
    /// How long the tables are left to fill after that, in seconds.
    pub rest_s: u64,
}

impl Growth {
    /// Three nodes a second, which is far more than any network of this size will meet (guess), and then until 99 %
    /// of all neighbourhoods are complete.
    pub fn of(nodes: usize) -> Growth {
        Growth { nodes, interval_us: 300_000, completeness: 0.99, patience_s: 1_200, rest_s: 60 }
    }

    /// Grows the network; `on_step` hears of every second that passed. Returns the completeness that was reached.
    pub fn run(&self, population: &mut Population, mut on_step: impl FnMut(&Population)) -> f64 {
        for index in 0..self.nodes {
            population.add();
            let next = population.world.now() + self.interval_us;
            population.world.run_until(next);
            if (index + 1) % 10 == 0 {
                on_step(population);
            }
        }
        let mut rest_s = self.rest_s;
        for second in 0..self.patience_s {
            population.run_seconds(1);
            on_step(population);
            if second % 5 == 4 && population.completeness() >= self.completeness {
                rest_s = rest_s.saturating_sub(5);
                if rest_s == 0 {
                    break;
                }
            }
        }
        population.completeness()
    }
}
