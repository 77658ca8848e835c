//! From a frame to parcels: split, sealed link by link, and addressed to every place at once.

use mainframe_base::{Prefix, SessionId, Tag, Time};
use mainframe_mls::{DeviceSecret, EpochId};
use rand_core::CryptoRng;

use super::fragment::{FrameKind, split};
use super::proof::Place;
use crate::crypto::{Sealed, SharedTopic, TagLink};
use crate::wire::{Cell, CellHeader, Envelope, ExpiryBucket, HoldClass, Parcel};

/// How a session's cells are sent.
#[derive(Clone, Copy)]
pub(super) struct Manner<'a> {
    /// Where to.
    pub(super) places: &'a [Prefix],
    /// How long relays keep them.
    pub(super) hold: HoldClass,
    /// Under which tag, if not each under its own.
    pub(super) topic: Option<&'a SharedTopic>,
    /// Of what.
    pub(super) session: SessionId,
    pub(super) epoch: EpochId,
    /// Whose they are.
    pub(super) device: &'a DeviceSecret,
}

/// The parcels of one frame: every piece is sealed once, and goes to all places together.
///
/// `take` gives as many links of our chain as asked for. `None` if the frame is too long.
pub(super) fn parcels(
    now: Time,
    rng: &mut impl CryptoRng,
    manner: Manner<'_>,
    kind: FrameKind,
    frame: &[u8],
    take: impl FnOnce(usize) -> Vec<TagLink>,
) -> Option<Vec<Parcel>> {
    let (size_class, fragments) = split(kind, frame, rng.next_u32())?;
    let links = take(fragments.len());
    let parts = Parcel::fitting(manner.places.iter().copied());
    let mut parcels = Vec::with_capacity(fragments.len() * parts.len());
    for (link, fragment) in links.iter().zip(fragments) {
        let place = Place { session: manner.session, epoch: manner.epoch, number: link.number };
        let plaintext = place.sign(manner.device, fragment);
        let envelope = Envelope {
            size_class,
            hold_class: manner.hold,
            acknowledge: false,
            expiry: ExpiryBucket::of_new_cell(now, rng),
            tag: Tag([0; 16]),
            ephemeral: [0; 32],
        };
        let Sealed { tag, ephemeral, body } = match manner.topic {
            None => link.seal(rng, &envelope.associated(), &plaintext),
            Some(topic) => link.seal_in(topic, rng, &envelope.associated(), &plaintext),
        };
        let envelope = Envelope { tag, ephemeral, ..envelope };
        for part in &parts {
            let parcel = Parcel::build(envelope, part.iter().copied(), filling(rng), &body);
            parcels.push(parcel.expect("what fits together is not too much"));
        }
    }
    Some(parcels)
}

/// The cell with these sealed fields.
pub(super) fn build(rng: &mut impl CryptoRng, header: CellHeader, sealed: Sealed) -> Cell {
    Cell::build(CellHeader { tag: sealed.tag, ephemeral: sealed.ephemeral, ..header }, filling(rng), &sealed.body)
}

fn filling(rng: &mut impl CryptoRng) -> [u8; 80] {
    let mut filling = [0; 80];
    rng.fill_bytes(&mut filling);
    filling
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::TagChain;
    use mainframe_base::Secret;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn a_piece_is_sealed_once_and_opens_wherever_it_arrives() {
        let (mut rng, now) = (ChaCha20Rng::from_seed([1; 32]), Time(1_800_000_000_000));
        let places: [Prefix; 2] = ["010".parse().unwrap(), "111".parse().unwrap()];
        let device = DeviceSecret::new(Secret::new([6; 32]));
        let (session, epoch) = (SessionId([7; 16]), EpochId([8; 16]));
        let manner = Manner { places: &places, hold: HoldClass::Day, topic: None, session, epoch, device: &device };
        let mut chain = TagChain::new(Secret::new([5; 32]));
        let mut links = Vec::new();
        let take = |count: usize| {
            links = (0..count).map(|_| chain.advance()).collect();
            links.clone()
        };
        let parcels = parcels(now, &mut rng, manner, FrameKind::Message, &[9; 1_024], take).unwrap();
        let [Parcel::List(list)] = &parcels[..] else { panic!("{parcels:?}") };
        assert_eq!(list.targets(), places);
        for place in places {
            let part = list.part(place);
            let header = part.header();
            let opened = links[0].open(&header.associated_anywhere(), &header.ephemeral, part.body());
            assert!(opened.is_some() && header.tag == links[0].tag);
        }
    }
}
