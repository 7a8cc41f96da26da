//! What a person, a button, a script or an event asks of a station.
//!
//! One vocabulary for all of them, with one notation: `ring kitchen`, `hang-up`, `volume +5`. It stands in the
//! configuration, where buttons are given their meaning, and it is what `visavis ctl` takes.

use crate::media::Level;
use core::fmt;
use core::str::FromStr;

/// The longest name of a station or group, in letters; names of the address book are no longer.
pub const NAME_LETTERS_MAX: usize = 32;
/// How much one press of a volume key changes, in percent: ten presses from silence to half.
pub const VOLUME_STEP_PERCENT: u8 = 5;

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Calls somebody.
    Ring(Whom),
    /// Takes the call that is ringing.
    Answer,
    /// Refuses the call that is ringing.
    Decline,
    /// Ends the call, whatever state it is in.
    HangUp,
    /// What the one button of a simple station means: answers while it rings, hangs up while there is a call, and rings
    /// the usual station otherwise.
    CallButton,
    /// The same button, held: pairs a station that knows no other yet, and is no more than a press at any other.
    CallButtonHeld,
    /// Keeps this station's microphone from being heard.
    Mute(Switch),
    /// Push to talk: heard while on.
    Talk(Switch),
    /// Lets the far side wait, unheard and unseen.
    Hold(Switch),
    /// Speaks to stations one way, without anybody answering.
    Page(Whom),
    /// Sees and hears a station that allows it, without anybody answering there.
    Monitor(String),
    /// Asks the far side of the call to open its door; with a name, that station's, where its policy allows it without a call.
    Release(Option<String>),
    /// Opens this station's own door.
    ReleaseHere,
    /// Lets nobody ring here.
    DoNotDisturb(Switch),
    /// How loud the loudspeaker is.
    Volume(Volume),
    /// Size and rate of what is sent.
    Level(Level),
    /// Keeps a picture of what the screen shows.
    Snapshot,
    /// Looks for devices and stations anew.
    Rescan,
    /// Shows a one-time code and looks for that of another station.
    Pair,
    /// Shows a link by which a phone or laptop is let in; it may release the door, too, where that is said.
    Invite {
        /// It may.
        release: bool,
    },
    /// Ends pairing without a result, or shows a link no longer.
    StopPairing,
}

/// Who is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Whom the configuration names as usual, or else everybody.
    Usual,
    /// Every station of the address book.
    All,
    /// A station or a group.
    Named(String),
}

/// A thing that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
    /// The other way round.
    Toggle,
}

impl Switch {
    /// What becomes of `state`.
    pub fn applied(self, state: bool) -> bool {
        match self {
            Switch::On => true,
            Switch::Off => false,
            Switch::Toggle => !state,
        }
    }
}

/// A loudness, or a change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// Percent of full.
    Set(u8),
    /// So many percent more (or less, where negative).
    Change(i8),
}

impl Volume {
    /// What becomes of `percent`.
    pub fn applied(self, percent: u8) -> u8 {
        match self {
            Volume::Set(to) => to.min(100),
            Volume::Change(by) => percent.saturating_add_signed(by).min(100),
        }
    }
}

/// Text that is no action: what is wrong with it, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionError(String);

impl fmt::Display for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ActionError {}

/// Every notation, for help texts.
pub const NOTATIONS: &[(&str, &str)] = &[
    ("ring [NAME|GROUP|all]", "call a station, a group, or everybody"),
    ("answer", "take the call that is ringing"),
    ("decline", "refuse the call that is ringing"),
    ("hang-up", "end the call"),
    ("call-button", "answer, hang up or ring, whichever makes sense now"),
    ("call-button-held", "pair, where no station is known yet; else as call-button"),
    ("mute [on|off]", "keep the microphone from being heard"),
    ("talk [on|off]", "push to talk"),
    ("hold [on|off]", "let the far side wait, unheard and unseen"),
    ("page [NAME|GROUP|all]", "speak to stations without anybody answering"),
    ("monitor NAME", "see and hear a station that allows it"),
    ("release [NAME]", "open the far side's door"),
    ("release-here", "open this station's own door"),
    ("do-not-disturb [on|off]", "let nobody ring here"),
    ("volume N|+N|-N", "percent of full, or a change of it"),
    ("level 0..3", "size and rate of what is sent"),
    ("snapshot", "keep a picture of what the screen shows"),
    ("rescan", "look for devices and stations anew"),
    ("pair", "show a one-time code and look for another station's"),
    ("invite [release]", "show a link that lets a phone in, and perhaps open the door"),
    ("stop-pairing", "give pairing or inviting up"),
];

impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Action, ActionError> {
        let (verb, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let rest = rest.trim();
        let action = match verb {
            "ring" => Action::Ring(whom(rest)?),
            "page" => Action::Page(whom(rest)?),
            "mute" => Action::Mute(switch(verb, rest)?),
            "talk" => Action::Talk(switch(verb, rest)?),
            "hold" => Action::Hold(switch(verb, rest)?),
            "do-not-disturb" => Action::DoNotDisturb(switch(verb, rest)?),
            "monitor" => Action::Monitor(name(rest)?),
            "invite" => Action::Invite { release: invited(rest)? },
            "release" if rest.is_empty() => Action::Release(None),
            "release" => Action::Release(Some(name(rest)?)),
            "volume" => Action::Volume(volume(rest)?),
            "level" => Action::Level(level(rest)?),
            _ => return plain(verb, rest),
        };
        Ok(action)
    }
}

/// The actions of one word.
fn plain(verb: &str, rest: &str) -> Result<Action, ActionError> {
    let action = match verb {
        "answer" => Action::Answer,
        "decline" => Action::Decline,
        "hang-up" => Action::HangUp,
        "call-button" => Action::CallButton,
        "call-button-held" => Action::CallButtonHeld,
        "release-here" => Action::ReleaseHere,
        "snapshot" => Action::Snapshot,
        "rescan" => Action::Rescan,
        "pair" => Action::Pair,
        "stop-pairing" => Action::StopPairing,
        _ => {
            let all: Vec<&str> = NOTATIONS.iter().map(|(notation, _)| *notation).collect();
            return Err(ActionError(format!("`{verb}` is no action; there are: {}", all.join(", "))));
        }
    };
    if rest.is_empty() { Ok(action) } else { Err(ActionError(format!("`{verb}` stands alone, without `{rest}`"))) }
}

fn whom(rest: &str) -> Result<Whom, ActionError> {
    match rest {
        "" => Ok(Whom::Usual),
        "all" => Ok(Whom::All),
        other => name(other).map(Whom::Named),
    }
}

fn name(text: &str) -> Result<String, ActionError> {
    if text.is_empty() || text.chars().count() > NAME_LETTERS_MAX || text.chars().any(char::is_control) {
        return Err(ActionError(format!("a station's name is wanted here, of 1 to {NAME_LETTERS_MAX} letters")));
    }
    Ok(text.to_owned())
}

fn switch(verb: &str, rest: &str) -> Result<Switch, ActionError> {
    match rest {
        "" | "toggle" => Ok(Switch::Toggle),
        "on" => Ok(Switch::On),
        "off" => Ok(Switch::Off),
        other => Err(ActionError(format!("`{verb}` is on, off, or without a word toggled, not `{other}`"))),
    }
}

fn invited(rest: &str) -> Result<bool, ActionError> {
    match rest {
        "" => Ok(false),
        "release" => Ok(true),
        other => Err(ActionError(format!("who is invited may `release` the door, or nothing is said, not `{other}`"))),
    }
}

fn volume(rest: &str) -> Result<Volume, ActionError> {
    let wrong = || ActionError(format!("a volume is 0 to 100, or +5 or -5 to change it, not `{rest}`"));
    if rest.starts_with(['+', '-']) {
        let by: i8 = rest.parse().map_err(|_| wrong())?;
        return if (-100..=100).contains(&by) { Ok(Volume::Change(by)) } else { Err(wrong()) };
    }
    rest.parse().ok().filter(|percent| *percent <= 100).map(Volume::Set).ok_or_else(wrong)
}

