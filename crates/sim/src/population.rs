//! Relays of the real core, and how they come and go.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use mainframe_base::{Address, Locator, Luminosity, NetworkId, PacketId, Prefix, Role, Secret};
use mainframe_core::crypto::{NodeKeys, Verifier};
use mainframe_core::neighbours::Neighbours;
use mainframe_core::overlay::Myself;
use mainframe_core::switchboard::{CommandId, Dispatch, Relay, RelayCommand, RelayConfig, RelayInput, RelayReply};
use mainframe_core::wire::{HoldClass, Parcel};

use crate::actor::Actor;
use crate::dice::Dice;
use crate::masks::{Making, Mask, Plot};
use crate::net::{NetConfig, Nudge};
use crate::node::NodeId;
use crate::packets::PacketIndex;
use crate::settled::{Selection, SettledRelay, settle};
use crate::traffic::{random_cell, random_parcel};
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

#[derive(Clone)]
struct Member {
    role: Role,
    address: Address,
    chain_secret: Secret<32>,
    link_secret: Secret<32>,
}

/// A world full of relays.
pub struct Population<M = Actor> {
    world: World<M>,
    relay: RelayConfig,
    verifier: Verifier,
    keys: Dice,
    traffic: Dice,
    members: Vec<Member>,
    bootstrap: Vec<NodeId>,
    commands: u64,
    seed: u64,
    plot: Option<Plot>,
}

impl<M> Population<M> {
    /// The same population, with machines made from these.
    pub(crate) fn copied<N>(&self, copy: impl FnMut(&M) -> N) -> Population<N> {
        Population {
            world: self.world.copied(copy),
            relay: self.relay.clone(),
            verifier: self.verifier.clone(),
            keys: self.keys.clone(),
            traffic: self.traffic.clone(),
            members: self.members.clone(),
            bootstrap: self.bootstrap.clone(),
            commands: self.commands,
            seed: self.seed,
            plot: self.plot.clone(),
        }
    }
}

impl<M> std::fmt::Debug for Population<M> {
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
            seed: config.seed,
            plot: None,
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

