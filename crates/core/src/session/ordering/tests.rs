//! Whole decisions, in thousands of small worlds.

use super::world::{CALM, DELAY_MS, Member, Weather, World};
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

#[test]
fn out_of_turn_is_no_sooner() {
    let (mut won, mut due, mut turns_kept) = (0, 0, 0);
    for seed in 0..trials() {
        let mut dice = World::new(seed, &[0], Leaf(0), CALM);
        let persons = persons(&mut dice);
        let last_committer = Leaf(dice.below(persons.len() as u64) as u32);
        let mut world = World::new(seed, &persons, last_committer, CALM);
        let hasty = world.below(persons.len() as u64) as usize;
        world.members[hasty].is_hasty = true;
        world.wants(hasty, Time(0));
        let others: Vec<_> = (0..persons.len()).filter(|who| *who != hasty && world.below(3) == 0).collect();
        for who in &others {
            world.wants(*who, Time(0));
        }
        world.run(DAY);
        let author = world.commits[&agreed(&world, seed)].author;
        let wanting = || others.iter().copied().chain([hasty]);
        let soonest = wanting().min_by_key(|who| world.roster.rank(Leaf(*who as u32))).unwrap();
        won += u64::from(author == Leaf(hasty as u32));
        due += u64::from(soonest == hasty);
        turns_kept += u64::from(author == Leaf(soonest as u32));
    }
    println!("out of turn: won {won}, due {due}, turns kept {turns_kept} of {}", trials());
    assert!(won * 10 <= due * 11, "won {won} where {due} were due");
}

#[test]
fn nobody_commits_his_own_return() {
    let (mut returned, mut tried) = (0, 0);
    for seed in 0..trials() {
        let mut dice = World::new(seed, &[0], Leaf(0), CALM);
        let persons = persons(&mut dice);
        let last_committer = Leaf(dice.below(persons.len() as u64) as u32);
        let mut world = World::new(seed, &persons, last_committer, CALM);
        let (gone, admin) = (0, persons.len() - 1);
        world.members[gone].is_hasty = true;
        let at = Time(world.below(DELAY_MS));
        world.wants(gone, at);
        let removal = Removal { by: Leaf(admin as u32), of: Leaf(gone as u32) };
        world.propose(removal, Time(0));
        world.run(DAY);
        let author = world.commits[&agreed(&world, seed)].author;
        (tried, returned) = (tried + 1, returned + u32::from(author == Leaf(gone as u32)));
    }
    println!("own returns: {returned} of {tried}");
    // Where enough vote before they hear that he is to go, he stays: nobody can help that.
    assert!(returned * 100 <= tried, "{returned} of {tried}");
}

/// Somebody who votes for everything at every ballot can neither divide nor stop the others, if the network is whole.
#[test]
fn one_liar_divides_nobody() {
    for seed in 0..trials() / 4 {
        let (mut world, _) = world_with_liars(seed, 1);
        world.run(DAY);
        let finals: BTreeSet<_> = world.honest().map(|member| member.ordering.final_commit()).collect();
        assert!(finals.len() == 1 && !finals.contains(&None), "seed {seed}: {finals:?}");
    }
}

/// Where some lie to both halves of a split network, every honest member finds out, and all pick the same winner.
#[test]
fn a_fork_is_found_by_everyone() {
    let mut forks = 0;
    for seed in 0..trials() / 4 {
        let (mut world, _) = world_with_liars(seed, 3);
        world.run(DAY);
        let finals: BTreeSet<_> = world.honest().map(|member| member.ordering.final_commit()).collect();
        assert!(finals.len() == 1 && !finals.contains(&None), "seed {seed}: {finals:?}");
        let winners: BTreeSet<_> = world.honest().map(Member::fork_winner).collect();
        assert!(winners.len() == 1, "seed {seed}: {winners:?}");
        forks += u32::from(!winners.contains(&None));
    }
    println!("{forks} forks of {}", trials() / 4);
    assert!(forks > 0, "nobody was divided: this tests nothing");
}

/// Seven persons of whom some lie, two or three commits at once, and some loss.
fn world_with_liars(seed: u64, count: usize) -> (World, Vec<Leaf>) {
    let parted_until = if count > 1 { Time(120_000) } else { Time(0) };
    let weather = Weather { loss_percent: 10, parted_until, restarts: 0 };
    let mut world = World::new(seed, &[0, 1, 2, 3, 4, 5, 6], Leaf(seed as u32 % 7), weather);
    let liars: Vec<_> = (0..count).map(|number| Leaf((seed / 7) as u32 % 7 + number as u32).0 % 7).map(Leaf).collect();
    for liar in &liars {
        world.members[liar.0 as usize].is_liar = true;
    }
    for author in 0..7 {
        let is_liar = world.members[author].is_liar;
        if !is_liar {
            world.members[author].is_hasty = true;
            let at = Time(world.below(DELAY_MS));
            world.wants(author, at);
        }
    }
    (world, liars)
}

/// What a commit costs, for `docs/protocol/session.md`.
#[test]
#[ignore = "prints a table"]
fn figures() {
    for persons in 2..=8 {
        for (authors, loss_percent) in [(1, 0), (2, 0), (1, 20)] {
            let (mut count, mut bytes, mut last_ms, mut kinds) = (0, 0, Vec::new(), [0; 7]);
            let rounds = 1_000;
            for seed in 0..rounds {
                let weather = Weather { loss_percent, ..CALM };
                let list: Vec<_> = (0..persons).collect();
                let mut world = World::new(seed, &list, Leaf(seed as u32 % persons), weather);
                for author in 0..authors {
                    world.members[author].is_hasty = true;
                    world.wants(author, Time(0));
                }
                world.run(DAY);
                agreed(&world, seed);
                for (kind, (said, length)) in &world.said {
                    (count, bytes) = (count + said, bytes + length);
                    kinds[usize::from(*kind)] += said;
                }
                last_ms.extend(world.members.iter().filter_map(|member| member.final_at).map(|at| at.0));
            }
            last_ms.sort_unstable();
            let per = |sum: usize| sum as f64 / rounds as f64;
            println!(
                "n {persons} authors {authors} loss {loss_percent:2}%: {:.1} statements, {:.0} bytes, final after p50 {} p99 {} ms; kinds {:?}",
                per(count),
                per(bytes),
                last_ms[last_ms.len() / 2],
                last_ms[last_ms.len() * 99 / 100],
                kinds.map(per)
            );
        }
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
