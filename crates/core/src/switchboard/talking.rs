//! Where sessions meet the endpoint half: cells go to them, and what they cause goes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainframe_base::{IdentityKey, PacketId, Refusal, ScanKey, Tag, Time};

use super::outbox::Gone;
use super::{CommandId, Endpoint, EndpointEffect, EndpointEvent, EndpointReply, Outcome, RelayReply};
use crate::crypto::{PersonKeys, SharedTopic};
use crate::packet::Ring;
use crate::session::fragment::Fragment;
use crate::session::{Answer, Order, Persona, SessionEffect, Sessions, Unable, Waiting};
use crate::store::Tx;
use crate::wire::Cell;

/// Which recent foreign cells have which tags, for sessions whose keys come later than their cells (review P7).
#[derive(Default, Debug)]
pub(super) struct ForeignTags {
    cells: BTreeMap<Tag, PacketId>,
    /// Those whose tag many sessions use.
    shared: BTreeSet<PacketId>,
}

impl ForeignTags {
    /// Notes a foreign cell.
    pub(super) fn note(&mut self, cell: &Cell, ring: &Ring, sessions: &Sessions) {
        let (header, id) = (cell.header(), cell.id());
        self.cells.extend(sessions.names_of(header).map(|tag| (tag, id)));
        if SharedTopic::is_one(&header.tag) {
            self.shared.insert(id);
        }
        if self.cells.len() + self.shared.len() > 2 * ring.len() + 64 {
            self.cells.retain(|_, id| ring.get(id).is_some());
            self.shared.retain(|id| ring.get(id).is_some());
        }
    }

    /// Notes all cells of shared tags again: there is a session more that may know them.
    fn note_shared(&mut self, ring: &Ring, sessions: &Sessions) {
        let cells = self.shared.iter().filter_map(|id| ring.get(id));
        self.cells.extend(cells.flat_map(|cell| sessions.names_of(cell.header()).map(|tag| (tag, cell.id()))));
    }

    /// The recent cell with this tag.
    fn take(&mut self, tag: &Tag, ring: &mut Ring) -> Option<Cell> {
        let id = self.cells.remove(tag)?;
        let cell = ring.get(&id).cloned()?;
        ring.remove(&id);
        Some(cell)
    }
}

impl Endpoint {
    /// A person with sessions is here from now on.
    pub(super) fn add_persona(
        &mut self,
        now: Time,
        persona: Persona,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) -> EndpointReply {
        let scan = PersonKeys::from_secret(persona.identity.scan().secret().clone());
        let reply = self.add_person(now, scan);
        if !matches!(reply, EndpointReply::Done) {
            return reply;
        }
        let mut effects = Vec::new();
        let added = self.sessions.add_person(now, persona, tx, &mut effects);
        self.obey_sessions(now, effects, tx, out);
        if added { EndpointReply::Done } else { EndpointReply::Refused(Refusal::TooLong) }
    }

    /// A person is not here any more.
    pub(super) fn remove_persona(
        &mut self,
        now: Time,
        key: &IdentityKey,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) -> EndpointReply {
        if let Some(scan_key) = self.sessions.scan_key_of(key) {
            self.persons.retain(|person| person.scan_key() != scan_key);
        }
        let mut effects = Vec::new();
        self.sessions.remove_person(key, &mut effects);
        self.obey_sessions(now, effects, tx, out);
        EndpointReply::Done
    }

    /// Somebody asks for something.
    pub(super) fn order(
        &mut self,
        now: Time,
        person: IdentityKey,
        order: Order,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) -> EndpointReply {
        let mut effects = Vec::new();
        let answer = self.sessions.order(now, person, order, tx, &mut effects);
        self.obey_sessions(now, effects, tx, out);
        EndpointReply::Person(answer.map(Box::new))
    }

    /// A new device waits here for its person.
    pub(super) fn await_account(
        &mut self,
        now: Time,
        waiting: Waiting,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) -> EndpointReply {
        let reply = self.add_person(now, PersonKeys::from_secret(waiting.keys.scan().secret().clone()));
        if matches!(reply, EndpointReply::Done) {
            let mut effects = Vec::new();
            self.sessions.await_account(now, waiting, tx, &mut effects);
            self.obey_sessions(now, effects, tx, out);
        }
        reply
    }

