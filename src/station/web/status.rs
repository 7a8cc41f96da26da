//! What a page is told: one object of JSON, whenever anything in it is another.

use crate::call::{Call, Ending, Progress, State};
use crate::identity::Rights;
use crate::wire::{CallKind, ReleaseOutcome, VideoState};
use serde::Serialize;

/// Everything that a page shows.
pub(super) struct Scene<'a> {
    pub call: &'a Call,
    pub station: &'a str,
    pub is_here: bool,
    pub camera: Option<&'a VideoState>,
    pub rights: Rights,
    pub door: Option<ReleaseOutcome>,
}

#[derive(Serialize)]
struct Status<'a> {
    /// `idle`, `calling`, `ringing`, `talking`, `ended`.
    state: &'static str,
    station: &'a str,
    peer: &'a str,
    /// Whether the station is reached.
    here: bool,
    /// `talk` or `monitor`, in a call.
    kind: Option<&'static str>,
    /// Why a call ended, as a word.
    reason: Option<&'static str>,
    /// It rings there.
    rings: bool,
    /// Who rings is seen before the call is answered.
    preview: bool,
    muted: bool,
    held: bool,
    /// What is wrong with the station's camera, in words.
    camera: Option<String>,
    may_release: bool,
    release_without_call: bool,
    /// What became of the wish to open the door.
    door: Option<&'static str>,
}

/// The text.
pub(super) fn text(scene: &Scene<'_>) -> String {
    let state = scene.call.state();
    let status = Status {
        state: word(state),
        station: scene.station,
        peer: scene.station,
        here: scene.is_here,
        kind: match state {
            State::Talking(talking) if talking.kind == CallKind::Monitor => Some("monitor"),
            State::Talking(_) => Some("talk"),
            _ => None,
        },
        reason: match state {
            State::Ended(ended) => Some(reason(&ended.why)),
            _ => None,
        },
        rings: matches!(state, State::Calling(calling) if calling.legs.iter().any(|leg| leg.progress == Progress::Ringing)),
        preview: matches!(state, State::Ringing(ringing) if ringing.early_media),
        muted: scene.call.is_muted(),
        held: matches!(state, State::Talking(talking) if talking.is_held()),
        camera: match scene.camera {
            Some(VideoState::Off) => Some("It has no camera.".into()),
            Some(VideoState::Fault { text }) => Some(format!("Its camera does not work: {text}")),
            Some(VideoState::Working { .. }) | None => None,
        },
        may_release: scene.rights.release,
        release_without_call: false,
        door: scene.door.map(|outcome| match outcome {
            ReleaseOutcome::Released => "released",
            ReleaseOutcome::NotAllowed => "not-allowed",
            ReleaseOutcome::NoDoor => "no-door",
            ReleaseOutcome::TooLate => "too-late",
        }),
    };
    // Texts and booleans are within JSON: this cannot fail.
    serde_json::to_string(&status).unwrap_or_default()
}

fn word(state: &State) -> &'static str {
    match state {
        State::Idle => "idle",
        State::Calling(_) => "calling",
        State::Ringing(_) => "ringing",
        State::Talking(_) => "talking",
        State::Ended(_) => "ended",
    }
}

fn reason(why: &Ending) -> &'static str {
    match why {
        Ending::Unreachable => "unreachable",
        Ending::Lost => "lost",
        Ending::NotAllowed => "not-allowed",
        Ending::NoAnswer => "no-answer",
        Ending::DoNotDisturb => "do-not-disturb",
        Ending::Declined => "declined",
        Ending::Busy => "busy",
        Ending::HungUp => "hung-up",
        Ending::HungUpHere => "hung-up-here",
        Ending::DeclinedHere => "declined-here",
        Ending::Missed => "missed",
        Ending::Cancelled => "cancelled",
        Ending::AnsweredBy(_) => "answered-by",
        Ending::TimeLimit => "time-limit",
        Ending::GaveWay => "gave-way",
    }
}
