//! One node under test, and strangers who say to it what they like.

use mainframe_base::{Address, Fault, LinkKey, Locator, NetworkId, Role, Time};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::crypto::{NodeKeys, NodeRecord, RecordBody, Verifier};
use crate::overlay::{Myself, Overlay, OverlayConfig, OverlayFact, OverlayOut, OverlayWish};
use crate::wire::{Frame, GetPeers, Hello, Neighbourhood};

pub(crate) const NETWORK: NetworkId = NetworkId(7);
pub(crate) const START: Time = Time(1_000_000);

/// One node under test, and whatever its peers say.
pub(crate) struct Bench {
    pub(crate) node: Overlay,
    pub(crate) now: Time,
    pub(crate) out: OverlayOut,
}

/// A stranger with keys of his own.
pub(crate) struct Stranger {
    pub(crate) keys: NodeKeys,
    pub(crate) locator: Locator,
}

impl Stranger {
    pub(crate) fn new(number: u64) -> Stranger {
        let keys = NodeKeys::generate(&mut ChaCha8Rng::seed_from_u64(number));
        let ip = std::net::IpAddr::from([10, 1, number as u8, 1]);
        Stranger { keys, locator: Locator::direct(mainframe_base::Transport::Tcp, ip, 4001) }
    }

    pub(crate) fn key(&self) -> LinkKey {
        self.keys.link_key()
    }

    pub(crate) fn record(&self, network: NetworkId, role: Role, sequence: u64) -> NodeRecord {
        self.keys.sign_record(RecordBody { network, role, seed: [0; 32], sequence, locators: vec![self.locator] })
    }

    pub(crate) fn record_address(&self) -> Address {
        self.keys.overlay(NETWORK, &[0; 32])
    }

    pub(crate) fn hello(&self) -> Hello {
        self.hello_as(NETWORK, Role::Relay)
    }

    pub(crate) fn hello_as(&self, network: NetworkId, role: Role) -> Hello {
        Hello { network, record: self.record(network, role, 1), binding: self.keys.binding(network, &[0; 32]) }
    }
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let keys = NodeKeys::generate(&mut ChaCha8Rng::seed_from_u64(1_000));
        let verifier = Verifier::new(1_024);
        let myself = Myself { network: NETWORK, role: Role::Relay, keys, seed: [0; 32], verifier };
        let node = Overlay::new(START, OverlayConfig::default(), myself, Vec::new(), Vec::new(), [3; 32]);
        Bench { node, now: START, out: OverlayOut::default() }
    }

    pub(crate) fn up(&mut self, stranger: &Stranger) {
        self.node.peer_up(self.now, stranger.key(), false, stranger.locator, &mut self.out);
    }

    pub(crate) fn say(&mut self, stranger: &Stranger, frame: Frame) {
        self.node.on_frame(self.now, stranger.key(), frame, &mut self.out);
    }

    pub(crate) fn greet(&mut self, stranger: &Stranger) {
        self.up(stranger);
        self.say(stranger, Frame::Hello(Box::new(stranger.hello())));
        assert!(self.node.is_greeted(&stranger.key()));
    }

    pub(crate) fn pass(&mut self, span_ms: u64) {
        let end = self.now + span_ms;
        while let Some(wake) = self.node.next_wake().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.node.wake(self.now, &mut self.out);
        }
        self.now = end;
    }

    pub(crate) fn faults(&self, stranger: &Stranger) -> Vec<Fault> {
        let of_stranger = |fact: &OverlayFact| {
            let OverlayFact::Fault(key, fault) = fact else { return None };
            (*key == stranger.key()).then_some(*fault)
        };
        self.out.facts.iter().filter_map(of_stranger).collect()
    }

    pub(crate) fn hung_up(&self, stranger: &Stranger) -> bool {
        self.out.wishes.iter().any(|wish| matches!(wish, OverlayWish::Hangup(key, _) if *key == stranger.key()))
    }

    /// The last question asked of the stranger.
    pub(crate) fn question(&self, stranger: &Stranger) -> Option<GetPeers> {
        self.out.wishes.iter().rev().find_map(|wish| {
            let OverlayWish::Send(key, Frame::GetPeers(question)) = wish else { return None };
            (*key == stranger.key()).then_some(*question)
        })
    }

    /// What the stranger was told last about our neighbourhood.
    pub(crate) fn belief(&self, stranger: &Stranger) -> Option<Neighbourhood> {
        self.out.wishes.iter().rev().find_map(|wish| {
            let OverlayWish::Send(key, Frame::Neighbourhood(belief)) = wish else { return None };
            (*key == stranger.key()).then_some(*belief)
        })
    }

    pub(crate) fn hellos_sent(&self) -> usize {
        self.out.wishes.iter().filter(|wish| matches!(wish, OverlayWish::Send(_, Frame::Hello(_)))).count()
    }

    pub(crate) fn dials(&self) -> usize {
        self.out.wishes.iter().filter(|wish| matches!(wish, OverlayWish::Dial { .. })).count()
    }
}
