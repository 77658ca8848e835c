//! As what a node takes part: as it was told to, or as what others find it can be.
//!
//! A relay that nobody can dial is of little use to others, and is better served as a guest. So a node that may choose begins
//! as a relay and follows what those say who were asked to dial it.

use mainframe_base::{Role, Time};

/// A node changes its role at most once in so long, in milliseconds (guess): each change parts it from all its peers.
const CHANGES_EVERY_MS: u64 = 300_000;

/// Why a node takes part as what it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoleReason {
    /// It was told to.
    Configured,
    /// It may choose, and nobody has been asked to dial it yet.
    NotTested,
    /// Those who were asked to dial it could not.
    NobodyCouldDial,
    /// Others have dialled it.
    DialledBack,
}

/// A node's role, and what it follows from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    role: Role,
    reason: RoleReason,
    /// The role that what was found out last calls for, and why.
    called_for: Option<(Role, RoleReason)>,
    changed_at: Option<Time>,
}

impl Standing {
    /// A role that only an order changes.
    pub(super) fn told(role: Role) -> Standing {
        Standing { role, reason: RoleReason::Configured, called_for: None, changed_at: None }
    }

    /// A role to begin with, that follows what is found out.
    pub(super) fn following(role: Role) -> Standing {
        Standing { reason: RoleReason::NotTested, ..Standing::told(role) }
    }

    /// Why the node takes part as what it does.
    pub(super) fn reason(&self) -> RoleReason {
        self.reason
    }

    /// Others could dial the node, or those who were asked could not.
    pub(super) fn found_out(&mut self, reachable: bool) {
        if self.reason != RoleReason::Configured {
            self.called_for = Some(match reachable {
                true => (Role::Relay, RoleReason::DialledBack),
                false => (Role::Guest, RoleReason::NobodyCouldDial),
            });
        }
    }

    /// The role to take now, if it is another than before.
    pub(super) fn decide(&mut self, now: Time) -> Option<Role> {
        let (role, reason) = self.called_for.filter(|_| self.next_wake().is_none_or(|due| due <= now))?;
        self.called_for = None;
        self.reason = reason;
        let changed = role != self.role;
        if changed {
            (self.role, self.changed_at) = (role, Some(now));
        }
        changed.then_some(role)
    }

    /// When [`Standing::decide`] has something to decide that has to wait.
    pub(super) fn next_wake(&self) -> Option<Time> {
        let (role, _) = self.called_for?;
        self.changed_at.filter(|_| role != self.role).map(|at| at + CHANGES_EVERY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{NodeKeys, Verifier};
    use crate::overlay::Myself;
    use crate::store::MemoryStore;
    use crate::switchboard::relay::Said;
    use crate::switchboard::{Reach, Relay, RelayConfig, RelayInput};
    use mainframe_base::{NetworkId, Secret};

    const START: Time = Time(1_800_000_000_000);

    #[test]
    fn a_node_that_may_choose_is_a_relay_until_nobody_can_dial_it() {
        let mut standing = Standing::following(Role::Relay);
        assert_eq!((standing.decide(START), standing.reason()), (None, RoleReason::NotTested));
        standing.found_out(true);
        assert_eq!((standing.decide(START), standing.reason()), (None, RoleReason::DialledBack));
        standing.found_out(false);
        assert_eq!((standing.decide(START), standing.reason()), (Some(Role::Guest), RoleReason::NobodyCouldDial));
        standing.found_out(false);
        assert_eq!(standing.decide(START + CHANGES_EVERY_MS), None, "once is enough");
    }

    #[test]
    fn it_changes_once_in_five_minutes_and_then_to_what_was_found_out_last() {
        let mut standing = Standing::following(Role::Relay);
        standing.found_out(false);
        assert_eq!(standing.decide(START), Some(Role::Guest));
        standing.found_out(true);
        assert_eq!(standing.decide(START + (CHANGES_EVERY_MS - 1)), None);
        assert_eq!(standing.next_wake(), Some(START + CHANGES_EVERY_MS));
        assert_eq!(standing.reason(), RoleReason::NobodyCouldDial, "the reason is that of the role it has");
        let mut calmed = standing;
        calmed.found_out(false);
        assert_eq!((calmed.next_wake(), calmed.decide(START + CHANGES_EVERY_MS)), (None, None));
        assert_eq!(standing.decide(START + CHANGES_EVERY_MS), Some(Role::Relay));
        assert_eq!(standing.reason(), RoleReason::DialledBack);
    }

    #[test]
    fn a_node_that_was_told_its_role_keeps_it() {
        let mut standing = Standing::told(Role::Guest);
        standing.found_out(true);
        assert_eq!((standing.decide(START), standing.next_wake()), (None, None));
        assert_eq!(standing.reason(), RoleReason::Configured);
    }

    #[test]
    fn a_relay_that_follows_becomes_a_guest_and_a_relay_again() {
        let mut store = MemoryStore::default();
        let keys = NodeKeys::from_secrets(Secret::new([1; 32]), Secret::new([2; 32])).unwrap();
        let (network, role, verifier) = (NetworkId::DEV, Role::Relay, Verifier::new(8));
        let myself = Myself { network, role, keys, seed: [0; 32], verifier };
        let config = RelayConfig { follows_reach: true, ..RelayConfig::default() };
        let mut node = Relay::new(START, config, myself, Vec::new(), [3; 32], Vec::new(), &store);
        let role = |node: &Relay| (node.status().role, node.status().role_reason);
        assert_eq!(role(&node), (Role::Relay, RoleReason::NotTested));
        node.found_out(START, Reach::Unreachable, &mut Said::default());
        assert_eq!(role(&node), (Role::Guest, RoleReason::NobodyCouldDial));
        node.found_out(START + 1, Reach::Reachable, &mut Said::default());
        assert_eq!(role(&node).0, Role::Guest, "too soon");
        let due = node.next_wake().unwrap().max(START + 300_000);
        node.handle(due, RelayInput::Wake, &mut store, &mut Vec::new());
        assert_eq!(role(&node), (Role::Relay, RoleReason::DialledBack));
    }
}
