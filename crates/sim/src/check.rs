//! What must hold in every run. A check that fails is a bug of the core or of the simulator, never of a peer.

use mainframe_base::Fault;

use crate::masks::Mask;
use crate::population::Population;

/// Looks at every running relay.
///
/// # Panics
/// If a relay believes in a neighbour it has no connection with, or holds more than its bounds allow.
pub fn check(population: &Population) {
    let world = population.world();
    let pool_bytes_max = population.relay_config().packet.pool_bytes_max;
    for id in population.online() {
        let Some(relay) = world.machine(id) else { continue };
        let ghost = relay
            .neighbours()
            .all()
            .iter()
            .find(|relay| world.find(&relay.key).is_none_or(|peer| !world.has_link(id, peer)));
        assert!(ghost.is_none(), "{id:?} counts {ghost:?} as a neighbour without a connection");
        let (now, most) = relay.packets().pending_bytes();
        assert!(now <= most && most <= pool_bytes_max, "{id:?} has {most} bytes under way");
        assert!(world.links_of(id) <= world.net().config().connections_max, "{id:?} has too many connections");
    }
}

/// Faults that honest relays found in honest ones would be bugs of one of them; with liars about they may be theirs.
///
/// # Panics
/// If everyone is honest and someone was accused.
pub fn check_accusations(population: &Population) {
    let world = population.world();
    let all_honest = world.ids().all(|id| world.mask_of(id) == Mask::Honest);
    let serious: Vec<_> = world.counts().faults.iter().filter(|(fault, _)| !may_be_nobodys(**fault)).collect();
    assert!(!all_honest || serious.is_empty(), "honest relays accuse each other: {serious:?}");
}

/// What frames lost on the way, and peers that vanish, can make an honest relay look like.
fn may_be_nobodys(fault: Fault) -> bool {
    matches!(fault, Fault::Silent)
}
