//! What the station itself draws on its screen: cards in place of a picture, and overlays upon one.
//!
//! Pure: a card and a picture go in, samples come out. **Any text is drawn inside the picture, at any size, without a
//! panic**: it is wrapped, made smaller, and at the last cut short. Capitals of a title are as large as fits, up to a tenth
//! of the shorter side: on a 7-inch screen that is 8 mm, which is read from two metres with ease (5.8 mm is the usual rule
//! of ten minutes of arc).
//!
//! A [`Card`] covers all of the screen and is drawn once, when it changes. An [`Overlay`] is painted once on a [`Sheet`],
//! which is then laid on each picture that is shown; that allocates nothing and costs a fraction of a millisecond. Where
//! there is a touch screen ([`Manner::touch`]), both show buttons, and [`zones`] and [`Overlay::zones`] tell where.
//!
//! What is said is in [`Language`]; the fonts, their licence and how they were made are in `fonts/`.

mod canvas;
mod colour;
mod content;
mod icon;
mod inset;
mod language;
mod layout;
mod overlay;
mod pane;
mod qr;
mod shape;
mod stack;
mod text;
mod zone;

pub use canvas::Rect;
pub use language::Language;
pub use overlay::{Heading, Overlay, Reduced, Sheet};
pub use zone::{Touch, Zone};

use crate::media::{Picture, Size};
use canvas::Canvas;

/// How a station draws, whatever it draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// What it speaks.
    pub language: Language,
    /// Whether the screen can be touched, so that there are buttons.
    pub touch: bool,
}

/// What there is to say. Names and texts may be of any length and in any script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Card {
    /// No call yet.
    Waiting {
        /// The station that is expected: its name, or its address.
        peer: String,
    },
    /// The stations have found each other and agree on their keys, or the call has no picture yet.
    Connecting {
        /// The other station.
        peer: String,
    },
    /// There is a call, but no pictures come.
    NoPicture {
        /// The station that should send them.
        peer: String,
        /// Why, in the other station's words.
        why: String,
    },
    /// There was a call, and the peer is gone.
    Away {
        /// The other station.
        peer: String,
        /// For how long.
        seconds: u64,
    },
    /// Nobody is trusted yet.
    Unpaired {
        /// The one-time code to be given to the other station.
        words: String,
    },
    /// Anything else.
    Message {
        /// In large letters.
        title: String,
        /// Beneath them; may be empty.
        text: String,
    },
    /// Nothing goes on: the clock, and what should be known.
    Idle(Idle),
    /// Somebody rings, and there is no picture of them; where there is one, [`Heading::Rings`] stands on it.
    Incoming {
        /// Who.
        name: String,
        /// Whether the door can be opened before the call is answered.
        can_release: bool,
    },
    /// We ring somebody.
    Calling {
        /// A station, or a group.
        name: String,
        /// Whose bells have been heard to ring; of a group.
        ringing: Vec<String>,
    },
    /// A call is over.
    Ended {
        /// The other station.
        name: String,
        /// Why.
        why: Ending,
    },
    /// Another station looks at this one.
    Watched {
        /// Which.
        name: String,
    },
    /// Another station speaks to this one, one way.
    PageFrom {
        /// Which.
        name: String,
    },
    /// A call goes on, and neither side is seen or heard.
    Held {
        /// The other station.
        name: String,
        /// This station lets the other wait, or else the other this one.
        is_here: bool,
    },
    /// This station speaks to others, one way.
    Paging {
        /// A station, or a group.
        name: String,
    },
    /// The one-time code is offered to another station.
    Pairing {
        /// The code as words, to be typed.
        words: String,
        /// What the QR code says.
        code: String,
        /// How much longer it is valid.
        seconds: u64,
    },
    /// A link is offered to a phone.
    Invitation {
        /// What the QR code says.
        link: String,
        /// What the phone's warning is to be compared with.
        fingerprint: String,
        /// How much longer it holds.
        seconds: u64,
    },
    /// Two stations now know each other.
    Paired {
        /// The other one.
        name: String,
    },
    /// Something does not work, and nothing else is to be shown.
    Fault(Fault),
}

/// The card of a station at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Idle {
    /// The time of day, as it is written here: "14:02".
    pub clock: String,
    /// The date, as it is written here.
    pub date: String,
    /// This station's name.
    pub station: String,
    /// What should be known, the most important first. The first four are shown.
    pub notes: Vec<Note>,
    /// Calls that nobody answered.
    pub missed: u32,
    /// Whether bells are kept silent.
    pub do_not_disturb: bool,
    /// Whom a touch can ring, stations or groups; the first six are shown. Where there is nobody, a touch pairs.
    pub contacts: Vec<String>,
}

/// A line on the card of a station at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Another station is gone from the network.
    Away {
        /// Which.
        name: String,
        /// Since when, as a time of day: "14:02".
        since: String,
    },
    /// No station is known yet; the call button, held, pairs.
    HoldToPair,
    /// Something does not work.
    Fault(Fault),
    /// Anything else.
    Text(String),
}

/// What does not work, as far as people need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This station's camera is absent or broken.
    NoCamera,
    /// Its microphone is.
    NoMicrophone,
    /// Its loudspeaker is.
    NoLoudspeaker,
    /// It has no network.
    NoNetwork,
    /// A station sends no picture.
    NoPictureFrom(String),
    /// A station sends no sound.
    NoSoundFrom(String),
    /// Anything else, in words for people.
    Other(String),
}

/// Why a call is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// One of the two hung up.
    HungUp,
    /// The other side is in another call.
    Busy,
    /// It was refused by a hand.
    Declined,
    /// Nobody came to the bell.
    NoAnswer,
    /// There is no way to it.
    Unreachable,
    /// It takes no calls from here.
    NotAllowed,
    /// Its bell is kept silent.
    DoNotDisturb,
    /// Another station took the call.
    AnsweredBy(String),
    /// The connection was lost.
    Lost,
    /// Calls have a longest time.
    TimeLimit,
}

/// Draws a card over all of the picture, whose size and colour range stay what they are.
pub fn draw(card: &Card, manner: &Manner, picture: &mut Picture) {
    let [y, u, v] = colour::GROUND.samples(picture.range);
    picture.fill(y, u, v);
    let size = picture.size();
    let zones = zones(card, manner, size);
    let mut room = Rect::of(size).inside(margin(size));
    if let Some(first) = zones.first() {
        room.height = (first.place.top - room.top - zone::gap(size) as i32).max(0) as u32;
    }
    let canvas = &mut Canvas::of(picture);
    for (zone, face) in zones.iter().zip(zone::faces(&zones, manner.language, contacts(card), false)) {
        zone::draw(zone, &face, canvas);
    }
    let content = content::of(card, manner.language);
    if let Some(code) = &content.code {
        room = qr::draw(code, room, canvas);
    }
    for (part, content) in content.columns(room) {
        stack::draw(&content, part, size.width.min(size.height), canvas);
    }
}

/// Where a card drawn at a size has its buttons; nowhere without touch, or on a screen too small to be touched.
pub fn zones(card: &Card, manner: &Manner, size: Size) -> Vec<Zone> {
    if !manner.touch {
        return Vec::new();
    }
    zone::arrange(&content::touches(card), size)
}

/// Free on each side: a twentieth of the shorter one. Screens that cut off their edges cut less.
fn margin(size: Size) -> u32 {
    size.width.min(size.height) / 20
}

fn contacts(card: &Card) -> &[String] {
    match card {
        Card::Idle(idle) => &idle.contacts,
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
