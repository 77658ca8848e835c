//! One trial, from copies of the group's stores to what everybody holds to be true at its end.

use std::collections::BTreeSet;

use mainframe_base::{IdentityKey, SessionId, Time};
use mainframe_core::session::Order;
use mainframe_core::store::Table;

use super::cast::Troupe;
use super::device::Device;
use super::fighter::{Blow, fight};
use super::plan::{Attacker, Deed, Plan};
use super::world::{Partition, Weather, World};
use crate::dice::Dice;

pub(super) const SECOND_MS: u64 = 1_000;
/// Commits a grinder chooses among.
const GRINDINGS: usize = 8;
/// How far a grinder sets his clock ahead: beyond the last turn of the largest group, nine turns of four seconds.
const GRINDER_AHEAD_MS: u64 = 40 * SECOND_MS;
/// How long after everything was done nothing may have changed any more: longer than anybody waits for his turn.
const QUIET_MS: u64 = 60 * SECOND_MS;
/// When a trial is given up, after the last deed and the partition's end. Whoever is still undecided then, stays so.
const PATIENCE_MS: u64 = 2 * 3_600 * SECOND_MS;

/// What came of a trial.
#[derive(Clone, Default, Debug)]
pub(super) struct Played {
    /// Members ended in different epochs, or one was not heard by another.
    pub(super) forked: bool,
    /// Before anybody said anything more, some were in another epoch than the founder.
    pub(super) lagged: bool,
    /// How long it took at the end until everyone was heard by everyone and nobody lagged, in milliseconds.
    pub(super) heard_after_ms: u64,
    /// Somebody's last commit was not certified in time.
    pub(super) undecided: bool,
    /// A removed person is in the group at the end.
    pub(super) is_back: bool,
    /// Commits that a fighter sent.
    pub(super) blows: u64,
    /// Whose commit ended the first epoch.
    pub(super) winner: Option<usize>,
    pub(super) rollbacks: u64,
    pub(super) decided: u64,
    pub(super) statements: u64,
    pub(super) cells: u64,
    /// From the first commit on an epoch until a member knows what ended it, in milliseconds.
    pub(super) to_final_ms: Vec<f64>,
    /// Where some slept, what the others could do meanwhile.
    pub(super) vigil: Option<Vigil>,
    /// What went wrong, for whoever looks for a mistake.
    pub(super) complaint: Option<String>,
}

/// What those who were awake could do while others slept.
#[derive(Clone, Default, Debug)]
pub(super) struct Vigil {
    /// All of them heard what each of them said.
    pub(super) heard: bool,
    /// A commit was final before anybody woke.
    pub(super) decided: bool,
    /// Cells sent in an hour.
    pub(super) cells_per_hour: f64,
    /// From the sleepers' waking until a member knows what ended the first epoch, in milliseconds, if that was later.
    pub(super) after_waking_ms: Vec<f64>,
}

/// A trial under way.
pub(super) struct Trial<'a> {
    pub(super) world: World,
    pub(super) plan: &'a Plan,
    pub(super) session: SessionId,
    pub(super) began: Time,
    pub(super) first_epoch: u64,
    pub(super) people: Vec<IdentityKey>,
    pub(super) dice: Dice,
    pub(super) fought_in: BTreeSet<u64>,
    pub(super) blows: u64,
    pub(super) vigil: Option<Vigil>,
}

/// Plays a plan.
pub(super) fn play(troupe: &Troupe, plan: &Plan, seed: u64) -> Played {
    let mut trial = Trial::begin(troupe, plan, seed);
    trial.act(false);
    trial.keep_vigil();
    let is_quiet = trial.calm_down();
    trial.judge(is_quiet)
}

