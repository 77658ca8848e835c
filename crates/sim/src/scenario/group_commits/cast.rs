//! People who know each other, and groups of them: made once, played with many times.
//!
//! To get to know somebody costs more than to change a group. So nine people are made who all know the first of them, and of
//! them a group of each size; every trial begins with copies of their stores.

use std::rc::Rc;

use mainframe_base::{Luminosity, SessionId, Time};
use mainframe_core::crypto::{Identity, Verifier};
use mainframe_core::session::contact::Whom;
use mainframe_core::session::{Answer, NewGroup, Order};
use mainframe_core::store::MemoryStore;
use mainframe_core::wire::HoldClass;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::device::Owner;
use super::world::World;
use crate::dice::Dice;

/// Groups have from three to eight members; one person more is there to be added.
pub(super) const MEMBERS_MIN: usize = 3;
pub(super) const MEMBERS_MAX: usize = 8;
const PEOPLE: usize = MEMBERS_MAX + 1;
/// Where everyone has two devices there are two persons, who talk in the session of two they have, to four.
pub(super) const DOUBLES_MIN: usize = 2;
pub(super) const DOUBLES_MAX: usize = 4;

/// Signatures that are remembered as good: more than are given in a trial.
const VERIFIED_MAX: usize = 4_096;
const START: Time = Time(1_800_000_000_000);
const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;

/// How many persons are in, and on how many devices each, one or two.
///
/// Devices are numbered: the persons' first ones, that of one person who is not in, the persons' second ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Company {
    pub(super) persons: usize,
    pub(super) devices_each: usize,
}

impl Company {
    /// The members' devices.
    pub(super) fn devices(self) -> impl Iterator<Item = usize> {
        (0..self.all_devices()).filter(move |device| *device != self.persons)
    }

    /// How many devices there are, with that of the person who is not in.
    pub(super) fn all_devices(self) -> usize {
        self.persons * self.devices_each + 1
    }

    /// Whose a device is.
    pub(super) fn person_of(self, device: usize) -> usize {
        if device > self.persons { device - self.persons - 1 } else { device }
    }
}

/// A session at rest. Its members are the first people; the first two of them are a group's admins.
pub(super) struct Troupe {
    company: Company,
    pub(super) session: SessionId,
    now: Time,
    /// All devices, in the order of their numbers.
    stores: Vec<(Rc<Owner>, MemoryStore)>,
}

/// Sessions of all companies of the same people.
pub(super) struct Cast(Vec<Troupe>);

impl Cast {
    /// Makes everything from one seed.
    pub(super) fn new(seed: u64) -> Cast {
        let friends = meet(seed, PEOPLE);
        let singles = (MEMBERS_MIN..=MEMBERS_MAX).map(|persons| Company { persons, devices_each: 1 });
        let of_friends = |company: Company| {
            let present = stores_of(&friends)[..=company.persons].to_vec();
            Troupe::new(seed, company, World::new(friends.now, Dice::new(seed, "founding"), present))
        };
        let doubles = (DOUBLES_MIN..=DOUBLES_MAX).map(|persons| Company { persons, devices_each: 2 });
        // A second device comes into every session its person has: nobody may be missing.
        let of_strangers = |company: Company| Troupe::new(seed, company, meet(seed, company.persons + 1));
        Cast(singles.map(of_friends).chain(doubles.map(of_strangers)).collect())
    }

    /// The session of such a company.
    pub(super) fn troupe(&self, company: Company) -> &Troupe {
        self.0.iter().find(|troupe| troupe.company == company).expect("there is one of each")
    }
}

