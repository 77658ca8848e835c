use mainframe_base::Fault;
use mainframe_mls::{Change, LEAVES_MAX, Leaf, Uncommitted, Unopened, Unsealed};

use crate::world::{World, join, refresh, removal};

#[test]
fn a_commit_says_all_that_it_does_and_can_be_looked_at_again() {
    let mut world = World::new(1);
    let mut groups = world.group(4);
    let (_, package) = world.package();
    let change = Change {
        add: vec![package.bytes],
        remove: vec![Leaf(2)],
        context: Some(b"new context".to_vec()),
        credential: Some(b"new name".to_vec()),
        refresh: false,
    };
    let draft = groups[1].commit(&mut world.rng, &change).expect("a good change");
    let facts = groups[0].inspect(&draft.commit).expect("a good commit");
    assert_eq!(groups[0].inspect(&draft.commit), Ok(facts.clone()));
    assert_eq!(groups[1].inspect(&draft.commit), Ok(facts.clone()));
    assert_eq!((facts.author, facts.parent, facts.child), (Leaf(1), 1, Some(draft.child)));
    assert_eq!(facts.added.iter().map(|it| it.credential.as_slice()).collect::<Vec<_>>(), [b"device 5".as_slice()]);
    assert_eq!(facts.removed, [Leaf(2)]);
    assert_eq!(facts.context.as_deref(), Some(b"new context".as_slice()));
    assert_eq!(facts.credential.as_deref(), Some(b"new name".as_slice()));
    assert_eq!(groups[2].inspect(&draft.commit).expect("a good commit").child, None);

    for group in &mut groups {
        group.merge(&draft.commit).expect("a good commit");
    }
    assert_eq!(groups[0].epoch_id(), draft.child);
    assert_eq!(groups[1].epoch_id(), draft.child);
    assert_eq!(groups[0].context(), b"new context");
    let names: Vec<_> = groups[0].members().into_iter().map(|it| it.credential).collect();
    assert_eq!(names, [b"device 1".as_slice(), b"new name", b"device 5", b"device 4"]);
}

#[test]
fn of_two_commits_the_loser_is_given_up_and_the_winner_merged() {
    let mut world = World::new(2);
    let mut groups = world.group(3);
    let winner = groups[0].commit(&mut world.rng, &refresh()).expect("a good change");
    let loser = groups[1].commit(&mut world.rng, &removal(2)).expect("a good change");
    assert_ne!(winner.child, loser.child);
    groups[2].inspect(&loser.commit).expect("good, though it loses");
    for group in &mut groups {
        group.merge(&winner.commit).expect("a good commit");
        assert_eq!(group.epoch_id(), winner.child);
        assert!(!group.has_pending());
        assert_eq!(group.inspect(&loser.commit), Err(Unopened::Late));
    }
}

#[test]
fn a_group_set_back_follows_the_winner_and_seals_nothing_before() {
    let mut world = World::new(3);
    let mut groups = world.group(3);
    let wrong = groups[0].commit(&mut world.rng, &removal(2)).expect("a good change");
    let snapshot = groups[0].snapshot();
    groups[0].merge_pending();
    assert_eq!(groups[0].epoch_id(), wrong.child);
    let right = groups[1].commit(&mut world.rng, &refresh()).expect("a good change");
    groups[1].merge_pending();

    groups[0].restore(snapshot).expect("a snapshot");
    assert!(groups[0].has_pending(), "the snapshot carries what was pending");
    assert_eq!(groups[0].seal(&mut world.rng, b"again"), Err(Unsealed::SetBack));
    groups[0].merge(&right.commit).expect("a good commit");
    let sealed = groups[0].seal(&mut world.rng, b"at last").expect("a new epoch");
    assert_eq!(groups[1].open(&sealed).expect("the same epoch").plaintext, b"at last");
}

