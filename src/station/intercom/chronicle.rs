//! What is told of what happens: to the journal, to watchers of the control socket, and to the log.

use super::show;
use crate::call::{CallEvent, State};
use crate::journal::{Journal, Record, Still, What};
use crate::media::Picture;
use crate::panel::protocol::{Event, Happening};
use crate::panel::socket::Server;
use crate::sys::calendar::unix_ms;
use crate::time::{Duration, Instant, Seldom};
use crate::wire::{CallKind, ReleaseOutcome};

/// Devices whose faults the switchboard logs.
const DEVICES: [&str; 8] =
    ["camera", "screen", "microphone", "loudspeaker", "sound card", "encoder", "decoder", "echo canceller"];
/// How long a record waits for the picture of who stands here: a camera that does not give one by then gives none.
const STILL_WITHIN: Duration = Duration::from_secs(1);

/// Keeps what happens.
pub(super) struct Chronicle {
    /// None where the disk refused it at the start.
    pub journal: Option<Journal>,
    pub control: Option<Server>,
    /// Calls that were missed since somebody was last here.
    pub missed: u32,
    /// Whether the call that goes on, or has just ended, began here.
    is_outgoing: bool,
    /// Who rings, as the screen showed them.
    caller: Option<Picture>,
    /// Records that wait for a picture of who stands here.
    waiting: Option<(Record, Instant)>,
    /// A paired station may ask for the door as often as it likes.
    refusals: Seldom,
}

impl Chronicle {
    pub fn new(journal: Option<Journal>, control: Option<Server>) -> Chronicle {
        Chronicle {
            journal,
            control,
            missed: 0,
            is_outgoing: false,
            caller: None,
            waiting: None,
            refusals: Seldom::default(),
        }
    }

    /// Tells watchers and the log.
    pub fn publish(&mut self, now: Instant, what: Happening) {
        let event = Event { at_unix_ms: unix_ms(), what };
        self.log(now, &event);
        if let Some(control) = &mut self.control {
            control.publish(now, &event);
        }
    }

    fn log(&mut self, now: Instant, event: &Event) {
        match &event.what {
            // What the stages' devices lack has been logged with them.
            Happening::Fault { device, .. } if DEVICES.contains(&device.as_str()) => {}
            Happening::Fault { device, .. } => tracing::info!(device, "{event}"),
            Happening::State { state, peer, .. } => tracing::info!(state, peer, "{event}"),
            Happening::ReleaseRefused { by, .. } => {
                if let Some(unsaid) = self.refusals.admit(now) {
                    tracing::info!(peer = by, "{event}{unsaid}");
                }
            }
            Happening::MissedCall { peer } | Happening::LinkUp { peer, .. } | Happening::LinkDown { peer, .. } => {
                tracing::info!(peer, "{event}");
            }
            _ => tracing::info!("{event}"),
        }
    }

    /// The state is another.
    pub fn note_state(&mut self, state: &State) {
        match state {
            State::Calling(_) => self.is_outgoing = true,
            State::Ringing(_) => self.is_outgoing = false,
            State::Talking(talking) => self.is_outgoing = talking.is_caller,
            State::Idle => self.caller = None,
            State::Ended(_) => {}
        }
    }

    /// Whether a picture of who rings is still wanted.
    pub fn wants_caller(&self, state: &State) -> bool {
        matches!(state, State::Ringing(ringing) if ringing.early_media) && self.caller.is_none()
    }

    /// Who rings, as the screen shows them.
    pub fn note_caller(&mut self, picture: Picture) {
        self.caller = Some(picture);
    }

    /// Something happened that is to be kept; `name` is whom it is about. Whether a picture of who stands here is wanted.
    pub fn note(&mut self, now: Instant, event: &CallEvent, name: &str) -> bool {
        let record = |what| Record::new(unix_ms(), what, name);
        let millis = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match event {
            CallEvent::Missed { at, .. } => {
                self.missed = self.missed.saturating_add(1);
                let still = self.caller.take().map(Still::Picture);
                self.keep(Record { lasted_ms: Some(millis(&now.since(*at))), ..record(What::MissedCall) }, still);
                self.publish(now, Happening::MissedCall { peer: name.to_owned() });
            }
            CallEvent::Ended { kind, why, lasted, .. } => {
                let what = match (kind, self.is_outgoing) {
                    (CallKind::Talk | CallKind::Other, true) => What::MadeCall,
                    (CallKind::Monitor, false) => What::Monitored,
                    (CallKind::Page, false) => What::Paged,
                    (CallKind::Talk | CallKind::Other, false) if lasted.is_some() => What::AnsweredCall,
                    // One that nobody answered here is told as missed; what others are watched and paged is theirs to keep.
                    _ => return false,
                };
                let lasted_ms = lasted.as_ref().map(millis);
                self.keep(Record { lasted_ms, reason: Some(show::reason(why)), ..record(what) }, None);
            }
            CallEvent::Released { pulse, .. } => {
                let released = Record { lasted_ms: Some(millis(pulse)), ..record(What::DoorReleased) };
                self.flush(now, None, true);
                self.waiting = Some((released, now + STILL_WITHIN));
                self.publish(now, Happening::DoorReleased { by: name.to_owned() });
                return true;
            }
            CallEvent::ReleaseRefused { outcome, .. } => {
                let reason = match outcome {
                    ReleaseOutcome::NoDoor => "there is no door here",
                    ReleaseOutcome::TooLate => "too late",
                    ReleaseOutcome::Released | ReleaseOutcome::NotAllowed => "not allowed",
                };
                self.keep(Record { reason: Some(reason.into()), ..record(What::ReleaseRefused) }, None);
                self.publish(now, Happening::ReleaseRefused { by: name.to_owned(), reason: reason.into() });
            }
            CallEvent::Changed
            | CallEvent::Begun { .. }
            | CallEvent::TurnedAway { .. }
            | CallEvent::EndsSoon { .. }
            | CallEvent::ReleaseAnswered { .. } => {}
        }
        false
    }

    /// A stranger was not let in.
    pub fn note_stranger(&mut self, count: u64) {
        let reason = if count == 1 { "a handshake".into() } else { format!("{count} handshakes") };
        self.keep(Record { reason: Some(reason), ..Record::new(unix_ms(), What::StrangerRefused, "unknown") }, None);
    }

    /// The picture of who stands here has come, or will not: the record that waits for it is written.
    pub fn flush(&mut self, now: Instant, still: Option<Picture>, is_over: bool) {
        if let Some((record, _)) = self.waiting.take_if(|(_, until)| still.is_some() || is_over || now >= *until) {
            self.keep(record, still.map(Still::Picture));
        }
    }

    /// When [`Chronicle::flush`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|(_, until)| *until)
    }

    fn keep(&mut self, record: Record, still: Option<Still>) {
        if let Some(journal) = &mut self.journal {
            journal.record(record, still);
        }
    }
}
