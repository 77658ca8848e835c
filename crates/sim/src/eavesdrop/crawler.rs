//! A node that joins as all do and then asks everyone for everyone, as fast as a relay may without being shut out.
//!
//! It visits each relay it hears of: dials, says `Hello`, asks about the relay's own address and then about one bin
//! after the other, and hangs up. Records come by gossip and tell address and network location; the account comes with
//! the visited relay's own `Hello` and with nothing else (docs/protocol/overlay.md §13).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use mainframe_base::{Address, LinkKey, Locator, Time};
use mainframe_core::crypto::{Binding, NodeRecord};
use mainframe_core::neighbours::Neighbours;
use mainframe_core::store::Tx;
use mainframe_core::switchboard::{HangupReason, LinkEvent, Relay, RelayEffect, RelayInput};
use mainframe_core::wire::{Frame, GetPeers, Hello, OutFrame, PEERS_MAX, Peers};

use crate::actor::Guise;
use crate::frames::read_control;

/// Dials in the air (docs/protocol/overlay.md §12: more would look like a scan).
const DIALS_MAX: usize = 16;
/// Visits at a time: as many as a relay has connections (docs/protocol/overlay.md §12).
const VISITS_MAX: usize = 384;
/// Dials of one relay before it is given up.
const TRIES_MAX: u8 = 3;
/// How long an answer may take, in milliseconds, and how often a question is repeated (docs/protocol/overlay.md §6).
const ANSWER_MS: u64 = 3_000;
const REPEATS_MAX: u8 = 3;
/// How long a dial may take, in milliseconds: longer than the transport's own limit.
const DIAL_MS: u64 = 15_000;
/// Bins asked about, at most: what a relay answers at once (docs/protocol/overlay.md §12, questions to a peer).
const BINS_MAX: u16 = 31;
/// Marks our question numbers, so that the relay behind the guise does not take our answers for its own.
const OURS: u32 = 1 << 31;

/// What was found, by link key.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Where relays stand.
    pub addresses: BTreeMap<LinkKey, Address>,
    /// Where they can be dialled.
    pub locators: BTreeMap<LinkKey, Vec<Locator>>,
    /// Their accounts, with the binding that proves each.
    pub accounts: BTreeMap<LinkKey, Binding>,
    /// To whom there was a connection.
    pub met: BTreeSet<LinkKey>,
    /// Questions asked.
    pub asked: u64,
    /// Dials begun.
    pub dialled: u64,
    /// Nobody is left to be asked or dialled.
    pub is_done: bool,
}

impl Findings {
    /// Strikes out relays that are not to count, such as other crawlers.
    pub fn forget(&mut self, those: &[Address]) {
        self.addresses.retain(|_, address| !those.contains(address));
        self.locators.retain(|key, _| self.addresses.contains_key(key));
        self.accounts.retain(|key, _| self.addresses.contains_key(key));
    }
}

/// Findings shared with whoever put the crawler in its place.
#[derive(Clone, Debug, Default)]
pub struct Notebook(Arc<Mutex<Findings>>);

impl Notebook {
    /// What stands in it.
    pub fn read(&self) -> MutexGuard<'_, Findings> {
        self.0.lock().expect("nobody panics while writing")
    }
}

/// Whom the crawler asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Everyone it hears of: it dials them.
    Everyone,
    /// Those its relay is connected to anyway.
    Peers,
}

#[derive(Clone, Debug)]
struct Visit {
    /// Whether we dialled for the visit, and shall hang up.
    own: bool,
    target: Option<Address>,
    /// The next bin to be asked about; none before the relay's own address.
    bin: Option<u16>,
    request: u32,
    due: Time,
    repeats: u8,
}

/// The guise of a crawler.
#[derive(Clone, Debug)]
pub struct Crawler {
    notebook: Notebook,
    reach: Reach,
    begin: Time,
    has_begun: bool,
    hello: Option<OutFrame>,
    visits: BTreeMap<LinkKey, Visit>,
    dialling: BTreeMap<LinkKey, Time>,
    waiting: VecDeque<LinkKey>,
    tries: BTreeMap<LinkKey, u8>,
    request: u32,
}

impl Crawler {
    /// Begins at that time, and writes into the notebook from the first frame on.
    pub fn new(begin: Time, reach: Reach, notebook: Notebook) -> Crawler {
        Crawler {
            notebook,
            reach,
            begin,
            has_begun: false,
            hello: None,
            visits: BTreeMap::new(),
            dialling: BTreeMap::new(),
            waiting: VecDeque::new(),
            tries: BTreeMap::new(),
            request: OURS,
        }
    }

