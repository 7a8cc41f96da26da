//! Pairing: from a one-time code that two people gave to their stations to two address books that hold each other.
//!
//! ```text
//!             handle_met             handle_name, Keep        handle_known
//!  Looking ───────────────▶ Met ─────────────────────▶ Kept ────────────────▶ Paired
//!     └─ time is over, stopped, guessed ──┴── another station comes by the code ┘ ▶ Failed (and Forget, if it was kept)
//! ```
//!
//! The machine says whom to trust ([`Pairing::psks`]) and where to call ([`Pairing::addresses`]); who drives it keeps one
//! link for that, and feeds back what happens on it:
//! 1. A link that is authenticated by a code carries each station's hello, with its name ([`Pairing::handle_name`]).
//! 2. Each writes the other into its address book ([`Step::Keep`]) and calls it by its key.
//! 3. **A session by key is the proof that both have written**: a station answers, and calls, only keys of its book. Only
//!    then is the pairing done. Who wrote and saw no such session within [`PROOF_WITHIN`] takes it out of the book again,
//!    and says so. So nobody ends with half a pairing and believes it whole, but where the network is cut within the one
//!    round trip between the two sides' proofs, and stays cut: then one side reports failure, and the other has a station
//!    in its book that is never there.
//!
//! **What "few tries" means.** A wrong code fails the first MAC, without an answer, as noise does: it cannot be counted as
//! somebody's try. Each costs a datagram and hits with a chance of 2⁻⁶⁶ for each code that counts; so the datagrams that
//! fail are bounded ([`GUESSES_MAX`]), far above what neighbours who pair at the same time can cause. People's tries are
//! bounded by [`CODES_MAX`]. And a code is good for one station: should two different keys prove that they know it,
//! somebody has seen it who should not, and pairing ends.

use super::{Code, Kept, KeyHint, PEER_ADDRESSES_MAX, Psk, PublicKey, Ticket};
use crate::time::{Duration, Instant};
use core::fmt;
use core::net::SocketAddr;
use std::collections::VecDeque;

/// How long codes are good for: time to walk to the other station and type six words with arrow keys, and no more.
pub const CODE_LIFE: Duration = Duration::from_secs(5 * 60);
/// How long the proof by key may take: ten tries of three seconds, the longest pause between two.
pub const PROOF_WITHIN: Duration = Duration::from_secs(30);
/// Codes that count at a time: this station's own and seven that were read or typed, mistyped ones among them. A try
/// of a link calls as many, and each costs a key derivation of some 0.15 s on a Pi Zero 2 W.
pub const CODES_MAX: usize = 8;
/// Handshake datagrams with a wrong first MAC after which pairing ends: with eight codes that count, guessing that many
/// succeeds once in 2⁴⁷ times. A neighbour who tries all of its eight codes here for five minutes causes some 800.
pub const GUESSES_MAX: u64 = 1 << 16;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Whom to trust, or where to call, has changed.
    Look,
    /// Write this station into the address book ([`AddressBook::keep`](super::AddressBook::keep)), save it, tell [`Pairing::handle_kept`], and call
    /// it by its key from now on.
    Keep {
        /// Who it is.
        key: PublicKey,
        /// What it calls itself.
        name: String,
        /// Where it was met.
        address: SocketAddr,
    },
    /// Take this station out of the address book again, and call it no more.
    Forget {
        /// Who it is.
        key: PublicKey,
    },
    /// It is over: the link by code can be closed. Nothing follows.
    Ended(Outcome),
}

/// How a pairing ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both stations hold each other.
    Paired {
        /// Who the other is.
        key: PublicKey,
        /// What it is called in this station's book.
        name: String,
    },
    /// Nothing has changed in the address book.
    Failed(Failure),
}

/// Why a pairing came to nothing; `Display` says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody came while the code was good.
    TimedOut,
    /// Somebody here stopped it.
    Stopped,
    /// Two different stations proved that they know the code.
    Contested,
    /// The station that came is not the one whose QR code was read.
    NotTheOneShown,
    /// The other station has this station's own key.
    Itself,
    /// Somebody on the network tries codes at random.
    Guessed,
    /// The other side gave up, or did not prove that it has written this station into its book.
    Unproven,
    /// The address book could not be written: why.
    Book(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Failure::TimedOut => "no station came within five minutes: start pairing on both again",
            Failure::Stopped => "pairing was stopped",
            Failure::Contested => "two stations know this code: somebody else has seen it; start again unobserved",
            Failure::NotTheOneShown => {
                "a station with another key than the QR code says has come: somebody else has seen the code; start again"
            }
            Failure::Itself => "the other station has this station's own key: give it a key of its own",
            Failure::Guessed => "somebody on this network tries codes: find out who, then start again",
            Failure::Unproven => "the other station did not finish: start pairing on both again",
            Failure::Book(why) => return write!(f, "the other station could not be kept: {why}"),
        };
        f.write_str(text)
    }
}

