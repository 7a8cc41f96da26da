//! What the state of things looks like: cards and overlays on the screen, signs for the lamps, zones for fingers.
//!
//! Nothing here changes anything; it is asked whenever something may have changed, and what comes out the same is not
//! drawn anew.

use super::{Intercom, wall};
use crate::call::{self, Action, Call, Lamp, State, Switch, VOLUME_STEP_PERCENT, Volume, Whom};
use crate::card::{self, Card, Ending, Heading, Manner, Overlay, Touch};
use crate::identity::PublicKey;
use crate::media::Size;
use crate::panel::config::Zone;
use crate::panel::lamp::{Sign, Signs};
use crate::sys::calendar::LocalTime;
use crate::time::{Duration, Instant};
use crate::wire::CallKind;

/// Names in one sentence.
const NAMES_MAX: usize = 4;
/// A call that ends within this time says so all the time.
const REMAINING_SHOWN: Duration = Duration::from_secs(60);

/// A station as far as the screen has to do with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Face {
    /// Its name in the book.
    pub name: String,
    /// The card that stands in the place of its picture, if one must.
    pub instead: Option<Card>,
    /// Its network loses much.
    pub is_weak: bool,
}

/// Everything that is looked at.
pub(super) struct Scene<'a> {
    pub now: Instant,
    pub local: LocalTime,
    pub call: &'a Call,
    /// Knows the others, and what is shown while nothing goes on.
    pub station: &'a Intercom,
    /// The volume, while it is being changed.
    pub volume_percent: Option<u8>,
    /// When the call ends by its limit, once that was said.
    pub ends_at: Option<Instant>,
    /// Whether a door has opened, there or here, while that is news.
    pub door: Option<bool>,
}

/// What is to be on the screen: a card, or pictures with an overlay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Showing {
    pub card: Option<Card>,
    pub overlay: Overlay,
}

impl From<Card> for Showing {
    fn from(card: Card) -> Showing {
        Showing { card: Some(card), overlay: Overlay::default() }
    }
}

impl Scene<'_> {
    fn face(&self, peer: &PublicKey) -> Face {
        self.station.face(peer, self.now)
    }

    /// What is to be on the screen.
    pub fn showing(&self) -> Showing {
        match self.call.state() {
            State::Idle => Card::Idle(self.station.idle(self.now, self.local)).into(),
            State::Calling(calling) => self.calling(calling).into(),
            State::Ringing(ringing) => self.ringing(ringing),
            State::Talking(talking) => self.talking(talking),
            State::Ended(ended) => self.ended(ended).into(),
        }
    }

    fn calling(&self, calling: &call::Calling) -> Card {
        let names = || calling.legs.iter().map(|leg| self.face(&leg.peer).name);
        let name = match (calling.group.as_str(), calling.legs.len()) {
            ("", 1) => names().collect(),
            // Everybody was called, and nobody gave that a name.
            ("", _) => names().take(NAMES_MAX).collect::<Vec<_>>().join(", "),
            (group, _) => group.to_owned(),
        };
        let rings = calling.legs.iter().filter(|leg| leg.progress == call::Progress::Ringing);
        match calling.kind {
            CallKind::Page => Card::Paging { name },
            CallKind::Monitor => Card::Connecting { peer: name },
            CallKind::Talk | CallKind::Other => {
                let ringing = rings.map(|leg| self.face(&leg.peer).name);
                Card::Calling { name, ringing: if calling.legs.len() > 1 { ringing.collect() } else { Vec::new() } }
            }
        }
    }

    fn ringing(&self, ringing: &call::Ringing) -> Showing {
        let face = self.face(&ringing.peer);
        if !ringing.early_media || face.instead.is_some() {
            return Card::Incoming { name: face.name, can_release: true }.into();
        }
        let touches = vec![Touch::Decline, Touch::Release, Touch::Answer];
        let heading = self.door_words().or(Some(Heading::Rings(face.name)));
        let overlay = Overlay { heading, touches, ..self.overlay() };
        Showing { card: None, overlay }
    }

    fn talking(&self, talking: &call::Talking) -> Showing {
        let face = self.face(&talking.peer);
        let is_watched = talking.kind == CallKind::Monitor && !talking.is_caller;
        if is_watched {
            return Card::Watched { name: face.name }.into();
        }
        // No pictures come, and that is no fault; the last one would pass for a living one.
        if talking.is_held() && !matches!(face.instead, Some(Card::Away { .. })) {
            return Card::Held { name: face.name, is_here: talking.held_here }.into();
        }
        if let Some(card) = face.instead {
            let is_page = talking.kind == CallKind::Page;
            return if is_page { Card::PageFrom { name: face.name }.into() } else { card.into() };
        }
        let of_call = match talking.kind {
            CallKind::Monitor => Some(Heading::Watching(face.name)),
            CallKind::Page => Some(Heading::Text(face.name)),
            CallKind::Talk | CallKind::Other => None,
        };
        let is_talk = talking.kind == CallKind::Talk;
        let touches = if is_talk {
            vec![Touch::Mute, Touch::VolumeDown, Touch::VolumeUp, Touch::Release, Touch::HangUp]
        } else {
            vec![Touch::VolumeDown, Touch::VolumeUp, Touch::HangUp]
        };
        let overlay = Overlay {
            heading: self.door_words().or(of_call),
            is_muted: is_talk && self.call.is_muted(),
            is_muted_there: is_talk && talking.muted_there,
            is_network_weak: face.is_weak,
            has_self_view: is_talk,
            touches,
            ..self.overlay()
        };
        Showing { card: None, overlay }
    }

    fn door_words(&self) -> Option<Heading> {
        self.door.map(|is_open| if is_open { Heading::DoorOpen } else { Heading::DoorShut })
    }

    /// What stands on any picture.
    fn overlay(&self) -> Overlay {
        let left = self.ends_at.map(|at| at.since(self.now)).filter(|left| *left <= REMAINING_SHOWN);
        Overlay {
            reduced: self.station.board.loads.told(),
            volume_percent: self.volume_percent,
            remaining_seconds: left.map(|left| left.as_secs()),
            ..Overlay::default()
        }
    }

    fn ended(&self, ended: &call::Ended) -> Card {
        let name = ended.peer.map(|peer| self.face(&peer).name).unwrap_or_default();
        let why = match &ended.why {
            call::Ending::Unreachable => Ending::Unreachable,
            call::Ending::Lost => Ending::Lost,
            call::Ending::NotAllowed => Ending::NotAllowed,
            call::Ending::NoAnswer | call::Ending::Missed => Ending::NoAnswer,
            call::Ending::DoNotDisturb => Ending::DoNotDisturb,
            call::Ending::Declined => Ending::Declined,
            call::Ending::Busy => Ending::Busy,
            call::Ending::AnsweredBy(by) => Ending::AnsweredBy(by.clone()),
            call::Ending::TimeLimit => Ending::TimeLimit,
            call::Ending::HungUp
            | call::Ending::HungUpHere
            | call::Ending::DeclinedHere
            | call::Ending::Cancelled
            | call::Ending::GaveWay => Ending::HungUp,
        };
        Card::Ended { name, why }
    }

    /// What lamps show.
    pub fn signs(&self, has_missed: bool, all_away: bool, has_fault: bool) -> Signs {
        let lamp = match self.call.lamp(wall(self.local)) {
            Lamp::Off => Sign::Idle,
            Lamp::DoNotDisturb => Sign::DoNotDisturb,
            Lamp::Calling => Sign::Calling,
            Lamp::Ringing => Sign::Ringing,
            Lamp::Talking | Lamp::Held | Lamp::Watched => Sign::Talking,
            Lamp::Error => Sign::Error,
        };
        Signs::of(&[lamp])
            .with(Sign::Muted, self.call.is_muted() && matches!(self.call.state(), State::Talking(_)))
            .with(Sign::Missed, has_missed)
            .with(Sign::Away, all_away)
            .with(Sign::Error, has_fault || lamp == Sign::Error)
    }
}

