//! The peers that a station knows: what each may do, whether it is here, and what it is still owed.

use super::policy::PeerPolicy;
use crate::identity::{PEERS_MAX, PublicKey};
use crate::time::Instant;
use crate::wire::CallMessage;

/// One peer.
#[derive(Clone, Debug)]
struct Peer {
    policy: PeerPolicy,
    presence: Presence,
    /// What became of a call, which it does not know yet, since it is away. The last word is enough: nothing is begun
    /// with a peer that is away, and a station has one call with another at a time.
    owed: Option<CallMessage>,
}

#[derive(Clone, Copy, Debug)]
enum Presence {
    Here,
    /// And since when; if it was never here, since when it is known.
    Away(Instant),
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(Vec<Peer>);

impl Peers {
    /// Takes the policies as the book has them now; those whom it has no more.
    pub fn set(&mut self, now: Instant, policies: &[PeerPolicy]) -> Vec<PublicKey> {
        let mut before = core::mem::take(&mut self.0);
        for policy in policies.iter().take(PEERS_MAX) {
            let known = before.iter().position(|peer| peer.policy.key == policy.key);
            let (presence, owed) = match known.map(|at| before.swap_remove(at)) {
                Some(peer) => (peer.presence, peer.owed),
                None => (Presence::Away(now), None),
            };
            self.0.push(Peer { policy: policy.clone(), presence, owed });
        }
        before.into_iter().map(|peer| peer.policy.key).collect()
    }

    fn get(&self, key: PublicKey) -> Option<&Peer> {
        self.0.iter().find(|peer| peer.policy.key == key)
    }

    pub fn policy(&self, key: PublicKey) -> Option<&PeerPolicy> {
        self.get(key).map(|peer| &peer.policy)
    }

    pub fn keys(&self) -> Vec<PublicKey> {
        self.0.iter().map(|peer| peer.policy.key).collect()
    }

    /// The station that people call so, case aside as in the book.
    pub fn named(&self, name: &str) -> Option<PublicKey> {
        let same = |peer: &&Peer| peer.policy.name.to_lowercase() == name.to_lowercase();
        self.0.iter().find(same).map(|peer| peer.policy.key)
    }

    pub fn is_here(&self, key: PublicKey) -> bool {
        self.get(key).is_some_and(|peer| matches!(peer.presence, Presence::Here))
    }

    /// When a peer that is away was last here, or became known: its link may be about to come up.
    pub fn left_at(&self, key: PublicKey) -> Option<Instant> {
        self.get(key).and_then(|peer| match peer.presence {
            Presence::Here => None,
            Presence::Away(since) => Some(since),
        })
    }

    /// Notes whether it is here; whether that is news.
    pub fn note(&mut self, now: Instant, key: PublicKey, here: bool) -> bool {
        let Some(peer) = self.0.iter_mut().find(|peer| peer.policy.key == key) else { return false };
        if matches!(peer.presence, Presence::Here) == here {
            return false;
        }
        peer.presence = if here { Presence::Here } else { Presence::Away(now) };
        true
    }

    /// The message itself where it is to be sent now. Where the peer is away, it is owed that a call was accepted or is
    /// over; anything else would be stale when it comes back.
    pub fn address(&mut self, key: PublicKey, message: CallMessage) -> Option<CallMessage> {
        let peer = self.0.iter_mut().find(|peer| peer.policy.key == key)?;
        if matches!(peer.presence, Presence::Here) {
            return Some(message);
        }
        if matches!(message, CallMessage::Accept { .. } | CallMessage::Decline { .. } | CallMessage::End { .. }) {
            peer.owed = Some(message);
        }
        None
    }

    /// What it did not hear while it was away; it is owed nothing then.
    pub fn take_owed(&mut self, key: PublicKey) -> Option<CallMessage> {
        self.0.iter_mut().find(|peer| peer.policy.key == key)?.owed.take()
    }
}
