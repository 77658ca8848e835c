//! Whom to let go when a bin is too full (docs/protocol/overlay.md §8).

use std::collections::BTreeMap;
use std::net::IpAddr;

use mainframe_base::{Address, LinkKey, Proximity, Role, Time};

use super::Overlay;
use super::book::suffix_of;
use super::peer::Peer;
use super::ports::{Goodbye, OverlayOut};
use super::timers::never;
use crate::crypto::NodeRecord;
use crate::neighbours::Neighbour;

/// How long a newcomer may stay in a full bin, in milliseconds: until it could tell us that we are its neighbour.
const GRACE_MS: u64 = 10_000;
/// How much shallower than ours a depth may be that obliges us to stay. Depths of honest neighbours differ by one or
/// two; without this limit anyone could stay by calling everyone his neighbour (guess).
const DEPTH_SLACK: Proximity = 3;

/// Where an address belongs to one owner, roughly: an IPv4 /24 or an IPv6 /48.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Subnet([u8; 6], bool);

impl Subnet {
    /// Before all others in their order.
    const FIRST: Subnet = Subnet([0; 6], false);

    pub(super) fn of(ip: IpAddr) -> Subnet {
        match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Subnet([a, b, c, 0, 0, 0], false)
            }
            IpAddr::V6(ip) => {
                let mut bytes = [0; 6];
                bytes.copy_from_slice(&ip.octets()[..6]);
                Subnet(bytes, true)
            }
        }
    }

    /// Of the locator that would be dialled first; only records with locators are candidates.
    pub(super) fn of_record(record: &NodeRecord) -> Option<Subnet> {
        record.locators.first().map(|locator| Subnet::of(locator.ip))
    }
}

/// One relay of a bin, as far as pruning cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Member {
    key: LinkKey,
    suffix: u8,
    subnet: Subnet,
    outbound: bool,
    since: Time,
    /// It may not be let go: we are its neighbour, or it had no time yet to say so.
    stays: bool,
}

impl Overlay {
    /// Lets go what is too much in the bins before the neighbourhood. The neighbourhood itself is never pruned.
    pub(super) fn prune(&mut self, now: Time, out: &mut OverlayOut) {
        if now < self.timers.prune {
            return;
        }
        self.timers.prune = never();
        if self.me.role_is(Role::Guest) {
            return self.prune_guest(now, out);
        }
        self.come_back_after_grace(now);
        for bin in 0..self.neighbours.depth() {
            let crowded = self.neighbours.bin(bin).len() > self.config.bin_size_max;
            if !crowded && !self.has_crowded_subnet(bin) {
                continue;
            }
            let members = self.members(now, bin);
            for key in choose_victims(members, self.config.bin_size_max, self.config.subnet_max) {
                if let Some(address) = self.peers.get(&key).and_then(Peer::address) {
                    self.book.decline(now, &address);
                }
                self.hang_up(now, key, Goodbye::Pruned, out);
            }
        }
    }

    /// Whether a subnet has its share of a bin already.
    pub(super) fn is_full(&self, bin: Proximity, subnet: Subnet) -> bool {
        let standing = self.subnets.get(&(bin, subnet)).copied().unwrap_or(0);
        self.config.subnet_max > 0 && standing >= self.config.subnet_max
    }

    fn has_crowded_subnet(&self, bin: Proximity) -> bool {
        let of_bin = (bin, Subnet::FIRST)..(bin + 1, Subnet::FIRST);
        self.config.subnet_max > 0 && self.subnets.range(of_bin).any(|(_, count)| *count > self.config.subnet_max)
    }

    /// A relay of this subnet stands in its bin from now on.
    pub(super) fn count_subnet(&mut self, address: &Address, remote: IpAddr) {
        let bin = self.neighbours.me().proximity(address);
        *self.subnets.entry((bin, Subnet::of(remote))).or_default() += 1;
    }

