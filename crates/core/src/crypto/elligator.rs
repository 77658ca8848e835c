//! Public keys that look like 32 random bytes: Elligator 2 for Curve25519.
//!
//! An X25519 public key is recognisable: only every second string of bits is one. An ephemeral key in a cell must
//! not be told from the random bytes that stand in its place otherwise, so it travels as its *representative*: a
//! number which Elligator's map takes to the key (docs/protocol/crypto.md §4; Bernstein, Hamburg, Krasnova, Lange,
//! "Elligator", 2013; the map is RFC 9380's `map_to_curve_elligator2_curve25519`).

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::traits::Identity;
use mainframe_base::{ScanKey, Secret};
use rand_core::CryptoRng;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::field::Field;

/// The coefficient A of the curve v² = u³ + A·u² + u (RFC 7748 §4.1).
const A: Field = Field::small(486_662);

/// The two bits of the last byte that a representative below 2^254 leaves free.
const FREE_BITS: u8 = 0xC0;

/// A key used for one cell, whose public half looks like random bytes.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Ephemeral {
    secret: Secret<32>,
    representative: [u8; 32],
}

impl Ephemeral {
    /// Draws keys until one has a representative; about every second does.
    ///
    /// The public point gets a random component of low order. Points of the prime-order subgroup alone would be
    /// told from random bytes by one multiplication: mapped back, every one of them would be of prime order. The
    /// receiver's scalar is a multiple of eight, so the component vanishes from the shared secret. How many draws
    /// it took tells nothing about the one that was kept.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        loop {
            let mut secret = Zeroizing::new([0; 32]);
            let mut free = [0];
            rng.fill_bytes(&mut *secret);
            rng.fill_bytes(&mut free);
            let [free] = free;
            let point = EdwardsPoint::mul_base_clamped(*secret) + low_order_point(free & 0b111);
            let sign = Choice::from((free >> 3) & 1);
            if let Some(mut representative) = representative_of(&point.to_montgomery(), sign) {
                representative[31] |= free & FREE_BITS;
                return Ephemeral { secret: Secret::new(*secret), representative };
            }
        }
    }

    /// The public key as it travels.
    pub fn representative(&self) -> [u8; 32] {
        self.representative
    }

    /// The secret shared with the owner of `scan_key`; `None` if that key is of low order, so that anybody could
    /// compute it.
    pub fn shared(&self, scan_key: &ScanKey) -> Option<Secret<32>> {
        let (shared, usable) = agree(&self.secret, &scan_key.0);
        bool::from(usable).then_some(shared)
    }
}

/// The X25519 public key behind a representative. Every 32 bytes are a representative; the two free bits are
/// ignored.
pub fn point_of(representative: &[u8; 32]) -> [u8; 32] {
    let mut bytes = *representative;
    bytes[31] &= !FREE_BITS;
    // With t = 2r² and d = 1 + t the candidate is u = −A/d if that u is on the curve, else −u − A = u·t. It is on
    // the curve if A·(A²t − d²)·d is a square. One root answers that and inverts d too, because that product times
    // d² is h, and 1/d = A·(A²t − d²)·d²/h. Neither d nor h is ever zero: −1/2 and A²t/d² are not squares.
    let t = Field::from_bytes(&bytes).square().double();
    let d = Field::ONE + t;
    let k = A * (A.square() * t - d.square());
    let (on_curve, root) = Field::root_of_ratio(Field::ONE, k * d.square() * d);
    let inverse_of_d = k * d.square() * root.square();
    let candidate = -A * inverse_of_d;
    // Off the curve the root is of √−1/h, so √−1 is divided out again.
    let other = candidate * t * -Field::root_of_minus_one();
    Field::conditional_select(&other, &candidate, on_curve).to_bytes()
}

/// What X25519 makes of a secret and a public key, and whether it is usable: not all zeros. Clamping makes the
/// scalar a multiple of eight, so components of low order vanish.
pub(super) fn agree(secret: &Secret<32>, public: &[u8; 32]) -> (Secret<32>, Choice) {
    let shared = Zeroizing::new(MontgomeryPoint(*public).mul_clamped(*secret.expose()));
    (Secret::new(shared.to_bytes()), !shared.as_bytes().ct_eq(&[0; 32]))
}