/// Why a code that was read or typed is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is this station's own, seen in a mirror or typed at the wrong place.
    Own,
    /// It counts already.
    Known,
    /// Too many were tried.
    TooMany,
    /// Pairing is over, or the other station was met already.
    Late,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Own => "this is the code of this very station: give it the other station's, or the other this one",
            Refused::Known => "this code was given already: the other station is being looked for",
            Refused::TooMany => "too many codes were tried: start pairing again",
            Refused::Late => "no code is wanted now",
        })
    }
}

impl std::error::Error for Refused {}

/// A code that counts. Wiped when dropped.
struct Held {
    code: Code,
    psk: Psk,
    /// What the key of the station that showed it must fit.
    hint: Option<KeyHint>,
}

/// How far it is.
enum Stage {
    Looking,
    /// A station knows the code; its name is awaited.
    Met {
        key: PublicKey,
        address: SocketAddr,
    },
    /// Its name is known; it stands in the book if `kept` says so. The proof by key is awaited.
    Named {
        key: PublicKey,
        since: Instant,
        kept: Option<Kept>,
    },
    Over,
}

/// One pairing, from the code that is shown to its end. Pure: it neither sends, writes nor waits by itself.
pub struct Pairing {
    own: PublicKey,
    /// This station's own first; their places never change.
    codes: Vec<Held>,
    typed: Vec<SocketAddr>,
    found: Vec<SocketAddr>,
    refused_at_start: u64,
    ends_at: Instant,
    stage: Stage,
    steps: VecDeque<Step>,
}

impl Pairing {
    /// Begins with this station's own code, to be shown. `refused` is how many handshake datagrams had a wrong first MAC
    /// so far.
    pub fn start(now: Instant, own: PublicKey, code: Code, refused: u64) -> Pairing {
        let psk = code.psk();
        Pairing {
            own,
            codes: vec![Held { code, psk, hint: None }],
            typed: Vec::new(),
            found: Vec::new(),
            refused_at_start: refused,
            ends_at: now + CODE_LIFE,
            stage: Stage::Looking,
            steps: VecDeque::from([Step::Look]),
        }
    }

    /// This station's own code, while it counts.
    pub fn code(&self) -> Option<&Code> {
        self.codes.first().map(|held| &held.code)
    }

    /// The keys of all codes that count, to be trusted in this order: [`Pairing::handle_met`] names them by their place.
    pub fn psks(&self) -> impl Iterator<Item = &Psk> {
        self.codes.iter().map(|held| &held.psk)
    }

