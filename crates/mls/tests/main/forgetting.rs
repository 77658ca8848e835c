use mainframe_mls::{Group, PAST_EPOCHS_MAX, Unopened};

use crate::world::{World, refresh};

#[test]
fn rows_taken_after_a_message_was_opened_do_not_open_it() {
    let mut world = World::new(1);
    let mut groups = world.group(3);
    let sealed: Vec<_> = (0..5).map(|_| groups[0].seal(&mut world.rng, b"secret").expect("a member")).collect();
    let before = groups[1].snapshot();
    for message in &sealed {
        groups[1].open(message).expect("a good message");
    }
    let after = groups[1].snapshot();

    let mut thief = Group::load(before, &world.devices[1]).expect("all rows");
    assert!(sealed.iter().all(|message| thief.open(message).is_ok()), "rows from before do open it");
    let mut thief = Group::load(after, &world.devices[1]).expect("all rows");
    assert!(sealed.iter().all(|message| thief.open(message) == Err(Unopened::Again)));
}

#[test]
fn no_row_changed_since_contains_what_was_forgotten() {
    let mut world = World::new(2);
    let mut groups = world.group(2);
    groups[1].take_changes();
    let mut stored = groups[1].snapshot();
    let sealed = groups[0].seal(&mut world.rng, b"secret").expect("a member");
    groups[1].open(&sealed).expect("a good message");
    stored.apply(groups[1].take_changes());
    let mut thief = Group::load(stored, &world.devices[1]).expect("all rows");
    assert_eq!(thief.open(&sealed), Err(Unopened::Again));
}

#[test]
fn past_epochs_are_forgotten_by_number_and_the_newest_last() {
    let mut world = World::new(3);
    let mut groups = world.group(2);
    let mut sealed = Vec::new();
    for _ in 0..6 {
        sealed.push(groups[0].seal(&mut world.rng, b"secret").expect("a member"));
        world.commit(&mut groups, 0, &refresh());
    }
    assert_eq!(groups[1].epoch(), 7);
    groups[1].forget_epochs_before(4);
    let mut loaded = Group::load(groups[1].snapshot(), &world.devices[1]).expect("all rows");
    for group in [&mut groups[1], &mut loaded] {
        let opened: Vec<_> = sealed.iter().map(|message| group.open(message).map(|it| it.epoch)).collect();
        let late = Err(Unopened::Late);
        assert_eq!(opened, [late, late, late, Ok(4), Ok(5), Ok(6)]);
    }
    groups[0].forget_epochs_before(100);
    groups[0].forget_epochs_before(0);
}

#[test]
fn only_so_many_past_epochs_are_kept() {
    let mut world = World::new(4);
    let mut groups = world.group(2);
    let first = groups[0].seal(&mut world.rng, b"secret").expect("a member");
    world.commit(&mut groups, 0, &refresh());
    let second = groups[0].seal(&mut world.rng, b"secret").expect("a member");
    for _ in 0..PAST_EPOCHS_MAX {
        world.commit(&mut groups, 0, &refresh());
    }
    assert_eq!(groups[1].open(&first), Err(Unopened::Late));
    groups[1].open(&second).expect("just remembered");
}
