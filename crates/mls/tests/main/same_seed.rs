use crate::world::{World, refresh, removal};

/// A group of twenty is founded, one is removed, one talks: all bytes that leave a device.
fn story(seed: u64) -> Vec<Vec<u8>> {
    let mut world = World::new(seed);
    let mut groups = world.group(20);
    let mut drafts = vec![world.commit(&mut groups, 3, &removal(7))];
    drafts.push(groups[5].commit(&mut world.rng, &refresh()).expect("a good change"));
    let mut bytes: Vec<_> = drafts.into_iter().map(|draft| draft.commit).collect();
    bytes.push(groups[4].seal(&mut world.rng, b"hello").expect("a member"));
    bytes
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_threads_do() {
    let first = story(1);
    for _ in 0..3 {
        assert!(story(1) == first);
    }
    assert!(story(2) != first);
}
