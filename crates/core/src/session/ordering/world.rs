//! A small network for tests: members of one epoch, who lose messages, are cut off, are started again, and lie.
//!
//! Everything follows from one seed. Bytes cross the network, so that the encodings are tested on the way.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use mainframe_base::Time;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::*;

/// The delay between two members that half of the messages keep, in milliseconds.
pub(super) const DELAY_MS: u64 = 1_000;

/// How the network treats everyone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// Messages lost, in percent.
    pub(super) loss_percent: u64,
    /// Until when a part of the members hears nothing from the others; 0 for never.
    pub(super) parted_until: Time,
    /// How often somebody is started again from what it kept.
    pub(super) restarts: u32,
}

pub(super) const CALM: Weather = Weather { loss_percent: 0, parted_until: Time(0), restarts: 0 };

/// Checks no mathematics: a signature is a hash that only whoever holds the notary of a leaf may ask for.
pub(super) struct Seal(pub(super) Leaf);

impl Notary for Seal {
    fn sign(&self, statement: &[u8]) -> Signature {
        let mut hasher = blake3::Hasher::new_keyed(&[7; 32]);
        hasher.update(&self.0.0.to_be_bytes()).update(statement);
        let mut signature = [0; 64];
        hasher.finalize_xof().fill(&mut signature);
        Signature(signature)
    }

    fn is_signed_by(&self, leaf: Leaf, statement: &[u8], signature: &Signature) -> bool {
        Seal(leaf).sign(statement) == *signature
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    Commit(CommitId),
    Said(Vec<u8>),
    Asked(CommitId, usize),
    Proposed(Removal),
    Wake,
    Restart,
}

/// One device.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) ordering: Ordering,
    kept: Vec<u8>,
    held: BTreeSet<CommitId>,
    removals: BTreeSet<Removal>,
    /// Since when it has something to commit.
    pub(super) wanted: Option<Time>,
    /// Whether it commits at once, whoever's turn it is.
    pub(super) is_hasty: bool,
    /// Whether it votes for everything, and promises without telling.
    pub(super) is_liar: bool,
    pub(super) applied: Vec<CommitId>,
    pub(super) facts: Vec<OrderingFact>,
    pub(super) final_at: Option<Time>,
    wakes_at: Option<Time>,
}

/// Everyone, and what is on its way.
pub(super) struct World {
    pub(super) members: Vec<Member>,
    pub(super) commits: BTreeMap<CommitId, Commit>,
    pub(super) roster: Roster,
    pub(super) now: Time,
    pub(super) rng: ChaCha8Rng,
    /// Statements and their bytes, by kind; each is sent once, to everybody.
    pub(super) said: BTreeMap<u8, (usize, usize)>,
    weather: Weather,
    sides: Vec<bool>,
    events: BinaryHeap<Reverse<(Time, u64, usize, Event)>>,
    number: u64,
}

impl World {
    /// Members of these persons, one leaf after the other.
    pub(super) fn new(seed: u64, persons: &[u32], last_committer: Leaf, weather: Weather) -> World {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let seats = (0..).zip(persons).map(|(leaf, person)| Seat { leaf: Leaf(leaf), person: *person }).collect();
        let roster = Roster::new(seats, last_committer).unwrap();
        let sides = persons.iter().map(|_| rng.next_u32() & 1 == 1).collect();
        let members = (0..).take(persons.len()).map(|leaf| Member::new(Leaf(leaf), roster.clone())).collect();
        let (commits, events, said) = (BTreeMap::new(), BinaryHeap::new(), BTreeMap::new());
        let mut world = World { members, commits, roster, now: Time(0), rng, said, weather, sides, events, number: 0 };
        for _ in 0..weather.restarts {
            let (at, who) = (Time(world.below(120_000)), world.below(persons.len() as u64) as usize);
            world.push(at, who, Event::Restart);
        }
        world
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    /// From `at` on a member has something to commit.
    pub(super) fn wants(&mut self, who: usize, at: Time) {
        self.members[who].wanted = Some(at);
        self.push(at, who, Event::Wake);
    }

    /// Somebody proposes a removal, and all hear of it as they hear of anything.
    pub(super) fn propose(&mut self, removal: Removal, at: Time) {
        for who in 0..self.members.len() {
            let late_ms = self.travel_ms();
            // A proposal is a message like others, which the ledger brings sooner or later.
            let at = if self.is_lost(removal.by.0 as usize, who) { at + 30_000 } else { at };
            self.push(at + late_ms, who, Event::Proposed(removal));
        }
    }

    /// Lets time pass until nothing happens any more or `end` has come.
    pub(super) fn run(&mut self, end: Time) {
        while let Some(Reverse((at, _, who, event))) = self.events.pop() {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            self.happen(who, event);
        }
    }

    /// The honest members.
    pub(super) fn honest(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.is_liar)
    }