    /// How many nodes there are of each kind of liar, by its name.
    pub fn liars(&self) -> BTreeMap<&'static str, usize> {
        let mut liars = BTreeMap::new();
        for mask in self.world.ids().map(|id| self.world.mask_of(id)).filter(|mask| *mask != Mask::Honest) {
            *liars.entry(mask.name()).or_default() += 1;
        }
        liars
    }

    /// A node lies from now on, and after every start.
    pub fn disguise(&mut self, id: NodeId, mask: Mask) {
        self.world.mask(id, mask);
        self.put_guise_on(id);
    }

    /// What sybils agree on; to be told before there are any.
    pub fn agree_on(&mut self, plot: Plot) {
        self.plot = Some(plot);
    }

    /// A new node joins, through some of the nodes that newcomers are told of; the first ones become those.
    pub fn add(&mut self) -> NodeId {
        let through = self.draw_hints();
        let id = self.add_through(&through);
        self.note_bootstrap(id);
        id
    }

    /// A new node joins through these.
    pub fn add_through(&mut self, through: &[NodeId]) -> NodeId {
        let (id, keys) = self.enrol();
        self.run_relay(id, keys, through);
        id
    }

    /// A new guest joins, through these.
    pub fn add_guest(&mut self, through: &[NodeId]) -> NodeId {
        let (id, keys) = self.enrol();
        self.members[id.index()].role = Role::Guest;
        self.run_relay(id, keys, through);
        id
    }

    /// As what a node takes part.
    pub fn role(&self, id: NodeId) -> Role {
        self.members[id.index()].role
    }

    /// Nodes with the addresses that grown ones would have, none of them running; and where their relays' own chance
    /// comes from.
    pub fn enrol_all(&mut self, nodes: usize) -> Vec<(NodeId, [u8; 32])> {
        (0..nodes)
            .map(|_| {
                self.draw_hints();
                let (id, _) = self.enrol();
                self.note_bootstrap(id);
                (id, self.keys.bytes())
            })
            .collect()
    }

    /// Runs these nodes over tables as the overlay would have left them.
    pub fn settle(&mut self, nodes: &[(NodeId, [u8; 32])], defects_per_million: u32, seed: u64) {
        let selection = Selection::of(&self.relay.overlay, defects_per_million);
        let everyone: Vec<_> = self.world.ids().map(|id| (self.world.key(id), *self.address(id))).collect();
        let members: Vec<u32> = nodes.iter().map(|(id, _)| id.0).collect();
        let tables = Arc::new(settle(selection, &everyone, &members, &mut Dice::new(seed, "tables")));
        let config = Arc::new(self.relay.packet.clone());
        self.world.settle_links(&members, &tables);
        for (id, rng_seed) in nodes {
            let relay = SettledRelay::new(id.0, tables.clone(), config.clone(), *rng_seed);
            self.world.start(*id, |_, _| Actor::settled(relay));
        }
    }

    fn draw_hints(&mut self) -> Vec<NodeId> {
        let mut known = self.bootstrap.clone();
        self.keys.shuffle(&mut known);
        known.truncate(BOOTSTRAP_HINTS);
        known
    }

    fn note_bootstrap(&mut self, id: NodeId) {
        if self.bootstrap.len() < BOOTSTRAP_NODES {
            self.bootstrap.push(id);
        }
    }

    /// A place for a new node.
    fn enrol(&mut self) -> (NodeId, NodeKeys) {
        let keys = self.draw_keys();
        (self.enrol_with(&keys), keys)
    }

    fn enrol_with(&mut self, keys: &NodeKeys) -> NodeId {
        self.members.push(Member {
            role: Role::Relay,
            address: overlay_of(keys),
            chain_secret: keys.chain_secret(),
            link_secret: keys.link_secret(),
        });
        self.world.add(keys.link_key())
    }

    /// A new node joins, as [`Population::add`], with keys that were drawn until they gave a place in the region.
    pub fn add_within(&mut self, region: &Prefix) -> NodeId {
        let mut keys = self.draw_keys();
        while !region.matches(&overlay_of(&keys)) {
            keys = self.draw_keys();
        }
        let through = self.draw_hints();
        let id = self.enrol_with(&keys);
        self.run_relay(id, keys, &through);
        id
    }

    /// Where a node might stand: at the place of keys drawn for nobody.
    pub fn draw_address(&mut self) -> Address {
        overlay_of(&self.draw_keys())
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

    /// Which relays are online, and so what the tables should hold.
    pub fn truth(&self) -> Truth {
        let relays = self.online().into_iter().filter(|id| self.role(*id) == Role::Relay);
        Truth::new(relays.map(|id| (*self.address(id), id)))
    }

    /// How complete the neighbourhoods are, 0..=1.
    pub fn completeness(&self) -> f64 {
        self.truth().completeness(|id| {
            let actor = self.world.machine(id)?;
            Some(actor.whole().map_or_else(|| self.settled_neighbours(id), |relay| Cow::Borrowed(relay.neighbours())))
        })
    }

    /// Whom a relay without an overlay of its own is connected to.
    fn settled_neighbours(&self, id: NodeId) -> Cow<'_, Neighbours> {
        let peers = self.world.peers_of(id).map(|peer| (self.world.key(peer), *self.address(peer)));
        Cow::Owned(Neighbours::new(*self.address(id), 0, peers))
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

    /// Sends one packet to several regions now, or several if they do not fit one. Returns the packets the regions get,
    /// which are followed.
    pub fn send_to_all(&mut self, origin: NodeId, regions: &[Prefix], hold: HoldClass) -> Vec<PacketIndex> {
        let now = self.world.now();
        let mut followed = Vec::new();
        for part in Parcel::fitting(regions.iter().copied()) {
            let parcel = random_parcel(part, hold, now, &mut self.traffic).expect("the parts fit");
            let packets = self.world.packets_mut();
            match &parcel {
                Parcel::Cell(cell) => followed.push(packets.follow(cell, origin.0, now)),
                Parcel::List(list) => followed
                    .extend(list.targets().iter().map(|target| packets.follow(&list.part(*target), origin.0, now))),
            }
            let command = self.next_command();
            self.world.give(origin, RelayInput::Cell(command, Dispatch::first(parcel)));
        }
        followed
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
            role: self.members[id.index()].role,
            keys,
            seed: [0; 32],
            verifier: self.verifier.clone(),
        };
        let rng_seed = self.keys.bytes();
        let config = self.relay.clone();
        let found = self.world.held(id);
        self.world.start(id, |now, store| {
            Actor::new(Relay::new(now.time(), config, myself, bootstrap, rng_seed, found, store))
        });
        self.put_guise_on(id);
    }

    fn put_guise_on(&mut self, id: NodeId) {
        let making = Making { seed: self.seed, node: id.0, plot: self.plot.as_ref() };
        let guise = self.world.mask_of(id).guise(&making);
        if let (Some(actor), Some(guise)) = (self.world.machine_mut(id), guise) {
            actor.wear(guise);
            self.world.give(id, RelayInput::Wake);
        }
    }
}

fn overlay_of(keys: &NodeKeys) -> Address {
    keys.overlay(NetworkId::MAIN, &[0; 32])
}

/// Joins a network node by node and lets it settle.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// How many nodes.
    pub nodes: usize,
    /// Time between two of them, in microseconds, at the least pace …
    pub interval_us: u64,
    /// … which grows with the network: for each of so many nodes there is one that comes in a second.
    pub nodes_per_newcomer: usize,
    /// The completeness to wait for.
    pub completeness: f64,
    /// How long to wait for it after the last node, in seconds.
    pub patience_s: u64,
    /// How long the tables are left to fill after that, in seconds.
    pub rest_s: u64,
}

impl Growth {
    /// Three nodes a second, and one for every 300 of a larger network: it doubles in three and a half minutes, which
    /// is far more than any network will meet (guess). Then until 99 % of all neighbourhoods are complete.
    pub fn of(nodes: usize) -> Growth {
        Growth {
            nodes,
            interval_us: 300_000,
            nodes_per_newcomer: 300,
            completeness: 0.99,
            patience_s: 1_200,
            rest_s: 60,
        }
    }

    fn pause_us(&self, nodes: usize) -> u64 {
        self.interval_us.min(1_000_000 * self.nodes_per_newcomer as u64 / nodes.max(1) as u64)
    }

    /// Grows the network; `on_step` hears of every second that passed. Returns the completeness that was reached.
    pub fn run(&self, population: &mut Population, mut on_step: impl FnMut(&Population)) -> f64 {
        for index in 0..self.nodes {
            population.add();
            let next = population.world.now() + self.pause_us(index);
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
