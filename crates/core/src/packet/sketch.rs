//! A sketch of the packets a node had lately: a Bloom filter whose errors differ each time (Bloom 1970).

use mainframe_base::PacketId;

use crate::wire::{HASHES, RECENT_BYTES_MAX, Recent};

/// Bits an id takes: 0.8 % of absent ids seem present.
const BITS_PER_ID: usize = 10;
const BYTES_MIN: usize = 16;

/// A sketch of these ids.
pub(super) fn of(salt: u32, ids: &[PacketId]) -> Recent {
    let bytes = (ids.len() * BITS_PER_ID).div_ceil(8).clamp(BYTES_MIN, RECENT_BYTES_MAX);
    let mut recent = Recent { salt, bits: vec![0; bytes] };
    for id in ids {
        for bit in bits_of(&recent, id) {
            recent.bits[bit / 8] |= 1 << (bit % 8);
        }
    }
    recent
}

/// Whether the id is in the sketch; sometimes says so of one that is not.
pub(super) fn contains(recent: &Recent, id: &PacketId) -> bool {
    bits_of(recent, id).all(|bit| recent.bits[bit / 8] & 1 << (bit % 8) != 0)
}

/// Two hashes make all others (Kirsch and Mitzenmacher 2006); ids are hashes already, the salt turns them.
fn bits_of(recent: &Recent, id: &PacketId) -> impl Iterator<Item = usize> + use<> {
    let (front, back) = id.0.split_at(8);
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("half of 16 bytes"));
    let salt = u64::from(recent.salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let first = (number(front) ^ salt).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    let step = (number(back) ^ salt.rotate_left(32)).wrapping_mul(0xA24B_AED4_963E_E407) | 1;
    let bits = recent.bits.len() as u64 * 8;
    (0..u64::from(HASHES)).map(move |index| ((first.wrapping_add(index.wrapping_mul(step)) >> 16) % bits) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: std::ops::Range<u32>) -> Vec<PacketId> {
        range.map(|number| PacketId(*blake3::hash(&number.to_le_bytes()).as_bytes().first_chunk().unwrap())).collect()
    }

    #[test]
    fn what_was_put_in_is_found_and_little_else() {
        let recent = of(7, &ids(0..500));
        assert!(ids(0..500).iter().all(|id| contains(&recent, id)));
        let wrong = ids(500..10_500).iter().filter(|id| contains(&recent, id)).count();
        assert!(wrong < 200, "{wrong} of 10,000 absent ids seem present");
    }

    #[test]
    fn another_salt_errs_on_other_ids() {
        let errors = |salt| {
            let recent = of(salt, &ids(0..500));
            ids(500..20_500).into_iter().filter(|id| contains(&recent, id)).collect::<Vec<_>>()
        };
        let (first, second) = (errors(1), errors(2));
        let both = first.iter().filter(|id| second.contains(id)).count();
        assert!(both * 5 < first.len(), "{both} of {} errors repeat", first.len());
    }

    #[test]
    fn a_sketch_of_any_length_of_bits_can_be_asked() {
        for length in 1..40 {
            assert!(!contains(&Recent { salt: 1, bits: vec![0; length] }, &PacketId([9; 16])));
        }
    }
}