fn level(rest: &str) -> Result<Level, ActionError> {
    rest.parse().ok().and_then(Level::new).ok_or_else(|| ActionError(format!("a level is 0, 1, 2 or 3, not `{rest}`")))
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Ring(whom) => write!(f, "ring{whom}"),
            Action::Answer => f.write_str("answer"),
            Action::Decline => f.write_str("decline"),
            Action::HangUp => f.write_str("hang-up"),
            Action::CallButton => f.write_str("call-button"),
            Action::CallButtonHeld => f.write_str("call-button-held"),
            Action::Mute(switch) => write!(f, "mute{switch}"),
            Action::Talk(switch) => write!(f, "talk{switch}"),
            Action::Hold(switch) => write!(f, "hold{switch}"),
            Action::Page(whom) => write!(f, "page{whom}"),
            Action::Monitor(name) => write!(f, "monitor {name}"),
            Action::Release(None) => f.write_str("release"),
            Action::Release(Some(name)) => write!(f, "release {name}"),
            Action::ReleaseHere => f.write_str("release-here"),
            Action::DoNotDisturb(switch) => write!(f, "do-not-disturb{switch}"),
            Action::Volume(Volume::Set(percent)) => write!(f, "volume {percent}"),
            Action::Volume(Volume::Change(by)) => write!(f, "volume {by:+}"),
            Action::Level(level) => write!(f, "level {}", level.number()),
            Action::Snapshot => f.write_str("snapshot"),
            Action::Rescan => f.write_str("rescan"),
            Action::Pair => f.write_str("pair"),
            Action::Invite { release: false } => f.write_str("invite"),
            Action::Invite { release: true } => f.write_str("invite release"),
            Action::StopPairing => f.write_str("stop-pairing"),
        }
    }
}

/// With the blank before it, since it may be nothing.
impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whom::Usual => Ok(()),
            Whom::All => f.write_str(" all"),
            Whom::Named(name) => write!(f, " {name}"),
        }
    }
}

/// With the blank before it, since it may be nothing.
impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Switch::On => " on",
            Switch::Off => " off",
            Switch::Toggle => "",
        })
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what a person types is understood, or answered with what would be right. Method: notation there and back.
    use super::*;

    #[test]
    fn every_notation_is_read_and_written_the_same() {
        for text in [
            "ring",
            "ring all",
            "ring kitchen",
            "ring front door",
            "answer",
            "decline",
            "hang-up",
            "call-button",
            "call-button-held",
            "mute",
            "mute on",
            "talk off",
            "hold on",
            "page upstairs",
            "monitor nursery",
            "release",
            "release gate",
            "release-here",
            "do-not-disturb on",
            "volume 40",
            "volume +5",
            "volume -100",
            "level 2",
            "snapshot",
            "rescan",
            "pair",
            "invite",
            "invite release",
            "stop-pairing",
        ] {
            let action: Action = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(action.to_string(), text);
        }
    }

    #[test]
    fn every_action_stands_in_the_list_of_notations() {
        for text in ["ring", "answer", "release-here", "volume 1", "stop-pairing", "do-not-disturb"] {
            let verb = text.split(' ').next().unwrap_or_default();
            assert!(NOTATIONS.iter().any(|(notation, _)| notation.split(' ').next() == Some(verb)), "{verb}");
        }
    }

    #[test]
    fn what_is_no_action_is_answered_with_a_remedy() {
        for (text, remedy) in [
            ("", "hang-up"),
            ("sing", "ring [NAME|GROUP|all]"),
            ("answer now", "stands alone"),
            ("mute maybe", "on, off"),
            ("volume", "0 to 100"),
            ("volume 101", "0 to 100"),
            ("volume +101", "0 to 100"),
            ("level 4", "0, 1, 2 or 3"),
            ("invite all", "release"),
            ("monitor", "name"),
            ("monitor aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "1 to 32 letters"),
        ] {
            let error = text.parse::<Action>().expect_err(text).to_string();
            assert!(error.contains(remedy), "{text:?}: {error}");
        }
    }

    #[test]
    fn switches_and_volumes_keep_their_bounds() {
        assert!(Switch::Toggle.applied(false) && !Switch::Toggle.applied(true) && Switch::On.applied(true));
        assert_eq!(Volume::Change(-30).applied(20), 0);
        assert_eq!(Volume::Change(100).applied(90), 100);
        assert_eq!(Volume::Set(35).applied(90), 35);
    }
}
