//! Arithmetic on bytes as the 256 elements of a field, and the code that is made of it.
//!
//! The field is that of polynomials over GF(2) modulo x⁸ + x⁴ + x³ + x² + 1 (0x11d, as in RFC 5510 §8.1): to add is to exclude,
//! and all but zero can be divided by. Parity `row` of shards d₀, d₁, … is Σ [`coefficient`]`(row, i)`·dᵢ. The coefficients are
//! a Cauchy matrix, 1 / (x_row + yᵢ), of which every square part can be inverted: so any k of all shards tell the k. Each column
//! is multiplied such that row 0 is all ones: the first parity, mostly the only one, is a plain exclusive or.

/// Shards that one code spans at most: rows and columns are different elements.
pub(super) const COLUMNS_MAX: usize = 224;
/// Parities of one code at most.
pub(super) const ROWS_MAX: usize = 32;

const _: () = assert!(COLUMNS_MAX + ROWS_MAX <= 256);

/// The generator's powers, twice one behind the other, so that sums of two exponents need no remainder; and their exponents.
const TABLES: ([u8; 510], [u8; 256]) = {
    let (mut powers, mut exponents) = ([0; 510], [0; 256]);
    let (mut power, mut exponent) = (1u8, 0);
    while exponent < 255 {
        (powers[exponent], powers[exponent + 255]) = (power, power);
        exponents[power as usize] = exponent as u8;
        power = twice(power);
        exponent += 1;
    }
    (powers, exponents)
};
static POWERS: [u8; 510] = TABLES.0;
static EXPONENTS: [u8; 256] = TABLES.1;

/// Times x.
const fn twice(a: u8) -> u8 {
    (a << 1) ^ if a & 0x80 != 0 { 0x1d } else { 0 }
}

fn times(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 {
        return 0;
    }
    POWERS[usize::from(EXPONENTS[usize::from(a)]) + usize::from(EXPONENTS[usize::from(b)])]
}

/// `a / b`; `b` is not zero.
pub(super) fn over(a: u8, b: u8) -> u8 {
    if a == 0 {
        0
    } else {
        POWERS[usize::from(EXPONENTS[usize::from(a)]) + 255 - usize::from(EXPONENTS[usize::from(b)])]
    }
}

/// What shard `column` counts in parity `row`; both below their bounds.
pub(super) fn coefficient(row: u8, column: u8) -> u8 {
    over(255 ^ column, (255 - row) ^ column)
}

/// Adds `factor` times `from` to the beginning of `into`, as far as both go.
pub(super) fn add_multiple(into: &mut [u8], factor: u8, from: &[u8]) {
    match factor {
        0 => {}
        1 => into.iter_mut().zip(from).for_each(|(into, from)| *into ^= from),
        _ => {
            // A product is that of the byte's low half and that of its high half: 32 to work out instead of 256.
            let low: [u8; 16] = core::array::from_fn(|half| times(factor, half as u8));
            let high: [u8; 16] = core::array::from_fn(|half| times(factor, (half as u8) << 4));
            let product: [u8; 256] = core::array::from_fn(|byte| low[byte & 15] ^ high[byte >> 4]);
            into.iter_mut().zip(from).for_each(|(into, &from)| *into ^= product[usize::from(from)]);
        }
    }
}

/// Every byte becomes its multiple.
pub(super) fn scale(bytes: &mut [u8], factor: u8) {
    bytes.iter_mut().for_each(|byte| *byte = times(factor, *byte));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_multiplied_and_divided_is_as_before() {
        for (a, b) in (0..=255).flat_map(|a| (1..=255).map(move |b| (a, b))) {
            assert_eq!(over(times(a, b), b), a);
            let (mut sum, mut scaled) = ([0], [a]);
            add_multiple(&mut sum, b, &[a]);
            scale(&mut scaled, b);
            assert_eq!((sum, scaled), ([times(a, b)], [times(a, b)]));
        }
        assert_eq!(times(0x80, 2), 0x1d, "the polynomial is that of the specification");
    }

    #[test]
    fn the_first_row_is_a_plain_sum_and_no_coefficient_is_zero() {
        assert!((0..COLUMNS_MAX as u8).all(|column| coefficient(0, column) == 1));
        assert!((0..ROWS_MAX as u8).all(|row| (0..COLUMNS_MAX as u8).all(|column| coefficient(row, column) != 0)));
    }
}
