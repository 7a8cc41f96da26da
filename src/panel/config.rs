//! Which hand does what, and which lamp shows what: data, which the configuration fills.

use super::button::{DOUBLE_PRESS, Timing};
use super::lamp::{Pattern, Sign};
use super::rotary::Notch;
use crate::call::{Action, Switch, VOLUME_STEP_PERCENT, Volume};
use crate::device::gpio::{InputRequest, OutputRequest};
use crate::device::keys::Key;
use crate::device::touch::Rotation;
use crate::time::Duration;

/// Buttons, encoders, lamps, keys and zones of each kind at most: more than a board has lines, or a screen places.
pub const EACH_MAX: usize = 64;

/// What each way of pressing does; nothing where there is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gestures {
    /// As it goes down: push to talk.
    pub down: Option<Action>,
    /// As it comes up again.
    pub up: Option<Action>,
    /// A press.
    pub short: Option<Action>,
    /// Held.
    pub long: Option<Action>,
    /// Pressed twice.
    pub double: Option<Action>,
    /// How long it must be held; [`LONG_PRESS`](super::button::LONG_PRESS) where nothing is said.
    pub long_press: Option<Duration>,
    /// Whether the short press comes at once, and again while it is held: volume.
    pub repeats: bool,
}

impl Gestures {
    /// A press that does `action`.
    pub fn short(action: Action) -> Gestures {
        Gestures { short: Some(action), ..Gestures::default() }
    }

    /// What needs telling apart.
    pub(super) fn timing(&self) -> Timing {
        let long = self.long_press.unwrap_or(super::button::LONG_PRESS);
        Timing {
            long: self.long.is_some().then_some(long),
            double: self.double.is_some().then_some(DOUBLE_PRESS),
            repeats: self.repeats,
        }
    }
}

/// A button on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ButtonConfig {
    /// Its line.
    pub line: InputRequest,
    /// What it does.
    pub gestures: Gestures,
}

/// An encoder on two lines of one chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotaryConfig {
    /// Its lines; clockwise the first leads.
    pub lines: [InputRequest; 2],
    /// Where it rests.
    pub notch: Notch,
    /// What a notch clockwise does.
    pub clockwise: Action,
    /// What a notch the other way does.
    pub counterclockwise: Action,
}

/// A lamp on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LampConfig {
    /// Its line.
    pub line: OutputRequest,
    /// It shows the first of these that is so, and is dark where none is.
    pub shows: Vec<(Sign, Pattern)>,
}

/// The strike of this station's own door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrikeConfig {
    /// Its relay's line.
    pub line: OutputRequest,
    /// For how long it has current, [`PULSE_MIN`](super::strike::PULSE_MIN) to [`PULSE_MAX`](super::strike::PULSE_MAX).
    pub pulse: Duration,
}

/// A key of a keyboard or remote control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConfig {
    /// Which.
    pub key: Key,
    /// What it does.
    pub gestures: Gestures,
}

/// A part of the screen, as shares of the picture's width and height, 0 to 1 from its upper left corner.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Where it begins, from the left.
    pub left: f32,
    /// Where it begins, from the top.
    pub top: f32,
    /// Where it ends, from the left.
    pub right: f32,
    /// Where it ends, from the top.
    pub bottom: f32,
    /// What a tap does.
    pub tap: Option<Action>,
    /// What a finger does that stays.
    pub long: Option<Action>,
}

impl Zone {
    /// Whether a place is in it.
    pub fn contains(&self, x: f32, y: f32) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }
}

/// All hands of a station. What stands first counts where two zones overlap.
#[derive(Clone, Debug, PartialEq)]
pub struct PanelConfig {
    /// Buttons.
    pub buttons: Vec<ButtonConfig>,
    /// Encoders.
    pub rotaries: Vec<RotaryConfig>,
    /// Lamps.
    pub lamps: Vec<LampConfig>,
    /// The door.
    pub strike: Option<StrikeConfig>,
    /// Keys.
    pub keys: Vec<KeyConfig>,
    /// By how much the picture is turned on a touch screen.
    pub rotation: Rotation,
    /// Parts of the screen that mean the same whatever is shown.
    pub zones: Vec<Zone>,
}

impl Default for PanelConfig {
    /// No lines; Esc and q end a call; media keys do what they say.
    fn default() -> PanelConfig {
        let step = VOLUME_STEP_PERCENT.cast_signed();
        let volume = |by| Gestures { repeats: true, ..Gestures::short(Action::Volume(Volume::Change(by))) };
        let mute = || Gestures::short(Action::Mute(Switch::Toggle));
        let keys = [
            (Key::ESCAPE, Gestures::short(Action::HangUp)),
            (Key::Q, Gestures::short(Action::HangUp)),
            (Key::VOLUME_UP, volume(step)),
            (Key::VOLUME_DOWN, volume(-step)),
            (Key::MUTE, mute()),
            (Key::MIC_MUTE, mute()),
        ];
        PanelConfig {
            buttons: Vec::new(),
            rotaries: Vec::new(),
            lamps: Vec::new(),
            strike: None,
            keys: keys.map(|(key, gestures)| KeyConfig { key, gestures }).into(),
            rotation: Rotation::default(),
            zones: Vec::new(),
        }
    }
}
