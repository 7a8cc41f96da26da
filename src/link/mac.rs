//! The outer MACs: what a stranger cannot make, and what a flood cannot make for its forged addresses.
//!
//! mac1 is over the whole handshake datagram before it, under a key that follows from what the sender must know anyway:
//! the responder's public key (IK) or the one-time code (XXpsk3). Without it nothing is answered. mac2 is over the same
//! and mac1, under a cookie that was sent to the source address, and is asked for under load only. The shape is
//! WireGuard's (Donenfeld, NDSS 2017, §5.4.4 and §5.4.7), over HMAC-SHA256 instead of BLAKE2s.

use super::datagram::{COOKIE_SALT_LEN, MAC_LEN, TAG_LEN};
use crate::identity::{Psk, PublicKey};
use crate::time::{Duration, Instant};
use core::net::{IpAddr, SocketAddr};
use ring::{aead, hmac};

/// A MAC, or a cookie, which is one.
pub type Mac = [u8; MAC_LEN];
/// The cookie as it travels.
pub type SealedCookie = [u8; MAC_LEN + TAG_LEN];

/// How long a cookie is good for. The secret behind cookies changes as often, and the one before it still counts.
pub const COOKIE_LIFE: Duration = Duration::from_secs(120);

/// Equal, in a time that does not tell where they differ.
pub fn equal(a: &Mac, b: &Mac) -> bool {
    core::hint::black_box(a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b))) == 0
}

fn tag(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; 32];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

fn short_tag(key: &hmac::Key, parts: &[&[u8]]) -> Mac {
    let mut mac = [0; MAC_LEN];
    mac.copy_from_slice(&tag(key, parts)[..MAC_LEN]);
    mac
}

/// The keys around one handshake: of its datagrams' mac1, and of cookie replies to it.
pub struct OuterKeys {
    mac1: hmac::Key,
    cookie: hmac::Key,
}

impl OuterKeys {
    /// For IK, towards the station with this key.
    pub fn of_key(responder: &PublicKey) -> OuterKeys {
        OuterKeys::derive(&responder.0)
    }

    /// For XXpsk3, under this code.
    pub fn of_code(psk: &Psk) -> OuterKeys {
        OuterKeys::derive(psk.as_bytes())
    }

    fn derive(secret: &[u8; 32]) -> OuterKeys {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let key = |label: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, &tag(&secret, &[label]));
        OuterKeys { mac1: key(b"visavis link 1 mac1"), cookie: key(b"visavis link 1 cookie") }
    }

    /// mac1 of a datagram whose bytes before it are `covered`.
    pub fn mac1(&self, covered: &[u8]) -> Mac {
        short_tag(&self.mac1, &[covered])
    }

    /// Seals a cookie to whoever sent the datagram with this `mac1`.
    pub fn seal_cookie(&self, salt: &[u8; COOKIE_SALT_LEN], mac1: &Mac, cookie: &Mac) -> SealedCookie {
        let mut sealed = [0; MAC_LEN + TAG_LEN];
        let (text, end) = sealed.split_at_mut(MAC_LEN);
        text.copy_from_slice(cookie);
        // Only lengths beyond 2³⁸ bytes are refused.
        let tag = self.cookie_cipher(salt).seal_in_place_separate_tag(zero_nonce(), aead::Aad::from(mac1), text);
        end.copy_from_slice(tag.expect("16 bytes can be sealed").as_ref());
        sealed
    }

    /// The cookie, where it answers the datagram with this `mac1`.
    pub fn open_cookie(&self, salt: &[u8; COOKIE_SALT_LEN], mac1: &Mac, sealed: &[u8]) -> Option<Mac> {
        let mut text: SealedCookie = sealed.try_into().ok()?;
        let cipher = self.cookie_cipher(salt);
        let cookie = cipher.open_in_place(zero_nonce(), aead::Aad::from(mac1), &mut text).ok()?;
        Mac::try_from(&*cookie).ok()
    }

    /// A key of its own for each salt, so that the nonce may stay zero.
    fn cookie_cipher(&self, salt: &[u8; COOKIE_SALT_LEN]) -> aead::LessSafeKey {
        let key = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &tag(&self.cookie, &[salt]));
        aead::LessSafeKey::new(key.expect("a tag has 32 bytes, as the key must"))
    }
}

fn zero_nonce() -> aead::Nonce {
    aead::Nonce::assume_unique_for_key([0; aead::NONCE_LEN])
}

/// mac2: under the cookie, over everything before it.
pub fn mac2(cookie: &Mac, covered: &[u8], mac1: &Mac) -> Mac {
    short_tag(&hmac::Key::new(hmac::HMAC_SHA256, cookie), &[covered, mac1])
}

