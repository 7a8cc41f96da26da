//! What is known of the far side, and which card the screen shows because of it.

use crate::card::Card;
use crate::link::{self, LinkId};
use crate::media::Limit;
use crate::time::{Duration, Instant};
use crate::wire::{Control, VideoState};

/// A link that is up and yet brings no picture for so long, though the far side says that its camera works, is told
/// to the person in front of the screen. Repair and key frame take a fraction of it.
const SILENT_PICTURE: Duration = Duration::from_secs(3);

/// What the far side says of its camera.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Camera {
    /// Nothing yet.
    #[default]
    Unknown,
    /// Pictures come.
    Working,
    /// It has none, by its configuration.
    None,
    /// It does not work, and why.
    Faulty(String),
}

/// The link, as a person knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Presence {
    /// Never met in this run.
    #[default]
    Awaited,
    /// Linked.
    Here,
    /// Linked before; nothing heard since that time.
    Away(Instant),
}

/// The far side of a link.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub link: LinkId,
    /// Who it proved to be.
    pub met: Option<link::Peer>,
    /// Its own name for itself, once it has said it.
    pub name: Option<String>,
    pub presence: Presence,
    pub camera: Camera,
    /// When a whole picture last came; since the link came up, at first.
    pub picture_at: Instant,
    pub has_picture: bool,
    /// What it was last told of our camera, to tell it again only when that changes.
    pub told: Option<VideoState>,
    /// The most that it can take of our pictures.
    pub capacity: Limit,
    /// What it was last told that we can take of its own.
    pub told_capacity: Limit,
}

impl Peer {
    /// At the other end of `link`, and not met yet.
    pub fn new(link: LinkId) -> Peer {
        Peer {
            link,
            met: None,
            name: None,
            presence: Presence::Awaited,
            camera: Camera::Unknown,
            picture_at: Instant::ZERO,
            has_picture: false,
            told: None,
            capacity: Limit::NONE,
            told_capacity: Limit::NONE,
        }
    }

    /// Whether it is linked now.
    pub fn is_here(&self) -> bool {
        self.presence == Presence::Here
    }

    /// It answered for the first time, or anew.
    pub fn arrive(&mut self, now: Instant) {
        self.presence = Presence::Here;
        self.picture_at = now;
    }

    /// Another run of the program there, or another peer: what was said before no longer holds.
    pub fn replace(&mut self, now: Instant, met: link::Peer) {
        *self = Peer { met: Some(met), ..Peer::new(self.link) };
        self.arrive(now);
    }

    /// What was said, either way, is to be said anew.
    pub fn begin_anew(&mut self) {
        self.told = None;
        (self.capacity, self.told_capacity) = (Limit::NONE, Limit::NONE);
    }

    /// Takes in what it says of itself; false where that is not a matter of this.
    pub fn handle_control(&mut self, message: &Control) -> bool {
        match message {
            Control::Hello { station, software, .. } => {
                // It may say so as often as it likes.
                if self.name.as_deref() != Some(station.as_str()) {
                    tracing::info!(peer = station.as_str(), "linked to {station} ({software})");
                }
                self.name = Some(station.as_str().to_owned());
            }
            Control::Video(state) => {
                self.camera = match state {
                    VideoState::Off => Camera::None,
                    VideoState::Working { .. } => Camera::Working,
                    VideoState::Fault { text } => Camera::Faulty(text.as_str().to_owned()),
                };
            }
            Control::Capacity(limit) => self.capacity = *limit,
            _ => return false,
        }
        true
    }

    /// From now on its pictures are wanted; what came before was another call's.
    pub fn expect_picture(&mut self, now: Instant) {
        (self.picture_at, self.has_picture) = (now, false);
    }

    /// A whole picture came; whether it is the first.
    pub fn seen(&mut self, now: Instant) -> bool {
        self.picture_at = now;
        !core::mem::replace(&mut self.has_picture, true)
    }

    /// Nothing was heard of it since `since`.
    pub fn leave(&mut self, since: Instant) {
        if self.presence == Presence::Here {
            self.presence = Presence::Away(since);
        }
    }

