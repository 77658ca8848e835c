//! People with stores that crash, real letters between them, and stand-ins for sessions.

use std::collections::BTreeMap;

use mainframe_base::{IdentityKey, Luminosity, SessionId, Time};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::super::*;
use crate::crypto::{Card, CardBody, Identity, LetterKind, Name, Presence, Region, hours_of, open_letter, seal_letter};
use crate::store::MemoryStore;

pub(super) const START: Time = Time(1_800_000_000_000);

/// What is under way to somebody: a sealed letter, or a word in a session.
#[derive(Clone)]
pub(super) enum Parcel {
    Letter(Vec<u8>),
    Word(IdentityKey, SessionId),
}

pub(super) struct Person {
    pub(super) identity: Identity,
    pub(super) contacts: Contacts,
    pub(super) store: MemoryStore,
    pub(super) facts: Vec<Fact>,
    /// By how much this person's clock is ahead, in milliseconds; may be negative.
    pub(super) clock_ms: i64,
    pub(super) sent: Vec<LetterKind>,
    pub(super) started: u32,
}

/// How bad the net is, in percent.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) crashes: u64,
    pub(super) delay_max_ms: u64,
}

pub(super) const FINE: Weather = Weather { lost: 0, doubled: 0, crashes: 0, delay_max_ms: 2_000 };

pub(super) struct World {
    pub(super) now: Time,
    pub(super) rng: ChaCha20Rng,
    pub(super) people: Vec<Person>,
    pub(super) weather: Weather,
    under_way: BTreeMap<(Time, u64), (usize, Parcel)>,
    number: u64,
    /// Every letter that was ever sent, and to whom.
    pub(super) recorded: Vec<(usize, Vec<u8>)>,
}

pub(super) fn card_of(identity: &Identity, issued: Time) -> Card {
    let body = CardBody {
        luminosity_floor: Luminosity::at_most(4),
        regions: vec![Region {
            prefix: "0110".parse().unwrap(),
            presence: Presence::Resident,
            until_hours: hours_of(issued) + 100,
        }],
        issued_hours: hours_of(issued),
        expires_hours: hours_of(issued) + 24 * 365,
        name: Name::new("somebody").unwrap(),
    };
    Card::sign(identity, body).unwrap()
}

impl World {
    /// Two people, the first with the lower key.
    pub(super) fn new(seed: u64) -> World {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut identities = [Identity::generate(&mut rng), Identity::generate(&mut rng)];
        identities.sort_by_key(Identity::key);
        let people = identities.map(|identity| Person::new(identity, &mut rng)).into();
        World { now: START, rng, people, weather: FINE, under_way: BTreeMap::new(), number: 0, recorded: vec![] }
    }

    pub(super) fn key(&self, who: usize) -> IdentityKey {
        self.people[who].identity.key()
    }

    pub(super) fn card(&self, who: usize) -> Card {
        card_of(&self.people[who].identity, START)
    }

    pub(super) fn standing(&self, who: usize) -> Option<ContactStanding> {
        let person = &self.people[who];
        person.contacts.contact(&person.store, &self.key(1 - who)).map(|view| view.standing)
    }

    /// Lets a person do something; commits, and carries out the wishes, unless the power fails.
    pub(super) fn act<T>(&mut self, who: usize, act: impl Fn(&mut Contacts, &mut Turn<'_>) -> T) -> Option<T> {
        let now = self.clock_of(who);
        let person = &mut self.people[who];
        let mut out = Vec::new();
        let mut turn = Turn { now, rng: &mut self.rng, tx: &mut person.store, out: &mut out };
        let result = act(&mut person.contacts, &mut turn);
        if self.chance(self.weather.crashes) {
            self.crash(who);
            return None;
        }
        self.people[who].store.commit();
        self.carry_out(who, out);
        Some(result)
    }

    /// Does what has to work at once.
    pub(super) fn order<T>(
        &mut self,
        who: usize,
        act: impl Fn(&mut Contacts, &mut Turn<'_>) -> Result<T, NotDone>,
    ) -> T {
        self.act(who, act).expect("no crash in fine weather").unwrap()
    }

    pub(super) fn add(&mut self, who: usize) {
        let card = self.card(1 - who);
        self.act(who, |contacts, turn| contacts.add(turn, Whom::Card(card.clone()), "hello"));
    }

    pub(super) fn clock_of(&self, who: usize) -> Time {
        Time(self.now.0.saturating_add_signed(self.people[who].clock_ms))
    }

    /// What was not committed is lost, and what is in memory.
    pub(super) fn crash(&mut self, who: usize) {
        let now = self.clock_of(who);
        let card = self.card(who);
        let person = &mut self.people[who];
        person.store.roll_back();
        let mut out = Vec::new();
        let mut turn = Turn { now, rng: &mut self.rng, tx: &mut person.store, out: &mut out };
        person.contacts = Contacts::load(card, &mut turn);
        person.store.commit();
        self.carry_out(who, out);
    }

    fn carry_out(&mut self, who: usize, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Fact(fact) => self.people[who].facts.push(fact),
                Output::Wish(wish) => self.carry_out_wish(who, wish),
            }
        }
    }

