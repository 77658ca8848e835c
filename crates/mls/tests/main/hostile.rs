//! Bytes from outside: damaged, cut, doubled, taken for something else. Nothing panics, nothing damaged is believed, and
//! the group goes on as if they had not come.

use std::cell::RefCell;

use mainframe_base::Fault;
use mainframe_mls::{Change, DeviceSecret, Draft, Group, KeyPackage, Uncommitted, Unopened, invited};
use proptest::prelude::*;

use crate::world::{World, join, refresh};

/// A group of nine devices, and one more that is invited.
struct Scene {
    world: World,
    groups: Vec<Group>,
    guest: (DeviceSecret, KeyPackage),
    draft: Draft,
    sealed: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new(1);
        let mut groups = world.group(9);
        let guest = world.package();
        let change = Change { add: vec![guest.1.bytes.clone()], refresh: true, ..Change::default() };
        let draft = groups[0].commit(&mut world.rng, &change).expect("a good change");
        let sealed = groups[0].seal(&mut world.rng, b"hello").expect("a member");
        Scene { world, groups, guest, draft, sealed }
    }

    /// Everything that could come from outside, in its place and out of it.
    fn offer(&mut self, bytes: &[u8]) {
        let secrets = &self.guest.1.secrets;
        let (welcome, tree) = (&self.draft.invitations[0].welcome, self.draft.tree.as_deref());
        assert!(Group::join(&self.guest.0, secrets, bytes, tree).is_err(), "a Welcome");
        assert!(Group::join(&self.guest.0, secrets, welcome, Some(bytes)).is_err(), "a tree");
        assert!(self.groups[1].open(bytes).is_err(), "a message");
        assert!(self.groups[1].inspect(bytes).is_err(), "a commit");
        assert!(self.groups[1].merge(bytes).is_err(), "a commit");
        let change = Change { add: vec![bytes.to_vec()], ..Change::default() };
        assert!(self.groups[1].commit(&mut self.world.rng, &change).is_err(), "a key package");
        let _ = invited(bytes);
    }

    /// Nothing that was offered has done harm.
    fn goes_on(mut self) {
        assert_eq!(self.groups[1].open(&self.sealed).expect("a good message").plaintext, b"hello");
        self.groups[1].merge(&self.draft.commit).expect("a good commit");
        self.groups[0].merge_pending();
        let joined = join(&self.guest.0, &self.guest.1, &self.draft);
        assert_eq!(joined.epoch_id(), self.groups[1].epoch_id());
        let sealed = self.groups[0].seal(&mut self.world.rng, b"and on").expect("a member");
        self.groups[1].open(&sealed).expect("a good message");
    }
}

thread_local! {
    static SCENE: RefCell<Scene> = RefCell::new(Scene::new());
}

/// Which of the good bytes is damaged.
fn good(scene: &Scene, which: usize) -> Vec<u8> {
    let draft = &scene.draft;
    let all = [&scene.sealed, &draft.commit, &draft.invitations[0].welcome, &scene.guest.1.bytes];
    let tree = draft.tree.as_ref().expect("ten leaves");
    all.get(which).copied().unwrap_or(tree).clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_changed_byte_is_overlooked(which in 0..5_usize, place: prop::sample::Index, flip in 1..=255_u8) {
        SCENE.with_borrow_mut(|scene| {
            let mut bytes = good(scene, which);
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
            scene.offer(&bytes);
        });
    }

    #[test]
    fn no_beginning_passes_for_the_whole(which in 0..5_usize, length: prop::sample::Index) {
        SCENE.with_borrow_mut(|scene| {
            let bytes = good(scene, which);
            scene.offer(&bytes[..length.index(bytes.len())]);
        });
    }

    #[test]
    fn nothing_may_be_appended_or_cut_out(
        which in 0..5_usize,
        from: prop::sample::Index,
        count in 1..40_usize,
        filler: Option<u8>,
    ) {
        SCENE.with_borrow_mut(|scene| {
            let mut bytes = good(scene, which);
            let from = from.index(bytes.len());
            match filler {
                Some(byte) => drop(bytes.splice(from..from, std::iter::repeat_n(byte, count))),
                None => drop(bytes.drain(from..bytes.len().min(from + count))),
            }
            scene.offer(&bytes);
        });
    }

    #[test]
    fn noise_is_nothing(noise in prop::collection::vec(any::<u8>(), 0..200), wire_format in 0..8_u8) {
        SCENE.with_borrow_mut(|scene| {
            scene.offer(&noise);
            scene.offer(&[&[0, 1, 0, wire_format], noise.as_slice()].concat());
        });
    }
}

#[test]
fn after_much_damage_the_group_goes_on() {
    let mut scene = Scene::new();
    for which in 0..5 {
        let whole = good(&scene, which);
        for place in (0..whole.len()).step_by(1 + whole.len() / 25) {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x41;
            scene.offer(&bytes);
        }
    }
    scene.goes_on();
}

#[test]
fn good_bytes_in_the_wrong_place_are_a_fault() {
    let mut scene = Scene::new();
    let impossible = Unopened::Fault(Fault::Impossible);
    for which in 1..4 {
        let bytes = good(&scene, which);
        assert_eq!(scene.groups[1].open(&bytes), Err(impossible));
    }
    for which in [0, 2, 3] {
        let bytes = good(&scene, which);
        assert_eq!(scene.groups[1].inspect(&bytes), Err(impossible));
    }
    for which in [0, 1, 3] {
        assert_eq!(invited(&good(&scene, which)), Err(Fault::Impossible));
    }
    for which in [0, 1, 2] {
        let change = Change { add: vec![good(&scene, which)], ..Change::default() };
        let refused = scene.groups[1].commit(&mut scene.world.rng, &change);
        assert!(matches!(
            refused,
            Err(Uncommitted::KeyPackage { position: 0, fault: Fault::Impossible | Fault::Oversized })
        ));
    }
    scene.goes_on();
}

#[test]
fn a_commit_played_again_is_late_and_one_of_a_stranger_is_refused() {
    let mut world = World::new(2);
    let mut groups = world.group(3);
    let draft = world.commit(&mut groups, 0, &refresh());
    assert_eq!(groups[1].merge(&draft.commit), Err(Unopened::Late));
    let mut strangers = World::new(3).group(3);
    World::new(4).commit(&mut strangers, 1, &refresh());
    let foreign = strangers[0].commit(&mut world.rng, &refresh()).expect("a good change");
    assert_eq!(groups[1].merge(&foreign.commit), Err(Unopened::Fault(Fault::BadSignature)));
}