/// The representative of a point, below 2^254, if it has one. A point that has one has two up to their sign, one
/// for each sign of v, which X25519 does not carry: `sign` chooses, and must be random.
fn representative_of(point: &MontgomeryPoint, sign: Choice) -> Option<[u8; 32]> {
    let u = Field::from_bytes(point.as_bytes());
    let numerator = Field::conditional_select(&u, &(u + A), sign);
    let denominator = Field::conditional_select(&(u + A), &u, sign);
    let (exists, root) = Field::root_of_ratio(-numerator, denominator.double());
    let root = Field::conditional_select(&root, &-root, root.is_upper_half());
    bool::from(exists).then(|| root.to_bytes())
}

/// The point of low order with this index below eight, without an access that depends on it.
fn low_order_point(index: u8) -> EdwardsPoint {
    (0u8..).zip(&EIGHT_TORSION).fold(EdwardsPoint::identity(), |chosen, (candidate, point)| {
        EdwardsPoint::conditional_select(&chosen, point, candidate.ct_eq(&index))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn bytes(hex_digits: &str) -> [u8; 32] {
        hex::decode(hex_digits).unwrap().try_into().unwrap()
    }

    fn reversed(hex_digits: &str) -> [u8; 32] {
        let mut bytes = bytes(hex_digits);
        bytes.reverse();
        bytes
    }

    fn without_free_bits(mut representative: [u8; 32]) -> [u8; 32] {
        representative[31] &= !FREE_BITS;
        representative
    }

    /// RFC 9380 §J.4.2: u[0] and Q.x, big-endian. Its numbers are not reduced to 254 bits; those above (p − 1)/2
    /// are replaced by their negatives, which map to the same point.
    #[test]
    fn the_map_agrees_with_rfc_9380() {
        for (number, expected) in [
            (
                "608d892b641f0328523802a6603427c26e55e6f27e71a91a478148d45b5093cd",
                "51125222da5e763d97f3c10fcc92ea6860b9ccbbd2eb1285728f566721c1e65b",
            ),
            (
                "46f5b22494bfeaa7f232cc8d054be68561af50230234d7d1d63d1d9abeca8da5",
                "7d56d1e08cb0ccb92baf069c18c49bb5a0dcd927eff8dcf75ca921ef7f3e6eeb",
            ),
            (
                "235fe40c443766ce7e18111c33862d66c3b33267efa50d50f9e8e5d252a40aaa",
                "3fbe66b9c9883d79e8407150e7c2a1c8680bee496c62fabe4619a72b3cabe90f",
            ),
            (
                "001e92a544463bda9bd04ddbe3d6eed248f82de32f522669efc5ddce95f46f5b",
                "227e0bb89de700385d19ec40e857db6e6a3e634b1c32962f370d26f84ff19683",
            ),
            (
                "1a68a1af9f663592291af987203393f707305c7bac9c8d63d6a729bdc553dc19",
                "3bcd651ee54d5f7b6013898aab251ee8ecc0688166fce6e9548d38472f6bd196",
            ),
        ] {
            let number = Field::from_bytes(&reversed(number));
            let number = Field::conditional_select(&number, &-number, number.is_upper_half());
            assert_eq!(point_of(&number.to_bytes()), reversed(expected));
        }
    }

    /// Vectors of Monocypher 4 (tests/gen/vectors/elligator_inv), little-endian.
    #[test]
    fn representatives_agree_with_monocypher() {
        let point = MontgomeryPoint(bytes("46951964003c940878063ccfd0348af42150ca16d2646f2c5856e8338377d800"));
        let first = bytes("2820b6b241e0f68a6c4a7fee3d978228ef3ae45533cd410aa91a415331d8612d");
        let second = bytes("3cfb87c46c0b4575ca8175e0ed1c0ae9dae79db78df86997c4847b9f20b27718");
        assert_eq!(representative_of(&point, Choice::from(0)), Some(first));
        assert_eq!(representative_of(&point, Choice::from(1)), Some(second));
        let without = MontgomeryPoint(bytes("e6f66fdf6e230c603c5e6e59a254ea1476a13eb9511b9549846781e12e52230a"));
        assert_eq!(representative_of(&without, Choice::from(0)), None);
        assert_eq!(representative_of(&without, Choice::from(1)), None);
    }

    #[test]
    fn every_low_order_point_can_be_chosen() {
        for (index, point) in (0u8..).zip(&EIGHT_TORSION) {
            assert_eq!(low_order_point(index), *point);
        }
    }

    #[test]
    fn a_low_order_scan_key_shares_nothing() {
        let ephemeral = Ephemeral::generate(&mut ChaCha20Rng::seed_from_u64(1));
        for point in EIGHT_TORSION {
            assert!(ephemeral.shared(&ScanKey(point.to_montgomery().to_bytes())).is_none());
        }
    }

    /// The shared secret must not depend on the component of low order, or the two sides would disagree.
    #[test]
    fn a_component_of_low_order_vanishes_from_the_shared_secret() {
        let (sender, receiver) = (Secret::new([3; 32]), Secret::new([5; 32]));
        let receiver_key = MontgomeryPoint::mul_base_clamped(*receiver.expose());
        let (expected, usable) = agree(&sender, receiver_key.as_bytes());
        assert!(bool::from(usable));
        for low_order in EIGHT_TORSION {
            let dirty = (EdwardsPoint::mul_base_clamped(*sender.expose()) + low_order).to_montgomery();
            assert_eq!(agree(&receiver, dirty.as_bytes()).0.expose(), expected.expose());
        }
    }

    /// 2,000 keys: every bit of the representative is set in half of them, within five standard deviations, and
    /// every class of low order appears among the points.
    #[test]
    fn representatives_look_like_random_bytes() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let keys: Vec<[u8; 32]> = (0..2_000).map(|_| Ephemeral::generate(&mut rng).representative()).collect();
        for bit in 0..256 {
            let ones = keys.iter().filter(|key| key[bit / 8] >> (bit % 8) & 1 == 1).count();
            assert!((888..=1_112).contains(&ones), "bit {bit} is set {ones} times");
        }
        let pure = keys.iter().filter(|key| MontgomeryPoint(point_of(key)).to_edwards(0).unwrap().is_torsion_free());
        assert!((176..=324).contains(&pure.count()), "about every eighth point is of prime order");
    }

    proptest! {
        #[test]
        fn a_representative_comes_back_from_its_point(random: [u8; 32]) {
            let representative = without_free_bits(random);
            prop_assume!(!bool::from(Field::from_bytes(&representative).is_upper_half()));
            let point = MontgomeryPoint(point_of(&random));
            prop_assert!(point.to_edwards(0).is_some(), "the map ends on the curve");
            let found = [0, 1].map(|sign| representative_of(&point, Choice::from(sign)).unwrap());
            prop_assert!(found.contains(&representative));
        }

        #[test]
        fn a_point_comes_back_from_each_of_its_representatives(secret: [u8; 32], torsion in 0u8..8) {
            let point = (EdwardsPoint::mul_base_clamped(secret) + low_order_point(torsion)).to_montgomery();
            let found = [0, 1].map(|sign| representative_of(&point, Choice::from(sign)));
            prop_assert_eq!(found[0].is_some(), found[1].is_some());
            for representative in found.into_iter().flatten() {
                prop_assert_eq!(representative[31] & FREE_BITS, 0);
                prop_assert_eq!(point_of(&representative), point.to_bytes());
            }
        }

        #[test]
        fn both_sides_agree_whatever_the_seed(seed: u64, receiver: [u8; 32]) {
            let ephemeral = Ephemeral::generate(&mut ChaCha20Rng::seed_from_u64(seed));
            let scan_key = ScanKey(MontgomeryPoint::mul_base_clamped(receiver).to_bytes());
            let mine = ephemeral.shared(&scan_key).unwrap();
            let (theirs, usable) = agree(&Secret::new(receiver), &point_of(&ephemeral.representative()));
            prop_assert!(bool::from(usable));
            prop_assert_eq!(mine.expose(), theirs.expose());
        }
    }
}