/// The state in a word, and with whom: for `visavis status`.
pub(super) fn words(state: &State) -> (&'static str, Vec<PublicKey>) {
    match state {
        State::Idle => ("idle", Vec::new()),
        State::Calling(calling) => {
            let word = if calling.kind == CallKind::Page { "paging" } else { "calling" };
            (word, calling.legs.iter().map(|leg| leg.peer).collect())
        }
        State::Ringing(ringing) => ("ringing", vec![ringing.peer]),
        State::Talking(talking) => {
            let word = match (talking.kind, talking.is_caller) {
                (CallKind::Monitor, true) => "monitoring",
                (CallKind::Monitor, false) => "monitored",
                (CallKind::Page, _) => "paged",
                _ if talking.is_held() => "held",
                _ => "talking",
            };
            (word, vec![talking.peer])
        }
        State::Ended(ended) => ("ended", ended.peer.into_iter().collect()),
    }
}

/// Why the call ended, while the state is that it did.
pub(super) fn why_ended(state: &State) -> Option<String> {
    if let State::Ended(ended) = state { Some(reason(&ended.why)) } else { None }
}

/// Why a call ended, in a few words: for the journal.
pub(super) fn reason(why: &call::Ending) -> String {
    use call::Ending;
    match why {
        Ending::Unreachable => "not reached".into(),
        Ending::Lost => "connection lost".into(),
        Ending::NotAllowed => "not allowed".into(),
        Ending::NoAnswer => "no answer".into(),
        Ending::Missed => "missed".into(),
        Ending::DoNotDisturb => "do not disturb".into(),
        Ending::Declined => "declined there".into(),
        Ending::Busy => "busy".into(),
        Ending::HungUp => "hung up there".into(),
        Ending::HungUpHere => "hung up here".into(),
        Ending::DeclinedHere => "declined here".into(),
        Ending::Cancelled => "given up by the caller".into(),
        Ending::AnsweredBy(by) => format!("answered by {by}"),
        Ending::TimeLimit => "time limit".into(),
        Ending::GaveWay => "made room for a call".into(),
    }
}

