//! The one thing of a sequence parameter set that the decoder library does not tell: whether luma spans 16–235 or
//! 0–255 (`video_full_range_flag`, ITU-T H.264 §7.3.2.1.1 and Annex E).

use crate::media::ColourRange;

/// Reads bits of a NAL unit's payload, leaving out emulation prevention bytes (§7.3.1). Past the end there is nothing.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    zeros: u8,
    word: u8,
    left: u8,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, at: 0, zeros: 0, word: 0, left: 0 }
    }

    fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            let mut byte = *self.bytes.get(self.at)?;
            if self.zeros >= 2 && byte == 3 {
                self.at += 1;
                self.zeros = 0;
                byte = *self.bytes.get(self.at)?;
            }
            self.at += 1;
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
            (self.word, self.left) = (byte, 8);
        }
        self.left -= 1;
        Some(u32::from(self.word >> self.left & 1))
    }

    fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | self.bit()?))
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.bit()? == 1)
    }

    /// Exp-Golomb, unsigned (§9.1); codes of more than 32 bits do not occur in a good stream.
    fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
        }
        if zeros > 31 { None } else { Some((1 << zeros) - 1 + self.bits(zeros)?) }
    }

    fn signed(&mut self) -> Option<i32> {
        let code = self.unsigned()?;
        let half = code.div_ceil(2) as i32;
        Some(if code % 2 == 0 { -half } else { half })
    }

    fn skip_unsigned(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.unsigned().map(|_| ()))
    }
}

/// The range that the unit's parameter set states, if there is one in it and it can be read.
pub fn find_range(unit: &[u8]) -> Option<ColourRange> {
    // Parameter sets come before the slices, so this looks at a few dozen bytes of a key frame, and of other frames
    // only at the first NAL unit's type.
    let mut rest = unit;
    loop {
        let start = rest.windows(3).position(|w| w == [0, 0, 1])?;
        let nal = &rest[start + 3..];
        match nal.first()? & 0x1f {
            7 => return parse(&nal[1..]),
            1..=5 => return None,
            _ => rest = nal,
        }
    }
}

/// Reads a sequence parameter set up to the flag; where it does not speak of levels, they are video levels (§E.2.1).
fn parse(payload: &[u8]) -> Option<ColourRange> {
    let mut bits = Bits::new(payload);
    let profile = bits.bits(8)?;
    bits.bits(16)?;
    bits.unsigned()?;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        skip_high_profile(&mut bits)?;
    }
    bits.unsigned()?;
    match bits.unsigned()? {
        0 => bits.skip_unsigned(1)?,
        1 => {
            bits.flag()?;
            bits.skip_unsigned(2)?;
            let cycle = bits.unsigned()?.min(255);
            bits.skip_unsigned(cycle)?;
        }
        _ => {}
    }
    bits.unsigned()?;
    bits.flag()?;
    bits.skip_unsigned(2)?;
    if !bits.flag()? {
        bits.flag()?;
    }
    bits.flag()?;
    if bits.flag()? {
        bits.skip_unsigned(4)?;
    }
    if !bits.flag()? {
        return Some(ColourRange::Limited);
    }
    // VUI: aspect ratio, overscan, then the signal type.
    if bits.flag()? && bits.bits(8)? == 255 {
        bits.bits(32)?;
    }
    if bits.flag()? {
        bits.flag()?;
    }
    if !bits.flag()? {
        return Some(ColourRange::Limited);
    }
    bits.bits(3)?;
    Some(if bits.flag()? { ColourRange::Full } else { ColourRange::Limited })
}

/// Chroma format, bit depths and scaling matrices, which only the high profiles have.
fn skip_high_profile(bits: &mut Bits<'_>) -> Option<()> {
    let chroma_format = bits.unsigned()?;
    if chroma_format == 3 {
        bits.flag()?;
    }
    bits.skip_unsigned(2)?;
    bits.flag()?;
    if !bits.flag()? {
        return Some(());
    }
    for list in 0..if chroma_format == 3 { 12 } else { 8 } {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8, 8);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + bits.signed()?) & 0xff;
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            find_range(&bytes);
            parse(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = 100;
            }
            parse(&bytes);
        }
    }

    #[test]
    fn exp_golomb_codes_are_those_of_the_standard() {
        // 1, 010, 011, 00100, 1 as in table 9-2; then the same as signed values.
        let bytes = [0b1010_0110, 0b0100_1000];
        let mut bits = Bits::new(&bytes);
        assert_eq!([(); 5].map(|()| bits.unsigned().unwrap()), [0, 1, 2, 3, 0]);
        let mut bits = Bits::new(&bytes);
        assert_eq!([(); 4].map(|()| bits.signed().unwrap()), [0, 1, -1, 2]);
    }

    #[test]
    fn emulation_prevention_bytes_are_left_out() {
        assert_eq!(Bits::new(&[0, 0, 3, 1]).bits(24), Some(1));
        assert_eq!(Bits::new(&[0, 0, 3]).bits(24), None);
    }
}