    fn happen(&mut self, who: usize, event: Event) {
        let mut out = OrderingOut::default();
        let member = &mut self.members[who];
        let seal = Seal(Leaf(who as u32));
        let mut scene = OrderingScene { now: self.now, notary: &seal, out: &mut out };
        match event {
            Event::Commit(id) => {
                member.held.insert(id);
                member.ordering.commit_seen(self.commits[&id].clone(), &mut scene);
            }
            Event::Said(bytes) => {
                let signed = Signed::decode(&bytes).unwrap();
                let heard = member.ordering.heard(&signed, &mut scene);
                assert!(heard.is_ok() || self.members[signed.from.0 as usize].is_liar, "{signed:?}: {heard:?}");
            }
            Event::Asked(id, by) => {
                if member.held.contains(&id) {
                    self.send(who, by, Event::Commit(id));
                }
            }
            Event::Proposed(removal) => {
                member.removals.insert(removal);
                if Leaf(who as u32) != removal.of {
                    member.wanted.get_or_insert(self.now);
                }
                member.ordering.removal_proposed(removal, &mut scene);
            }
            Event::Restart => {
                let pace = Pace::from_delay(DELAY_MS);
                member.ordering = Ordering::decode(&member.kept, pace).unwrap();
                assert_eq!(member.ordering.encode(), member.kept);
                member.wakes_at = None;
                member.ordering.wake(&mut scene);
            }
            Event::Wake => {
                member.wakes_at = None;
                member.ordering.wake(&mut scene);
            }
        }
        self.carry_out(who, out);
        self.commit_if_allowed(who);
        self.set_alarm(who);
    }

    fn carry_out(&mut self, who: usize, out: OrderingOut) {
        for wish in out.wishes {
            match wish {
                Wish::Keep => self.members[who].kept = self.members[who].ordering.encode(),
                Wish::Apply(id) => self.members[who].applied.push(id),
                Wish::Need(id) => self.broadcast(who, &Event::Asked(id, who)),
                Wish::Say(_) if self.members[who].is_liar => {}
                Wish::Say(signed) => {
                    let member = &self.members[who];
                    // Who was heard promises nothing to anybody.
                    let mut kept =
                        Ordering::decode(&member.kept, Pace::from_delay(DELAY_MS)).expect("we wrote it").durable;
                    kept.heard.clone_from(&member.ordering.durable.heard);
                    assert_eq!(kept, member.ordering.durable, "said before it was kept");
                    self.say(who, &signed);
                }
            }
        }
        for fact in out.facts {
            if matches!(fact, OrderingFact::Final(_)) {
                self.members[who].final_at = Some(self.now);
            }
            self.members[who].facts.push(fact);
        }
    }

    fn say(&mut self, who: usize, signed: &Signed) {
        let bytes = signed.encode();
        let (count, total) = self.said.entry(signed.statement.encode()[0]).or_default();
        (*count, *total) = (*count + 1, *total + bytes.len());
        self.broadcast(who, &Event::Said(bytes));
        self.lie_about(who, &signed.statement);
    }

    /// Every liar hears of everything at once, promises that it never voted, and votes for whatever is voted for. It tells
    /// whoever is parted from the others what they want to hear, and the others nothing of it.
    fn lie_about(&mut self, who: usize, statement: &Statement) {
        let answer = match statement {
            Statement::Vote(vote) => Statement::Vote(*vote),
            Statement::Propose(proposal) => Statement::Vote(proposal.vote),
            Statement::Prepare(ballot) => Statement::Promise(Promise { ballot: *ballot, accepted: None }),
            Statement::Ask | Statement::Promise(_) | Statement::Certificate { .. } | Statement::Known(_) => return,
        };
        for liar in (0..self.members.len()).filter(|who| self.members[*who].is_liar).collect::<Vec<_>>() {
            let signed = Signed::by(Leaf(liar as u32), answer.clone(), &Seal(Leaf(liar as u32)));
            for to in (0..self.members.len()).filter(|to| self.sides[*to] == self.sides[who]).collect::<Vec<_>>() {
                self.send(liar, to, Event::Said(signed.encode()));
            }
        }
    }

