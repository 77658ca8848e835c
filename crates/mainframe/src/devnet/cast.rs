//! Who is who in a local network: a name and a loopback address for every node.

use std::net::Ipv4Addr;

/// The first names; further nodes are numbered.
const NAMES: [&str; 12] =
    ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "kim", "lena"];

/// The name of the node at `index`.
pub(crate) fn name(index: usize) -> String {
    NAMES.get(index).map_or_else(|| format!("n{:03}", index + 1), |name| (*name).to_owned())
}

/// The name of the guest at `index` among the guests.
pub(crate) fn guest_name(index: usize) -> String {
    format!("guest{}", index + 1)
}

/// The loopback address of the node at `index` < 65,000: 127.77.x.y, no two alike, neither end ever 0 or 255.
pub(crate) fn address(index: usize) -> Ipv4Addr {
    let [block, host] = [index / 250, index % 250].map(|part| u8::try_from(part).expect("fewer than 65,000 nodes"));
    Ipv4Addr::new(127, 77, block, host + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_addresses_are_unique() {
        let names: BTreeSet<String> = (0..500).map(name).chain((0..500).map(guest_name)).collect();
        let addresses: BTreeSet<Ipv4Addr> = (0..1_000).map(address).collect();
        assert_eq!((names.len(), addresses.len()), (1_000, 1_000));
        assert!(addresses.iter().all(|address| address.octets()[..2] == [127, 77]));
    }
}
