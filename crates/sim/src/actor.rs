//! Who lives at a node's place: a relay of the real core, and over it a guise if it is to behave as the core does not.
//!
//! The core has no switches for misbehaving and none for other protocols: whatever is not the core's own behaviour
//! stands between the world and the core, and is written here in the simulator.

use mainframe_base::Time;
use mainframe_core::packet::Packets;
use mainframe_core::store::Tx;
use mainframe_core::switchboard::{Relay, RelayEffect, RelayInput};

use crate::node::Machine;
use crate::settled::SettledRelay;

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
    body: Body,
    guise: Option<Box<dyn Guise>>,
}

enum Body {
    Whole(Box<Relay>),
    Settled(SettledRelay),
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Actor({})", if self.guise.is_some() { "in a guise" } else { "as the core makes it" })
    }
}

impl Actor {
    /// A relay that behaves as the core makes it.
    pub fn new(relay: Relay) -> Actor {
        Actor { body: Body::Whole(Box::new(relay)), guise: None }
    }

    /// A relay of which there is only the packet room, over a settled table.
    pub fn settled(relay: SettledRelay) -> Actor {
        Actor { body: Body::Settled(relay), guise: None }
    }

    /// Behaves like this from now on.
    ///
    /// # Panics
    /// Over a settled table: a guise is worn by whole relays.
    pub fn wear(&mut self, guise: Box<dyn Guise>) {
        assert!(self.whole().is_some(), "a guise is worn by a whole relay");
        self.guise = Some(guise);
    }

    /// Takes its guise off.
    pub fn undress(&mut self) {
        self.guise = None;
    }

    /// The relay itself, to be looked at.
    ///
    /// # Panics
    /// Over a settled table there is none.
    pub fn relay(&self) -> &Relay {
        self.whole().expect("tables were grown, so relays are whole")
    }

    /// The relay itself, if it is whole.
    pub fn whole(&self) -> Option<&Relay> {
        match &self.body {
            Body::Whole(relay) => Some(relay),
            Body::Settled(_) => None,
        }
    }

    /// The packet room, if anything was needed of it yet.
    pub fn packets(&self) -> Option<&Packets> {
        match &self.body {
            Body::Whole(relay) => Some(relay.packets()),
            Body::Settled(relay) => relay.packets(),
        }
    }

    /// The relay, to go on elsewhere.
    ///
    /// # Panics
    /// In a guise, which has no copy, and over a settled table.
    pub(crate) fn copied(&self) -> Relay {
        assert!(self.guise.is_none(), "an actor in a guise is not copied");
        self.relay().clone()
    }
}

impl Machine for Actor {
    fn handle(&mut self, now: Time, input: RelayInput, tx: &mut dyn Tx, out: &mut Vec<RelayEffect>) {
        match (&mut self.guise, &mut self.body) {
            (Some(guise), Body::Whole(relay)) => guise.handle(now, input, relay, tx, out),
            (None, Body::Whole(relay)) => relay.handle(now, input, tx, out),
            (_, Body::Settled(relay)) => relay.handle(now, input, out),
        }
    }

    fn next_wake(&self) -> Option<Time> {
        let relay = match &self.body {
            Body::Whole(relay) => relay.next_wake(),
            Body::Settled(relay) => relay.next_wake(),
        };
        let Some(guise) = &self.guise else { return relay };
        let relay = relay.map(|shown| guise.true_time(shown));
        [relay, guise.next_wake()].into_iter().flatten().min()
    }
}
