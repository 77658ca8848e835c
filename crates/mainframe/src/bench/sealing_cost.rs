//! What sealing and opening a message costs in memory: our endpoint half beside openmls alone, in turn.

use std::time::Instant;

use mainframe_base::{Prefix, SessionId, Time};
use mainframe_core::session::contact::Whom;
use mainframe_core::session::{Answer, Order};
use mainframe_core::switchboard::EndpointInput;
use mainframe_core::wire::Cell;
use mainframe_mls::{Change, DeviceSecret, Group, KeyPackage};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

use super::figures::median;
use super::voice::{TICK_MS, Voice};

/// Messages each is measured with.
const ROUNDS: usize = 500;
const MESSAGE_BYTES: usize = 1_024;
/// As long as a certificate of ours.
const CREDENTIAL: [u8; 180] = [7; 180];

/// Medians, in microseconds.
#[derive(Serialize, Clone, Copy, Debug)]
pub(super) struct SealingCost {
    /// From the order to say something to its cell, written down on the way.
    pub(super) seal_us: f64,
    /// From the cell to the message, with the trial of one person's key and all that is written down.
    pub(super) open_us: f64,
    pub(super) mls_seal_us: f64,
    pub(super) mls_open_us: f64,
    pub(super) seal_over_mls: f64,
    pub(super) open_over_mls: f64,
}

/// Measures.
pub(super) fn measure() -> SealingCost {
    let (mut talk, mut groups) = (Talk::begin(), Groups::begin());
    let mut us = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let [seal, open] = talk.word();
        let [mls_seal, mls_open] = groups.word();
        us.iter_mut().zip([seal, open, mls_seal, mls_open]).for_each(|(all, one)| all.push(one));
    }
    let [seal_us, open_us, mls_seal_us, mls_open_us] = us.map(|all| median(&all).unwrap_or_default());
    let (seal_over_mls, open_over_mls) = (seal_us / mls_seal_us, open_us / mls_open_us);
    SealingCost { seal_us, open_us, mls_seal_us, mls_open_us, seal_over_mls, open_over_mls }
}

/// Two people in a session, whose cells reach each other at once.
struct Talk {
    now: Time,
    voices: [Voice; 2],
    session: SessionId,
}

impl Talk {
    fn begin() -> Talk {
        let now = Time(1_800_000_000_000);
        let mut talk = Talk {
            now,
            voices: [1, 2].map(|seed| Voice::new(now, seed, Prefix::EVERYONE)),
            session: SessionId([0; 16]),
        };
        let Some(Answer::Card(card)) = talk.order(1, Order::Card) else { unreachable!("a person has a card") };
        talk.order(0, Order::AddContact(Whom::Card(*card), "hello".to_owned()));
        talk.pass(3_000);
        let asker = talk.voices[0].key();
        talk.order(1, Order::AcceptContact(asker));
        talk.pass(60_000);
        let Some(Answer::Sessions(sessions)) = talk.order(0, Order::Sessions) else { unreachable!("a list") };
        talk.session = sessions.first().expect("they are contacts").id;
        talk
    }

    /// One message; how long sealing and opening it took.
    fn word(&mut self) -> [f64; 2] {
        let order = Order::Say { session: self.session, stream: 0, kind: 0, body: vec![1; MESSAGE_BYTES] };
        let (now, [alice, bob]) = (self.now, &mut self.voices);
        let (seal_us, (cells, _)) = timed(|| alice.order(now, order));
        assert_eq!(cells.len(), 1, "it fits a cell");
        let at = now + TICK_MS;
        let (open_us, _) = timed(|| {
            cells.into_iter().for_each(|cell| drop(bob.handle(now, EndpointInput::Cell(cell))));
            bob.handle(at, EndpointInput::Wake)
        });
        self.pass(TICK_MS);
        [seal_us, open_us]
    }

    fn order(&mut self, who: usize, order: Order) -> Option<Answer> {
        let (cells, answer) = self.voices[who].order(self.now, order);
        self.carry(who, cells);
        answer
    }

    fn carry(&mut self, from: usize, cells: Vec<Cell>) {
        for cell in cells {
            let (answers, _) = self.voices[1 - from].handle(self.now, EndpointInput::Cell(cell));
            debug_assert!(answers.is_empty(), "cells are opened at ticks");
        }
    }

    /// Lets time go by, tick by tick.
    fn pass(&mut self, span_ms: u64) {
        let until = self.now + span_ms;
        while self.now < until {
            self.now = self.now + TICK_MS;
            for who in 0..2 {
                let cells = self.voices[who].wake(self.now);
                self.carry(who, cells);
            }
        }
    }
}

/// The same talk with nothing but openmls: no ledger, no cells, nothing written down.
struct Groups {
    rng: ChaCha20Rng,
    alice: Group,
    bob: Group,
}

impl Groups {
    fn begin() -> Groups {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let [first, second] = [(), ()].map(|()| DeviceSecret::generate(&mut rng));
        let mut alice = Group::create(&mut rng, SessionId([7; 16]), &first, &CREDENTIAL, &[0; 64]);
        let package = KeyPackage::generate(&mut rng, &second, &CREDENTIAL);
        let change = Change { add: vec![package.bytes.clone()], ..Change::default() };
        let draft = alice.commit(&mut rng, &change).expect("a good change");
        alice.merge_pending();
        let welcome = &draft.invitations.first().expect("one was added").welcome;
        let bob = Group::join(&second, &package.secrets, welcome, draft.tree.as_deref()).expect("a good Welcome").group;
        Groups { rng, alice, bob }
    }

    fn word(&mut self) -> [f64; 2] {
        let (seal_us, sealed) = timed(|| self.alice.seal(&mut self.rng, &[1; MESSAGE_BYTES]).expect("a member"));
        let (open_us, _) = timed(|| self.bob.open(&sealed).expect("a good message"));
        [seal_us, open_us]
    }
}

fn timed<T>(act: impl FnOnce() -> T) -> (f64, T) {
    let began = Instant::now();
    let result = act();
    (began.elapsed().as_secs_f64() * 1e6, result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_a_message_that_arrives() {
        let mut talk = Talk::begin();
        talk.word();
        let order = Order::Messages { session: talk.session, after: 0, limit: 10 };
        let Some(Answer::Messages(entries)) = talk.order(1, order) else { panic!("no messages") };
        assert_eq!(entries.last().unwrap().message.body, [1; MESSAGE_BYTES]);
    }
}
