//! Something comes in from the link: bytes → frame → the room it is for.

use bytes::Bytes;
use mainframe_base::{LinkKey, Time};

use super::relay::Said;
use super::{LinkEvent, Relay};
use crate::hold::HoldScene;
use crate::packet::Scene;
use crate::wire::Frame;

impl Relay {
    pub(super) fn link_event(&mut self, now: Time, event: LinkEvent, said: &mut Said) {
        match event {
            LinkEvent::Up { peer, outbound, remote } => {
                self.overlay.peer_up(now, peer, outbound, remote, &mut said.overlay);
            }
            LinkEvent::Down { peer, .. } => self.overlay.peer_down(now, peer, &mut said.overlay),
            LinkEvent::DialFailed { peer, locator, .. } => {
                self.overlay.dial_failed(now, peer, locator, &mut said.overlay);
            }
            LinkEvent::Listening(locator) => self.overlay.listening(now, locator, &mut said.overlay),
            LinkEvent::Fault { peer, fault } => self.overlay.fault(now, peer, fault, &mut said.overlay),
            LinkEvent::Frames { peer, frames } => {
                for bytes in frames {
                    self.frame(now, peer, &bytes, said);
                }
            }
        }
    }

    fn frame(&mut self, now: Time, from: LinkKey, bytes: &Bytes, said: &mut Said) {
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(fault) => return self.overlay.fault(now, from, fault, &mut said.overlay),
        };
        let of_overlay =
            matches!(frame, Frame::Hello(_) | Frame::GetPeers(_) | Frame::Peers(_) | Frame::Neighbourhood(_));
        if !of_overlay && !self.overlay.is_greeted(&from) {
            return self.overlay.on_early_frame(now, from, &mut said.overlay);
        }
        let neighbours = self.overlay.neighbours();
        let scene = &mut Scene { now, neighbours, out: &mut said.packets };
        let hold_scene = &mut HoldScene { now, neighbours, out: &mut said.hold };
        match frame {
            Frame::Cell(frame) => {
                let expected = self.hold.expects(hold_scene, &from, &frame.cell);
                self.packets.cell(scene, from, frame, expected);
            }
            Frame::Custody(receipts) => self.packets.receipts(scene, from, &receipts),
            Frame::Digest(digests) => self.packets.digests(scene, from, &digests),
            Frame::Pull(pulls) => {
                let others = self.packets.pulls(scene, from, &pulls);
                self.hold.pulled(hold_scene, from, &others, |id| self.packets.recent_cell(id).cloned());
            }
            Frame::Recent(recent) => self.packets.recent(scene, from, &recent),
            Frame::Ask(ask) => self.hold.asked(hold_scene, from, &ask),
            Frame::Held(held) => self.hold.answered(hold_scene, from, &held),
            Frame::Subscribe(wish) => {
                if let Err(fault) = self.hold.subscribed(from, wish) {
                    self.overlay.fault(now, from, fault, &mut said.overlay);
                }
            }
            Frame::Hello(_) | Frame::GetPeers(_) | Frame::Peers(_) | Frame::Neighbourhood(_) => {
                self.overlay.on_frame(now, from, frame, &mut said.overlay);
            }
        }
    }
}