    /// The account that came for it.
    pub(super) fn account_for(&self, link: &IdentityKey, tx: &dyn Tx) -> EndpointReply {
        let account = self.sessions.account_for(link, tx).map(Arc::new).ok_or(Unable::Nothing);
        EndpointReply::Person(account.map(|account| Box::new(Answer::Account(account))))
    }

    /// It waits no more.
    pub(super) fn stop_awaiting(
        &mut self,
        now: Time,
        link: &IdentityKey,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) -> EndpointReply {
        let mut effects = Vec::new();
        self.sessions.stop_awaiting(link, tx, &mut effects);
        self.obey_sessions(now, effects, tx, out);
        EndpointReply::Done
    }

    /// A piece of a letter to one of our people.
    pub(super) fn letter_piece(
        &mut self,
        now: Time,
        scan_key: ScanKey,
        fragment: Fragment,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) {
        let mut effects = Vec::new();
        self.sessions.letter_came(now, scan_key, fragment, tx, &mut effects);
        self.obey_sessions(now, effects, tx, out);
    }

    /// A cell a session awaits. Whether it was whole.
    pub(super) fn session_cell(
        &mut self,
        now: Time,
        cell: &Cell,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) -> bool {
        let mut effects = Vec::new();
        let whole = self.sessions.cell_came(now, cell, tx, &mut effects);
        self.obey_sessions(now, effects, tx, out);
        whole
    }

    /// The relay half answers a question of ours.
    pub(super) fn relay_answered(
        &mut self,
        now: Time,
        id: CommandId,
        reply: &RelayReply,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) {
        let gone = self.outbox.answered(now, id, reply);
        self.gone(now, gone, tx, out);
        let mut effects = Vec::new();
        for (region, refusal) in self.outbox.take_refused() {
            self.sessions.cannot_listen(&region, refusal, &mut effects);
        }
        self.obey_sessions(now, effects, tx, out);
    }

    /// The relay half tells what became of a packet.
    pub(super) fn packet_ended(
        &mut self,
        now: Time,
        packet: &PacketId,
        outcome: Outcome,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) {
        let gone = self.outbox.outcome(packet, outcome);
        self.gone(now, gone, tx, out);
    }

    /// Does what sessions cause, and looks for cells that came before their keys.
    pub(super) fn obey_sessions(
        &mut self,
        now: Time,
        effects: Vec<SessionEffect>,
        tx: &mut dyn Tx,
        out: &mut Vec<EndpointEffect>,
    ) {
        let mut gone = Vec::new();
        for effect in effects {
            match effect {
                SessionEffect::Post(flight, parcel) => gone.extend(self.outbox.post(flight, parcel)),
                SessionEffect::Attend(region) => self.outbox.attend(region),
                SessionEffect::Unattend(region) => self.outbox.unattend(region),
                SessionEffect::Tell(person, event) => {
                    out.push(EndpointEffect::Publish(EndpointEvent::Person(person, Box::new(event))));
                }
            }
        }
        gone.into_iter().for_each(|gone| self.gone(now, Some(gone), tx, out));
        for scan_key in self.sessions.take_ended_links() {
            self.persons.retain(|person| person.scan_key() != scan_key);
        }
        if self.sessions.take_has_new_topic() {
            self.foreign_tags.note_shared(&self.foreign, &self.sessions);
        }
        for tag in self.sessions.take_new_tags() {
            if let Some(cell) = self.foreign_tags.take(&tag, &mut self.foreign) {
                self.enqueue(now, cell);
            }
        }
        self.pump(now, out);
    }

    fn gone(&mut self, now: Time, gone: Option<Gone>, tx: &mut dyn Tx, out: &mut Vec<EndpointEffect>) {
        let Some(Gone { flight, outcome }) = gone else { return };
        let mut effects = Vec::new();
        self.sessions.left(now, flight, outcome, tx, &mut effects);
        if !effects.is_empty() {
            self.obey_sessions(now, effects, tx, out);
        }
    }

    pub(super) fn pump(&mut self, now: Time, out: &mut Vec<EndpointEffect>) {
        self.outbox.pump(now, out);
    }

    /// Sessions do what the time has come for.
    pub(super) fn wake_sessions(&mut self, now: Time, tx: &mut dyn Tx, out: &mut Vec<EndpointEffect>) {
        if self.sessions.next_wake().is_some_and(|due| due <= now) {
            let mut effects = Vec::new();
            self.sessions.wake(now, tx, &mut effects);
            self.obey_sessions(now, effects, tx, out);
        }
        self.pump(now, out);
    }
}