    /// Takes what belongs to a visit; the rest is the relay's.
    fn take(&mut self, now: Time, event: LinkEvent, out: &mut Vec<RelayEffect>) -> Option<LinkEvent> {
        match event {
            LinkEvent::Up { peer, outbound, remote } => {
                self.notebook.read().met.insert(peer);
                if !outbound || self.dialling.remove(&peer).is_none() {
                    return Some(LinkEvent::Up { peer, outbound, remote });
                }
                self.visits.insert(peer, Visit::new(now, true, None));
                out.extend(self.hello.clone().map(|hello| RelayEffect::Send(peer, hello)));
                None
            }
            LinkEvent::Down { peer, reason } => {
                let was_own = self.visits.remove(&peer).is_some_and(|visit| visit.own);
                (!was_own).then_some(LinkEvent::Down { peer, reason })
            }
            LinkEvent::DialFailed { peer: Some(peer), .. } if self.dialling.remove(&peer).is_some() => {
                self.try_again(peer);
                None
            }
            LinkEvent::Frames { peer, frames } => {
                let mut left = Vec::new();
                for bytes in frames {
                    if !self.take_frame(now, peer, &bytes, out) {
                        left.push(bytes);
                    }
                }
                (!left.is_empty()).then_some(LinkEvent::Frames { peer, frames: left })
            }
            other @ (LinkEvent::DialFailed { .. }
            | LinkEvent::Fault { .. }
            | LinkEvent::Listening(_)
            | LinkEvent::Expired(_)
            | LinkEvent::Reachable(_)
            | LinkEvent::Unreachable
            | LinkEvent::Found(_)) => Some(other),
        }
    }

    /// Notes what a frame tells. Says whether it belongs to a visit.
    fn take_frame(&mut self, now: Time, peer: LinkKey, bytes: &Bytes, out: &mut Vec<RelayEffect>) -> bool {
        let own = self.visits.get(&peer).is_some_and(|visit| visit.own);
        match read_control(bytes) {
            Some(Frame::Hello(hello)) => {
                self.note_hello(peer, *hello);
                if own {
                    self.greet(now, peer, out);
                }
                own
            }
            Some(Frame::Peers(answer)) => {
                let ours = answer.request & OURS != 0;
                self.note_records(&answer.records);
                if ours {
                    self.go_on(now, peer, &answer, out);
                }
                own || ours
            }
            Some(Frame::GetPeers(question)) if own => {
                let answer = Peers { request: question.request, records: Vec::new() };
                out.push(RelayEffect::Send(peer, Frame::Peers(answer).encode()));
                true
            }
            _ => own,
        }
    }

    fn note_hello(&mut self, peer: LinkKey, hello: Hello) {
        self.note_records(&[hello.record]);
        self.notebook.read().accounts.insert(peer, hello.binding);
    }

    fn note_records(&mut self, records: &[NodeRecord]) {
        let mut findings = self.notebook.read();
        for record in records {
            let is_new = findings.addresses.insert(record.link_key, record.overlay).is_none();
            findings.locators.insert(record.link_key, record.locators.clone());
            if is_new {
                self.waiting.push_back(record.link_key);
            }
        }
    }

    fn greet(&mut self, now: Time, peer: LinkKey, out: &mut Vec<RelayEffect>) {
        let address = self.notebook.read().addresses.get(&peer).copied();
        if let Some(visit) = self.visits.get_mut(&peer).filter(|visit| visit.target.is_none()) {
            visit.target = address;
            self.ask(now, peer, out);
        }
    }

    /// Asks about the relay's own address first, then about its bins.
    fn ask(&mut self, now: Time, peer: LinkKey, out: &mut Vec<RelayEffect>) {
        let request = self.request;
        let Some(visit) = self.visits.get_mut(&peer) else { return };
        let Some(address) = visit.target else { return };
        self.request = self.request.wrapping_add(1) | OURS;
        visit.request = request;
        visit.due = now + ANSWER_MS;
        let target = visit.bin.map_or(address, |bin| address.with_bit_flipped(bin));
        let question = GetPeers { request, target, limit: PEERS_MAX as u8 };
        self.notebook.read().asked += 1;
        out.push(RelayEffect::Send(peer, Frame::GetPeers(question).encode()));
    }

    /// An answer came: the next bin, until one is empty.
    fn go_on(&mut self, now: Time, peer: LinkKey, answer: &Peers, out: &mut Vec<RelayEffect>) {
        let Some(visit) = self.visits.get_mut(&peer) else { return };
        let Some(address) = visit.target.filter(|_| visit.request == answer.request) else { return };
        let stands_in = |bin| answer.records.iter().any(|record| record.overlay.proximity(&address) == bin);
        let goes_on = visit.bin.is_none_or(|bin| stands_in(bin) && bin < BINS_MAX);
        if !goes_on {
            return self.end(peer, out);
        }
        visit.bin = Some(visit.bin.map_or(0, |bin| bin + 1));
        visit.repeats = 0;
        self.ask(now, peer, out);
    }

