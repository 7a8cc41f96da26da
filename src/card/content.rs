//! What each card says and shows, before it is known how large.

use super::canvas::Rect;
use super::colour::{ACCEPT, Colour, PLAIN, REFUSE, STRONG, WARN, WELL};
use super::icon::Icon;
use super::language::{Language, Sentences};
use super::zone::Touch;
use super::{Card, Ending, Fault, Idle, Note};

/// More contacts would be buttons too small to be hit.
const CONTACTS_MAX: usize = 6;
/// More notes would be letters too small to be read.
const NOTES_MAX: usize = 4;
/// More names than this are not looked through on a card.
const NAMES_MAX: usize = 8;

/// Of a certificate's fingerprint this much is shown.
const FINGERPRINT_BYTES: usize = 8;

/// What is on a card, from top to bottom.
#[derive(Debug, Default)]
pub struct Content {
    /// A large sign above all.
    pub icon: Option<(Icon, Colour)>,
    /// The texts.
    pub blocks: Vec<Block>,
    /// More texts: beneath, or in a column of their own.
    pub aside: Vec<Block>,
    /// What a QR code says, beside them.
    pub code: Option<String>,
}

/// One text.
#[derive(Debug)]
pub struct Block {
    /// What it says.
    pub text: String,
    /// How large it would like to be.
    pub role: Role,
    /// Its colour.
    pub colour: Colour,
    /// A sign before it.
    pub icon: Option<Icon>,
    /// Where the letters would become small, texts are left out, the highest of these first; 0 is never left out.
    pub spare: u8,
}

impl Content {
    /// The content and its room: two of both where there is more aside, and the room is twice as wide as high.
    pub fn columns(mut self, room: Rect) -> Vec<(Rect, Content)> {
        if self.aside.is_empty() || room.width < 2 * room.height {
            self.blocks.append(&mut self.aside);
            return vec![(room, self)];
        }
        let aside = Content { blocks: core::mem::take(&mut self.aside), ..Content::default() };
        let (left, gap) = (room.width * 9 / 20, room.width / 20);
        let right = Rect::new(room.left + (left + gap) as i32, room.top, room.width - left - gap, room.height);
        vec![(Rect { width: left, ..room }, self), (right, aside)]
    }
}

/// What a text is on its card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The time of day.
    Clock,
    /// What the card is about.
    Title,
    /// What is said besides.
    Body,
}

fn block(text: impl Into<String>, role: Role, colour: Colour) -> Block {
    Block { text: text.into(), role, colour, icon: None, spare: 0 }
}

fn title(text: impl Into<String>) -> Block {
    block(text, Role::Title, STRONG)
}

fn body(text: impl Into<String>) -> Block {
    block(text, Role::Body, PLAIN)
}

fn note(icon: Icon, text: String, colour: Colour) -> Block {
    Block { icon: Some(icon), ..block(text, Role::Body, colour) }
}

/// A sentence about a station.
pub fn about(sentence: &str, name: &str) -> String {
    sentence.replace("{name}", name)
}

