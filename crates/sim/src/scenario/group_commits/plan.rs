//! What happens in a trial: who wants what and when, how bad the network is, and who keeps to no rule.

use std::collections::BTreeSet;

use super::cast::{Company, DOUBLES_MAX, DOUBLES_MIN, MEMBERS_MAX, MEMBERS_MIN};
use super::fighter::Blow;
use crate::dice::Dice;

/// What a member wants of the group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deed {
    Renew,
    Rename,
    /// The person who is not in yet comes in.
    Add,
    /// A member goes.
    Remove(usize),
}

/// A member who keeps to no rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Attacker {
    /// Wants to renew his keys, makes many commits, and sends the one he likes best before anybody's turn.
    Grinder(usize),
    /// Is about to be removed, and commits as fast as he can, once or again in each epoch.
    Fighter(usize, Blow),
}

/// One trial. All times are in milliseconds after its start.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) company: Company,
    pub(super) deeds: Vec<(u64, usize, Deed)>,
    pub(super) attacker: Option<Attacker>,
    /// From, until, and who is on which side; the person who is to be added included.
    pub(super) partition: Option<(u64, u64, Vec<bool>)>,
    /// Until when which devices sleep.
    pub(super) asleep: Option<(u64, BTreeSet<usize>)>,
    pub(super) loss_per_million: u32,
    pub(super) failures: Vec<(u64, usize)>,
}

/// What several want at once they want within this time.
const AT_ONCE_MS: usize = 200;
/// The founder and the second member are admins.
pub(super) const ADMINS: usize = 2;

/// How long some sleep at least, and how much longer at most.
const SLEEP_LEAST_MS: usize = 600_000;
const SLEEP_REST_MS: usize = 3_000_000;

impl Plan {
    /// The plan of the trial with this number: a third have a grinder, a third a fighter, and half a partition. In a quarter
    /// everyone has two devices; of these half have no attacker and no partition, and half of the devices sleep.
    pub(super) fn of(number: u64, dice: &mut Dice) -> Plan {
        let company = if number / 6 % 4 == 3 {
            Company { persons: DOUBLES_MIN + dice.below(DOUBLES_MAX - DOUBLES_MIN + 1), devices_each: 2 }
        } else {
            Company { persons: MEMBERS_MIN + dice.below(MEMBERS_MAX - MEMBERS_MIN + 1), devices_each: 1 }
        };
        let is_parted = (number / 3).is_multiple_of(2);
        let is_sleepy = company.devices_each > 1 && !is_parted;
        let persons = company.persons;
        let attacker = match number % 3 {
            1 if !is_sleepy => Some(Attacker::Grinder(dice.below(persons))),
            2 if !is_sleepy && persons > ADMINS => {
                Some(Attacker::Fighter(ADMINS + dice.below(persons - ADMINS), Blow::ALL[dice.below(Blow::ALL.len())]))
            }
            _ => None,
        };
        let mut plan = Plan {
            company,
            deeds: Vec::new(),
            attacker,
            partition: is_parted.then(|| partition(company, dice)),
            asleep: is_sleepy.then(|| half_asleep(company, dice)),
            loss_per_million: dice.below(50_000) as u32,
            failures: (0..dice.below(3)).map(|_| (dice.below(20_000) as u64, dice.below(persons))).collect(),
        };
        plan.add_deeds(dice);
        plan
    }

    /// Whether a device sleeps at first.
    pub(super) fn is_asleep(&self, device: usize) -> bool {
        self.asleep.as_ref().is_some_and(|(_, who)| who.contains(&device))
    }

    fn add_deeds(&mut self, dice: &mut Dice) {
        let mut awake: Vec<usize> = self.company.devices().filter(|device| !self.is_asleep(*device)).collect();
        dice.shuffle(&mut awake);
        let mut contenders = awake.clone();
        contenders.truncate(2 + dice.below(awake.len() - 1));
        if let Some(Attacker::Grinder(who)) = self.attacker {
            contenders.retain(|other| *other != who);
            self.deeds.push((dice.below(AT_ONCE_MS) as u64, who, Deed::Renew));
        }
        if let Some(Attacker::Fighter(who, _)) = self.attacker {
            let admin = dice.below(ADMINS);
            contenders.retain(|other| *other != who && *other != admin);
            self.deeds.push((0, admin, Deed::Remove(who)));
        }
        for who in contenders {
            let deed = self.deed_of(who, dice);
            self.deeds.push((dice.below(AT_ONCE_MS) as u64, who, deed));
        }
        // And once more when the dust has settled, or has not.
        let again = awake[dice.below(awake.len())];
        self.deeds.push((60_000 + dice.below(60_000) as u64, again, Deed::Renew));
        self.deeds.sort_by_key(|(at, who, _)| (*at, *who));
    }

    fn deed_of(&self, who: usize, dice: &mut Dice) -> Deed {
        let persons = self.company.persons;
        let is_group = persons >= MEMBERS_MIN;
        let may_remove = self.attacker.is_none() && persons > MEMBERS_MIN;
        match (dice.below(4), self.company.person_of(who)) {
            (1, 0 | 1) if is_group => Deed::Rename,
            // Only the first device knows the person who is not in yet.
            (2, 0) if is_group && who == 0 => Deed::Add,
            (3, 0 | 1) if may_remove => Deed::Remove(ADMINS + dice.below(persons - ADMINS)),
            _ => Deed::Renew,
        }
    }
}

fn partition(company: Company, dice: &mut Dice) -> (u64, u64, Vec<bool>) {
    let from = dice.below(6_000) as u64;
    let sides = (0..company.all_devices()).map(|_| dice.below(2) == 1).collect();
    (from, from + 20_000 + dice.below(160_000) as u64, sides)
}

/// Exactly half of the members' devices, whosever they are.
fn half_asleep(company: Company, dice: &mut Dice) -> (u64, BTreeSet<usize>) {
    let mut devices: Vec<usize> = company.devices().collect();
    dice.shuffle(&mut devices);
    devices.truncate(devices.len() / 2);
    ((SLEEP_LEAST_MS + dice.below(SLEEP_REST_MS)) as u64, devices.into_iter().collect())
}