    fn end(&mut self, peer: LinkKey, out: &mut Vec<RelayEffect>) {
        if self.visits.remove(&peer).is_some_and(|visit| visit.own) {
            out.push(RelayEffect::Hangup(peer, HangupReason::Pruned));
        }
    }

    fn try_again(&mut self, peer: LinkKey) {
        let tries = self.tries.entry(peer).or_default();
        *tries += 1;
        if *tries < TRIES_MAX {
            self.waiting.push_back(peer);
        }
    }

    /// Begins with the relay's own peers.
    fn begin(&mut self, now: Time, neighbours: &Neighbours, out: &mut Vec<RelayEffect>) {
        self.has_begun = true;
        for relay in neighbours.all() {
            self.visits.insert(relay.key, Visit::new(now, false, Some(relay.address)));
            self.ask(now, relay.key, out);
        }
    }

    fn lose_patience(&mut self, now: Time, out: &mut Vec<RelayEffect>) {
        let overdue = |due: &Time| *due <= now;
        let dials: Vec<LinkKey> = self.dialling.iter().filter(|(_, due)| overdue(due)).map(|(key, _)| *key).collect();
        for peer in dials {
            self.dialling.remove(&peer);
            self.try_again(peer);
        }
        let visits: Vec<LinkKey> =
            self.visits.iter().filter(|(_, visit)| overdue(&visit.due)).map(|(key, _)| *key).collect();
        for peer in visits {
            match self.visits.get_mut(&peer) {
                Some(visit) if visit.repeats < REPEATS_MAX && visit.target.is_some() => {
                    visit.repeats += 1;
                    self.ask(now, peer, out);
                }
                _ => self.end(peer, out),
            }
        }
    }

    /// Dials whoever was heard of and has not said `Hello`.
    fn dial(&mut self, now: Time, out: &mut Vec<RelayEffect>) {
        while self.dialling.len() < DIALS_MAX && self.visits.len() < VISITS_MAX {
            let Some(peer) = self.waiting.pop_front() else { break };
            let mut findings = self.notebook.read();
            let locators = findings.locators.get(&peer).cloned().unwrap_or_default();
            if findings.accounts.contains_key(&peer) || locators.is_empty() {
                continue;
            }
            findings.dialled += 1;
            self.dialling.insert(peer, now + DIAL_MS);
            out.push(RelayEffect::Dial { peer: Some(peer), locators });
        }
    }

    /// Our own `Hello`, as the relay says it to everyone.
    fn overhear_hello(&mut self, said: &[RelayEffect]) {
        for effect in said {
            if let RelayEffect::Send(_, frame) = effect
                && matches!(read_control(&frame.head), Some(Frame::Hello(_)))
            {
                self.hello = Some(frame.clone());
            }
        }
    }
}

impl Visit {
    fn new(now: Time, own: bool, target: Option<Address>) -> Visit {
        Visit { own, target, bin: None, request: 0, due: now + DIAL_MS, repeats: 0 }
    }
}

impl Guise for Crawler {
    fn handle(&mut self, now: Time, input: RelayInput, relay: &mut Relay, tx: &mut dyn Tx, out: &mut Vec<RelayEffect>) {
        let before = out.len();
        match input {
            RelayInput::Link(event) => {
                if let Some(event) = self.take(now, event, out) {
                    relay.handle(now, event.into(), tx, out);
                }
            }
            input @ (RelayInput::Cell(..) | RelayInput::Command(..) | RelayInput::Store(_) | RelayInput::Wake) => {
                relay.handle(now, input, tx, out);
            }
        }
        self.overhear_hello(&out[before..]);
        if now < self.begin || self.hello.is_none() {
            return;
        }
        if !self.has_begun {
            self.begin(now, relay.neighbours(), out);
        }
        self.lose_patience(now, out);
        if self.reach == Reach::Everyone {
            self.dial(now, out);
        }
        let nobody_waits = self.waiting.is_empty() || self.reach == Reach::Peers;
        self.notebook.read().is_done = nobody_waits && self.dialling.is_empty() && self.visits.is_empty();
    }

    fn next_wake(&self) -> Option<Time> {
        if !self.has_begun {
            return Some(self.begin);
        }
        self.dialling.values().copied().chain(self.visits.values().map(|visit| visit.due)).min()
    }
}
