//! A person in this very process: an endpoint half and a store in memory, whose cells somebody else carries.

use mainframe_base::{IdentityKey, Prefix, Secret, Time};
use mainframe_core::crypto::{Identity, Name, Presence, Region, hours_of};
use mainframe_core::session::{Answer, Order, Persona};
use mainframe_core::store::MemoryStore;
use mainframe_core::switchboard::{
    CommandId, Endpoint, EndpointCommand, EndpointConfig, EndpointEffect, EndpointInput, EndpointReply, Outcome,
    RelayReply,
};
use mainframe_core::wire::{Cell, Parcel};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// A tick of an endpoint, in milliseconds.
pub(super) const TICK_MS: u64 = 20;
const QUESTION: CommandId = CommandId(1);

/// One person's endpoint half and its store.
pub(super) struct Voice {
    endpoint: Endpoint,
    store: MemoryStore,
    key: IdentityKey,
}

impl Voice {
    /// Somebody who listens to a region.
    pub(super) fn new(now: Time, seed: u8, region: Prefix) -> Voice {
        let identity = Identity::generate(&mut ChaCha20Rng::from_seed([seed; 32]));
        let key = identity.key();
        let region = Region { prefix: region, presence: Presence::Resident, until_hours: hours_of(now) + 1_000 };
        let persona = Persona {
            identity,
            device: Secret::new([seed + 100; 32]),
            device_name: Name::new("phone").expect("a name"),
            name: Name::new("somebody").expect("a name"),
            luminosity_floor: region.prefix.luminosity(),
            regions: vec![region],
        };
        let endpoint = Endpoint::new(EndpointConfig::default(), [seed; 32]);
        let mut voice = Voice { endpoint, store: MemoryStore::default(), key };
        voice.handle(now, EndpointInput::Command(QUESTION, EndpointCommand::AddPersona(Box::new(persona))));
        voice
    }

    /// Handles an input, and all answers to what it causes; the cells that left, and the answer.
    pub(super) fn handle(&mut self, now: Time, input: EndpointInput) -> (Vec<Cell>, Option<Answer>) {
        let (mut cells, mut answer, mut inputs) = (Vec::new(), None, vec![input]);
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            self.endpoint.handle(now, input, &mut self.store, &mut out);
            self.store.commit();
            for effect in out {
                match effect {
                    EndpointEffect::Cell(id, dispatch) => {
                        let Parcel::Cell(cell) = dispatch.cell else { continue };
                        inputs.push(EndpointInput::Outcome(cell.id(), Outcome::HandedOver));
                        inputs.push(EndpointInput::Answer(id, RelayReply::Accepted(cell.id())));
                        cells.push(cell);
                    }
                    EndpointEffect::Ask(id, _) => inputs.push(EndpointInput::Answer(id, RelayReply::Done)),
                    EndpointEffect::Reply(_, EndpointReply::Person(Ok(reply))) => answer = Some(*reply),
                    EndpointEffect::Reply(..) | EndpointEffect::Publish(_) => {}
                }
            }
        }
        (cells, answer)
    }

    /// Asks for something; the cells that left, and the answer.
    pub(super) fn order(&mut self, now: Time, order: Order) -> (Vec<Cell>, Option<Answer>) {
        self.handle(now, EndpointInput::Command(QUESTION, EndpointCommand::Order(self.key, order)))
    }

    /// Who they are.
    pub(super) fn key(&self) -> IdentityKey {
        self.key
    }

    /// Does what the time has come for; the cells that left.
    pub(super) fn wake(&mut self, now: Time) -> Vec<Cell> {
        if self.endpoint.next_wake().is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.handle(now, EndpointInput::Wake).0
    }
}
