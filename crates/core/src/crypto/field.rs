//! Arithmetic modulo 2^255 − 19, as much of it as Elligator needs.
//!
//! The limbs are fiat-crypto's, whose code is proved correct and free of branches on values.

use std::ops::{Add, Mul, Neg, Sub};

use fiat_crypto::curve25519_64::{
    fiat_25519_add, fiat_25519_carry, fiat_25519_carry_mul, fiat_25519_carry_square, fiat_25519_from_bytes,
    fiat_25519_loose_field_element, fiat_25519_opp, fiat_25519_relax, fiat_25519_sub, fiat_25519_tight_field_element,
    fiat_25519_to_bytes,
};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// A number modulo 2^255 − 19.
#[derive(Clone, Copy)]
pub(super) struct Field(fiat_25519_tight_field_element);

impl Field {
    pub(super) const ZERO: Field = Field::small(0);
    pub(super) const ONE: Field = Field::small(1);

    /// 2^((p − 1)/4), a square root of −1 (RFC 8032 §5.1.1).
    const ROOT_OF_MINUS_ONE: [u8; 32] = [
        0xb0, 0xa0, 0x0e, 0x4a, 0x27, 0x1b, 0xee, 0xc4, 0x78, 0xe4, 0x2f, 0xad, 0x06, 0x18, 0x43, 0x2f, 0xa7, 0xd7,
        0xfb, 0x3d, 0x99, 0x00, 0x4d, 0x2b, 0x0b, 0xdf, 0xc1, 0x4f, 0x80, 0x24, 0x83, 0x2b,
    ];

    /// The number `value`, which is below 2^51: one limb.
    pub(super) const fn small(value: u32) -> Field {
        Field(fiat_25519_tight_field_element([value as u64, 0, 0, 0, 0]))
    }

    /// Reads 32 little-endian bytes; the highest bit is ignored, as X25519 does.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Field {
        let mut masked = *bytes;
        masked[31] &= 0x7F;
        let mut out = Field::ZERO;
        fiat_25519_from_bytes(&mut out.0, &masked);
        out
    }

    /// The one encoding below 2^255 − 19, little-endian.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        fiat_25519_to_bytes(&mut bytes, &self.0);
        bytes
    }

    pub(super) fn root_of_minus_one() -> Field {
        Field::from_bytes(&Field::ROOT_OF_MINUS_ONE)
    }

    pub(super) fn square(self) -> Field {
        let mut out = Field::ZERO;
        fiat_25519_carry_square(&mut out.0, &self.relaxed());
        out
    }

    pub(super) fn double(self) -> Field {
        self + self
    }

    /// Whether the number lies above (p − 1)/2, that is, whether twice it wraps around and comes out odd.
    pub(super) fn is_upper_half(self) -> Choice {
        Choice::from(self.double().to_bytes()[0] & 1)
    }

    /// If `numerator`/`denominator` is a square: yes, and a root of it. If not: no, and a root of √−1 times it.
    /// A zero numerator is the square of zero; a zero denominator is no square.
    ///
    /// One exponentiation, after Bernstein et al., "High-speed high-security signatures", §5.
    pub(super) fn root_of_ratio(numerator: Field, denominator: Field) -> (Choice, Field) {
        let (u, v) = (numerator, denominator);
        let v3 = v.square() * v;
        let v7 = v3.square() * v;
        let root = u * v3 * (u * v7).to_the_p_minus_5_over_8();
        let check = v * root.square();
        let i = Field::root_of_minus_one();
        let (is_u, is_minus_u, is_minus_iu) = (check.ct_eq(&u), check.ct_eq(&-u), check.ct_eq(&(-u * i)));
        let root = Field::conditional_select(&root, &(root * i), is_minus_u | is_minus_iu);
        (is_u | is_minus_u, root)
    }

    /// This number to the power 2^252 − 3, which is 250 ones, a zero and a one in binary.
    fn to_the_p_minus_5_over_8(self) -> Field {
        // ones_n is the power 2^n − 1; a run of n ones moved up by m, and m ones behind it, make n + m.
        let ones_1 = self;
        let ones_2 = ones_1.squared_times(1) * ones_1;
        let ones_4 = ones_2.squared_times(2) * ones_2;
        let ones_5 = ones_4.squared_times(1) * ones_1;
        let ones_10 = ones_5.squared_times(5) * ones_5;
        let ones_20 = ones_10.squared_times(10) * ones_10;
        let ones_40 = ones_20.squared_times(20) * ones_20;
        let ones_50 = ones_40.squared_times(10) * ones_10;
        let ones_100 = ones_50.squared_times(50) * ones_50;
        let ones_200 = ones_100.squared_times(100) * ones_100;
        let ones_250 = ones_200.squared_times(50) * ones_50;
        ones_250.squared_times(2) * self
    }

    fn squared_times(self, times: u32) -> Field {
        (0..times).fold(self, |power, _| power.square())
    }

    fn relaxed(&self) -> fiat_25519_loose_field_element {
        let mut loose = fiat_25519_loose_field_element([0; 5]);
        fiat_25519_relax(&mut loose, &self.0);
        loose
    }

    fn carried(loose: &fiat_25519_loose_field_element) -> Field {
        let mut out = Field::ZERO;
        fiat_25519_carry(&mut out.0, loose);
        out
    }
}

