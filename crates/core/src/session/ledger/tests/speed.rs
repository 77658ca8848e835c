//! How fast it is. Not timed here: `cargo test -p mainframe-core --release -- --ignored four_hundred_thousand` and look at the
//! clock.

use super::super::*;
use super::room::{Room, Weather, device};

/// One device says so much, the other has it and acknowledges; frames as they are, without bytes in between.
#[test]
#[ignore = "a measurement: 400,000 messages"]
fn four_hundred_thousand_messages_are_said_had_and_acknowledged() {
    let mut room = Room::new(&[1, 1], LedgerConfig::default(), 1);
    room.weather = Weather::default();
    let (one, other) = (device(1, 1), device(2, 1));
    for _ in 0..4_000 {
        for _ in 0..100 {
            let mut out = LedgerOut::default();
            let now = room.now;
            let speaker = room.at(one);
            let mut scene = LedgerScene { now, tx: &mut speaker.store, out: &mut out };
            speaker.ledger.submit(&mut scene, 0, 0, vec![7; 100]).unwrap();
            let Some(Wish::Say { frame, number, .. }) = out.wishes.pop() else { panic!("nothing leaves") };
            speaker.ledger.sent(&mut LedgerScene { now, tx: &mut speaker.store, out: &mut out }, number);
            let listener = room.at(other);
            let mut scene = LedgerScene { now, tx: &mut listener.store, out: &mut out };
            listener.ledger.receive(&mut scene, one, frame).unwrap();
        }
        [one, other].into_iter().for_each(|who| room.at(who).store.commit());
        room.run(1_500);
    }
    assert_eq!(room.devices[&one].ledger.counts().open, 0);
    assert_eq!(room.devices[&other].ledger.counts().delivered, 400_000);
}