    fn commit_if_allowed(&mut self, who: usize) {
        let member = &self.members[who];
        let Some(wanted) = member.wanted.filter(|wanted| *wanted <= self.now) else { return };
        let at = if member.is_hasty { Some(wanted) } else { member.ordering.may_commit_at(wanted) };
        match at {
            Some(at) if at <= self.now => self.commit(who),
            Some(at) => self.push(at, who, Event::Wake),
            None => {}
        }
    }

    /// Has a member commit now.
    fn commit(&mut self, who: usize) {
        let author = Leaf(who as u32);
        let member = &mut self.members[who];
        member.wanted = None;
        let removals = member.removals.iter().copied().filter(|removal| removal.of != author).collect();
        // Whoever is hasty has also ground the smallest name.
        let mut id = [0; 32];
        id[31] = who as u8;
        if !member.is_hasty {
            self.rng.fill_bytes(&mut id);
        }
        let commit = Commit { id: CommitId(id), author, removals };
        let id = commit.id;
        self.commits.insert(id, commit);
        self.happen(who, Event::Commit(id));
        self.broadcast(who, &Event::Commit(id));
    }

    fn set_alarm(&mut self, who: usize) {
        let member = &mut self.members[who];
        let Some(wake) = member.ordering.next_wake() else { return };
        if member.wakes_at.is_none_or(|set| set > wake) {
            member.wakes_at = Some(wake);
            self.push(wake.max(self.now), who, Event::Wake);
        }
    }

    fn broadcast(&mut self, from: usize, event: &Event) {
        for to in (0..self.members.len()).filter(|to| *to != from) {
            self.send(from, to, event.clone());
        }
    }

    fn send(&mut self, from: usize, to: usize, event: Event) {
        if self.is_lost(from, to) {
            return;
        }
        let at = self.now + self.travel_ms();
        self.push(at, to, event.clone());
        // One in twenty arrives twice.
        if self.below(20) == 0 {
            let again_at = at + self.travel_ms();
            self.push(again_at, to, event);
        }
    }

    fn is_lost(&mut self, from: usize, to: usize) -> bool {
        // Liars keep those apart whom they tell different things, and hear and reach both.
        let is_across = self.sides[from] != self.sides[to] && !self.members[from].is_liar;
        let is_parted = self.now < self.weather.parted_until && is_across;
        is_parted || self.below(100) < self.weather.loss_percent
    }

    /// Half of all messages take less than the delay, few take many times as long.
    fn travel_ms(&mut self) -> u64 {
        let halvings = u64::from(self.rng.next_u64().leading_zeros());
        DELAY_MS * halvings + self.below(DELAY_MS)
    }

    fn push(&mut self, at: Time, who: usize, event: Event) {
        self.number += 1;
        self.events.push(Reverse((at, self.number, who, event)));
    }
}

impl Member {
    fn new(leaf: Leaf, roster: Roster) -> Member {
        let ordering = Ordering::new(leaf, roster, Pace::from_delay(DELAY_MS));
        Member {
            kept: ordering.encode(),
            ordering,
            held: BTreeSet::new(),
            removals: BTreeSet::new(),
            wanted: None,
            is_hasty: false,
            is_liar: false,
            applied: Vec::new(),
            facts: Vec::new(),
            final_at: None,
            wakes_at: None,
        }
    }

    /// Whether it learnt of another winner than the one it was first told of.
    pub(super) fn fork_winner(&self) -> Option<CommitId> {
        self.facts.iter().rev().find_map(|fact| match fact {
            OrderingFact::Forked { winner, .. } => Some(*winner),
            OrderingFact::Final(_) | OrderingFact::GaveUp | OrderingFact::Equivocated(_) => None,
        })
    }
}
