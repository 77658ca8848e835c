//! A relay in a guise, among peers that have greeted it and only listen: what goes in and what comes out, in tests.

use mainframe_base::{Address, LinkKey, Locator, Luminosity, NetworkId, Prefix, Role, Secret, Time};
use mainframe_core::crypto::{NodeKeys, NodeRecord, RecordBody, Verifier};
use mainframe_core::hold::HoldConfig;
use mainframe_core::overlay::Myself;
use mainframe_core::store::MemoryStore;
use mainframe_core::switchboard::{LinkEvent, Relay, RelayConfig, RelayEffect, RelayInput};
use mainframe_core::wire::{BudgetClass, Cell, CellFrame, Frame, GetPeers, Hello, Peers};

use super::liar::{Liar, Lie};
use crate::actor::{Actor, Guise};
use crate::dice::Dice;
use crate::moment::Moment;
use crate::node::Machine;
use crate::traffic::random_cell;

const PEERS: u8 = 24;
/// Until the relay has asked all it wants to know about so small a network.
const SETTLING_MS: u64 = 20_000;

pub(super) struct Rig {
    actor: Actor,
    store: MemoryStore,
    now: Time,
    peers: Vec<NodeKeys>,
    dice: Dice,
}

fn locator() -> Locator {
    "/ip4/10.0.0.1/tcp/4001".parse().unwrap()
}

fn keys(number: u8) -> NodeKeys {
    NodeKeys::from_secrets(Secret::new([number + 1; 32]), Secret::new([number + 1; 32])).unwrap()
}

fn record(keys: &NodeKeys) -> NodeRecord {
    let body = RecordBody {
        network: NetworkId::MAIN,
        role: Role::Relay,
        seed: [0; 32],
        sequence: 1,
        locators: vec![locator()],
    };
    keys.sign_record(body)
}

impl Rig {
    /// A relay with this lie.
    pub(super) fn of(lie: impl Lie + 'static) -> Rig {
        let mut rig = Rig::begun_at(Time(1_000));
        rig.wear(lie);
        rig
    }

    /// An honest relay.
    pub(super) fn begun_at(now: Time) -> Rig {
        let myself = Myself {
            network: NetworkId::MAIN,
            role: Role::Relay,
            keys: keys(100),
            seed: [0; 32],
            verifier: Verifier::new(100),
        };
        let store = MemoryStore::default();
        // Its peers hold nothing, and questions for what they hold would stand between the frames that are looked for.
        let hold = HoldConfig { attends_home: false, ..HoldConfig::default() };
        let config = RelayConfig { hold, ..RelayConfig::default() };
        let relay = Relay::new(now, config, myself, Vec::new(), [1; 32], Vec::new(), &store);
        let peers = (0..PEERS).map(keys).collect();
        let mut rig = Rig { actor: Actor::new(relay), store, now, peers, dice: Dice::new(1, "rig") };
        for index in 0..usize::from(PEERS) {
            let peer = rig.peer_key(index);
            rig.take(RelayInput::Link(LinkEvent::Up { peer, outbound: false, remote: locator() }));
            let binding = rig.peers[index].binding(NetworkId::MAIN, &[0; 32]);
            let hello = Hello { network: NetworkId::MAIN, record: record(&rig.peers[index]), binding };
            rig.hears(index, Frame::Hello(Box::new(hello)));
        }
        rig.wait(SETTLING_MS);
        assert_eq!(rig.actor.relay().neighbours().all().len(), usize::from(PEERS), "nobody was let go");
        rig
    }

    pub(super) fn wear(&mut self, lie: impl Lie + 'static) {
        self.wear_guise(Box::new(Liar::new(lie)));
    }

    pub(super) fn wear_guise(&mut self, guise: Box<dyn Guise>) {
        self.actor.wear(guise);
    }