    /// A relay of this subnet stood in its bin and is gone.
    pub(super) fn discount_subnet(&mut self, address: &Address, remote: IpAddr) {
        let key = (self.neighbours.me().proximity(address), Subnet::of(remote));
        if let Some(count) = self.subnets.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.subnets.remove(&key);
            }
        }
    }

    /// Newcomers of each bin had no time yet to say that we are their neighbours; when the last of a bin had, it is
    /// looked at again.
    fn come_back_after_grace(&mut self, now: Time) {
        let mut ends = BTreeMap::new();
        self.newcomers.retain(|key| self.peers.get(key).is_some_and(|peer| is_young(peer, now)));
        for peer in self.newcomers.iter().filter_map(|key| self.peers.get(key)) {
            let bin = peer.address().map(|address| self.neighbours.me().proximity(&address));
            let Some(bin) = bin.filter(|bin| *bin < self.neighbours.depth()) else { continue };
            let crowded = self.neighbours.bin(bin).len() > self.config.bin_size_max;
            if crowded || self.config.subnet_max > 0 {
                let end = peer.since + GRACE_MS;
                ends.entry(bin).and_modify(|latest: &mut Time| *latest = end.max(*latest)).or_insert(end);
            }
        }
        if let Some(end) = ends.into_values().min() {
            self.timers.prune = self.timers.prune.min(end);
            self.timers.tend_by(end);
        }
    }

    fn members(&self, now: Time, bin: Proximity) -> Vec<Member> {
        let crowd = self.neighbours.bin(bin).len();
        let mut members = Vec::new();
        for relay in self.neighbours.bin(bin) {
            let Some(peer) = self.peers.get(&relay.key) else { continue };
            let young = is_young(peer, now);
            members.push(Member {
                key: relay.key,
                suffix: suffix_of(&relay.address, bin, self.config.suffix_bits()),
                subnet: Subnet::of(peer.remote.ip),
                outbound: peer.outbound,
                since: peer.since,
                stays: self.is_its_neighbour(peer, &relay.address)
                    || self.is_attended(&relay.address)
                    || young && crowd <= 2 * self.config.bin_size_max,
            });
        }
        members
    }

    /// Whether we lie in the neighbourhood the peer told us about, if that can be true.
    fn is_its_neighbour(&self, peer: &Peer, address: &Address) -> bool {
        let Some(belief) = peer.belief else { return false };
        let depth = Proximity::from(belief.depth);
        let plausible = depth + DEPTH_SLACK >= self.neighbours.depth();
        plausible && self.neighbours.me().proximity(address) >= depth
    }

    /// A guest keeps the closest relays, and those of other regions it listens to. A relay without room lets it stay for a
    /// visit: until that would be over, it does not take the place of another.
    fn prune_guest(&mut self, now: Time, out: &mut OverlayOut) {
        let closest_first = self.neighbours.all().iter().rev();
        let settled = |key: &LinkKey| self.peers.get(key).is_some_and(|peer| peer.has_settled(now));
        let (settled, young): (Vec<&Neighbour>, Vec<&Neighbour>) = closest_first.partition(|relay| settled(&relay.key));
        let settles = young.iter().filter_map(|relay| self.peers.get(&relay.key)).map(Peer::settles_at).min();
        let surplus = settled.into_iter().skip(self.config.access_relays);
        let needless = surplus.filter(|relay| !self.is_attended(&relay.address)).map(|relay| relay.key);
        for key in needless.collect::<Vec<_>>() {
            self.hang_up(now, key, Goodbye::Pruned, out);
        }
        if let Some(at) = settles {
            self.timers.prune = self.timers.prune.min(at);
            self.timers.tend_by(at);
        }
    }
}

/// It came so lately that it had no time yet to say what it believes.
fn is_young(peer: &Peer, now: Time) -> bool {
    now.since_ms(peer.since) < GRACE_MS && peer.belief.is_none()
}

/// Those to let go of a bin: of the most crowded suffix first, those whom we did not choose before those we did,
/// the newest first; then those beyond the limit of their subnet.
fn choose_victims(mut members: Vec<Member>, size_max: usize, subnet_max: usize) -> Vec<LinkKey> {
    let mut victims = Vec::new();
    while members.len() > size_max {
        let crowd = |suffix: u8| members.iter().filter(|member| member.suffix == suffix).count();
        let alike = |subnet: Subnet| members.iter().filter(|member| member.subnet == subnet).count();
        let worst = (0..members.len()).filter(|index| !members[*index].stays).max_by_key(|index| {
            let member = &members[*index];
            (crowd(member.suffix), !member.outbound, alike(member.subnet), member.since, member.key)
        });
        let Some(worst) = worst else { break };
        victims.push(members.remove(worst).key);
    }
    if subnet_max > 0 {
        members.sort_by_key(|member| (member.subnet, !member.stays, !member.outbound, member.since, member.key));
        for group in members.chunk_by(|a, b| a.subnet == b.subnet) {
            victims.extend(group.iter().skip(subnet_max).filter(|member| !member.stays).map(|member| member.key));
        }
    }
    victims
}

#[cfg(test)]
mod tests {
    use super::*;

    /// suffix, third byte of the IPv4 address, outbound, age, stays
    type Row = (u8, u8, bool, u64, bool);

    fn members(rows: &[Row]) -> Vec<Member> {
        let member = |(index, row): (usize, &Row)| Member {
            key: LinkKey([index as u8; 32]),
            suffix: row.0,
            subnet: Subnet::of(IpAddr::from([10, 0, row.1, 1])),
            outbound: row.2,
            since: Time(1_000 - row.3),
            stays: row.4,
        };
        rows.iter().enumerate().map(member).collect()
    }

    fn victims(rows: &[Row], size_max: usize, subnet_max: usize) -> Vec<u8> {
        let mut victims: Vec<u8> =
            choose_victims(members(rows), size_max, subnet_max).into_iter().map(|key| key.0[0]).collect();
        victims.sort_unstable();
        victims
    }

    #[test]
    fn the_crowded_suffix_loses_its_newest_uninvited_member() {
        let bin = [
            (0, 0, true, 9, false),
            (0, 1, false, 8, false),
            (0, 2, false, 1, false),
            (1, 3, false, 1, false),
            (2, 4, false, 1, false),
        ];
        assert!(victims(&bin, 5, 0).is_empty());
        assert_eq!(victims(&bin, 4, 0), [2]);
        assert_eq!(victims(&bin, 3, 0), [1, 2]);
    }

    #[test]
    fn whoever_calls_us_his_neighbour_stays() {
        let bin = [(0, 0, false, 1, true), (0, 1, true, 9, false), (1, 2, false, 1, true), (1, 3, false, 1, true)];
        assert_eq!(victims(&bin, 3, 0), [1]);
        assert_eq!(victims(&bin, 1, 0), [1]);
    }

    #[test]
    fn a_subnet_keeps_its_oldest_two() {
        let bin = [(0, 7, false, 5, false), (1, 7, false, 9, false), (2, 7, false, 1, false), (3, 8, false, 1, false)];
        assert_eq!(victims(&bin, 18, 2), [2]);
        assert!(victims(&bin, 18, 0).is_empty());
    }
}
