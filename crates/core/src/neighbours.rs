//! Whom we are connected to, as a plain value: the overlay makes it, packets are routed by it, neither knows the other.

use mainframe_base::{Address, LinkKey, Prefix, Proximity};

/// A connected relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// Its name on the link.
    pub key: LinkKey,
    /// Its position.
    pub address: Address,
    /// How many leading bits it shares with us: the number of its bin.
    pub proximity: Proximity,
}

/// Every connected relay, and how deep our neighbourhood begins. Guests are not in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Neighbours {
    me: Address,
    /// We are a guest: no region is ours, and every relay is closer to any than we are.
    guest: bool,
    depth: Proximity,
    /// Sorted by proximity, then address.
    relays: Vec<Neighbour>,
    /// How many relays stand in each bin or before it, from bin 0 to the last in which someone stands.
    ends: Vec<usize>,
}

impl Neighbours {
    /// Nobody yet, seen by a guest.
    pub fn of_guest(me: Address) -> Neighbours {
        Neighbours { guest: true, ..Neighbours::none(me) }
    }

    /// Nobody yet.
    pub fn none(me: Address) -> Neighbours {
        Neighbours { me, guest: false, depth: 0, relays: Vec::new(), ends: Vec::new() }
    }

    /// The relays with these keys and addresses, seen from `me` with a neighbourhood that begins at `depth`.
    pub fn new(me: Address, depth: Proximity, relays: impl IntoIterator<Item = (LinkKey, Address)>) -> Neighbours {
        let mut relays: Vec<Neighbour> = relays
            .into_iter()
            .map(|(key, address)| Neighbour { key, address, proximity: me.proximity(&address) })
            .collect();
        relays.sort_by_key(|relay| (relay.proximity, relay.address));
        let mut neighbours = Neighbours { me, guest: false, depth, relays, ends: Vec::new() };
        neighbours.count_bins();
        neighbours
    }

    /// A relay is connected from now on; it takes the place of one at the same address.
    pub fn add(&mut self, key: LinkKey, address: Address) {
        let relay = Neighbour { key, address, proximity: self.me.proximity(&address) };
        match self.position(&address) {
            Ok(at) => self.relays[at] = relay,
            Err(at) => {
                self.relays.insert(at, relay);
                self.count_bins();
            }
        }
    }

    /// The relay at this address is not connected any more.
    pub fn remove(&mut self, address: &Address) {
        if let Ok(at) = self.position(address) {
            self.relays.remove(at);
            self.count_bins();
        }
    }

    /// Our neighbourhood begins at `depth` from now on.
    pub fn set_depth(&mut self, depth: Proximity) {
        self.depth = depth;
    }

    fn position(&self, address: &Address) -> Result<usize, usize> {
        let proximity = self.me.proximity(address);
        self.relays.binary_search_by(|relay| (relay.proximity, &relay.address).cmp(&(proximity, address)))
    }

    fn count_bins(&mut self) {
        self.ends.clear();
        for (at, relay) in self.relays.iter().enumerate() {
            self.ends.resize(usize::from(relay.proximity), at);
            self.ends.push(at + 1);
        }
    }

    /// How many relays share less than `proximity` bits with us.
    fn before(&self, proximity: Proximity) -> usize {
        let Some(last) = usize::from(proximity).checked_sub(1) else { return 0 };
        self.ends.get(last).copied().unwrap_or(self.relays.len())
    }

    /// Whether we stand in the tables of others.
    pub fn is_relay(&self) -> bool {
        !self.guest
    }

    /// Whether we are a relay of this region.
    pub fn is_inside(&self, region: &Prefix) -> bool {
        self.is_relay() && region.matches(&self.me)
    }

    /// Our own position.
    pub fn me(&self) -> &Address {
        &self.me
    }

    /// Relays that share at least this many bits with us are our neighbourhood; we know all of them.
    pub fn depth(&self) -> Proximity {
        self.depth
    }

    /// Everyone, by proximity.
    pub fn all(&self) -> &[Neighbour] {
        &self.relays
    }

    /// The relays that share exactly `proximity` bits with us.
    pub fn bin(&self, proximity: Proximity) -> &[Neighbour] {
        &self.relays[self.before(proximity)..self.before(proximity + 1)]
    }

    /// The relays that share at least `proximity` bits with us.
    pub fn within(&self, proximity: Proximity) -> &[Neighbour] {
        &self.relays[self.before(proximity)..]
    }

    /// The relays closer to the prefix than we are: of one bin, or for a guest all of them.
    pub fn closer_to<'a>(&'a self, prefix: &'a Prefix) -> impl Iterator<Item = &'a Neighbour> {
        let ours = prefix.proximity(&self.me);
        let candidates = if self.guest { self.all() } else { self.bin(ours) };
        candidates.iter().filter(move |relay| self.guest || prefix.proximity(&relay.address) > ours)
    }

    /// The connected relay with this key.
    pub fn find(&self, key: &LinkKey) -> Option<&Neighbour> {
        self.relays.iter().find(|relay| relay.key == *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::Luminosity;

    fn address(first: u8) -> Address {
        let mut bytes = [0; 32];
        bytes[0] = first;
        Address(bytes)
    }

    #[test]
    fn relays_that_came_one_by_one_stand_as_if_they_had_come_together() {
        let relays = [0x80, 0xC0, 0x40, 0x20, 0x01].map(|first| (LinkKey([first; 32]), address(first)));
        let mut grown = Neighbours::none(address(0));
        for (key, address) in relays.iter().chain(&relays[1..3]) {
            grown.add(*key, *address);
        }
        grown.add(LinkKey([9; 32]), address(0x90));
        grown.remove(&address(0x90));
        grown.remove(&address(0x91));
        grown.set_depth(2);
        assert_eq!(grown, Neighbours::new(address(0), 2, relays));
    }

    #[test]
    fn bins_are_ranges_of_one_sorted_list() {
        let relays = [0x80, 0xC0, 0x40, 0x20, 0x01].map(|first| (LinkKey([first; 32]), address(first)));
        let neighbours = Neighbours::new(address(0), 2, relays);
        assert_eq!(neighbours.bin(0).len(), 2);
        assert_eq!(neighbours.bin(1).len(), 1);
        assert_eq!(neighbours.within(2).len(), 2);
        assert_eq!(neighbours.bin(9).len(), 0);
        let prefix = Prefix::of(&address(0xC0), Luminosity::at_most(2));
        let closer: Vec<Address> = neighbours.closer_to(&prefix).map(|relay| relay.address).collect();
        assert_eq!(closer, [address(0x80), address(0xC0)]);
    }
}
