//! People who know each other, and groups of them: made once, played with many times.
//!
//! To get to know somebody costs more than to change a group. So nine people are made who all know the first of them, and of
//! them a group of each size; every trial begins with copies of their stores.

use std::rc::Rc;

use mainframe_base::{Luminosity, SessionId, Time};
use mainframe_core::crypto::Identity;
use mainframe_core::session::contact::Whom;
use mainframe_core::session::{Answer, Order};
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

const START: Time = Time(1_800_000_000_000);
const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;

/// A group at rest. Its members are the first people; the first two of them are its admins.
pub(super) struct Troupe {
    pub(super) session: SessionId,
    now: Time,
    /// The members, and one person who is to be added.
    stores: Vec<(Rc<Owner>, MemoryStore)>,
}

/// Groups of all sizes of the same people.
pub(super) struct Cast(Vec<Troupe>);

impl Cast {
    /// Makes everything from one seed.
    pub(super) fn new(seed: u64) -> Cast {
        let mut dice = Dice::new(seed, "people");
        let owners = (0..PEOPLE).map(|_| {
            let identity = Identity::generate(&mut ChaCha20Rng::from_seed(dice.bytes()));
            (Rc::new(Owner::new(identity, dice.bytes())), MemoryStore::default())
        });
        let mut world = World::new(START, Dice::new(seed, "meeting"), owners.collect());
        world.reads_letters = true;
        (1..PEOPLE).for_each(|other| befriend(&mut world, other));
        let friends = stores_of(&world);
        let now = world.now;
        let troupe = |members| Troupe::new(seed, members, now, &friends);
        Cast((MEMBERS_MIN..=MEMBERS_MAX).map(troupe).collect())
    }

    /// The group of so many.
    pub(super) fn troupe(&self, members: usize) -> &Troupe {
        &self.0[members - MEMBERS_MIN]
    }
}

impl Troupe {
    fn new(seed: u64, members: usize, now: Time, friends: &[(Rc<Owner>, MemoryStore)]) -> Troupe {
        let mut dice = Dice::new(seed, "group");
        let present = friends[..=members].to_vec();
        let mut world = World::new(now, Dice::new(seed, "founding"), present);
        let others = (1..members).map(|who| world.devices[who].owner.key).collect();
        let luminosity = Luminosity::at_most(2);
        let order = Order::CreateGroup { name: "river".into(), members: others, luminosity, hold: HoldClass::Day };
        let Ok(Answer::Session(session)) = world.order(0, order) else { panic!("a group is founded") };
        rest(&mut world, MINUTE_MS);
        let second = world.devices[1].owner.key;
        world.order(0, Order::SetAdmin(session, second, true)).expect("the founder is an admin");
        rest(&mut world, MINUTE_MS);
        // The turn is to begin behind anybody.
        let last_committer = dice.below(members);
        world.order(last_committer, Order::Renew(session)).expect("a member renews his keys");
        rest(&mut world, 2 * MINUTE_MS);
        for who in 0..members {
            let view = world.view(who, session).expect("everyone is in");
            assert!(view.members.len() == members && view.unconfirmed_since.is_none(), "the group is at rest");
        }
        Troupe { session, now: world.now, stores: stores_of(&world) }
    }

    /// The group, alive again.
    pub(super) fn enter(&self, dice: Dice) -> World {
        let mut world = World::new(self.now, dice, self.stores.clone());
        world.insight.watch(self.session);
        world.look_at_all();
        world
    }
}

fn befriend(world: &mut World, other: usize) {
    let Ok(Answer::Card(card)) = world.order(other, Order::Card) else { panic!("everyone has a card") };
    world.order(0, Order::AddContact(Whom::Card(*card), "hello".into())).expect("a stranger may be greeted");
    rest(world, 10 * SECOND_MS);
    let first = world.devices[0].owner.key;
    world.order(other, Order::AcceptContact(first)).expect("the greeting has come");
    rest(world, 30 * SECOND_MS);
}

fn rest(world: &mut World, span_ms: u64) {
    world.run(world.now + span_ms, |_, _| ());
}

fn stores_of(world: &World) -> Vec<(Rc<Owner>, MemoryStore)> {
    world.devices.iter().map(|device| (device.owner.clone(), device.store.clone())).collect()
}