    /// Where to call: nowhere before another station's code is known, for until then nobody there would answer.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        let all = self.typed.iter().chain(&self.found).filter(|_| self.codes.len() > 1);
        for address in all {
            if addresses.len() < PEER_ADDRESSES_MAX && !addresses.contains(address) {
                addresses.push(*address);
            }
        }
        addresses
    }

    /// When the codes end, for the clock on the screen.
    pub fn ends_at(&self) -> Instant {
        self.ends_at
    }

    /// The other station's code was typed. It derives a key, which takes 0.15 s on a Pi Zero 2 W.
    ///
    /// # Errors
    /// A code that is of no use, or one too many.
    pub fn handle_code(&mut self, code: Code) -> Result<(), Refused> {
        self.take(code, None, &[])
    }

    /// The other station's QR code was read; the same as [`Pairing::handle_code`] otherwise. A camera reads the same
    /// symbol many times: all but the first are refused, at no cost.
    ///
    /// # Errors
    /// A code that is of no use, or one too many.
    pub fn handle_ticket(&mut self, ticket: Ticket) -> Result<(), Refused> {
        self.take(ticket.code, Some(ticket.hint), &ticket.addresses)
    }

    /// Somebody typed where the other station is.
    pub fn handle_address(&mut self, address: SocketAddr) {
        self.look_at(&[address]);
    }

    /// These are the addresses of the stations that announce that they are pairing; an earlier list is forgotten.
    pub fn handle_found(&mut self, addresses: &[SocketAddr]) {
        let before = self.addresses();
        self.found.clear();
        self.found.extend(addresses.iter().take(PEER_ADDRESSES_MAX));
        if self.addresses() != before {
            self.say(Step::Look);
        }
    }

    /// A station is there by the code at `place` of [`Pairing::psks`].
    pub fn handle_met(&mut self, place: usize, key: PublicKey, address: SocketAddr) {
        let known = match &self.stage {
            Stage::Looking => None,
            Stage::Met { key, .. } | Stage::Named { key, .. } => Some(*key),
            Stage::Over => return,
        };
        if key == self.own {
            self.fail(Failure::Itself);
        } else if known.is_some_and(|known| known != key) {
            self.fail(Failure::Contested);
        } else if self.codes.get(place).and_then(|held| held.hint).is_some_and(|hint| !hint.is_of(&key)) {
            self.fail(Failure::NotTheOneShown);
        } else if known.is_none() {
            self.stage = Stage::Met { key, address };
        }
    }

    /// The station that was met says its name. Later ones, and those of others, are passed over.
    pub fn handle_name(&mut self, now: Instant, key: &PublicKey, name: &str) {
        if let Stage::Met { key: met, address } = self.stage
            && met == *key
        {
            self.stage = Stage::Named { key: met, since: now, kept: None };
            self.say(Step::Keep { key: met, name: name.to_owned(), address });
        }
    }

    /// The station that was met said goodbye on the link by code. Before its name was said this can only mean that it
    /// has given up; afterwards it may just as well be done.
    pub fn handle_left(&mut self) {
        if let Stage::Met { .. } = self.stage {
            self.fail(Failure::Unproven);
        }
    }

    /// [`Step::Keep`] was done: what became of it, or why it could not be.
    pub fn handle_kept(&mut self, done: Result<Kept, String>) {
        match (&mut self.stage, done) {
            (Stage::Named { kept, .. }, Ok(done)) => *kept = Some(done),
            (Stage::Named { .. }, Err(why)) => self.fail(Failure::Book(why)),
            _ => {}
        }
    }

    /// A session by key with this station stands: to be told when one begins, and after [`Pairing::handle_kept`] where one
    /// stood before.
    pub fn handle_known(&mut self, key: &PublicKey) {
        if let Stage::Named { key: named, kept: Some(kept), .. } = &self.stage
            && named == key
        {
            let outcome = Outcome::Paired { key: *key, name: kept.name.clone() };
            self.end(outcome);
        }
    }

    /// So many handshake datagrams had a wrong first MAC, since the program started.
    pub fn handle_refused(&mut self, refused: u64) {
        if refused.saturating_sub(self.refused_at_start) > GUESSES_MAX {
            self.fail(Failure::Guessed);
        }
    }

    /// Somebody here wants no more of it.
    pub fn stop(&mut self) {
        self.fail(Failure::Stopped);
    }

    /// When [`Pairing::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Looking | Stage::Met { .. } => Some(self.ends_at),
            Stage::Named { since, .. } => Some(*since + PROOF_WITHIN),
            Stage::Over => None,
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return;
        }
        let named = matches!(self.stage, Stage::Named { .. });
        self.fail(if named { Failure::Unproven } else { Failure::TimedOut });
    }

    /// What is to be done next.
    pub fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    fn take(&mut self, code: Code, hint: Option<KeyHint>, addresses: &[SocketAddr]) -> Result<(), Refused> {
        if !matches!(self.stage, Stage::Looking) {
            return Err(Refused::Late);
        }
        match self.codes.iter().position(|held| held.code.indices() == code.indices()) {
            Some(0) => return Err(Refused::Own),
            Some(_) => return Err(Refused::Known),
            None if self.codes.len() == CODES_MAX => return Err(Refused::TooMany),
            None => {}
        }
        let psk = code.psk();
        self.codes.push(Held { code, psk, hint });
        self.say(Step::Look);
        self.look_at(addresses);
        Ok(())
    }

    /// What was read or typed last comes first; the earliest make room.
    fn look_at(&mut self, addresses: &[SocketAddr]) {
        let before = self.addresses();
        self.typed.retain(|known| !addresses.contains(known));
        self.typed.splice(0..0, addresses.iter().copied());
        self.typed.truncate(PEER_ADDRESSES_MAX);
        if self.addresses() != before {
            self.say(Step::Look);
        }
    }

    fn fail(&mut self, failure: Failure) {
        if let Stage::Named { key, kept: Some(Kept { added: true, .. }), .. } = &self.stage {
            let key = *key;
            self.say(Step::Forget { key });
        }
        self.end(Outcome::Failed(failure));
    }

    fn end(&mut self, outcome: Outcome) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        self.stage = Stage::Over;
        // Wiped as they are dropped.
        self.codes.clear();
        self.say(Step::Ended(outcome));
    }

    /// At most four wait, one of each kind: `Look` stands once in the queue, since what it asks for is read when it is
    /// done, and the others come once in a pairing.
    fn say(&mut self, step: Step) {
        if step == Step::Look && self.steps.contains(&Step::Look) {
            return;
        }
        self.steps.push_back(step);
    }
}

impl fmt::Debug for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Looking => "looking",
            Stage::Met { .. } => "met",
            Stage::Named { .. } => "named",
            Stage::Over => "over",
        };
        write!(f, "Pairing({stage}, …)")
    }
}
