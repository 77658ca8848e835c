//! A second world that goes on from where the first one stands.

use super::{Event, Heard, World};
use crate::eavesdrop::tap::Taps;

impl<M> World<M> {
    /// The same world, with machines made from these. Nobody listens in it.
    ///
    /// # Panics
    /// If there are endpoint halves in it: people's keys are not copied.
    pub(crate) fn copied<N>(&self, mut copy: impl FnMut(&M) -> N) -> World<N> {
        World {
            now: self.now,
            queue: self.queue.clone(),
            nodes: self.nodes.iter().map(|node| node.copied(&mut copy)).collect(),
            by_key: self.by_key.clone(),
            net: self.net.clone(),
            trace: self.trace.clone(),
            packets: self.packets.clone(),
            counts: self.counts.clone(),
            connections: self.connections,
            replies: self.replies.clone(),
            outcomes: self.outcomes.clone(),
            effects: Vec::new(),
            watch: None,
            heard: Heard::default(),
            taps: Taps::default(),
            ever_held: self.ever_held.clone(),
            posted: self.posted.clone(),
            posts: self.posts.clone(),
        }
    }
}

impl Clone for Event {
    fn clone(&self) -> Event {
        match self {
            Event::Frame { from, to, connection, frame, note } => {
                let (from, to, connection, note) = (*from, *to, *connection, *note);
                Event::Frame { from, to, connection, frame: frame.clone(), note }
            }
            Event::News { node, life, event } => Event::News { node: *node, life: *life, event: event.clone() },
            Event::Lost { node, peer, connection, reason } => {
                Event::Lost { node: *node, peer: *peer, connection: *connection, reason: *reason }
            }
            Event::Severed { node, peer, connection } => {
                Event::Severed { node: *node, peer: *peer, connection: *connection }
            }
            Event::Connect { from, life, to, attempt } => {
                Event::Connect { from: *from, life: *life, to: *to, attempt: attempt.clone() }
            }
            Event::GiveUp { from, life, attempt } => {
                Event::GiveUp { from: *from, life: *life, attempt: attempt.clone() }
            }
            Event::Wake { node, life } => Event::Wake { node: *node, life: *life },
            Event::ForRelay { node, life, input } => Event::ForRelay { node: *node, life: *life, input: input.clone() },
            Event::ForEndpoint { .. } | Event::WakeEndpoint { .. } => unreachable!("a world with people is not copied"),
        }
    }
}
