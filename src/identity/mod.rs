//! Who this station is, and whom it knows: its key, one-time codes, and the address book.
//!
//! **A station is its static X25519 key.** There are no accounts, names or certificates: a peer is trusted because its
//! public key stands in the address book, because it is this station's own key, or because both ends were given the
//! same one-time [`Code`]. What is on disk is two files in the state directory, both written atomically:
//!
//! | file | what | mode |
//! |---|---|---|
//! | `identity.key` | the station's private key; made at the first start, and refused when others may read it | 0600 |
//! | `peers.toml` | the address book: names, public keys, rights, addresses that worked | 0644 |
//!
//! Private keys and codes are wiped from memory when dropped, and their `Debug` says nothing.

mod book;
mod book_file;
mod code;
mod files;
mod hint;
mod key;
mod pairing;
#[cfg(test)]
mod pairing_tests;
#[cfg(test)]
mod tests;
mod ticket;

pub use book::{AddressBook, BOOK_FILE, Entry, Kept, PEER_ADDRESSES_MAX, PEERS_MAX, Rights};
pub(crate) use book::{check_name, same_name};
pub use code::{CODE_WORDS, Code, CodeError, PSK_ITERATIONS, Psk};
pub use files::{IdentityError, state_directory};
pub(crate) use files::{make_directory, remove_unfinished, sync_directory, write_atomically};
pub use hint::{HINT_SALT_LEN, HintError, KeyHint};
pub use key::{KEY_FILE, KeyError, PublicKey, SecretKey};
pub use pairing::{CODE_LIFE, CODES_MAX, Failure, GUESSES_MAX, Outcome, PROOF_WITHIN, Pairing, Refused, Step};
pub use ticket::{TICKET_CHARACTERS_MAX, Ticket, TicketError};

/// Fills `out` with random bytes from the kernel.
///
/// # Panics
/// Where the kernel refuses getrandom(2), which every kernel since 3.17 has: there is no safe way on without it.
pub fn system_random(out: &mut [u8]) {
    use ring::rand::SecureRandom;
    ring::rand::SystemRandom::new().fill(out).expect("getrandom(2) must work: nothing can be secret without it");
}
