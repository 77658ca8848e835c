//! Endpoint halves, at the few nodes that have people. As in the node they have transactions of their own, and hand
//! cells to their relay half, and get them from it, from one turn to the next.

use mainframe_base::{IdentityKey, Time};
use mainframe_core::session::SessionEvent;
use mainframe_core::switchboard::{
    CommandId, Endpoint, EndpointCommand, EndpointEffect, EndpointEvent, EndpointInput, EndpointReply, Message,
    RelayInput, RelayReply,
};
use mainframe_core::wire::Cell;

use super::{Event, Stop, World};
use crate::moment::Moment;
use crate::node::{Machine, NodeId};

/// What endpoint halves said since the last look.
#[derive(Clone, Default, Debug)]
pub struct Heard {
    /// Messages published: they were opened, and the commit that keeps them is done.
    pub opened: Vec<(NodeId, Message)>,
    /// What people were told, and when.
    pub told: Vec<Told>,
    /// Answers to commands.
    pub replies: Vec<(NodeId, CommandId, EndpointReply)>,
}

/// Somebody was told something about his contacts or sessions; the commit that keeps it is done.
#[derive(Clone, Debug)]
pub struct Told {
    /// When.
    pub at: Moment,
    /// At which node.
    pub node: NodeId,
    /// Who.
    pub person: IdentityKey,
    /// What.
    pub event: SessionEvent,
}

impl<M: Machine> World<M> {
    /// Runs an endpoint half at a node that is running, until the node stops.
    pub fn seat(&mut self, id: NodeId, endpoint: Endpoint) {
        assert!(self.is_online(id), "an endpoint half runs beside a relay half");
        self.trace.deed(self.now, id.0, "seat");
        self.nodes[id.index()].endpoint = Some(Box::new(endpoint));
    }

    /// Asks a node's endpoint half something at once; nothing happens without one.
    pub fn ask(&mut self, id: NodeId, command: CommandId, what: EndpointCommand) {
        self.handle_endpoint(id, EndpointInput::Command(command, what));
    }

    /// What endpoint halves said since the last call.
    pub fn take_heard(&mut self) -> Heard {
        std::mem::take(&mut self.heard)
    }

    /// The relay half hands over a cell of its regions.
    pub(super) fn hand_to_endpoint(&mut self, id: NodeId, cell: Cell) {
        self.for_endpoint(id, EndpointInput::Cell(cell));
    }

    /// The relay half answers what the endpoint half asked by itself.
    pub(super) fn answer_endpoint(&mut self, id: NodeId, command: CommandId, reply: RelayReply) {
        if let RelayReply::Accepted(packet) = &reply {
            self.posted.insert((id, *packet));
        }
        self.for_endpoint(id, EndpointInput::Answer(command, reply));
    }

    pub(super) fn for_endpoint(&mut self, id: NodeId, input: EndpointInput) {
        let node = &self.nodes[id.index()];
        if node.endpoint.is_some() {
            self.queue.push(self.now, Event::ForEndpoint { node: id, life: node.life, input });
        }
    }

    pub(super) fn handle_endpoint(&mut self, id: NodeId, input: EndpointInput) {
        let node = &mut self.nodes[id.index()];
        let Some(endpoint) = &mut node.endpoint else { return };
        self.trace.endpoint_input(self.now, id.0, &input);
        let mut effects = Vec::new();
        endpoint.handle(self.now.time(), input, &mut node.store, &mut effects);
        let next_wake = endpoint.next_wake();
        if node.store.is_dirty() {
            if node.power_fails {
                return self.stop(id, Stop::Vanished);
            }
            node.store.commit();
        }
        for effect in effects {
            self.trace.endpoint_effect(&effect);
            self.perform_for_endpoint(id, effect);
        }
        self.plan_endpoint_wake(id, next_wake);
    }

    fn perform_for_endpoint(&mut self, id: NodeId, effect: EndpointEffect) {
        match effect {
            EndpointEffect::Cell(command, dispatch) => {
                self.posts.note(&dispatch.cell.first_part());
                self.for_relay(id, RelayInput::Cell(command, dispatch));
            }
            EndpointEffect::Ask(command, question) => self.for_relay(id, RelayInput::Command(command, question)),
            EndpointEffect::Reply(command, reply) => self.heard.replies.push((id, command, reply)),
            EndpointEffect::Publish(EndpointEvent::Opened(message)) => self.heard.opened.push((id, message)),
            EndpointEffect::Publish(EndpointEvent::Person(person, event)) => {
                self.heard.told.push(Told { at: self.now, node: id, person, event: *event });
            }
        }
    }

    fn for_relay(&mut self, id: NodeId, input: RelayInput) {
        let life = self.nodes[id.index()].life;
        self.queue.push(self.now, Event::ForRelay { node: id, life, input });
    }

    /// Keeps one wake-up in the queue, at the earliest time asked for.
    fn plan_endpoint_wake(&mut self, id: NodeId, due: Option<Time>) {
        let node = &mut self.nodes[id.index()];
        let Some(at) = due.map(|due| Moment::of(due).max(self.now + 1)) else { return };
        if node.endpoint_wake_at.is_none_or(|planned| at < planned) {
            node.endpoint_wake_at = Some(at);
            self.queue.push(at, Event::WakeEndpoint { node: id, life: node.life });
        }
    }

    /// A wake-up that was overtaken by an earlier one is none.
    pub(super) fn wake_endpoint(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.index()];
        if node.endpoint_wake_at == Some(self.now) {
            node.endpoint_wake_at = None;
            self.handle_endpoint(id, EndpointInput::Wake);
        }
    }
}
