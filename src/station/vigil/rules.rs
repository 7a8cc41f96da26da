//! What each part is allowed, and what is done about it: the table of the vigil.

use super::Part;
use crate::time::Duration;

/// What can be done about a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// Its device or codec is made anew.
    MakeAnew,
    /// Its USB port is switched off and on.
    ResetPort,
    /// The program ends.
    End {
        /// It is a thread that is held up: no call is spared for it, and it matters not how long the program has run.
        is_thread: bool,
    },
}

/// The rule for a part.
#[derive(Debug)]
pub struct Rule {
    /// The device that people know it by.
    pub device: &'static str,
    /// What is wrong when it does not move, after the device's name.
    pub what: &'static str,
    /// What is said of its being made anew.
    pub anew: &'static str,
    /// For how long it may owe progress.
    pub within: Duration,
    /// So much must have gone in before it owes any.
    pub least: u64,
    /// What is done about it, in this order.
    pub ladder: &'static [Rung],
}

/// A driver's open, or its close, may take several control transfers of 5 s each on a USB bus that ails.
const THREAD_WITHIN: Duration = Duration::from_secs(15);
/// Longer than the devices' own limits (a camera's first frame 4 s, a screen's flip 4 s, a sound card 1 s), by which they
/// find most stalls themselves.
const DEVICE_WITHIN: Duration = Duration::from_secs(6);
/// For a camera of one frame a second, which is given ten of its frame times.
const CAMERA_WITHIN: Duration = Duration::from_secs(12);
/// A hundred and more frames, of which no sensor takes two that are the same.
const SCENE_WITHIN: Duration = Duration::from_secs(10);
/// Looks in which it was the same: a second's.
const SCENE_LEAST: u64 = 4;
/// A rate control leaves out a frame or two, and never so many in a row.
const CODEC_LEAST: u64 = 10;

const THREAD: &[Rung] = &[Rung::End { is_thread: true }];
const DEVICE: &[Rung] = &[Rung::MakeAnew, Rung::ResetPort, Rung::End { is_thread: false }];
/// To open the camera anew is all that a new process could do about its picture, too.
const SCENE: &[Rung] = &[Rung::MakeAnew, Rung::ResetPort];
const SCREEN: &[Rung] = &[Rung::MakeAnew, Rung::End { is_thread: false }];
/// Twice made anew, since the first may have met the same picture.
const ENCODER: &[Rung] = &[Rung::MakeAnew, Rung::MakeAnew, Rung::End { is_thread: false }];
/// What comes is the other station's: if it is nonsense, a new process is given the same.
const DECODER: &[Rung] = &[Rung::MakeAnew];

impl Part {
    /// The rule for it.
    pub fn rule(self) -> Rule {
        let rule = |ladder, device, what| {
            let (within, least) = (DEVICE_WITHIN, 1);
            Rule { device, what, anew: "it is opened anew", within, least, ladder }
        };
        let thread = |device, what| Rule { within: THREAD_WITHIN, ..rule(THREAD, device, what) };
        let codec =
            |ladder, device, what| Rule { anew: "it is made anew", least: CODEC_LEAST, ..rule(ladder, device, what) };
        match self {
            Part::Capture => thread("camera", "its driver does not return"),
            Part::Compress => thread("encoder", "it does not return"),
            Part::Expand => thread("decoder", "it does not return"),
            Part::Present => thread("screen", "its driver does not return"),
            Part::Voice => thread("sound card", "its driver does not return"),
            Part::Talk => thread("echo canceller", "it does not return"),
            Part::Camera => Rule { within: CAMERA_WITHIN, ..rule(DEVICE, "camera", "no picture comes") },
            Part::Scene => {
                let rule = rule(SCENE, "camera", "it shows the same picture all the time");
                Rule { within: SCENE_WITHIN, least: SCENE_LEAST, ..rule }
            }
            Part::Encoder => codec(ENCODER, "encoder", "frames go in and no picture comes out"),
            Part::Decoder => codec(DECODER, "decoder", "pictures come and none can be decoded"),
            Part::Screen => rule(SCREEN, "screen", "it does not show what it is given"),
            Part::Microphone => rule(DEVICE, "microphone", "no sound comes"),
            Part::Loudspeaker => rule(DEVICE, "loudspeaker", "it takes no sound"),
        }
    }
}
