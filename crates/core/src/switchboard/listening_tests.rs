//! What people are told of where their node listens, and does not.

use mainframe_base::{Luminosity, SessionId};

use super::rehearsal::Rehearsal;
use crate::session::{Answer, NewGroup, Order, SessionEvent};
use crate::wire::HoldClass;

const MINUTE_MS: u64 = 60_000;

/// A group of one, in a region of its own.
fn group(rehearsal: &mut Rehearsal) -> SessionId {
    let (luminosity, hold) = (Luminosity::new(40).unwrap(), HoldClass::Day);
    let order = NewGroup { name: "river".into(), members: vec![], luminosity, hold, shared_topic: false };
    let Ok(Answer::Session(session)) = rehearsal.order(0, Order::CreateGroup(order)) else { panic!("no group") };
    session
}

#[test]
fn who_founds_a_group_that_cannot_be_listened_to_is_told_and_it_is_listened_to_as_soon_as_there_is_room() {
    let mut rehearsal = Rehearsal::of(1);
    while rehearsal.devices[0].regions.len() < rehearsal.regions_max {
        group(&mut rehearsal);
    }
    let is_told = |event: &SessionEvent| matches!(event, SessionEvent::Unwanted(..));
    assert!(!rehearsal.devices[0].events.iter().any(is_told));
    let session = group(&mut rehearsal);
    let told: Vec<_> = rehearsal.devices[0].events.iter().filter(|event| is_told(event)).collect();
    assert!(matches!(told[..], [SessionEvent::Unwanted(of, _)] if *of == session), "{told:?}");
    rehearsal.regions_max += 1;
    rehearsal.pass(2 * MINUTE_MS);
    assert_eq!(rehearsal.devices[0].regions.len(), rehearsal.regions_max, "it is deaf for ever");
    assert_eq!(rehearsal.devices[0].events.iter().filter(|event| is_told(event)).count(), 1);
}