    /// A frame comes from a peer; what is sent because of it.
    pub(super) fn hears(&mut self, peer: usize, frame: Frame) -> Vec<(LinkKey, Frame)> {
        let frames = vec![frame.encode().to_bytes()];
        let peer = self.peer_key(peer);
        self.take(RelayInput::Link(LinkEvent::Frames { peer, frames }))
    }

    /// Time passes; what is sent meanwhile. Peers answer questions with nothing.
    pub(super) fn wait(&mut self, span_ms: u64) -> Vec<(LinkKey, Frame)> {
        let end = self.now + span_ms;
        let mut said = Vec::new();
        while let Some(due) = self.actor.next_wake().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            let wakes = self.take(RelayInput::Wake);
            for (to, frame) in &wakes {
                if let Frame::GetPeers(question) = frame {
                    let answer = Frame::Peers(Peers { request: question.request, records: Vec::new() });
                    let frames = vec![answer.encode().to_bytes()];
                    said.extend(self.take(RelayInput::Link(LinkEvent::Frames { peer: *to, frames })));
                }
            }
            said.extend(wakes);
        }
        self.now = end;
        said
    }

    fn take(&mut self, input: RelayInput) -> Vec<(LinkKey, Frame)> {
        let mut effects = Vec::new();
        self.actor.handle(self.now, input, &mut self.store, &mut effects);
        effects
            .into_iter()
            .filter_map(|effect| {
                let RelayEffect::Send(to, frame) = effect else { return None };
                Some((to, Frame::decode(&frame.to_bytes()).unwrap()))
            })
            .collect()
    }

    /// A packet for the half of the network the relay lies in.
    pub(super) fn near_cell(&mut self) -> Cell {
        let me = *self.actor.relay().neighbours().me();
        self.cell_to(&me, 1)
    }

    /// A packet for a quarter of the other half.
    pub(super) fn far_cell(&mut self) -> Cell {
        let there = self.actor.relay().neighbours().me().with_bit_flipped(0);
        self.cell_to(&there, 2)
    }

    fn cell_to(&mut self, address: &Address, bits: u16) -> Cell {
        let destination = Prefix::of(address, Luminosity::at_most(bits));
        random_cell(destination, Moment::of(self.now), &mut self.dice)
    }

    pub(super) fn cell_frame(&self, cell: Cell, responsibility: Option<Luminosity>) -> Frame {
        Frame::Cell(CellFrame {
            budget: BudgetClass::MAX,
            standby: false,
            responsibility,
            deadline_ms: 0,
            accounting_sequence: 0,
            custody_nonce: 7,
            cell,
        })
    }

    pub(super) fn question(&self) -> Frame {
        Frame::GetPeers(GetPeers { request: 1, target: *self.actor.relay().neighbours().me(), limit: 20 })
    }

    pub(super) fn peer_key(&self, peer: usize) -> LinkKey {
        self.peers[peer].link_key()
    }

    pub(super) fn peer_address(&self, peer: usize) -> Address {
        self.peers[peer].overlay(NetworkId::MAIN, &[0; 32])
    }

    pub(super) fn record_of_peer(&self, peer: usize) -> NodeRecord {
        record(&self.peers[peer])
    }

    pub(super) fn own_key(&self) -> LinkKey {
        self.actor.relay().overlay().record().link_key
    }

    pub(super) fn has_peer(&self, key: &LinkKey) -> bool {
        self.actor.relay().neighbours().find(key).is_some()
    }

    pub(super) fn proximity(&self, key: &LinkKey) -> u16 {
        self.actor.relay().neighbours().find(key).unwrap().proximity
    }

    pub(super) fn locator(&self) -> Locator {
        locator()
    }

    /// How many peers lie in the packet's region.
    pub(super) fn peers_in(&self, cell: &Cell) -> usize {
        (0..self.peers.len()).filter(|peer| cell.destination().matches(&self.peer_address(*peer))).count()
    }

    /// One of them.
    pub(super) fn peer_in(&self, cell: &Cell) -> usize {
        (0..self.peers.len()).find(|peer| cell.destination().matches(&self.peer_address(*peer))).unwrap()
    }
}