    /// The far side's name, or the `host` that was dialled.
    pub fn name_or<'a>(&'a self, host: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(host)
    }

    /// What to show instead of a picture, if anything.
    pub fn card(&self, now: Instant, host: &str, code: Option<&str>) -> Option<Card> {
        let name = || self.name_or(host).to_owned();
        match (self.presence, &self.camera) {
            (Presence::Awaited, _) => Some(match code {
                Some(words) => Card::Unpaired { words: words.to_owned() },
                None => Card::Waiting { peer: host.to_owned() },
            }),
            (Presence::Away(since), _) => Some(Card::Away { peer: name(), seconds: now.since(since).as_secs() }),
            (Presence::Here, Camera::Faulty(why)) => Some(Card::NoPicture { peer: name(), why: why.clone() }),
            (Presence::Here, Camera::None) => Some(Card::NoPicture { peer: name(), why: "it has no camera".into() }),
            (Presence::Here, _) if now.since(self.picture_at) > SILENT_PICTURE => {
                Some(Card::NoPicture { peer: name(), why: "nothing arrives".into() })
            }
            (Presence::Here, _) if !self.has_picture => Some(Card::Connecting { peer: name() }),
            (Presence::Here, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the screen always says what is the matter. Method: the events of a call, in order.
    use super::*;
    use crate::identity::{SecretKey, system_random};
    use crate::link::flow::{Flow, FlowConfig};
    use crate::link::{Config, Endpoint, Trust};

    fn link() -> LinkId {
        let secret = SecretKey::generate(system_random);
        let config = Config { secret, accept: Vec::new(), random: Box::new(system_random) };
        let mut endpoint = Endpoint::new(at(0), config, |now, _| Flow::new(now, FlowConfig::default()));
        endpoint.dial(at(0), &[Trust::Own], &[]).expect("there is room for a link")
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    #[test]
    fn what_a_peer_can_take_holds_until_it_begins_anew() {
        let mut peer = Peer::new(link());
        let little = Limit { rate_millihertz: 10_000, ..Limit::NONE };
        assert!(peer.handle_control(&Control::Capacity(little)));
        assert_eq!(peer.capacity, little);
        peer.leave(at(1));
        assert_eq!(peer.capacity, little, "a cut of the network changes nothing");
        peer.told_capacity = little;
        peer.begin_anew();
        assert_eq!((peer.capacity, peer.told_capacity), (Limit::NONE, Limit::NONE));
    }

    #[test]
    fn a_call_goes_from_waiting_to_picture_and_says_what_stops_it() {
        let mut peer = Peer::new(link());
        assert!(matches!(peer.card(at(0), "kitchen", None), Some(Card::Waiting { .. })));
        assert!(matches!(peer.card(at(0), "kitchen", Some("six words")), Some(Card::Unpaired { .. })));
        peer.arrive(at(1));
        assert!(matches!(peer.card(at(1), "kitchen", None), Some(Card::Connecting { .. })));
        (peer.picture_at, peer.has_picture, peer.camera) = (at(2), true, Camera::Working);
        assert!(peer.card(at(2), "kitchen", None).is_none());
        assert!(matches!(peer.card(at(6), "kitchen", None), Some(Card::NoPicture { .. })));
        peer.expect_picture(at(6));
        assert!(matches!(peer.card(at(6), "kitchen", None), Some(Card::Connecting { .. })), "a later call");
        assert!(peer.seen(at(7)) && peer.card(at(7), "kitchen", None).is_none(), "its first picture is news again");
        peer.camera = Camera::Faulty("unplugged".into());
        peer.name = Some("Küche".into());
        let card = peer.card(at(7), "kitchen", None);
        assert!(matches!(card, Some(Card::NoPicture { peer: from, why }) if from == "Küche" && why == "unplugged"));
        peer.leave(at(7));
        assert!(matches!(peer.card(at(8), "kitchen", None), Some(Card::Away { .. })));
    }
}
