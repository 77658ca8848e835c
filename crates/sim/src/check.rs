//! What must hold in every run. A check that fails is a bug of the core or of the simulator, never of a peer.

use crate::population::Population;
use crate::world::Accusation;

/// Looks at every running relay.
///
/// # Panics
/// If a relay believes in a neighbour it has no connection with, or holds more than its bounds allow.
pub fn check(population: &Population) {
    let world = population.world();
    let pool_bytes_max = population.relay_config().packet.pool_bytes_max;
    for id in population.online() {
        let Some(actor) = world.machine(id) else { continue };
        let neighbours = actor.whole().map_or(&[][..], |relay| relay.neighbours().all());
        let ghost = neighbours.iter().find(|relay| world.find(&relay.key).is_none_or(|peer| !world.has_link(id, peer)));
        assert!(ghost.is_none(), "{id:?} counts {ghost:?} as a neighbour without a connection");
        let (now, most) = actor.packets().map_or((0, 0), |packets| packets.pending_bytes());
        assert!(now <= most && most <= pool_bytes_max, "{id:?} has {most} bytes under way");
        assert!(world.links_of(id) <= world.net().config().connections_max, "{id:?} has too many connections");
    }
}

/// What honest relays accused each other of, among liars or not: bugs of the core.
pub fn false_accusations(population: &Population) -> Vec<Accusation> {
    population.world().counts().accusations.clone()
}