/// The content of a card in a language.
pub fn of(card: &Card, language: Language) -> Content {
    let say = language.sentences();
    let (icon, blocks) = match card {
        Card::Idle(idle) => return at_rest(idle, say),
        Card::Pairing { words, code, seconds } => {
            let valid = say.valid_for.replace("{time}", &language.duration(*seconds));
            let (head, how) = (Block { spare: 1, ..title(say.pairing) }, Block { spare: 2, ..body(say.pairing_how) });
            let blocks = vec![head, how, title(words.clone()), body(valid)];
            return Content { blocks, code: Some(code.clone()), ..Content::default() };
        }
        Card::Invitation { link, fingerprint, seconds } => {
            let valid = say.valid_for.replace("{time}", &language.duration(*seconds));
            let how = Block { spare: 2, ..body(say.inviting_how) };
            // As much of it as a person compares, and nobody can make a key for.
            let begins = fingerprint.split(':').take(FINGERPRINT_BYTES).collect::<Vec<_>>().join(":");
            let warning = say.inviting_certificate.replace("{fingerprint}", &begins);
            let warning = Block { spare: 1, ..body(warning) };
            let blocks = vec![title(say.inviting), how, warning, body(valid)];
            return Content { blocks, code: Some(link.clone()), ..Content::default() };
        }
        Card::Waiting { peer } => {
            (Some((Icon::HandsetUp, PLAIN)), vec![title(about(say.waiting_for, peer)), body(say.calling_until_answer)])
        }
        Card::Connecting { peer } => (Some((Icon::HandsetUp, WELL)), vec![title(peer.clone()), body(say.connecting)]),
        Card::NoPicture { peer, why } => {
            (Some((Icon::Warning, WARN)), vec![title(about(say.no_picture_from, peer)), body(why.clone())])
        }
        Card::Away { peer, seconds } => {
            let since = say.away_for.replace("{time}", &language.duration(*seconds));
            (Some((Icon::Warning, WARN)), vec![title(about(say.away, peer)), body(since)])
        }
        Card::Unpaired { words } => {
            (Some((Icon::Links, PLAIN)), vec![body(say.give_these_words), title(words.clone())])
        }
        Card::Message { title: head, text } => (None, vec![title(head.clone()), body(text.clone())]),
        Card::Incoming { name, .. } => (Some((Icon::Bell, WELL)), vec![title(about(say.rings, name))]),
        Card::Calling { name, ringing } => calling(name, ringing, say),
        Card::Ended { name, why } => (Some(end_sign(why)), vec![title(ending(name, why, say))]),
        Card::Watched { name } => (Some((Icon::Eye, WARN)), vec![title(about(say.watched_by, name))]),
        Card::Held { name, is_here } => {
            let sentence = if *is_here { say.holding } else { say.held_by };
            (Some((Icon::Pause, PLAIN)), vec![title(about(sentence, name))])
        }
        Card::PageFrom { name } => (Some((Icon::Megaphone, WELL)), vec![title(about(say.page_from, name))]),
        Card::Paging { name } => (Some((Icon::Megaphone, WELL)), vec![title(about(say.paging, name))]),
        Card::Paired { name } => (Some((Icon::Tick, WELL)), vec![title(about(say.paired_with, name))]),
        Card::Fault(fault) => (Some((Icon::Warning, WARN)), vec![title(trouble(fault, say))]),
    };
    Content { icon, blocks, ..Content::default() }
}

fn calling(name: &str, ringing: &[String], say: &Sentences) -> (Option<(Icon, Colour)>, Vec<Block>) {
    let mut blocks = vec![title(about(say.calling, name))];
    if !ringing.is_empty() {
        let names = ringing[..ringing.len().min(NAMES_MAX)].join(say.between_names);
        blocks.push(body(say.ringing_at.replace("{names}", &names)));
    }
    (Some((Icon::HandsetUp, WELL)), blocks)
}

fn at_rest(idle: &Idle, say: &Sentences) -> Content {
    let station = Block { spare: u8::MAX, ..body(idle.station.clone()) };
    let clock = block(idle.clock.clone(), Role::Clock, STRONG);
    let blocks = vec![station, clock, block(idle.date.clone(), Role::Body, STRONG)];
    let mut aside = Vec::new();
    if idle.do_not_disturb {
        aside.push(note(Icon::Moon, say.do_not_disturb.into(), WARN));
    }
    match idle.missed {
        0 => {}
        1 => aside.push(note(Icon::HandsetDown, say.missed_one.into(), WARN)),
        many => aside.push(note(Icon::HandsetDown, say.missed_many.replace("{count}", &many.to_string()), WARN)),
    }
    aside.extend((1..).zip(idle.notes.iter().take(NOTES_MAX)).map(|(spare, one)| {
        let block = match one {
            Note::Away { name, since } => body(about(say.away_since, name).replace("{time}", since)),
            Note::HoldToPair => body(say.hold_to_pair),
            Note::Fault(fault) => note(Icon::Warning, trouble(fault, say), WARN),
            Note::Text(text) => body(text.clone()),
        };
        Block { spare, ..block }
    }));
    Content { blocks, aside, ..Content::default() }
}

