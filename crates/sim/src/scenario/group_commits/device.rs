//! One device of a person: its sessions, its store, and power that may fail between the two.

use std::collections::BTreeMap;
use std::rc::Rc;

use mainframe_base::{DeviceKey, IdentityKey, Luminosity, Prefix, Secret, SessionId, Tag, Time};
use mainframe_core::crypto::{Identity, Name, Presence, Region, Verifier, hours_of, recognise_person};
use mainframe_core::session::fragment::{Fragment, FrameKind};
use mainframe_core::session::terms::Kind;
use mainframe_core::session::{
    Answer, Order, Persona, SessionConfig, SessionEffect, SessionEvent, SessionView, Sessions, Unable,
};
use mainframe_core::store::MemoryStore;
use mainframe_core::wire::{Cell, HoldClass};
use mainframe_mls::DeviceSecret;

/// Cells of no key so far that are kept for a key to come.
const FOREIGN_MAX: usize = 4_096;

/// Whose device it is, and what never changes about it.
pub(super) struct Owner {
    pub(super) identity: Identity,
    pub(super) key: IdentityKey,
    pub(super) device_seed: [u8; 32],
    pub(super) device_key: DeviceKey,
    /// One for all: nothing is gained by checking everywhere what holds everywhere.
    verifier: Verifier,
}

impl Owner {
    pub(super) fn new(identity: Identity, device_seed: [u8; 32], verifier: Verifier) -> Owner {
        let device_key = DeviceSecret::new(Secret::new(device_seed)).key();
        Owner { key: identity.key(), identity, device_seed, device_key, verifier }
    }

    /// Another device of the same person.
    pub(super) fn with_another(&self, device_seed: [u8; 32]) -> Owner {
        Owner::new(Identity::from_secrets(&self.identity.secrets()), device_seed, self.verifier.clone())
    }

    fn persona(&self, now: Time) -> Persona {
        let region: Prefix = "01".parse().expect("two bits are a prefix");
        let until_hours = hours_of(now) + 10_000;
        Persona {
            identity: Identity::from_secrets(&self.identity.secrets()),
            device: Secret::new(self.device_seed),
            device_name: Name::new("phone").expect("short"),
            name: Name::new("somebody").expect("short"),
            regions: vec![Region { prefix: region, presence: Presence::Resident, until_hours }],
            luminosity_floor: Luminosity::at_most(2),
        }
    }
}

/// One device.
pub(super) struct Device {
    pub(super) owner: Rc<Owner>,
    pub(super) store: MemoryStore,
    sessions: Sessions,
    /// By how much its clock is ahead, in milliseconds.
    pub(super) ahead_ms: u64,
    foreign: BTreeMap<Tag, Cell>,
    pub(super) events: Vec<(Time, SessionEvent)>,
    /// Power fails after the next input, before anything of it is committed.
    pub(super) fails: bool,
    /// When it was woken last: nobody is woken twice in one tick.
    woken: Time,
}

/// What a device wants to be done once its state is committed.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) cells: Vec<Cell>,
    /// Cells that came before their keys.
    pub(super) again: Vec<Cell>,
    /// Power failed: it has to be started again.
    pub(super) failed: bool,
}

/// Length of a tick of the endpoint half, in milliseconds.
const TICK_MS: u64 = 20;

impl Device {
    /// A device over what is in its store.
    pub(super) fn start(owner: Rc<Owner>, store: MemoryStore, now: Time, seed: [u8; 32]) -> (Device, Outcome) {
        let sessions = Sessions::new(SessionConfig::default(), owner.verifier.clone(), seed);
        let (foreign, events) = (BTreeMap::new(), Vec::new());
        let mut device = Device { owner, store, sessions, ahead_ms: 0, foreign, events, fails: false, woken: Time(0) };
        let outcome = device.add_person(now);
        (device, outcome)
    }

    /// Forgets everything that is not in the store.
    pub(super) fn restart(&mut self, now: Time, seed: [u8; 32]) -> Outcome {
        self.store.roll_back();
        self.sessions = Sessions::new(SessionConfig::default(), self.owner.verifier.clone(), seed);
        self.foreign.clear();
        self.fails = false;
        self.add_person(now)
    }

    fn add_person(&mut self, now: Time) -> Outcome {
        let persona = self.owner.persona(now);
        self.call(now, |sessions, now, store, out| sessions.add_person(now, persona, store, out)).1
    }

    /// When it wants to be woken, in the time of the others.
    pub(super) fn next_wake(&self) -> Option<Time> {
        let due = self.sessions.next_wake()?;
        Some(Time(due.0.saturating_sub(self.ahead_ms)).max(self.woken + TICK_MS))
    }

