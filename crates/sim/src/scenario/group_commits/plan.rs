//! What happens in a trial: who wants what and when, how bad the network is, and who keeps to no rule.

use super::cast::{MEMBERS_MAX, MEMBERS_MIN};
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
    pub(super) members: usize,
    pub(super) deeds: Vec<(u64, usize, Deed)>,
    pub(super) attacker: Option<Attacker>,
    /// From, until, and who is on which side; the person who is to be added included.
    pub(super) partition: Option<(u64, u64, Vec<bool>)>,
    pub(super) loss_per_million: u32,
    pub(super) failures: Vec<(u64, usize)>,
}

/// What several want at once they want within this time.
const AT_ONCE_MS: usize = 200;
/// The founder and the second member are admins.
pub(super) const ADMINS: usize = 2;

impl Plan {
    /// The plan of the trial with this number: a third have a grinder, a third a fighter, and half a partition.
    pub(super) fn of(number: u64, dice: &mut Dice) -> Plan {
        let members = MEMBERS_MIN + dice.below(MEMBERS_MAX - MEMBERS_MIN + 1);
        let attacker = match number % 3 {
            1 => Some(Attacker::Grinder(dice.below(members))),
            2 => Some(Attacker::Fighter(ADMINS + dice.below(members - ADMINS), Blow::ALL[dice.below(Blow::ALL.len())])),
            _ => None,
        };
        let mut plan = Plan {
            members,
            deeds: Vec::new(),
            attacker,
            partition: (number / 3).is_multiple_of(2).then(|| partition(members, dice)),
            loss_per_million: dice.below(50_000) as u32,
            failures: (0..dice.below(3)).map(|_| (dice.below(20_000) as u64, dice.below(members))).collect(),
        };
        plan.add_deeds(dice);
        plan
    }

    fn add_deeds(&mut self, dice: &mut Dice) {
        let mut contenders: Vec<usize> = (0..self.members).collect();
        dice.shuffle(&mut contenders);
        contenders.truncate(2 + dice.below(self.members - 1));
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
        self.deeds.push((60_000 + dice.below(60_000) as u64, dice.below(self.members), Deed::Renew));
        self.deeds.sort_by_key(|(at, who, _)| (*at, *who));
    }

    fn deed_of(&self, who: usize, dice: &mut Dice) -> Deed {
        let may_remove = self.attacker.is_none() && self.members > MEMBERS_MIN;
        match (dice.below(4), who) {
            (1, 0 | 1) => Deed::Rename,
            (2, 0) => Deed::Add,
            (3, 0 | 1) if may_remove => Deed::Remove(ADMINS + dice.below(self.members - ADMINS)),
            _ => Deed::Renew,
        }
    }
}

fn partition(members: usize, dice: &mut Dice) -> (u64, u64, Vec<bool>) {
    let from = dice.below(6_000) as u64;
    let sides = (0..=members).map(|_| dice.below(2) == 1).collect();
    (from, from + 20_000 + dice.below(160_000) as u64, sides)
}