#[test]
fn an_own_commit_set_back_can_still_be_the_winner() {
    let mut world = World::new(4);
    let mut groups = world.group(3);
    let own = groups[0].commit(&mut world.rng, &refresh()).expect("a good change");
    let snapshot = groups[0].snapshot();
    let other = groups[1].commit(&mut world.rng, &refresh()).expect("a good change");
    groups[0].merge(&other.commit).expect("a good commit");
    groups[0].restore(snapshot).expect("a snapshot");
    groups[0].merge(&own.commit).expect("our own");
    groups[2].merge(&own.commit).expect("a good commit");
    assert_eq!(groups[0].epoch_id(), groups[2].epoch_id());
    let sealed = groups[0].seal(&mut world.rng, b"hello").expect("a member");
    groups[2].open(&sealed).expect("the same epoch");
}

#[test]
fn a_commit_given_up_leaves_the_group_as_it_was() {
    let mut world = World::new(5);
    let mut groups = world.group(2);
    let before = groups[0].epoch_id();
    let draft = groups[0].commit(&mut world.rng, &refresh()).expect("a good change");
    assert_eq!(groups[0].commit(&mut world.rng, &refresh()), Err(Uncommitted::Pending));
    groups[0].clear_pending();
    assert_eq!(groups[0].epoch_id(), before);
    assert_eq!(groups[0].merge(&draft.commit), Err(Unopened::Own));
    world.commit(&mut groups, 0, &refresh());
}

#[test]
fn a_device_that_lost_its_state_comes_in_again_in_the_commit_that_removes_it() {
    let mut world = World::new(6);
    let mut groups = world.group(3);
    let (device, package) = world.package();
    world.add(&mut groups, vec![(device.clone(), package)]);
    let again = mainframe_mls::KeyPackage::generate(&mut world.rng, &device, b"restored");
    let only_add = Change { add: vec![again.bytes.clone()], ..Change::default() };
    let refused = Uncommitted::KeyPackage { position: 0, fault: Fault::Impossible };
    assert_eq!(groups[0].commit(&mut world.rng, &only_add), Err(refused));
    let draft = world.commit(&mut groups, 0, &Change { remove: vec![Leaf(3)], ..only_add });
    let restored = join(&device, &again, &draft);
    assert_eq!(restored.epoch_id(), groups[1].epoch_id());
    assert_eq!(restored.members().len(), 4);
}

#[test]
fn what_cannot_be_done_is_refused_and_nothing_is_pending() {
    let mut world = World::new(7);
    let mut groups = world.group(2);
    for leaf in [0, 9] {
        let refused = Err(Uncommitted::NoSuchLeaf(Leaf(leaf)));
        assert_eq!(groups[0].commit(&mut world.rng, &removal(leaf)), refused);
    }
    let twice = Change { remove: vec![Leaf(1), Leaf(1)], ..Change::default() };
    assert_eq!(groups[0].commit(&mut world.rng, &twice), Err(Uncommitted::NoSuchLeaf(Leaf(1))));
    let (_, package) = world.package();
    let twice = Change { add: vec![package.bytes.clone(), package.bytes], ..Change::default() };
    let refused = Uncommitted::KeyPackage { position: 1, fault: Fault::Impossible };
    assert_eq!(groups[0].commit(&mut world.rng, &twice), Err(refused));
    assert!(!groups[0].has_pending());
    world.commit(&mut groups, 0, &refresh());
}

#[test]
fn a_group_takes_as_many_as_it_may_and_not_one_more() {
    let mut world = World::new(8);
    let mut group = world.alone();
    let mut add: Vec<_> = (0..LEAVES_MAX).map(|_| world.package().1.bytes).collect();
    let everyone = Change { add: add.clone(), ..Change::default() };
    assert_eq!(group.commit(&mut world.rng, &everyone), Err(Uncommitted::Full));
    add.pop();
    let draft = group.commit(&mut world.rng, &Change { add, ..Change::default() }).expect("just as many");
    assert_eq!(draft.invitations.len(), LEAVES_MAX - 1);
    group.merge_pending();
    assert_eq!(group.members().len(), LEAVES_MAX);
}