    pub(super) fn wake(&mut self, now: Time) -> Outcome {
        self.woken = now;
        self.call(now, |sessions, now, store, out| sessions.wake(now, store, out)).1
    }

    /// A cell arrived: it belongs to a session, or is kept for a while.
    pub(super) fn hear(&mut self, now: Time, cell: Cell) -> Outcome {
        if self.sessions.awaits(cell.header()) {
            return self.call(now, |sessions, now, store, out| sessions.cell_came(now, &cell, store, out)).1;
        }
        if self.foreign.len() >= FOREIGN_MAX {
            self.foreign.pop_first();
        }
        self.foreign.insert(cell.header().tag, cell);
        Outcome::default()
    }

    /// A cell that may be a piece of a letter.
    pub(super) fn hear_letter(&mut self, now: Time, cell: &Cell) -> Option<Outcome> {
        let header = cell.header();
        let key = recognise_person(self.owner.identity.scan(), &header.ephemeral, &header.tag)?;
        let plaintext = key.open(&header.associated(), &header.tag, cell.body())?;
        let fragment = Fragment::read(&plaintext).filter(|fragment| fragment.kind() == FrameKind::Letter)?;
        let scan_key = self.owner.identity.scan_key();
        Some(self.call(now, |sessions, now, store, out| sessions.letter_came(now, scan_key, fragment, store, out)).1)
    }

    pub(super) fn order(&mut self, now: Time, order: Order) -> (Result<Answer, Unable>, Outcome) {
        let key = self.owner.key;
        self.call(now, |sessions, now, store, out| sessions.order(now, key, order, store, out))
    }

    /// The session as its person sees it.
    pub(super) fn view(&mut self, now: Time, session: SessionId) -> Option<SessionView> {
        self.views(now).into_iter().find(|view| view.id == session)
    }

    /// The session of two with somebody.
    pub(super) fn session_with(&mut self, now: Time, other: IdentityKey) -> Option<SessionId> {
        let with_other = |view: &SessionView| view.members.iter().any(|member| member.person == other);
        let mut pairs = self.views(now).into_iter().filter(|view| view.terms.kind == Kind::Pair);
        pairs.find(with_other).map(|view| view.id)
    }

    fn views(&mut self, now: Time) -> Vec<SessionView> {
        let (key, now) = (self.owner.key, now + self.ahead_ms);
        match self.sessions.order(now, key, Order::Sessions, &mut self.store, &mut Vec::new()) {
            Ok(Answer::Sessions(views)) => views,
            _ => Vec::new(),
        }
    }

    /// What people said to each other in a session, as this device shows it.
    pub(super) fn said(&mut self, now: Time, session: SessionId) -> Vec<Vec<u8>> {
        let order = Order::Messages { session, after: 0, limit: usize::MAX };
        let (key, now) = (self.owner.key, now + self.ahead_ms);
        match self.sessions.order(now, key, order, &mut self.store, &mut Vec::new()) {
            Ok(Answer::Messages(entries)) => entries.into_iter().map(|entry| entry.message.body).collect(),
            _ => Vec::new(),
        }
    }

    fn call<R>(
        &mut self,
        now: Time,
        work: impl FnOnce(&mut Sessions, Time, &mut MemoryStore, &mut Vec<SessionEffect>) -> R,
    ) -> (R, Outcome) {
        let ahead = now + self.ahead_ms;
        let mut effects = Vec::new();
        let result = work(&mut self.sessions, ahead, &mut self.store, &mut effects);
        if self.fails {
            return (result, Outcome { failed: true, ..Outcome::default() });
        }
        self.store.commit();
        let mut outcome = Outcome::default();
        while !effects.is_empty() {
            let mut next = Vec::new();
            for effect in effects {
                match effect {
                    SessionEffect::Post(flight, parcel) => {
                        let cell = parcel.first_part();
                        debug_assert_ne!(cell.header().hold_class, HoldClass::Live, "what people say is held");
                        outcome.cells.push(cell);
                        self.sessions.left(ahead, flight, Ok(()), &mut self.store, &mut next);
                    }
                    SessionEffect::Tell(_, event) => self.events.push((now, event)),
                    SessionEffect::Attend(_) | SessionEffect::Unattend(_) => {}
                }
            }
            self.store.commit();
            effects = next;
        }
        outcome.again = self.sessions.take_new_tags().iter().filter_map(|tag| self.foreign.remove(tag)).collect();
        (result, outcome)
    }
}
