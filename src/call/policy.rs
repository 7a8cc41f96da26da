//! What the station's owner has decided: times, hours, groups, and what each peer may do.

use super::action::Whom;
use crate::identity::{PublicKey, Rights};
use crate::time::Duration;
use core::fmt;

/// Groups of a station: a house has floors and wings.
pub const GROUPS_MAX: usize = 32;
/// The longest that anything rings: who has not come in five minutes does not.
pub const RING_TIME_MAX: Duration = Duration::from_secs(5 * 60);
/// The longest that a call waits for a peer that is away; longer, and nobody is in front of the screen any more.
pub const ABSENCE_MAX: Duration = Duration::from_secs(5 * 60);
/// The longest call: a day, for those who keep a window open between two rooms.
pub const CALL_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest pulse of the door's line: a strike's coil is not made for more.
pub const PULSE_MAX: Duration = Duration::from_secs(30);
/// The longest that a card says how a call ended.
pub const CARD_TIME_MAX: Duration = Duration::from_secs(60);

/// The time of day where the station stands, in minutes since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MinuteOfDay(u16);

impl MinuteOfDay {
    /// Midnight.
    pub const MIDNIGHT: MinuteOfDay = MinuteOfDay(0);

    /// `None` from 24:00 on.
    pub const fn new(hour: u16, minute: u16) -> Option<MinuteOfDay> {
        if hour < 24 && minute < 60 { Some(MinuteOfDay(hour * 60 + minute)) } else { None }
    }
}

/// As clocks show it: `07:05`.
impl fmt::Display for MinuteOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Daily hours, from the first minute to before the last; over midnight where the last is the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// When they begin.
    pub from: MinuteOfDay,
    /// When they end; the same as the beginning means never quiet.
    pub to: MinuteOfDay,
}

impl QuietHours {
    /// Whether it is quiet at `time`.
    pub fn contain(&self, time: MinuteOfDay) -> bool {
        if self.from <= self.to { (self.from..self.to).contains(&time) } else { time >= self.from || time < self.to }
    }
}

/// Stations that are rung together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What people call it.
    pub name: String,
    /// The names of its stations; those that the book does not have are passed over.
    pub members: Vec<String>,
}

/// The policies of a station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallConfig {
    /// How long a station rings, and how long a caller lets others ring; at most [`RING_TIME_MAX`].
    pub ring_time: Duration,
    /// How long a call waits for a peer that is away, since the link repairs itself; at most [`ABSENCE_MAX`].
    pub absence: Duration,
    /// How long calling goes on while none of those called is here: they may just be starting; at most [`ABSENCE_MAX`].
    pub restart_grace: Duration,
    /// The longest call; at most [`CALL_TIME_MAX`].
    pub call_time: Duration,
    /// The longest time that a station is monitored without a break; at most [`CALL_TIME_MAX`].
    pub monitor_time: Duration,
    /// The longest page; at most [`RING_TIME_MAX`].
    pub page_time: Duration,
    /// How long the card stands that says how a call ended; at most [`CARD_TIME_MAX`].
    pub card_time: Duration,
    /// How long the line of this station's door is on; at most [`PULSE_MAX`]. None where it has no door.
    pub door: Option<Duration>,
    /// Those called see who stands here before they answer: for door stations.
    pub early_media: bool,
    /// The microphone is muted until [`super::Action::Talk`] says otherwise, in every conversation, monitoring included.
    pub push_to_talk: bool,
    /// When nobody may ring here, every day.
    pub quiet_hours: Option<QuietHours>,
    /// Stations that are rung together; at most [`GROUPS_MAX`].
    pub groups: Vec<Group>,
    /// Who is rung where nobody is named; none means everybody.
    pub usual: Whom,
}

impl Default for CallConfig {
    fn default() -> CallConfig {
        CallConfig {
            ring_time: Duration::from_secs(45),
            absence: Duration::from_secs(30),
            restart_grace: Duration::from_secs(10),
            call_time: Duration::from_secs(60 * 60),
            monitor_time: Duration::from_secs(12 * 60 * 60),
            page_time: Duration::from_secs(60),
            card_time: Duration::from_secs(4),
            door: None,
            early_media: false,
            push_to_talk: false,
            quiet_hours: None,
            groups: Vec::new(),
            usual: Whom::All,
        }
    }
}

impl CallConfig {
    /// The same, with every time and list within its bound: whatever was typed, nothing rings for ever.
    pub(super) fn bounded(mut self) -> CallConfig {
        self.ring_time = self.ring_time.min(RING_TIME_MAX);
        self.absence = self.absence.min(ABSENCE_MAX);
        self.restart_grace = self.restart_grace.min(ABSENCE_MAX);
        self.call_time = self.call_time.min(CALL_TIME_MAX);
        self.monitor_time = self.monitor_time.min(CALL_TIME_MAX);
        self.page_time = self.page_time.min(RING_TIME_MAX);
        self.card_time = self.card_time.min(CARD_TIME_MAX);
        self.door = self.door.map(|pulse| pulse.min(PULSE_MAX));
        self.groups.truncate(GROUPS_MAX);
        self
    }
}

/// What holds for one peer: its entry in the address book, and what the configuration adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerPolicy {
    /// Who it is.
    pub key: PublicKey,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub rights: Rights,
    /// A call of this peer is answered by the station itself after so long; at most [`RING_TIME_MAX`].
    pub auto_answer: Option<Duration>,
    /// With the right to release: also without a call.
    pub release_without_call: bool,
}

#[cfg(test)]
mod tests {
    //! Goal: quiet hours are what people mean by them. Method: minutes at their edges.
    use super::*;

    fn at(hour: u16, minute: u16) -> MinuteOfDay {
        MinuteOfDay::new(hour, minute).unwrap()
    }

    #[test]
    fn quiet_hours_may_go_over_midnight() {
        let night = QuietHours { from: at(22, 0), to: at(6, 30) };
        for (time, quiet) in [((21, 59), false), ((22, 0), true), ((0, 0), true), ((6, 29), true), ((6, 30), false)] {
            assert_eq!(night.contain(at(time.0, time.1)), quiet, "{time:?}");
        }
        let noon = QuietHours { from: at(12, 0), to: at(14, 0) };
        assert!(noon.contain(at(13, 59)) && !noon.contain(at(14, 0)) && !noon.contain(at(0, 0)));
        let never = QuietHours { from: at(8, 0), to: at(8, 0) };
        assert!(!never.contain(at(8, 0)));
        assert_eq!(MinuteOfDay::new(24, 0), None);
    }
}