impl Troupe {
    /// Those who are in this world found the session and come to rest.
    fn new(seed: u64, company: Company, mut world: World) -> Troupe {
        let mut dice = Dice::new(seed, "group");
        let session = if company.persons < MEMBERS_MIN { pair(&mut world) } else { found(&mut world, company.persons) };
        if company.devices_each > 1 {
            (0..company.persons).for_each(|person| add_device(&mut world, person, &mut dice));
        }
        // The turn is to begin behind anybody.
        let last_committer = dice.below(company.persons);
        world.order(last_committer, Order::Renew(session)).expect("a member renews his keys");
        rest(&mut world, 2 * MINUTE_MS);
        for who in company.devices() {
            let view = world.view(who, session).expect("everyone is in");
            let devices: usize = view.members.iter().map(|member| member.devices.len()).sum();
            assert!(devices + 1 == company.all_devices() && view.unconfirmed_since.is_none(), "the group is at rest");
        }
        Troupe { company, session, now: world.now, stores: stores_of(&world) }
    }

    /// The group, alive again.
    pub(super) fn enter(&self, dice: Dice) -> World {
        let mut world = World::new(self.now, dice, self.stores.clone());
        world.insight.watch(self.session);
        world.look_at_all();
        world
    }
}

/// So many people, all of whom know the first.
fn meet(seed: u64, people: usize) -> World {
    let (mut dice, verifier) = (Dice::new(seed, "people"), Verifier::new(VERIFIED_MAX));
    let owners = (0..people).map(|_| {
        let identity = Identity::generate(&mut ChaCha20Rng::from_seed(dice.bytes()));
        (Rc::new(Owner::new(identity, dice.bytes(), verifier.clone())), MemoryStore::default())
    });
    let mut world = World::new(START, Dice::new(seed, "meeting"), owners.collect());
    world.reads_letters = true;
    (1..people).for_each(|other| befriend(&mut world, other));
    world
}

fn befriend(world: &mut World, other: usize) {
    let Ok(Answer::Card(card)) = world.order(other, Order::Card) else { panic!("everyone has a card") };
    world.order(0, Order::AddContact(Whom::Card(*card), "hello".into())).expect("a stranger may be greeted");
    rest(world, 10 * SECOND_MS);
    let first = world.devices[0].owner.key;
    world.order(other, Order::AcceptContact(first)).expect("the greeting has come");
    rest(world, 30 * SECOND_MS);
}

/// The session that the first two have.
fn pair(world: &mut World) -> SessionId {
    let second = world.devices[1].owner.key;
    world.session_with(0, second).expect("they know each other")
}

/// The first of so many people founds a group of them.
fn found(world: &mut World, persons: usize) -> SessionId {
    let others = (1..persons).map(|who| world.devices[who].owner.key).collect();
    let luminosity = Luminosity::at_most(2);
    let order = Order::CreateGroup(NewGroup {
        name: "river".into(),
        members: others,
        luminosity,
        hold: HoldClass::Day,
        shared_topic: false,
    });
    let Ok(Answer::Session(session)) = world.order(0, order) else { panic!("a group is founded") };
    rest(world, MINUTE_MS);
    let second = world.devices[1].owner.key;
    world.order(0, Order::SetAdmin(session, second, true)).expect("the founder is an admin");
    rest(world, MINUTE_MS);
    session
}

/// Somebody brings in another device.
fn add_device(world: &mut World, person: usize, dice: &mut Dice) {
    let Ok(Answer::Account(account)) = world.order(person, Order::Account) else { panic!("everyone has an account") };
    let owner = world.devices[person].owner.with_another(dice.bytes());
    world.enter(Rc::new(owner), MemoryStore::default());
    let device = world.devices.len() - 1;
    world.order(device, Order::Receive(Box::new(account.belongings.clone()))).expect("it is the same person");
    rest(world, 2 * MINUTE_MS);
}

fn rest(world: &mut World, span_ms: u64) {
    world.run(world.now + span_ms, |_, _| ());
}

fn stores_of(world: &World) -> Vec<(Rc<Owner>, MemoryStore)> {
    world.devices.iter().map(|device| (device.owner.clone(), device.store.clone())).collect()
}