/// Makes cookies and checks what was made with them, remembering nothing about anybody.
pub struct CookieJar {
    current: hmac::Key,
    before: hmac::Key,
    changed_at: Instant,
}

impl CookieJar {
    /// Under secrets out of `random`.
    pub fn new(now: Instant, random: &mut dyn FnMut(&mut [u8])) -> CookieJar {
        CookieJar { current: fresh_secret(random), before: fresh_secret(random), changed_at: now }
    }

    /// The cookie of this address and port. `random` serves when the secret is due for a change.
    pub fn cookie(&mut self, now: Instant, from: SocketAddr, random: &mut dyn FnMut(&mut [u8])) -> Mac {
        self.turn(now, random);
        cookie_under(&self.current, from)
    }

    /// Whether `presented` is mac2 under a cookie that was given to this address lately.
    pub fn accepts(
        &mut self,
        now: Instant,
        from: SocketAddr,
        (covered, mac1, presented): (&[u8], &Mac, &Mac),
        random: &mut dyn FnMut(&mut [u8]),
    ) -> bool {
        self.turn(now, random);
        let made_with = |secret| equal(&mac2(&cookie_under(secret, from), covered, mac1), presented);
        made_with(&self.current) || made_with(&self.before)
    }

    fn turn(&mut self, now: Instant, random: &mut dyn FnMut(&mut [u8])) {
        let age = now.since(self.changed_at);
        if age < COOKIE_LIFE {
            return;
        }
        let before = core::mem::replace(&mut self.current, fresh_secret(random));
        // After a long quiet even the one before is too old.
        self.before = if age < COOKIE_LIFE * 2 { before } else { fresh_secret(random) };
        self.changed_at = now;
    }
}

fn fresh_secret(random: &mut dyn FnMut(&mut [u8])) -> hmac::Key {
    let mut secret = [0; 32];
    random(&mut secret);
    hmac::Key::new(hmac::HMAC_SHA256, &secret)
}

fn cookie_under(secret: &hmac::Key, from: SocketAddr) -> Mac {
    let port = from.port().to_le_bytes();
    match from.ip() {
        IpAddr::V4(ip) => short_tag(secret, &[&ip.octets(), &port]),
        IpAddr::V6(ip) => short_tag(secret, &[&ip.octets(), &port]),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a cookie proves an address for a while and nothing else. Method: by hand, with simulated time.

    use super::*;

    fn counting() -> impl FnMut(&mut [u8]) {
        let mut next = 0u8;
        move |out| {
            out.fill_with(|| {
                next = next.wrapping_add(1);
                next
            })
        }
    }

    #[test]
    fn a_cookie_is_good_for_its_address_and_for_its_time() {
        let mut random = counting();
        let mut jar = CookieJar::new(Instant::ZERO, &mut random);
        let (here, there) = ("192.0.2.1:9".parse().unwrap(), "192.0.2.1:10".parse().unwrap());
        let cookie = jar.cookie(Instant::ZERO, here, &mut random);
        let (covered, mac1) = (&b"a handshake"[..], [1; MAC_LEN]);
        let presented = mac2(&cookie, covered, &mac1);
        let mut accepts = |now, from, presented: &Mac| jar.accepts(now, from, (covered, &mac1, presented), &mut random);
        assert!(accepts(Instant::ZERO, here, &presented));
        assert!(!accepts(Instant::ZERO, there, &presented));
        assert!(!accepts(Instant::ZERO, here, &[0; MAC_LEN]));
        assert!(accepts(Instant::from_millis(200_000), here, &presented), "the secret before still counts");
        assert!(!accepts(Instant::from_millis(400_000), here, &presented));
    }

    #[test]
    fn a_cookie_reply_opens_only_for_the_datagram_that_it_answers() {
        let keys = OuterKeys::of_key(&PublicKey([7; 32]));
        let (salt, mac1, cookie) = ([3; COOKIE_SALT_LEN], [4; MAC_LEN], [5; MAC_LEN]);
        let sealed = keys.seal_cookie(&salt, &mac1, &cookie);
        assert_eq!(keys.open_cookie(&salt, &mac1, &sealed), Some(cookie));
        assert_eq!(keys.open_cookie(&salt, &[9; MAC_LEN], &sealed), None);
        assert_eq!(keys.open_cookie(&[9; COOKIE_SALT_LEN], &mac1, &sealed), None);
        assert_eq!(OuterKeys::of_key(&PublicKey([8; 32])).open_cookie(&salt, &mac1, &sealed), None);
        for bit in 0..sealed.len() * 8 {
            let mut bent = sealed;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keys.open_cookie(&salt, &mac1, &bent), None);
        }
    }
}