    fn carry_out_wish(&mut self, who: usize, wish: Wish) {
        match wish {
            Wish::SealAndSend { to, kind, body } => {
                let now = self.clock_of(who);
                let letter = seal_letter(&mut self.rng, &self.people[who].identity, &to, kind, now, &body).unwrap();
                self.people[who].sent.push(kind);
                self.recorded.push((1 - who, letter.clone()));
                self.post(1 - who, Parcel::Letter(letter));
            }
            Wish::MakeKeyPackages { peer, about } => {
                let packages = vec![vec![7; 2_714]];
                self.input(who, Input::KeyPackagesMade { peer, about, packages });
            }
            Wish::StartSession { peer, hello, .. } => {
                self.people[who].started += 1;
                let (peer, about) = (peer.identity(), About::Hello(hello));
                let (session, welcome) = (SessionId(hello.0), vec![8; 6_000]);
                self.input(who, Input::WelcomeMade { peer, about, session, welcome, tree: None, start: vec![] });
            }
            Wish::JoinSession { peer, session, .. } => self.input(who, Input::SessionJoined { peer, session }),
            Wish::Confirm { session, .. } => self.post(1 - who, Parcel::Word(self.key(who), session)),
            Wish::UseKeys { .. } | Wish::LetBack { .. } => {}
        }
    }

    pub(super) fn input(&mut self, who: usize, input: Input) {
        self.act(who, |contacts, turn| contacts.handle(turn, input.clone()));
    }

    /// Sends something, if the weather lets it.
    pub(super) fn post(&mut self, to: usize, parcel: Parcel) {
        let copies = if self.chance(self.weather.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            if !self.chance(self.weather.lost) {
                let at = self.now + self.rng.next_u64() % self.weather.delay_max_ms;
                self.number += 1;
                self.under_way.insert((at, self.number), (to, parcel.clone()));
            }
        }
    }

    pub(super) fn deliver(&mut self, to: usize, parcel: Parcel) {
        match parcel {
            Parcel::Word(peer, session) => self.input(to, Input::SessionHeard { peer, session }),
            Parcel::Letter(letter) => {
                let person = &self.people[to];
                let secret_of = |id| person.contacts.secret_of(&person.store, id);
                if let Ok(opened) = open_letter(&person.identity, secret_of, &letter) {
                    self.input(to, Input::LetterOpened(opened));
                }
            }
        }
    }

    /// The next thing happens, if there is one before `until`.
    pub(super) fn step(&mut self, until: Time) -> bool {
        let arrives = self.under_way.first_key_value().map(|((at, _), _)| *at);
        let behind = |who: usize| self.people[who].clock_ms;
        let wakes = (0..self.people.len())
            .filter_map(|who| {
                let moment = self.people[who].contacts.next_wake()?;
                Some((Time(moment.0.saturating_add_signed(-behind(who))).max(self.now), who))
            })
            .min();
        match (arrives, wakes) {
            (Some(at), wakes) if at <= until && wakes.is_none_or(|(wake, _)| at <= wake) => {
                let (_, (to, parcel)) = self.under_way.pop_first().unwrap();
                self.now = at;
                self.deliver(to, parcel);
            }
            (_, Some((wake, who))) if wake <= until => {
                self.now = wake;
                self.input(who, Input::Wake);
            }
            _ => {
                self.now = until;
                return false;
            }
        }
        true
    }

    pub(super) fn run_for(&mut self, span_ms: u64) {
        let until = self.now + span_ms;
        while self.step(until) {}
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.rng.next_u64() % 100 < percent
    }
}

impl Person {
    fn new(identity: Identity, rng: &mut ChaCha20Rng) -> Person {
        let mut store = MemoryStore::default();
        let mut turn = Turn { now: START, rng, tx: &mut store, out: &mut vec![] };
        let contacts = Contacts::load(card_of(&identity, START), &mut turn);
        Person { identity, contacts, store, facts: vec![], clock_ms: 0, sent: vec![], started: 0 }
    }
}
