//! One session: the keys that a handshake left, its counters, and the window against replays.

use super::datagram::{DATA_HEAD_LEN, TAG_LEN, write_data_head};
use super::noise::Conversation;
use super::replay::ReplayWindow;
use crate::time::{Duration, Instant};
use snow::StatelessTransportState;

/// What a session adds to a payload: head, the byte that says what it is, tag.
pub const OVERHEAD: usize = DATA_HEAD_LEN + 1 + TAG_LEN;

/// The side that initiated a session renews it at this age: WireGuard's number, which has proved itself.
const REKEY_AGE_INITIATOR: Duration = Duration::from_secs(120);
/// The other side does, if by then nothing came of it.
const REKEY_AGE_RESPONDER: Duration = Duration::from_secs(150);
/// At this age a session ends: nothing is sealed or opened with it any more.
pub const END_AGE: Duration = Duration::from_secs(180);
/// At so many datagrams either side renews it. Never reached at any rate of this world; it keeps counters from the end
/// of their range without anybody having to think about it.
const REKEY_COUNT: u64 = 1 << 60;
/// At so many a session is not used any more.
const COUNTER_MAX: u64 = 1 << 61;

/// The last byte of a plaintext says what it is.
mod content {
    pub const PAYLOAD: u8 = 0;
    pub const KEEP_ALIVE: u8 = 1;
    pub const GOODBYE: u8 = 2;
}

/// What a datagram of a session says.
#[derive(Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Something for the inner half.
    Payload(&'a [u8]),
    /// "I am here."
    KeepAlive,
    /// "I am going", with the reason's number.
    Goodbye(u8),
}

/// Why a datagram was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// It was taken before, or is older than the window reaches.
    Replayed,
    /// It was not sealed with this session's key.
    Forged,
    /// It is genuine, but says something that this version does not know.
    Unknown,
}

/// How a session came to be, as both sides know it.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Our number for it, in datagrams to us.
    pub local: u32,
    /// The peer's number for it.
    pub remote: u32,
    /// Whether we sent the first message.
    pub initiator: bool,
    /// Of two sessions with the same peer the higher is used.
    pub generation: u32,
    /// The inner halves that speak in it.
    pub conversation: Conversation,
    /// Whether that conversation began in an earlier session.
    pub resumed: bool,
    /// When the handshake was done.
    pub made_at: Instant,
}

/// One session.
pub struct Session {
    /// How it came to be.
    pub terms: Terms,
    /// Whether the peer has been heard in it; until then it may not know the session.
    pub heard: bool,
    keys: StatelessTransportState,
    next_counter: u64,
    window: ReplayWindow,
}

impl Session {
    /// With the keys of a finished handshake.
    pub fn new(terms: Terms, keys: StatelessTransportState) -> Session {
        Session { terms, heard: false, keys, next_counter: 0, window: ReplayWindow::new() }
    }

    /// Seals the payload of `len` bytes that stands at the front of `plain` (one byte longer) into the front of `out`,
    /// and says the datagram's length. `None` where the session has come to its end, or `out` is too short.
    pub fn seal_payload(&mut self, plain: &mut [u8], len: usize, out: &mut [u8]) -> Option<usize> {
        *plain.get_mut(len)? = content::PAYLOAD;
        self.seal(&plain[..=len], out)
    }

    /// Seals a keep-alive.
    pub fn seal_keep_alive(&mut self, out: &mut [u8]) -> Option<usize> {
        self.seal(&[content::KEEP_ALIVE], out)
    }

    /// Seals a goodbye.
    pub fn seal_goodbye(&mut self, reason: u8, out: &mut [u8]) -> Option<usize> {
        self.seal(&[reason, content::GOODBYE], out)
    }

    fn seal(&mut self, plain: &[u8], out: &mut [u8]) -> Option<usize> {
        if self.next_counter >= COUNTER_MAX {
            return None;
        }
        let (head, body) = out.split_first_chunk_mut()?;
        let sealed_len = self.keys.write_message(self.next_counter, plain, body).ok()?;
        write_data_head(self.terms.remote, self.next_counter, head);
        self.next_counter += 1;
        Some(DATA_HEAD_LEN + sealed_len)
    }

