//! Questions and orders from the node's own interfaces.

use mainframe_base::{Refusal, Time};

use super::relay::Said;
use super::role::Standing;
use super::{CommandId, HangupReason, PeerView, Relay, RelayCommand, RelayEffect, RelayReply, RelayStatus};
use crate::hold::{Completeness, HoldScene};

impl Relay {
    pub(super) fn command(
        &mut self,
        now: Time,
        id: CommandId,
        command: RelayCommand,
        said: &mut Said,
        out: &mut Vec<RelayEffect>,
    ) {
        let reply = match command {
            RelayCommand::Status => RelayReply::Status(Box::new(self.status())),
            RelayCommand::Topology => RelayReply::Topology(self.topology()),
            RelayCommand::Estimate { lookups, region } => {
                return self.overlay.start_estimate(now, lookups, region, id.0, &mut said.overlay);
            }
            RelayCommand::Connect(locators) => {
                self.overlay.connect(now, locators, &mut said.overlay);
                RelayReply::Done
            }
            RelayCommand::Attend { region, bucket, since } => {
                let scene = &mut HoldScene { now, neighbours: self.overlay.neighbours(), out: &mut said.hold };
                if self.hold.attend(scene, region, bucket, Completeness::since(since)) {
                    self.overlay.attend(now, self.hold.regions().collect());
                    RelayReply::Done
                } else {
                    RelayReply::Refused(Refusal::TooManyRegions)
                }
            }
            RelayCommand::Unattend(region) => {
                let scene = &mut HoldScene { now, neighbours: self.overlay.neighbours(), out: &mut said.hold };
                self.hold.leave(scene, &region);
                self.overlay.attend(now, self.hold.regions().collect());
                RelayReply::Done
            }
            RelayCommand::TakeRole(role) => {
                self.standing = Standing::told(role);
                self.overlay.take_role(now, role, &mut said.overlay);
                RelayReply::Done
            }
            RelayCommand::Leave => {
                let peers = self.overlay.peers();
                out.extend(peers.map(|peer| RelayEffect::Hangup(peer.key, HangupReason::Leaving)));
                RelayReply::Done
            }
        };
        out.push(RelayEffect::Reply(id, reply));
    }

    /// A summary.
    pub fn status(&self) -> RelayStatus {
        let record = self.overlay.record();
        let neighbours = self.overlay.neighbours();
        let (pending_bytes, pending_bytes_max) = self.packets.pending_bytes();
        let mut counters: std::collections::BTreeMap<_, _> = self.packets.counters().pairs().into_iter().collect();
        counters.extend(self.hold.counters().pairs());
        counters.insert("seen_ended_early", self.packets.seen_ended_early());
        RelayStatus {
            network: self.network,
            role: record.role,
            role_reason: self.standing.reason(),
            overlay: record.overlay,
            link_key: record.link_key,
            reach: self.reach,
            joined: self.overlay.has_joined(),
            depth: neighbours.depth(),
            peers: self.overlay.peers().count(),
            neighbourhood: neighbours.within(neighbours.depth()).len(),
            known: self.overlay.known(),
            estimate: self.overlay.estimate(),
            pending_bytes,
            pending_bytes_max,
            hold: self.hold.status(),
            counters,
            faults: self.faults.clone(),
        }
    }

    fn topology(&self) -> Vec<PeerView> {
        let view = |peer: crate::overlay::PeerSummary| PeerView {
            key: peer.key,
            overlay: peer.address,
            role: peer.role,
            proximity: peer.proximity,
            outbound: peer.outbound,
            since: peer.since,
            custody_ms: self.packets.custody_ms(&peer.key),
            faults: self.faults_by_peer.get(&peer.key).copied().unwrap_or(0),
        };
        self.overlay.peers().map(view).collect()
    }
}
