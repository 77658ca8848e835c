//! Somebody who is about to be removed, and keeps to no rule: he commits at once, by his own hand.
//!
//! He has what any member has, his own store, and uses MLS and the chain of his tags directly. His own sessions know
//! nothing of it and go on voting as they should; they are started again because his chain has moved.

use mainframe_base::{Secret, SessionId, Tag};
use mainframe_core::crypto::{DeviceCertificate, Name, TagChain, hours_of};
use mainframe_core::session::fragment::{FrameKind, split};
use mainframe_core::session::proof::Place;
use mainframe_core::store::{Table, Tx};
use mainframe_core::wire::{Cell, CellHeader, ExpiryBucket, HoldClass};
use mainframe_mls::{Change, DeviceSecret, EpochId, Group, KeyPackage, Leaf, Rows};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zeroize::Zeroizing;

use super::world::World;

/// How somebody fights against his removal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Blow {
    /// Renews his keys.
    Renew,
    /// Brings in another device of his.
    Return,
    /// Removes the admin.
    Strike,
}

impl Blow {
    pub(super) const ALL: [Blow; 3] = [Blow::Renew, Blow::Return, Blow::Strike];
}

/// Commits in the present epoch of his session, whosever turn it is. False if he is not in it any more.
pub(super) fn fight(world: &mut World, who: usize, session: SessionId, blow: Blow, seed: [u8; 32]) -> bool {
    let mut rng = ChaCha20Rng::from_seed(seed);
    let Some(mut group) = group_of(world, who, session) else { return false };
    let change = match blow {
        Blow::Renew => Change { refresh: true, ..Change::default() },
        Blow::Return => Change { add: vec![other_device(world, who, &mut rng)], ..Change::default() },
        Blow::Strike => Change { remove: leaves_of_the_first(world, &group), ..Change::default() },
    };
    // Whoever commits in an epoch that may be taken back does so in vain; so does he whose commit is pending already.
    let Ok(draft) = group.commit(&mut rng, &change) else { return false };
    let Some(cells) = seal(world, who, session, &draft.commit, &mut rng) else { return false };
    world.restart(who);
    cells.iter().for_each(|cell| world.send(who, cell));
    true
}

fn group_of(world: &World, who: usize, session: SessionId) -> Option<Group> {
    let device = &world.devices[who];
    let start = [&session.0[..], &[0]].concat();
    let mut rows = Rows::new();
    let mut after = start.clone();
    loop {
        let page = device.store.scan(Table::Secrets, Some(&after), 128);
        let ours: Vec<_> = page.into_iter().filter(|(key, _)| key.starts_with(&start)).collect();
        let Some((last, _)) = ours.last() else { break };
        after = last.clone();
        for (key, value) in ours {
            rows.insert(key[start.len()..].to_vec(), Zeroizing::new(value));
        }
    }
    Group::load(rows, &secret_of(world, who)).ok().filter(Group::is_member)
}

fn secret_of(world: &World, who: usize) -> DeviceSecret {
    DeviceSecret::new(Secret::new(world.devices[who].owner.device_seed))
}

fn other_device(world: &World, who: usize, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let secret = DeviceSecret::generate(rng);
    let name = Name::new("another").expect("short");
    let identity = &world.devices[who].owner.identity;
    let mut credential = Vec::new();
    DeviceCertificate::sign(identity, secret.key(), hours_of(world.now), name).encode(&mut credential);
    KeyPackage::generate(rng, &secret, &credential).bytes
}

/// The founder's device, by the key it signs with.
fn leaves_of_the_first(world: &World, group: &Group) -> Vec<Leaf> {
    let key = world.devices[0].owner.device_key;
    group.members().into_iter().filter(|member| member.key == key).map(|member| member.leaf).collect()
}

/// The cells of a commit, on the links of his chain that come next; the chain in his store moves on.
fn seal(world: &mut World, who: usize, session: SessionId, commit: &[u8], rng: &mut ChaCha20Rng) -> Option<Vec<Cell>> {
    let device = secret_of(world, who);
    let (now, store) = (world.now, &mut world.devices[who].store);
    let key = own_chain(store, session)?;
    let row = store.get(Table::Chains, &key)?;
    let (secret, next) = (Secret::new(*row.first_chunk()?), u64::from_be_bytes(row.get(64..72)?.try_into().ok()?));
    let mut chain = TagChain::at(&secret, next);
    // A chain's row: session 16, epoch 16, …
    let epoch = EpochId(key.get(16..32)?.try_into().ok()?);
    let (size_class, fragments) = split(FrameKind::Commit, commit, rng.next_u32())?;
    let cell = |fragment| {
        let header = CellHeader {
            size_class,
            hold_class: HoldClass::Day,
            acknowledge: false,
            destination: "01".parse().expect("two bits are a prefix"),
            expiry: ExpiryBucket::of_new_cell(now, rng),
            tag: Tag([0; 16]),
            ephemeral: [0; 32],
        };
        let link = chain.advance();
        let plaintext = Place { session, epoch, number: link.number }.sign(&device, fragment);
        let sealed = link.seal(rng, &header.associated_anywhere(), &plaintext);
        Cell::build(CellHeader { tag: sealed.tag, ephemeral: sealed.ephemeral, ..header }, [0; 80], &sealed.body)
    };
    let cells = fragments.into_iter().map(cell).collect();
    let mut row = chain.secrets().expose().to_vec();
    row.extend_from_slice(&chain.next().to_be_bytes());
    store.put(Table::Chains, &key, &row);
    store.commit();
    Some(cells)
}

/// The key of his own chain in the epoch that began last: the only row of an epoch's chains that has no window.
fn own_chain(store: &mainframe_core::store::MemoryStore, session: SessionId) -> Option<Vec<u8>> {
    let epochs = store.scan(Table::Epochs, Some(&session.0), 64);
    let ours = epochs.into_iter().filter(|(key, _)| key.starts_with(&session.0));
    // An epoch's row: id 16, number 8, …
    let (epoch, _) = ours.max_by_key(|(_, row)| row.get(16..24).map(<[u8]>::to_vec))?;
    let chains = store.scan(Table::Chains, Some(&epoch), 256);
    chains.into_iter().find(|(key, row)| key.starts_with(&epoch) && row.len() == 72).map(|(key, _)| key)
}
