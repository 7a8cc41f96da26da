//! The two handshakes, over `snow`: `Noise_IK_25519_ChaChaPoly_SHA256` where the initiator knows whom it calls, and
//! `Noise_XXpsk3_25519_ChaChaPoly_SHA256` where two people gave both stations the same one-time code.
//!
//! Ephemeral keys are drawn from the endpoint's own randomness, so that a test can replay a handshake to the byte.

use super::datagram::{HANDSHAKE_LEN_MAX, HELLO_LEN, Pattern, XX_PADDING_LEN};
use crate::identity::{Psk, PublicKey, SecretKey};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver, RingResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState, StatelessTransportState};
use zeroize::Zeroizing;

/// Both sides mix this into the transcript first; the number is the version of the whole protocol.
const PROLOGUE: &[u8] = b"visavis link 1";

/// A running program: drawn at random when it starts.
pub type Instance = [u8; 16];
/// One pair of inner halves that belong together, one on each side; all zero for none.
pub type Conversation = [u8; 8];

/// No conversation.
pub const NO_CONVERSATION: Conversation = [0; 8];

/// What each side says of itself inside the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The running program.
    pub instance: Instance,
    /// The conversation whose inner half it still holds.
    pub conversation: Conversation,
    /// Grows with every hello of an instance, in nanoseconds of its own clock.
    pub stamp: u64,
    /// The initiator proposes it, the responder decides it: of two sessions the one of the higher generation is used.
    pub generation: u32,
}

