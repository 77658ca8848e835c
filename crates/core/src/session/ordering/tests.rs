//! Whole decisions, in thousands of small worlds.

use super::world::{CALM, DELAY_MS, Weather, World};
use super::*;

const DAY: Time = Time(GIVE_UP_AFTER_MS);

#[test]
fn everybody_ends_with_the_same_commit_whatever_the_network_does() {
    for seed in 0..trials() {
        let mut world = rough_world(seed);
        let authors = 1 + world.below(4);
        for _ in 0..authors {
            let (who, at) = (world.below(world.members.len() as u64) as usize, Time(world.below(3 * DELAY_MS)));
            world.members[who].is_hasty = world.below(2) == 0;
            world.wants(who, at);
        }
        world.run(DAY);
        agreed(&world, seed);
    }
}

/// The commit that all members took to be final.
fn agreed(world: &World, seed: u64) -> CommitId {
    let first = world.members[0].ordering.final_commit();
    for (number, member) in world.members.iter().enumerate() {
        assert!(first.is_some(), "seed {seed}: the first member found nothing final");
        assert_eq!(member.ordering.final_commit(), first, "seed {seed}: member {number}");
        assert_eq!(member.applied.last(), first.as_ref(), "seed {seed}: member {number} applied something else");
        let lies = member.facts.iter().any(|fact| !matches!(fact, OrderingFact::Final(_)));
        assert!(!lies, "seed {seed}: member {number} says {:?}", member.facts);
    }
    first.unwrap()
}

/// Three to eight persons with one or two devices each, and bad weather.
fn rough_world(seed: u64) -> World {
    let mut dice = World::new(seed, &[0], Leaf(0), CALM);
    let persons = persons(&mut dice);
    let last_committer = Leaf(dice.below(persons.len() as u64) as u32);
    let parted_until = Time([0, 0, 60_000, 600_000][dice.below(4) as usize]);
    let weather = Weather { loss_percent: dice.below(31), parted_until, restarts: dice.below(4) as u32 };
    World::new(seed, &persons, last_committer, weather)
}

fn persons(dice: &mut World) -> Vec<u32> {
    let count = 3 + dice.below(6) as u32;
    (0..count).flat_map(|person| vec![person; 1 + dice.below(2) as usize]).collect()
}

/// How many worlds to try; `MAINFRAME_ORDERING_TRIALS` makes it more.
fn trials() -> u64 {
    std::env::var("MAINFRAME_ORDERING_TRIALS").ok().and_then(|trials| trials.parse().ok()).unwrap_or(2_000)
}
