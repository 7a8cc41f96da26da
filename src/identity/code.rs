//! The one-time code that two people give to their stations: six words.

use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;
use ring::pbkdf2;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Words of a code. Six of 2,048 are 66 bits: too many to guess, on line or off (see [`PSK_ITERATIONS`]).
pub const CODE_WORDS: usize = 6;

/// Rounds of PBKDF2 between a code and its key.
///
/// Whoever has recorded a handshake may try codes at home: 2⁶⁶ codes at 2¹⁶ rounds of two SHA-256 blocks each are 2⁸³
/// blocks, and each code lives for minutes. More rounds would cost the honest side: a Pi Zero 2 W (Cortex-A53 at 1 GHz,
/// no SHA instructions, 15.5 cycles a byte by OpenSSL's own table) needs 1 µs a block, so by estimate 0.15 s for this
/// many, once at start.
pub const PSK_ITERATIONS: u32 = 1 << 16;

/// Both sides must come to the same key without having met, so the salt cannot be drawn at random; the code itself is
/// random and used once, which is what a salt is for. The number is the format's version.
const SALT: &[u8] = b"visavis one-time code 1";

/// A one-time secret of six words of the English list of BIP-39. Wiped when dropped.
///
/// `Display` writes it as people read it out, with hyphens; `Debug` does not show it. Deliberately without `==`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Code([u16; CODE_WORDS]);

/// The key that a code stands for. Wiped when dropped; deliberately without `==`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Psk([u8; 32]);

impl Code {
    /// A new code out of `random`.
    pub fn generate(mut random: impl FnMut(&mut [u8])) -> Code {
        let mut bytes = Zeroizing::new([0; CODE_WORDS * 2]);
        random(&mut *bytes);
        // 2,048 divides 65,536: taking the remainder favours no word.
        Code(core::array::from_fn(|i| u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]) % 2_048))
    }

    /// Its key, by PBKDF2-HMAC-SHA256 (RFC 8018 §5.2) over the words in small letters with single spaces. Slow by
    /// intent: once a code, not once a datagram.
    pub fn psk(&self) -> Psk {
        let mut text = Zeroizing::new(String::with_capacity(CODE_WORDS * 9));
        for (i, word) in self.words().enumerate() {
            if i > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
        let mut key = Psk([0; 32]);
        let rounds = const { NonZeroU32::new(PSK_ITERATIONS).unwrap() };
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, SALT, text.as_bytes(), &mut key.0);
        key
    }

    /// The words' places in the list.
    pub(super) fn indices(&self) -> &[u16; CODE_WORDS] {
        &self.0
    }

    /// The code of the words at these places, each below 2,048.
    pub(super) fn from_indices(indices: [u16; CODE_WORDS]) -> Code {
        Code(indices.map(|index| index % 2_048))
    }

    fn words(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|index| bip39::Language::English.word_list()[usize::from(*index)])
    }
}

impl Psk {
    /// The key that these bytes are.
    pub fn from_bytes(bytes: [u8; 32]) -> Psk {
        Psk(bytes)
    }

    /// The bytes, for the handshake.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, word) in self.words().enumerate() {
            write!(f, "{}{word}", if i > 0 { "-" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(…)")
    }
}

/// Why a text is not a code; `Display` says what to do. It names places, never words: it may end up in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeError {
    /// So many words instead of six.
    Count(usize),
    /// The word at this place, from 1, is not on the list.
    Word(usize),
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodeError::Count(n) => write!(
                f,
                "a code has {CODE_WORDS} words, this has {n}: give the words that the other station shows, \
                 or leave the code out and a new one is made"
            ),
            CodeError::Word(place) => write!(
                f,
                "word {place} of the code is not one of the list: look at it again on the other station \
                 (the first four letters of a word are enough)"
            ),
        }
    }
}

impl std::error::Error for CodeError {}

impl FromStr for Code {
    type Err = CodeError;

    /// Case does not matter; spaces, hyphens and commas part the words; four letters or more may stand for a word that
    /// begins with them, since no two words of the list share their first four.
    fn from_str(text: &str) -> Result<Code, CodeError> {
        let parts = || text.split(|c: char| c.is_whitespace() || c == '-' || c == ',').filter(|w| !w.is_empty());
        let count = parts().count();
        if count != CODE_WORDS {
            return Err(CodeError::Count(count));
        }
        let mut code = Code([0; CODE_WORDS]);
        for (place, (index, part)) in code.0.iter_mut().zip(parts()).enumerate() {
            *index = find_word(part).ok_or(CodeError::Word(place + 1))?;
        }
        Ok(code)
    }
}

fn find_word(part: &str) -> Option<u16> {
    // Every word of the list is ASCII and has at most eight letters.
    if !part.is_ascii() || part.len() > 8 {
        return None;
    }
    let matches = |word: &str| match word.get(..part.len()) {
        Some(head) => head.eq_ignore_ascii_case(part) && (part.len() >= 4 || part.len() == word.len()),
        None => false,
    };
    let words = bip39::Language::English.word_list();
    // The whole word first: "sea" is a word, and so is "seat".
    let found = words.iter().position(|word| word.eq_ignore_ascii_case(part));
    found.or_else(|| words.iter().position(|word| matches(word))).map(|index| index as u16)
}
