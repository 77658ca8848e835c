use mainframe_base::Fault;
use mainframe_mls::{Change, Group, Leaf, invited};

use crate::world::{SESSION, World};

#[test]
fn who_joins_sees_what_the_others_see() {
    let mut world = World::new(1);
    for count in [2, 8, 9, 20] {
        let groups = world.group(count);
        for (place, group) in groups.iter().enumerate() {
            assert_eq!(group.id(), SESSION);
            assert_eq!(group.own_leaf(), Leaf(u32::try_from(place).expect("few")));
            assert_eq!(group.context(), b"context");
            assert_eq!(group.members(), groups[0].members());
            assert_eq!(group.epoch_id(), groups[0].epoch_id());
        }
    }
}

#[test]
fn a_welcome_is_for_one_and_carries_the_tree_in_small_groups_only() {
    let mut world = World::new(2);
    for (count, beside) in [(8, false), (9, true)] {
        let mut group = world.alone();
        let packages: Vec<_> = (1..count).map(|_| world.package()).collect();
        let add = packages.iter().map(|(_, package)| package.bytes.clone()).collect();
        let draft = group.commit(&mut world.rng, &Change { add, ..Change::default() }).expect("a good change");
        assert_eq!(draft.tree.is_some(), beside);
        for (device, package) in &packages {
            let invitation = draft.invitations.iter().find(|it| it.to == package.id).expect("invited");
            assert_eq!(invited(&invitation.welcome), Ok(vec![package.id]));
            let joined = Group::join(device, &package.secrets, &invitation.welcome, draft.tree.as_deref());
            assert_eq!(joined.expect("a good Welcome").inviter, Leaf(0));
            let bare = Group::join(device, &package.secrets, &invitation.welcome, None);
            assert_eq!(bare.err(), beside.then_some(Fault::Impossible));
        }
    }
}

#[test]
fn nobody_joins_by_the_welcome_of_another() {
    let mut world = World::new(3);
    let mut group = world.alone();
    let (_, invited) = world.package();
    let (device, other) = world.package();
    let change = Change { add: vec![invited.bytes], ..Change::default() };
    let draft = group.commit(&mut world.rng, &change).expect("a good change");
    let refused = Group::join(&device, &other.secrets, &draft.invitations[0].welcome, None);
    assert_eq!(refused.err(), Some(Fault::BadSignature));
}

#[test]
fn the_tree_of_another_epoch_does_not_pass() {
    let mut world = World::new(4);
    let mut groups = world.group(9);
    let (device, first) = world.package();
    let (_, second) = world.package();
    let mut draft = |package: &[u8]| {
        let change = Change { add: vec![package.to_vec()], ..Change::default() };
        let draft = groups[0].commit(&mut world.rng, &change).expect("a good change");
        groups[0].clear_pending();
        draft
    };
    let (right, wrong) = (draft(&first.bytes), draft(&second.bytes));
    let refused = Group::join(&device, &first.secrets, &right.invitations[0].welcome, wrong.tree.as_deref());
    assert_eq!(refused.err(), Some(Fault::Impossible));
}
