use mainframe_mls::{Corrupt, Group, Rows, Unopened, Unsealed};

use crate::world::{World, refresh};

#[test]
fn a_group_loaded_from_its_rows_goes_on_where_it_was() {
    let mut world = World::new(1);
    let mut groups = world.group(3);
    let opened = groups[0].seal(&mut world.rng, b"opened").expect("a member");
    let waiting = groups[0].seal(&mut world.rng, b"waiting").expect("a member");
    groups[1].open(&opened).expect("a good message");
    let draft = groups[1].commit(&mut world.rng, &refresh()).expect("a good change");

    let mut loaded = Group::load(groups[1].snapshot(), &world.devices[1]).expect("all rows");
    assert_eq!(loaded.epoch_id(), groups[1].epoch_id());
    assert_eq!(loaded.members(), groups[1].members());
    assert_eq!(loaded.open(&opened), Err(Unopened::Again));
    assert_eq!(loaded.open(&waiting).expect("a good message").plaintext, b"waiting");
    loaded.merge(&draft.commit).expect("its own, pending");
    assert_eq!(loaded.epoch_id(), draft.child);
}

#[test]
fn changes_written_batch_by_batch_are_the_whole_group() {
    let mut world = World::new(2);
    let mut groups = world.group(3);
    let mut stored = Rows::new();
    for round in 0..10 {
        for author in 0..3 {
            let sealed = groups[author].seal(&mut world.rng, b"some words").expect("a member");
            for reader in (0..3).filter(|reader| *reader != author) {
                groups[reader].open(&sealed).expect("a good message");
            }
        }
        if round % 3 == 0 {
            world.commit(&mut groups, round % 2, &refresh());
        }
        stored.apply(groups[2].take_changes());
        assert!(stored == groups[2].snapshot());
        assert!(groups[2].take_changes().is_empty());
        let loaded = Group::load(stored.clone(), &world.devices[2]).expect("all rows");
        assert_eq!(loaded.epoch_id(), groups[2].epoch_id());
    }
}

#[test]
fn a_message_changes_few_rows() {
    let mut world = World::new(3);
    let mut groups = world.group(40);
    for _ in 0..5 {
        world.commit(&mut groups, 3, &refresh());
    }
    groups[0].take_changes();
    let sealed = groups[1].seal(&mut world.rng, b"some words").expect("a member");
    groups[0].open(&sealed).expect("a good message");
    let rows = groups[0].snapshot().len();
    let changed = groups[0].take_changes().len();
    assert!(changed <= 2 && rows > 30, "{changed} of {rows}");
}

#[test]
fn commits_merged_and_given_up_leave_no_rows_behind() {
    let mut world = World::new(6);
    let mut groups = world.group(4);
    let mut rows = Vec::new();
    for _ in 0..6 {
        groups[1].commit(&mut world.rng, &refresh()).expect("a good change");
        groups[1].clear_pending();
        world.commit(&mut groups, 0, &refresh());
        world.commit(&mut groups, 3, &refresh());
        groups.iter_mut().for_each(|group| group.forget_epochs_before(group.epoch()));
        rows.push(groups.iter_mut().map(|group| group.snapshot().len()).collect::<Vec<_>>());
    }
    assert!(rows.iter().all(|count| *count == rows[0]), "{rows:?}");
}

#[test]
fn being_set_back_is_remembered_by_what_is_stored() {
    let mut world = World::new(4);
    let mut groups = world.group(2);
    let mut stored = groups[0].snapshot();
    groups[0].take_changes();
    let snapshot = groups[0].snapshot();
    world.commit(&mut groups, 0, &refresh());
    stored.apply(groups[0].take_changes());
    groups[0].restore(snapshot).expect("a snapshot");
    stored.apply(groups[0].take_changes());
    let mut loaded = Group::load(stored, &world.devices[0]).expect("all rows");
    assert_eq!(loaded.epoch(), 1);
    assert_eq!(loaded.seal(&mut world.rng, b"again"), Err(Unsealed::SetBack));
}

#[test]
fn rows_that_are_missing_or_damaged_are_no_group() {
    let mut world = World::new(5);
    let mut groups = world.group(2);
    let rows = groups[0].snapshot();
    assert_eq!(Group::load(rows.clone(), &world.devices[1]).err(), Some(Corrupt), "another device's");
    assert_eq!(Group::load(Rows::new(), &world.devices[0]).err(), Some(Corrupt));
    for (left_out, _) in rows.iter().filter(|(key, _)| !is_key_pairs(key)) {
        let mut less = Rows::new();
        for (key, value) in rows.iter().filter(|(key, _)| *key != left_out) {
            less.insert(key.to_vec(), value.to_vec().into());
        }
        assert_eq!(Group::load(less, &world.devices[0]).err(), Some(Corrupt), "{left_out:?}");
    }
}

/// The pairs of keys are looked for when a commit comes, not before.
fn is_key_pairs(key: &[u8]) -> bool {
    key[0] == 12
}
