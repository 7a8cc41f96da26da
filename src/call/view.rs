//! What screen, loudspeaker, microphone and lamps make of the state. Nothing here changes anything.

use super::machine::Call;
use super::policy::MinuteOfDay;
use super::state::{Calling, Ending, Progress, State, Talking};
use crate::identity::PublicKey;
use crate::time::Instant;
use crate::wire::CallKind;

/// Where pictures and sound go to and come from now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Who gets this station's picture.
    pub picture_to: Vec<PublicKey>,
    /// Who gets this station's sound.
    pub sound_to: Vec<PublicKey>,
    /// Whose picture is shown.
    pub shown: Option<PublicKey>,
    /// Whose sound is heard.
    pub heard: Option<PublicKey>,
}

/// What the loudspeaker plays beside the far side's sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    None,
    /// Somebody rings here.
    Ring,
    /// It rings there.
    RingBack,
    /// They do not come to talk.
    Busy,
    /// This station's door is open now.
    Door,
    /// The call could not be, or broke.
    Error,
}

/// What a status lamp tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lamp {
    /// Nothing.
    Off,
    /// Nobody may ring here.
    DoNotDisturb,
    /// This station calls, or monitors another.
    Calling,
    /// Somebody rings here.
    Ringing,
    /// In conversation, or this station pages or is paged.
    Talking,
    /// A conversation in which one waits.
    Held,
    /// Somebody sees and hears this station without anybody having answered.
    Watched,
    /// A call could not be, or broke.
    Error,
}

impl State {
    /// Whether somebody may hear this station now, so that muting it is about this call.
    pub(super) fn speaks(&self) -> bool {
        match self {
            State::Talking(_) => true,
            State::Calling(calling) => calling.kind == CallKind::Page,
            _ => false,
        }
    }
}

impl Call {
    /// What the station is doing.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether this station's microphone is kept from being heard.
    pub fn is_muted(&self) -> bool {
        self.muted
    }

    /// Until when the line of this station's door is on; none where it is off.
    pub fn door_on_until(&self) -> Option<Instant> {
        self.door.on_until()
    }

    /// Where pictures and sound go to and come from now.
    pub fn media(&self) -> Media {
        match &self.state {
            State::Idle | State::Ended(_) => Media::default(),
            State::Calling(calling) => self.media_of_calling(calling),
            State::Ringing(ringing) => Media { shown: ringing.early_media.then_some(ringing.peer), ..Media::default() },
            State::Talking(talking) => self.media_of_talking(talking),
        }
    }

    fn media_of_calling(&self, calling: &Calling) -> Media {
        let those = |progress: Progress| -> Vec<PublicKey> {
            calling.legs.iter().filter(|leg| leg.progress == progress).map(|leg| leg.peer).collect()
        };
        match calling.kind {
            CallKind::Talk if self.config.early_media => {
                Media { picture_to: those(Progress::Ringing), ..Media::default() }
            }
            CallKind::Page => {
                let listeners = those(Progress::Listening);
                let sound_to = if self.muted { Vec::new() } else { listeners.clone() };
                Media { picture_to: listeners, sound_to, ..Media::default() }
            }
            _ => Media::default(),
        }
    }

    fn media_of_talking(&self, talking: &Talking) -> Media {
        if talking.is_held() {
            return Media::default();
        }
        let peer = talking.peer;
        let (sends, receives) = match talking.kind {
            CallKind::Monitor => (!talking.is_caller, talking.is_caller),
            CallKind::Page => (false, true),
            CallKind::Talk | CallKind::Other => (true, true),
        };
        Media {
            picture_to: if sends { vec![peer] } else { Vec::new() },
            sound_to: if sends && !self.muted { vec![peer] } else { Vec::new() },
            shown: receives.then_some(peer),
            heard: receives.then_some(peer),
        }
    }

    /// What the loudspeaker plays beside the far side's sound.
    pub fn tone(&self) -> Tone {
        match &self.state {
            State::Ringing(_) => Tone::Ring,
            _ if self.door.on_until().is_some() => Tone::Door,
            State::Calling(calling) if calling.legs.iter().any(|leg| leg.progress == Progress::Ringing) => {
                Tone::RingBack
            }
            State::Ended(ended) => match ended.why {
                Ending::Busy | Ending::Declined | Ending::DoNotDisturb | Ending::NoAnswer => Tone::Busy,
                Ending::Unreachable | Ending::Lost | Ending::NotAllowed => Tone::Error,
                _ => Tone::None,
            },
            _ => Tone::None,
        }
    }

    /// What a status lamp tells; `wall` is the time of day, for the quiet hours.
    pub fn lamp(&self, wall: MinuteOfDay) -> Lamp {
        match &self.state {
            State::Ringing(_) => Lamp::Ringing,
            State::Calling(page) if page.kind == CallKind::Page => Lamp::Talking,
            State::Calling(_) => Lamp::Calling,
            State::Talking(watch) if watch.kind == CallKind::Monitor => {
                if watch.is_caller {
                    Lamp::Calling
                } else {
                    Lamp::Watched
                }
            }
            State::Talking(talking) => {
                if talking.is_held() {
                    Lamp::Held
                } else {
                    Lamp::Talking
                }
            }
            State::Ended(_) if self.tone() == Tone::Error => Lamp::Error,
            State::Idle | State::Ended(_) => {
                if self.is_quiet(wall) {
                    Lamp::DoNotDisturb
                } else {
                    Lamp::Off
                }
            }
        }
    }
}
