//! A small network in virtual time: every cell goes to every device, late, twice, or not at all.

use std::collections::BTreeMap;
use std::rc::Rc;

use mainframe_base::{IdentityKey, SessionId, Time};
use mainframe_core::session::{Answer, Order, SessionView, Unable};
use mainframe_core::store::MemoryStore;
use mainframe_core::wire::Cell;

use super::device::{Device, Outcome, Owner};
use super::insight::Insight;
use crate::dice::Dice;

/// The delay between two devices beside an exponentially distributed rest, in milliseconds.
const DELAY_LEAST_MS: u64 = 60;
/// The mean of that rest: half of all cells take less than 230 ms, one in a hundred more than a second.
const DELAY_REST_MS: u64 = 240;
/// Cells that arrive twice, in a million.
const TWICE_PER_MILLION: u32 = 20_000;

/// A stretch of time in which two sides do not hear each other; what is said meanwhile is held, and heard afterwards.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) from: Time,
    pub(super) until: Time,
    pub(super) sides: Vec<bool>,
}

/// How the network treats everyone.
#[derive(Clone, Default, Debug)]
pub(super) struct Weather {
    /// Cells lost for good on the way to one device, in a million.
    pub(super) loss_per_million: u32,
    pub(super) partition: Option<Partition>,
    /// Until when which devices do nothing and hear nothing; what is said meanwhile is held for them.
    pub(super) asleep: BTreeMap<usize, Time>,
}

/// Devices, and what is under way between them.
pub(super) struct World {
    pub(super) now: Time,
    pub(super) devices: Vec<Device>,
    pub(super) weather: Weather,
    pub(super) insight: Insight,
    /// Whether cells of no session are tried with people's keys.
    pub(super) reads_letters: bool,
    under_way: BTreeMap<(Time, u64), (usize, Cell)>,
    sent: u64,
    dice: Dice,
}

impl World {
    /// These devices, over these stores.
    pub(super) fn new(now: Time, dice: Dice, devices: Vec<(Rc<Owner>, MemoryStore)>) -> World {
        let mut world = World {
            now,
            devices: Vec::new(),
            weather: Weather::default(),
            insight: Insight::default(),
            reads_letters: false,
            under_way: BTreeMap::new(),
            sent: 0,
            dice,
        };
        for (owner, store) in devices {
            world.enter(owner, store);
        }
        world
    }

    /// One more device, over this store.
    pub(super) fn enter(&mut self, owner: Rc<Owner>, store: MemoryStore) {
        let seed = self.dice.bytes();
        let (device, outcome) = Device::start(owner, store, self.now, seed);
        self.devices.push(device);
        self.settle(self.devices.len() - 1, outcome);
    }

    /// A device's person asks for something.
    pub(super) fn order(&mut self, who: usize, order: Order) -> Result<Answer, Unable> {
        let (answer, outcome) = self.devices[who].order(self.now, order);
        self.settle(who, outcome);
        answer
    }

    /// A device is woken as if its clock stood elsewhere.
    pub(super) fn wake(&mut self, who: usize) {
        let outcome = self.devices[who].wake(self.now);
        self.settle(who, outcome);
    }

    /// Another device takes the place of one, and does what it has to do first.
    pub(super) fn replace(&mut self, who: usize, device: Device, outcome: Outcome) {
        self.devices[who] = device;
        self.settle(who, outcome);
    }

    /// Starts a device anew from its store.
    pub(super) fn restart(&mut self, who: usize) {
        let seed = self.dice.bytes();
        let outcome = self.devices[who].restart(self.now, seed);
        self.settle(who, outcome);
    }

    /// A session as a device's person sees it.
    pub(super) fn view(&mut self, who: usize, session: SessionId) -> Option<SessionView> {
        self.devices[who].view(self.now, session)
    }

    /// The session of two that a device's person has with another.
    pub(super) fn session_with(&mut self, who: usize, other: IdentityKey) -> Option<SessionId> {
        self.devices[who].session_with(self.now, other)
    }

    /// Takes notice of what every device keeps.
    pub(super) fn look_at_all(&mut self) {
        for (who, device) in self.devices.iter().enumerate() {
            self.insight.look(who, &device.store);
        }
    }

    /// Whether nothing is on its way.
    pub(super) fn is_still(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Lets time go by. `watch` is called with each device that heard a cell.
    pub(super) fn run(&mut self, until: Time, mut watch: impl FnMut(&mut World, usize)) {
        loop {
            let awake_at = |who| self.weather.asleep.get(&who).copied().unwrap_or_default();
            let wakes = self.devices.iter().enumerate();
            let wakes = wakes.filter_map(|(who, it)| Some((it.next_wake()?.max(awake_at(who)), who)));
            let wake = wakes.min().filter(|(at, _)| *at <= until);
            let arrival = self.under_way.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= until);
            match (wake, arrival) {
                (None, None) => break,
                (Some((at, who)), arrival) if arrival.is_none_or(|(arrives, _)| at <= arrives) => {
                    self.now = self.now.max(at);
                    self.wake(who);
                }
                (_, Some(key)) => {
                    self.now = self.now.max(key.0);
                    if let Some((to, cell)) = self.under_way.remove(&key) {
                        self.hear(to, cell);
                        watch(self, to);
                    }
                }
                (Some(_), None) => unreachable!("the arm above took it"),
            }
        }
        self.now = until;
    }

    /// Sends a cell that no device of ours made by its own rules.
    pub(super) fn send(&mut self, from: usize, cell: &Cell) {
        self.insight.sent(self.now, cell);
        for to in (0..self.devices.len()).filter(|to| *to != from) {
            if self.dice.happens(self.weather.loss_per_million) {
                continue;
            }
            let times = 1 + usize::from(self.dice.happens(TWICE_PER_MILLION));
            for _ in 0..times {
                let at = self.arrival(from, to);
                self.sent += 1;
                self.under_way.insert((at, self.sent), (to, cell.clone()));
            }
        }
    }

    fn arrival(&mut self, from: usize, to: usize) -> Time {
        let at = self.now + DELAY_LEAST_MS + self.dice.exponential(DELAY_REST_MS);
        let partition = self.weather.partition.as_ref();
        let parted = partition.filter(|it| it.sides[from] != it.sides[to] && it.from <= at && at < it.until);
        let asleep = self.weather.asleep.get(&to).copied().filter(|until| at < *until);
        match parted.map(|partition| partition.until).max(asleep) {
            None => at,
            // What was held is fetched when the two hear each other again.
            Some(until) => until + self.dice.exponential(1_000),
        }
    }

    fn hear(&mut self, to: usize, cell: Cell) {
        let now = self.now;
        let letter = if self.reads_letters { self.devices[to].hear_letter(now, &cell) } else { None };
        let outcome = letter.unwrap_or_else(|| self.devices[to].hear(now, cell));
        self.settle(to, outcome);
    }

    /// Sends what a device sends, and has it hear again what came before its keys.
    fn settle(&mut self, who: usize, outcome: Outcome) {
        if outcome.failed {
            return self.restart(who);
        }
        self.insight.look(who, &self.devices[who].store);
        for cell in &outcome.cells {
            self.send(who, cell);
        }
        for cell in outcome.again {
            self.sent += 1;
            self.under_way.insert((self.now, self.sent), (who, cell));
        }
    }
}