/// Where fingers mean something, as shares of the screen: `picture` is what was last shown, for overlays.
pub(super) fn zones(showing: &Showing, manner: &Manner, screen: Size, picture: Option<Size>) -> Vec<Zone> {
    let contacts = match &showing.card {
        Some(Card::Idle(idle)) => idle.contacts.as_slice(),
        _ => &[],
    };
    // A card fills the screen; a picture lies in it as it fits.
    let (zones, (left, top, shown), of) = match (&showing.card, picture) {
        (Some(card), _) => (card::zones(card, manner, screen), (0, 0, screen), screen),
        (None, Some(picture)) => (showing.overlay.zones(manner, picture), picture.fit(screen), picture),
        (None, None) => return Vec::new(),
    };
    let place = |at: i32, offset: u32, of: u32, shown: u32, all: u32| {
        (offset as f32 + at as f32 * shown as f32 / of as f32) / all as f32
    };
    let x = |at| place(at, left, of.width, shown.width, screen.width);
    let y = |at| place(at, top, of.height, shown.height, screen.height);
    let zone = |zone: card::Zone| Zone {
        left: x(zone.place.left),
        top: y(zone.place.top),
        right: x(zone.place.right()),
        bottom: y(zone.place.bottom()),
        tap: action(zone.touch, contacts),
        long: None,
    };
    zones.into_iter().map(zone).collect()
}

fn action(touch: Touch, contacts: &[String]) -> Option<Action> {
    let step = VOLUME_STEP_PERCENT.cast_signed();
    Some(match touch {
        Touch::Answer => Action::Answer,
        Touch::Decline => Action::Decline,
        Touch::HangUp => Action::HangUp,
        Touch::Mute => Action::Mute(Switch::Toggle),
        Touch::Release => Action::Release(None),
        Touch::VolumeDown => Action::Volume(Volume::Change(-step)),
        Touch::VolumeUp => Action::Volume(Volume::Change(step)),
        Touch::Ring(place) => Action::Ring(Whom::Named(contacts.get(place)?.clone())),
        Touch::DoNotDisturb => Action::DoNotDisturb(Switch::Toggle),
        Touch::Pair => Action::Pair,
        Touch::StopPairing => Action::StopPairing,
    })
}

#[cfg(test)]
mod tests {
    //! Goal: a finger on a button does what the button says, on cards and on pictures that do not fill the screen.
    //! Method: what is drawn where is `card`'s to say; its zones are tapped in their middle, as shares of the screen.
    use super::*;
    use crate::card::Idle;

    const SCREEN: Size = Size::new(800, 480);
    const TOUCH: Manner = Manner { language: crate::card::Language::English, touch: true };

    /// What a tap in the middle of pixels of the screen does.
    fn tapped(zones: &[Zone], x: u32, y: u32) -> Option<Action> {
        let (x, y) = (x as f32 / SCREEN.width as f32, y as f32 / SCREEN.height as f32);
        zones.iter().find(|zone| zone.contains(x, y)).and_then(|zone| zone.tap.clone())
    }

    #[test]
    fn contacts_on_the_idle_card_are_rung_by_their_names() {
        let idle = Idle { contacts: vec!["upstairs".into(), "kitchen".into()], ..Idle::default() };
        let card = Card::Idle(idle);
        let drawn = card::zones(&card, &TOUCH, SCREEN);
        let found = zones(&card.into(), &TOUCH, SCREEN, None);
        assert_eq!(drawn.len(), found.len());
        for (zone, name) in drawn.iter().zip(["upstairs", "kitchen"]) {
            let (x, y) = (zone.place.left as u32 + zone.place.width / 2, zone.place.top as u32 + zone.place.height / 2);
            assert_eq!(tapped(&found, x, y), Some(Action::Ring(Whom::Named(name.into()))));
        }
    }

    #[test]
    fn buttons_on_a_picture_lie_where_the_picture_does() {
        let overlay = Overlay { touches: vec![Touch::Mute, Touch::HangUp], ..Overlay::default() };
        let showing = Showing { card: None, overlay };
        // 4:3 in 800x480: 640 wide, with 80 dark columns on each side.
        let picture = Size::new(320, 240);
        let drawn = showing.overlay.zones(&TOUCH, picture);
        let found = zones(&showing, &TOUCH, SCREEN, Some(picture));
        for (zone, action) in drawn.iter().zip([Action::Mute(Switch::Toggle), Action::HangUp]) {
            let middle = |at: i32, side: u32| at as u32 + side / 2;
            let x = 80 + 2 * middle(zone.place.left, zone.place.width);
            let y = 2 * middle(zone.place.top, zone.place.height);
            assert_eq!(tapped(&found, x, y), Some(action));
        }
        assert!((0..80).all(|x| tapped(&found, x, 470).is_none()), "beside the picture there is nothing");
        assert!(zones(&showing, &TOUCH, SCREEN, None).is_empty(), "before the first picture neither");
        assert!(zones(&showing, &Manner { touch: false, ..TOUCH }, SCREEN, Some(picture)).is_empty());
    }
}
