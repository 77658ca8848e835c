//! Something comes in from the link: bytes → frame → the room it is for.

use bytes::Bytes;
use mainframe_base::{LinkKey, Time};

use super::relay::Said;
use super::{LinkEvent, Reach, Relay};
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
            LinkEvent::Listening(locator) => self.overlay.listening(now, locator, false, &mut said.overlay),
            LinkEvent::Expired(locator) => self.overlay.not_listening(now, locator, &mut said.overlay),
            LinkEvent::Reachable(locator) => {
                self.found_out(now, Reach::Reachable, said);
                self.overlay.listening(now, locator, true, &mut said.overlay);
            }
            LinkEvent::Unreachable => self.found_out(now, Reach::Unreachable, said),
            LinkEvent::Found(locator) => self.overlay.connect(now, vec![locator], &mut said.overlay),
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
                self.packets.cell(scene, from, frame, |cell| self.hold.expects(hold_scene, &from, cell));
            }
            Frame::List(frame) => self.packets.list(scene, from, frame),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{NodeKeys, Verifier};
    use crate::overlay::Myself;
    use crate::store::MemoryStore;
    use crate::switchboard::{RelayConfig, RelayEffect, RelayInput};
    use mainframe_base::{Locator, NetworkId, Role, Secret};

    const NOW: Time = Time(1_800_000_000_000);

    fn relay() -> Relay {
        let keys = NodeKeys::from_secrets(Secret::new([1; 32]), Secret::new([2; 32])).unwrap();
        let (network, role, verifier) = (NetworkId::DEV, Role::Relay, Verifier::new(8));
        let myself = Myself { network, role, keys, seed: [0; 32], verifier };
        Relay::new(NOW, RelayConfig::default(), myself, Vec::new(), [3; 32], Vec::new(), &MemoryStore::default())
    }

    fn hear(relay: &mut Relay, event: LinkEvent) -> Vec<RelayEffect> {
        let mut out = Vec::new();
        relay.handle(NOW, RelayInput::Link(event), &mut MemoryStore::default(), &mut out);
        out
    }

    fn at(text: &str) -> Locator {
        text.parse().unwrap()
    }

    #[test]
    fn the_record_names_where_others_have_reached_us_as_long_as_they_can() {
        let (mut relay, outside) = (relay(), at("/ip4/1.2.3.4/tcp/4001"));
        hear(&mut relay, LinkEvent::Listening(at("/ip4/192.168.1.5/tcp/4001")));
        assert_eq!(relay.status().reach, Reach::Unknown);
        hear(&mut relay, LinkEvent::Reachable(outside));
        assert_eq!(relay.status().reach, Reach::Reachable);
        assert_eq!(relay.overlay().record().locators[0], outside);
        hear(&mut relay, LinkEvent::Expired(outside));
        hear(&mut relay, LinkEvent::Unreachable);
        assert_eq!(relay.status().reach, Reach::Unreachable);
        assert_eq!(relay.overlay().record().locators, [at("/ip4/192.168.1.5/tcp/4001")]);
    }

    #[test]
    fn a_node_found_on_the_local_network_is_dialled() {
        let (mut relay, there) = (relay(), at("/ip4/192.168.1.6/tcp/4001"));
        let effects = hear(&mut relay, LinkEvent::Found(there));
        let dials = |effect: &RelayEffect| matches!(effect, RelayEffect::Dial { locators, .. } if *locators == [there]);
        assert!(effects.iter().any(dials), "{effects:?}");
    }
}