impl Hello {
    pub(super) fn to_bytes(self) -> [u8; HELLO_LEN] {
        let mut bytes = [0; HELLO_LEN];
        bytes[..16].copy_from_slice(&self.instance);
        bytes[16..24].copy_from_slice(&self.conversation);
        bytes[24..32].copy_from_slice(&self.stamp.to_le_bytes());
        bytes[32..].copy_from_slice(&self.generation.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Hello> {
        let (instance, rest) = bytes.split_first_chunk()?;
        let (conversation, rest) = rest.split_first_chunk()?;
        let (stamp, rest) = rest.split_first_chunk()?;
        let (generation, _padding) = rest.split_first_chunk()?;
        Some(Hello {
            instance: *instance,
            conversation: *conversation,
            stamp: u64::from_le_bytes(*stamp),
            generation: u32::from_le_bytes(*generation),
        })
    }
}

/// A Noise message being written, on the stack.
pub struct Message {
    bytes: [u8; HANDSHAKE_LEN_MAX],
    len: usize,
}

impl Message {
    /// What was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// One handshake under way.
///
/// A message that does not belong leaves it as it was, so that forged answers cannot end a genuine handshake.
pub struct Handshake {
    state: HandshakeState,
    pattern: Pattern,
}

/// Building can only fail for parameters that this file itself gets wrong; none of it comes from outside.
const BUILDS: &str = "the two patterns and their keys are complete";

impl Handshake {
    /// Calls the station with this key.
    pub fn initiate_ik(secret: &SecretKey, responder: &PublicKey, random: &mut dyn FnMut(&mut [u8])) -> Handshake {
        let builder = builder(Pattern::Ik, secret, random).remote_public_key(&responder.0).expect(BUILDS);
        Handshake { state: builder.build_initiator().expect(BUILDS), pattern: Pattern::Ik }
    }

    /// Answers somebody who knows our key.
    pub fn respond_ik(secret: &SecretKey, random: &mut dyn FnMut(&mut [u8])) -> Handshake {
        let builder = builder(Pattern::Ik, secret, random);
        Handshake { state: builder.build_responder().expect(BUILDS), pattern: Pattern::Ik }
    }

    /// Calls whoever has this code.
    pub fn initiate_xx(secret: &SecretKey, psk: &Psk, random: &mut dyn FnMut(&mut [u8])) -> Handshake {
        let builder = builder(Pattern::Xx, secret, random).psk(3, psk.as_bytes()).expect(BUILDS);
        Handshake { state: builder.build_initiator().expect(BUILDS), pattern: Pattern::Xx }
    }

    /// Answers somebody who has this code.
    pub fn respond_xx(secret: &SecretKey, psk: &Psk, random: &mut dyn FnMut(&mut [u8])) -> Handshake {
        let builder = builder(Pattern::Xx, secret, random).psk(3, psk.as_bytes()).expect(BUILDS);
        Handshake { state: builder.build_responder().expect(BUILDS), pattern: Pattern::Xx }
    }

    /// The next message, with `hello` in it.
    pub fn write_hello(&mut self, hello: Hello) -> Option<Message> {
        let mut payload = [0; HELLO_LEN + XX_PADDING_LEN];
        payload[..HELLO_LEN].copy_from_slice(&hello.to_bytes());
        let padded = self.pattern == Pattern::Xx && self.state.is_initiator();
        self.write(if padded { &payload } else { &payload[..HELLO_LEN] })
    }

    /// XXpsk3's last message, which says nothing.
    pub fn write_finish(&mut self) -> Option<Message> {
        self.write(&[])
    }

    fn write(&mut self, payload: &[u8]) -> Option<Message> {
        let mut message = Message { bytes: [0; HANDSHAKE_LEN_MAX], len: 0 };
        // It fails where X25519 does, or out of turn.
        message.len = self.state.write_message(payload, &mut message.bytes).ok()?;
        Some(message)
    }

    /// What the peer says in its message; `None` where it is not genuine.
    pub fn read_hello(&mut self, message: &[u8]) -> Option<Hello> {
        let mut payload = [0; HANDSHAKE_LEN_MAX];
        let len = self.state.read_message(message, &mut payload).ok()?;
        Hello::from_bytes(payload.get(..len)?)
    }

    /// Whether XXpsk3's last message is genuine.
    pub fn read_finish(&mut self, message: &[u8]) -> Option<()> {
        self.state.read_message(message, &mut [0; HANDSHAKE_LEN_MAX]).ok().map(drop)
    }

    /// The peer's static key, as far as it is known.
    pub fn peer(&self) -> Option<PublicKey> {
        self.state.get_remote_static().and_then(|key| key.try_into().ok()).map(PublicKey)
    }

    /// Names a new conversation after this handshake: both sides come to the same, and no other handshake does.
    pub fn conversation(&self) -> Conversation {
        let mut conversation = [0; 8];
        conversation.copy_from_slice(&self.state.get_handshake_hash()[..8]);
        // A hash of eight zeros would read as none.
        conversation[7] |= 1;
        conversation
    }

    /// Which of the two it is.
    pub fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// Whether we began it.
    pub fn is_initiator(&self) -> bool {
        self.state.is_initiator()
    }

    /// The keys of the session.
    pub fn into_keys(self) -> Option<StatelessTransportState> {
        self.state.into_stateless_transport_mode().ok()
    }
}

fn builder<'k>(pattern: Pattern, secret: &'k SecretKey, random: &mut dyn FnMut(&mut [u8])) -> Builder<'k> {
    let name = match pattern {
        Pattern::Ik => "Noise_IK_25519_ChaChaPoly_SHA256",
        Pattern::Xx => "Noise_XXpsk3_25519_ChaChaPoly_SHA256",
    };
    let mut ephemeral = Zeroizing::new([0; 32]);
    random(&mut *ephemeral);
    let builder = Builder::with_resolver(name.parse().expect(BUILDS), Box::new(Primitives { ephemeral }));
    builder.local_private_key(secret.as_bytes()).and_then(|b| b.prologue(PROLOGUE)).expect(BUILDS)
}

/// ring's ciphers and hashes, dalek's X25519, and randomness drawn beforehand.
struct Primitives {
    ephemeral: Zeroizing<[u8; 32]>,
}

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Drawn(Some(self.ephemeral.clone()))))
    }
    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }
    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        RingResolver.resolve_hash(choice)
    }
    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        RingResolver.resolve_cipher(choice)
    }
}

/// The one ephemeral key that a handshake draws; a second is refused rather than repeated.
struct Drawn(Option<Zeroizing<[u8; 32]>>);

impl Random for Drawn {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
        match self.0.take() {
            Some(drawn) if drawn.len() == out.len() => out.copy_from_slice(&*drawn),
            _ => return Err(snow::Error::Rng),
        }
        Ok(())
    }
}