impl Add for Field {
    type Output = Field;

    fn add(self, other: Field) -> Field {
        let mut loose = fiat_25519_loose_field_element([0; 5]);
        fiat_25519_add(&mut loose, &self.0, &other.0);
        Field::carried(&loose)
    }
}

impl Sub for Field {
    type Output = Field;

    fn sub(self, other: Field) -> Field {
        let mut loose = fiat_25519_loose_field_element([0; 5]);
        fiat_25519_sub(&mut loose, &self.0, &other.0);
        Field::carried(&loose)
    }
}

impl Neg for Field {
    type Output = Field;

    fn neg(self) -> Field {
        let mut loose = fiat_25519_loose_field_element([0; 5]);
        fiat_25519_opp(&mut loose, &self.0);
        Field::carried(&loose)
    }
}

impl Mul for Field {
    type Output = Field;

    fn mul(self, other: Field) -> Field {
        let mut out = Field::ZERO;
        fiat_25519_carry_mul(&mut out.0, &self.relaxed(), &other.relaxed());
        out
    }
}

impl ConstantTimeEq for Field {
    fn ct_eq(&self, other: &Field) -> Choice {
        self.to_bytes().ct_eq(&other.to_bytes())
    }
}

impl ConditionallySelectable for Field {
    fn conditional_select(a: &Field, b: &Field, choice: Choice) -> Field {
        let limbs = std::array::from_fn(|index| u64::conditional_select(&a.0.0[index], &b.0.0[index], choice));
        Field(fiat_25519_tight_field_element(limbs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(a: Field, b: Field) -> bool {
        a.ct_eq(&b).into()
    }

    #[test]
    fn the_root_of_minus_one_is_one() {
        assert!(same(Field::root_of_minus_one().square(), -Field::ONE));
    }

    #[test]
    fn zero_is_a_square_and_nothing_is_divided_by_zero() {
        let (square, root) = Field::root_of_ratio(Field::ZERO, Field::ONE);
        assert!(bool::from(square) && same(root, Field::ZERO));
        assert!(!bool::from(Field::root_of_ratio(Field::ONE, Field::ZERO).0));
    }

    proptest! {
        #[test]
        fn a_root_of_a_ratio_squares_to_it(u: [u8; 32], v: [u8; 32]) {
            let (u, v) = (Field::from_bytes(&u), Field::from_bytes(&v));
            let (square, root) = Field::root_of_ratio(u, v);
            let expected = if bool::from(square) { u } else { u * Field::root_of_minus_one() };
            prop_assert!(same(root.square() * v, expected));
            prop_assert!(bool::from(Field::root_of_ratio(u.square() * v, v).0));
        }

        #[test]
        fn exactly_one_of_a_number_and_its_negative_is_in_the_upper_half(u: [u8; 32]) {
            let u = Field::from_bytes(&u);
            prop_assert_eq!(bool::from(u.is_upper_half()), !bool::from((-u).is_upper_half()));
        }
    }
}