/// A fault as a sentence.
fn trouble(fault: &Fault, say: &Sentences) -> String {
    match fault {
        Fault::NoCamera => say.no_camera.into(),
        Fault::NoMicrophone => say.no_microphone.into(),
        Fault::NoLoudspeaker => say.no_loudspeaker.into(),
        Fault::NoNetwork => say.no_network.into(),
        Fault::NoPictureFrom(name) => about(say.no_picture_from, name),
        Fault::NoSoundFrom(name) => about(say.no_sound_from, name),
        Fault::Other(text) => text.clone(),
    }
}

fn ending(name: &str, why: &Ending, say: &Sentences) -> String {
    match why {
        Ending::HungUp => say.ended.into(),
        Ending::Busy => about(say.busy, name),
        Ending::Declined => about(say.declined, name),
        Ending::NoAnswer => about(say.no_answer, name),
        Ending::Unreachable => about(say.unreachable, name),
        Ending::NotAllowed => about(say.not_allowed, name),
        Ending::DoNotDisturb => about(say.not_disturbed, name),
        Ending::AnsweredBy(other) => about(say.answered_by, other),
        Ending::Lost => about(say.lost, name),
        Ending::TimeLimit => say.time_limit.into(),
    }
}

fn end_sign(why: &Ending) -> (Icon, Colour) {
    match why {
        Ending::HungUp | Ending::Busy | Ending::Declined | Ending::NoAnswer => (Icon::HandsetDown, PLAIN),
        Ending::Unreachable | Ending::NotAllowed | Ending::Lost => (Icon::Warning, WARN),
        Ending::DoNotDisturb => (Icon::Moon, PLAIN),
        Ending::AnsweredBy(_) => (Icon::Tick, WELL),
        Ending::TimeLimit => (Icon::Clock, PLAIN),
    }
}

/// What can be touched on a card.
pub fn touches(card: &Card) -> Vec<Touch> {
    match card {
        Card::Idle(idle) if idle.contacts.is_empty() => vec![Touch::Pair, Touch::DoNotDisturb],
        Card::Idle(idle) => {
            let contacts = (0..idle.contacts.len().min(CONTACTS_MAX)).map(Touch::Ring);
            contacts.chain([Touch::DoNotDisturb]).collect()
        }
        Card::Incoming { can_release: true, .. } => vec![Touch::Decline, Touch::Release, Touch::Answer],
        Card::Incoming { .. } => vec![Touch::Decline, Touch::Answer],
        Card::Calling { .. } | Card::Connecting { .. } | Card::NoPicture { .. } | Card::Paging { .. } => {
            vec![Touch::HangUp]
        }
        Card::Watched { .. } | Card::PageFrom { .. } | Card::Held { .. } => vec![Touch::HangUp],
        Card::Unpaired { .. } => vec![Touch::Pair],
        Card::Pairing { .. } | Card::Invitation { .. } => vec![Touch::StopPairing],
        Card::Waiting { .. } | Card::Away { .. } | Card::Message { .. } => Vec::new(),
        Card::Ended { .. } | Card::Paired { .. } | Card::Fault(_) => Vec::new(),
    }
}

/// The colour of a button.
pub fn button_colour(touch: &Touch) -> Colour {
    match touch {
        Touch::Answer | Touch::Ring(_) => ACCEPT,
        Touch::Decline | Touch::HangUp => REFUSE,
        _ => super::colour::BUTTON,
    }
}
