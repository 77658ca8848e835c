use mainframe_base::Fault;
use mainframe_mls::{Leaf, Unopened, Unsealed};

use crate::world::{World, refresh, removal};

#[test]
fn everyone_opens_what_one_has_sealed_once_and_its_author_never() {
    let mut world = World::new(1);
    let mut groups = world.group(3);
    let sealed = groups[1].seal(&mut world.rng, b"hello").expect("a member");
    for reader in [0, 2] {
        let opened = groups[reader].open(&sealed).expect("a good message");
        assert_eq!((opened.author, opened.epoch, opened.plaintext.as_slice()), (Leaf(1), 1, b"hello".as_slice()));
        assert_eq!(groups[reader].open(&sealed), Err(Unopened::Again));
    }
    assert_eq!(groups[1].open(&sealed), Err(Unopened::Own));
}

#[test]
fn messages_of_one_author_are_opened_in_any_order_within_a_window() {
    let mut world = World::new(2);
    let mut groups = world.group(2);
    let sealed: Vec<_> = (0..600).map(|_| groups[0].seal(&mut world.rng, b"x").expect("a member")).collect();
    groups[1].open(&sealed[599]).expect("ahead");
    groups[1].open(&sealed[100]).expect("within the window");
    assert_eq!(groups[1].open(&sealed[0]), Err(Unopened::Late));
}

#[test]
fn a_message_thousands_ahead_waits_for_those_before_it() {
    let mut world = World::new(9);
    let mut groups = world.group(2);
    let sealed: Vec<_> = (0..2050).map(|_| groups[0].seal(&mut world.rng, b"x").expect("a member")).collect();
    assert_eq!(groups[1].open(&sealed[2049]), Err(Unopened::Early));
    groups[1].open(&sealed[1000]).expect("within reach");
    groups[1].open(&sealed[2049]).expect("now within reach");
}

#[test]
fn a_message_of_a_past_epoch_is_opened_and_one_of_the_next_waits_for_its_commit() {
    let mut world = World::new(3);
    let mut groups = world.group(3);
    let old = groups[0].seal(&mut world.rng, b"old").expect("a member");
    let draft = groups[0].commit(&mut world.rng, &refresh()).expect("a good change");
    groups[0].merge_pending();
    let new = groups[0].seal(&mut world.rng, b"new").expect("a member");
    assert_eq!(groups[1].open(&new), Err(Unopened::Early));
    groups[1].merge(&draft.commit).expect("a good commit");
    assert_eq!(groups[1].open(&new).expect("its epoch has come").epoch, 2);
    assert_eq!(groups[1].open(&old).expect("its epoch is remembered").epoch, 1);
}

#[test]
fn who_was_removed_neither_seals_nor_opens_what_comes_after() {
    let mut world = World::new(4);
    let mut groups = world.group(3);
    world.commit(&mut groups, 0, &removal(2));
    let sealed = groups[0].seal(&mut world.rng, b"without you").expect("a member");
    assert!(!groups[2].is_member());
    assert_eq!(groups[2].seal(&mut world.rng, b"?"), Err(Unsealed::Left));
    assert_eq!(groups[2].open(&sealed), Err(Unopened::Left));
    assert!(groups[2].export("any", b"").is_err());
    groups[1].open(&sealed).expect("a good message");
}

#[test]
fn a_message_of_another_group_is_a_fault() {
    let mut world = World::new(5);
    let mut groups = world.group(2);
    let mut others = World::new(6).group(2);
    let sealed = others[0].seal(&mut world.rng, b"same name, other group").expect("a member");
    assert_eq!(groups[1].open(&sealed), Err(Unopened::Fault(Fault::BadSignature)));
}

#[test]
fn a_signature_is_the_leafs_and_of_these_bytes_only() {
    let mut world = World::new(7);
    let groups = world.group(3);
    let signature = groups[1].sign(b"statement");
    assert!(groups[0].verify(Leaf(1), b"statement", &signature));
    assert!(!groups[0].verify(Leaf(2), b"statement", &signature));
    assert!(!groups[0].verify(Leaf(1), b"Statement", &signature));
    assert!(!groups[0].verify(Leaf(9), b"statement", &signature));
}

#[test]
fn an_exported_secret_is_the_same_for_all_and_another_in_each_epoch() {
    let mut world = World::new(8);
    let mut groups = world.group(3);
    let secret = |group: &mainframe_mls::Group| *group.export("mainframe tags", b"7").expect("a member").expose();
    let before = secret(&groups[0]);
    assert!(groups.iter().all(|group| secret(group) == before));
    assert_ne!(*groups[0].export("mainframe tags", b"8").expect("a member").expose(), before);
    world.commit(&mut groups, 1, &refresh());
    let after = secret(&groups[0]);
    assert_ne!(after, before);
    assert!(groups.iter().all(|group| secret(group) == after));
}