    /// Opens what was sealed under `counter` into `plain` (at least as long as `sealed`: less would allocate). Also says
    /// whether it is the newest datagram so far.
    ///
    /// # Errors
    /// Why it was not opened; nothing has changed then.
    pub fn open<'p>(
        &mut self,
        counter: u64,
        sealed: &[u8],
        plain: &'p mut [u8],
    ) -> Result<(Content<'p>, bool), Unopened> {
        if counter >= COUNTER_MAX || !self.window.is_fresh(counter) {
            return Err(Unopened::Replayed);
        }
        let len = self.keys.read_message(counter, sealed, plain).map_err(|_| Unopened::Forged)?;
        let newest = self.window.take(counter);
        let content = match plain[..len].split_last() {
            Some((&content::PAYLOAD, payload)) => Content::Payload(payload),
            Some((&content::KEEP_ALIVE, [])) => Content::KeepAlive,
            Some((&content::GOODBYE, [reason])) => Content::Goodbye(*reason),
            _ => return Err(Unopened::Unknown),
        };
        self.heard = true;
        Ok((content, newest))
    }

    /// When it should be renewed.
    pub fn rekey_at(&self) -> Instant {
        if self.next_counter >= REKEY_COUNT {
            return self.terms.made_at;
        }
        self.terms.made_at + if self.terms.initiator { REKEY_AGE_INITIATOR } else { REKEY_AGE_RESPONDER }
    }

    /// When it ends.
    pub fn ends_at(&self) -> Instant {
        self.terms.made_at + END_AGE
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what one end seals the other opens once, and nothing else. Method: two sessions of one IK handshake.

    use super::*;
    use crate::identity::SecretKey;
    use crate::link::noise::{Handshake, Hello, NO_CONVERSATION};
    use crate::link::{MAX_DATAGRAM, MAX_PAYLOAD};
    use proptest::prelude::*;

    fn pair() -> (Session, Session) {
        let (a, b) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
        let mut random = |out: &mut [u8]| out.fill(7);
        let mut initiator = Handshake::initiate_ik(&a, &b.public(), &mut random);
        let mut responder = Handshake::respond_ik(&b, &mut random);
        let hello = Hello { instance: [1; 16], conversation: NO_CONVERSATION, stamp: 1, generation: 1 };
        responder.read_hello(initiator.write_hello(hello).unwrap().as_bytes()).unwrap();
        initiator.read_hello(responder.write_hello(hello).unwrap().as_bytes()).unwrap();
        assert_eq!(initiator.conversation(), responder.conversation());
        let terms = |initiator, local, remote| Terms {
            local,
            remote,
            initiator,
            generation: 1,
            conversation: [1; 8],
            resumed: false,
            made_at: Instant::ZERO,
        };
        let session = |handshake: Handshake, terms| Session::new(terms, handshake.into_keys().unwrap());
        (session(initiator, terms(true, 10, 20)), session(responder, terms(false, 20, 10)))
    }

    fn sealed(from: &mut Session, payload: &[u8]) -> Vec<u8> {
        let mut plain = payload.to_vec();
        plain.push(0xff);
        let mut out = [0; MAX_DATAGRAM];
        let len = from.seal_payload(&mut plain, payload.len(), &mut out).unwrap();
        out[..len].to_vec()
    }

    fn open(to: &mut Session, datagram: &[u8]) -> Result<Vec<u8>, Unopened> {
        let Some(super::super::datagram::Datagram::Data { receiver, counter, sealed }) =
            super::super::datagram::parse(datagram)
        else {
            panic!("not a data datagram")
        };
        assert_eq!(receiver, to.terms.local);
        match to.open(counter, sealed, &mut [0; MAX_DATAGRAM])? {
            (Content::Payload(payload), _) => Ok(payload.to_vec()),
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn every_payload_arrives_once_and_unaltered(payload in proptest::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD)) {
            let (mut a, mut b) = pair();
            let datagram = sealed(&mut a, &payload);
            prop_assert_eq!(datagram.len(), payload.len() + OVERHEAD);
            prop_assert_eq!(open(&mut b, &datagram), Ok(payload));
            prop_assert_eq!(open(&mut b, &datagram), Err(Unopened::Replayed));
        }
    }

    #[test]
    fn no_bit_of_a_datagram_can_be_bent() {
        let (mut a, mut b) = pair();
        let datagram = sealed(&mut a, b"what was said");
        // The type and the receiver's number choose the key; from the counter on, everything is authenticated.
        for bit in 5 * 8..datagram.len() * 8 {
            let mut bent = datagram.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let counter = u64::from_le_bytes(bent[5..13].try_into().unwrap());
            let expected = if counter >= COUNTER_MAX { Unopened::Replayed } else { Unopened::Forged };
            assert_eq!(open(&mut b, &bent), Err(expected), "bit {bit}");
        }
        assert_eq!(open(&mut b, &datagram).unwrap(), b"what was said");
    }

    #[test]
    fn a_session_is_renewed_and_ended_by_count() {
        let (mut a, _) = pair();
        let on_time = a.rekey_at();
        a.next_counter = REKEY_COUNT;
        assert!(a.rekey_at() < on_time);
        a.next_counter = COUNTER_MAX - 1;
        assert!(a.seal_keep_alive(&mut [0; 64]).is_some());
        assert!(a.seal_keep_alive(&mut [0; 64]).is_none());
    }

    #[test]
    fn a_buffer_that_is_too_short_is_refused_and_costs_no_counter() {
        let (mut a, _) = pair();
        for len in 0..30 {
            assert!(a.seal_keep_alive(&mut [0; 30][..len]).is_none());
        }
        assert_eq!(a.next_counter, 0);
        assert_eq!(a.seal_keep_alive(&mut [0; 30]), Some(30));
    }
}
