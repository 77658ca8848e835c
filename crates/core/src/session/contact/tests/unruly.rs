//! Whatever the net and the users do: in the end both sides agree.

use rand_core::Rng;

use super::super::*;
use super::world::{FINE, Parcel, Weather, World};

const SEEDS: u64 = 30;
const STORM: Weather = Weather { lost: 50, doubled: 20, crashes: 10, delay_max_ms: 6 * HOUR_MS };

/// What both believe: a session each, or none.
fn beliefs(world: &World) -> [Option<SessionId>; 2] {
    [0, 1].map(|who| match world.standing(who) {
        Some(ContactStanding::Together(session)) => Some(session),
        _ => None,
    })
}

/// Somebody who recorded letters sends some of them again.
fn replay_some(world: &mut World) {
    for _ in 0..3 {
        if !world.recorded.is_empty() {
            let index = world.rng.next_u64() as usize % world.recorded.len();
            let (to, letter) = world.recorded[index].clone();
            world.post(to, Parcel::Letter(letter));
        }
    }
}

#[test]
fn two_who_greet_each_other_in_a_storm_end_up_in_one_session() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.weather = STORM;
        while world.standing(0).is_none() {
            world.add(0);
        }
        let pause_ms = world.rng.next_u64() % (2 * HOUR_MS);
        world.run_for(pause_ms);
        while world.standing(1).is_none() {
            world.add(1);
        }
        for _ in 0..20 {
            world.run_for(6 * HOUR_MS);
            replay_some(&mut world);
            for who in [0, 1] {
                let peer = world.key(1 - who);
                world.act(who, |contacts, turn| contacts.accept(turn, peer));
            }
        }
        world.weather = FINE;
        world.run_for(20 * DAY_MS);
        let [one, other] = beliefs(&world);
        assert!(one.is_some() && one == other, "seed {seed}: {:?} {:?}", world.standing(0), world.standing(1));
    }
}

/// One of the things a user can do. A session is left by other means, so nobody does anything to a contact he shares one with.
fn do_something(world: &mut World) {
    let who = (world.rng.next_u64() % 2) as usize;
    let (peer, card) = (world.key(1 - who), world.card(1 - who));
    if matches!(world.standing(who), Some(ContactStanding::Together(_))) {
        return;
    }
    match world.rng.next_u64() % 8 {
        0..=2 => world.act(who, |contacts, turn| contacts.add(turn, Whom::Card(card.clone()), "hello").err()),
        3 | 4 => world.act(who, |contacts, turn| contacts.accept(turn, peer).err()),
        5 => world.act(who, |contacts, turn| contacts.decline(turn, peer, true).err()),
        6 => world.act(who, |contacts, turn| contacts.decline(turn, peer, false).err()),
        _ => world.act(who, |contacts, turn| contacts.remove(turn, peer).err()),
    };
}

#[test]
fn whatever_users_do_in_a_storm_both_have_one_session_or_none_in_the_end() {
    let mut together = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(1_000 + seed);
        world.weather = STORM;
        for _ in 0..30 {
            do_something(&mut world);
            let pause_ms = world.rng.next_u64() % (8 * HOUR_MS);
            world.run_for(pause_ms);
            replay_some(&mut world);
        }
        world.weather = FINE;
        for _ in 0..40 {
            world.run_for(DAY_MS);
            for who in [0, 1] {
                // People who believe that they talk with each other say something now and then.
                if let Some(session) = beliefs(&world)[who] {
                    world.post(1 - who, Parcel::Word(world.key(who), session));
                }
            }
        }
        let [one, other] = beliefs(&world);
        assert!(one == other, "seed {seed}: {:?} {:?}", world.standing(0), world.standing(1));
        together += u64::from(one.is_some());
    }
    assert!((SEEDS / 5..SEEDS).contains(&together), "the storm decides both ways: {together} of {SEEDS} together");
}