/// Plays a plan whose attacker wants the same at the same moment, and keeps to the rules, until somebody knows what ended the
/// first epoch: whose commit it was.
pub(super) fn play_fairly(troupe: &Troupe, plan: &Plan, seed: u64) -> Option<usize> {
    let mut trial = Trial::begin(troupe, plan, seed);
    trial.act(true);
    let end = trial.end_of_deeds() + PATIENCE_MS;
    while trial.winner().is_none() && trial.world.now < end {
        trial.pass(trial.world.now + 10 * SECOND_MS);
    }
    trial.winner()
}

impl<'a> Trial<'a> {
    fn begin(troupe: &Troupe, plan: &'a Plan, seed: u64) -> Trial<'a> {
        let mut world = troupe.enter(Dice::new(seed, "network"));
        let began = world.now + SECOND_MS;
        let (session, people) = (troupe.session, world.devices.iter().map(|device| device.owner.key).collect());
        let partition = plan.partition.clone().map(|(from, until, sides)| {
            let (from, until) = (began + from, began + until);
            Partition { from, until, sides }
        });
        let asleep = plan.asleep.iter().flat_map(|(until, who)| who.iter().map(|who| (*who, began + *until))).collect();
        world.weather = Weather { loss_per_million: plan.loss_per_million, partition, asleep };
        let first_epoch = world.view(0, session).map_or(0, |view| view.epoch);
        let dice = Dice::new(seed, "attack");
        let fought_in = BTreeSet::new();
        Trial { world, plan, session, began, first_epoch, people, dice, fought_in, blows: 0, vigil: None }
    }

    /// Everyone does what is planned; if the attacker is `honest`, until the first epoch has ended.
    fn act(&mut self, honest: bool) {
        let mut agenda: Vec<(u64, usize, Option<Deed>)> =
            self.plan.deeds.iter().map(|(at, who, deed)| (*at, *who, Some(*deed))).collect();
        agenda.extend(self.plan.failures.iter().map(|(at, who)| (*at, *who, None)));
        agenda.sort_by_key(|(at, who, _)| (*at, *who));
        let mut is_first = true;
        for (at, who, deed) in agenda {
            self.pass(self.began + at);
            if honest && self.winner().is_some() {
                return;
            }
            match deed {
                None => self.world.devices[who].fails = true,
                Some(_) if is_first && !honest && self.plan.attacker == Some(Attacker::Grinder(who)) => {
                    is_first = false;
                    self.grind(who);
                }
                Some(deed) => self.want(who, deed),
            }
        }
    }

    fn want(&mut self, who: usize, deed: Deed) {
        let session = self.session;
        let order = match deed {
            Deed::Renew => Order::Renew(session),
            Deed::Rename => Order::Rename(session, format!("river {who}")),
            Deed::Add => Order::AddMember(session, self.people[self.plan.company.persons]),
            Deed::Remove(whom) => Order::RemoveMember(session, self.people[whom]),
        };
        // Whoever is not in it any more, or removes whom another removed, has nothing to do.
        let _ = self.world.order(who, order);
    }

    /// While some sleep, the others say something, and look whether anything is final before anybody wakes.
    fn keep_vigil(&mut self) {
        let Some((until, _)) = self.plan.asleep else { return };
        let awake: Vec<usize> = self.plan.company.devices().filter(|device| !self.plan.is_asleep(*device)).collect();
        for who in &awake {
            self.say(*who, "awake").expect("who is in a session may speak");
        }
        self.pass(self.began + (until - 1));
        let heard = self.unheard(&awake, "awake").is_none();
        let changed = |who: &usize| self.changes(&self.world.devices[*who]).next().is_some();
        let decided = awake.iter().any(changed);
        let cells_per_hour = (self.world.insight.cells * 3_600 * SECOND_MS) as f64 / until as f64;
        self.vigil = Some(Vigil { heard, decided, cells_per_hour, after_waking_ms: Vec::new() });
    }

    /// Lets time go by; a fighter strikes as soon as he hears anything in an epoch.
    pub(super) fn pass(&mut self, until: Time) {
        let Some(Attacker::Fighter(fighter, blow)) = self.plan.attacker else {
            return self.world.run(until, |_, _| ());
        };
        let (began, session) = (self.began, self.session);
        let (fought_in, blows, dice) = (&mut self.fought_in, &mut self.blows, &mut self.dice);
        self.world.run(until, |world, heard| {
            if heard == fighter && world.now >= began {
                *blows += u64::from(strike(world, fighter, session, blow, fought_in, dice));
            }
        });
    }

    /// Makes several commits in as many copies of the device, and goes on with the one of the smallest name.
    fn grind(&mut self, who: usize) {
        let (now, device) = (self.world.now, &self.world.devices[who]);
        let tries = (0..GRINDINGS).filter_map(|_| {
            let (mut copy, mut outcome) =
                Device::start(device.owner.clone(), device.store.clone(), now, self.dice.bytes());
            let asked = copy.order(now, Order::Renew(self.session)).1;
            copy.ahead_ms = GRINDER_AHEAD_MS;
            let woken = copy.wake(now);
            outcome.cells.extend(asked.cells.into_iter().chain(woken.cells));
            let commits = copy.store.keys(Table::Commits, &self.session.0);
            let name = commits.map(|key| key[32..].to_vec()).min()?;
            Some((name, copy, outcome))
        });
        let chosen = tries.min_by(|(one, ..), (other, ..)| one.cmp(other));
        if let Some((_, copy, outcome)) = chosen {
            self.world.replace(who, copy, outcome);
        }
    }

    /// Waits until nobody has anything to decide any more. Whether that happened.
    fn calm_down(&mut self) -> bool {
        let end = self.end_of_deeds();
        let mut quiet_since = end;
        let mut last = self.standing();
        while self.world.now < end + PATIENCE_MS {
            let step = if self.world.now < end + 600 * SECOND_MS { 10 } else { 60 };
            self.pass(self.world.now.max(end) + step * SECOND_MS);
            let standing = self.standing();
            if standing != last || standing.iter().any(|(_, is_open)| *is_open) || !self.world.is_still() {
                quiet_since = self.world.now;
            }
            last = standing;
            if self.world.now.since_ms(quiet_since) >= QUIET_MS {
                return true;
            }
        }
        false
    }

    /// When the last deed is done, and everyone can hear everyone.
    fn end_of_deeds(&self) -> Time {
        let healed = self.plan.partition.as_ref().map_or(0, |(_, until, _)| *until);
        let awake = self.plan.asleep.as_ref().map_or(0, |(until, _)| *until);
        self.began + self.plan.deeds.iter().map(|(at, ..)| *at).chain([healed, awake]).max().unwrap_or(0)
    }

    /// Each honest device's epoch, and whether it may still be taken back.
    fn standing(&mut self) -> Vec<(u64, bool)> {
        let honest: Vec<usize> = self.honest().collect();
        let mut view = |who| self.world.view(who, self.session);
        honest.into_iter().filter_map(|who| view(who).map(|it| (it.epoch, it.unconfirmed_since.is_some()))).collect()
    }

    /// The fighter's device.
    pub(super) fn fighter(&self) -> Option<usize> {
        match self.plan.attacker {
            Some(Attacker::Fighter(who, _)) => Some(who),
            Some(Attacker::Grinder(_)) | None => None,
        }
    }

    pub(super) fn honest(&self) -> impl Iterator<Item = usize> + use<> {
        let fighter = self.fighter();
        (0..self.people.len()).filter(move |who| Some(*who) != fighter)
    }
}

/// A fighter commits in every epoch he comes to, as soon as he hears anything in it. Whether he does so now.
fn strike(
    world: &mut World,
    fighter: usize,
    session: SessionId,
    blow: Blow,
    fought_in: &mut BTreeSet<u64>,
    dice: &mut Dice,
) -> bool {
    let Some(view) = world.view(fighter, session) else { return false };
    let is_new = view.unconfirmed_since.is_none() && fought_in.insert(view.epoch);
    is_new && fight(world, fighter, session, blow, dice.bytes())
}
