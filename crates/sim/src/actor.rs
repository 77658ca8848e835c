//! Who lives at a node's place: a relay of the real core, and over it a guise if it is to behave as the core does not.
//!
//! The core has no switches for misbehaving and none for other protocols: whatever is not the core's own behaviour
//! stands between the world and the core, and is written here in the simulator.

use mainframe_base::Time;
use mainframe_core::store::Tx;
use mainframe_core::switchboard::{Relay, RelayEffect, RelayInput};

use crate::node::Machine;

/// Stands between the world and a relay: may keep inputs from it, give it others, and take away or add effects.
pub trait Guise {
    /// Takes an input in the relay's place; what the relay is to know, it must be given.
    fn handle(&mut self, now: Time, input: RelayInput, relay: &mut Relay, tx: &mut dyn Tx, out: &mut Vec<RelayEffect>);

    /// When the guise itself wants a `Wake`, besides those the relay wants.
    fn next_wake(&self) -> Option<Time> {
        None
    }

    /// The world's time at which the relay's clock shows `shown`: another one if the guise tells it a false time.
    fn true_time(&self, shown: Time) -> Time {
        shown
    }
}

/// A relay, perhaps in a guise.
pub struct Actor {
    relay: Relay,
    guise: Option<Box<dyn Guise>>,
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Actor({})", if self.guise.is_some() { "in a guise" } else { "as the core makes it" })
    }
}

impl Actor {
    /// A relay that behaves as the core makes it.
    pub fn new(relay: Relay) -> Actor {
        Actor { relay, guise: None }
    }

    /// Behaves like this from now on.
    pub fn wear(&mut self, guise: Box<dyn Guise>) {
        self.guise = Some(guise);
    }

    /// Takes its guise off.
    pub fn undress(&mut self) {
        self.guise = None;
    }

    /// The relay itself, to be looked at.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }
}

impl Machine for Actor {
    fn handle(&mut self, now: Time, input: RelayInput, tx: &mut dyn Tx, out: &mut Vec<RelayEffect>) {
        match &mut self.guise {
            Some(guise) => guise.handle(now, input, &mut self.relay, tx, out),
            None => self.relay.handle(now, input, tx, out),
        }
    }

    fn next_wake(&self) -> Option<Time> {
        let Some(guise) = &self.guise else { return self.relay.next_wake() };
        let relay = self.relay.next_wake().map(|shown| guise.true_time(shown));
        [relay, guise.next_wake()].into_iter().flatten().min()
    }
}
