//! What a flow tells of itself.

use crate::time::{Duration, Instant};

/// How a flow stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlowReport {
    /// Smoothed round trip, once measured.
    pub rtt: Option<Duration>,
    /// The shortest round trip of the last 32 pings.
    pub rtt_min: Option<Duration>,
    /// The peer's CLOCK_MONOTONIC minus ours, in nanoseconds, once measured.
    pub offset_ns: Option<i64>,
    /// Share (0 to 1) of the peer's video fragments that the path lost, over about the last half second.
    pub loss_in: f32,
    /// The same for our fragments, as the peer reports it.
    pub loss_out: f32,
    /// Bits a second that our video may have, headers and repeats among them, so that the path carries it.
    pub target_bps: u64,
    /// How long no frame could be shown for want of a key frame, in all, up to the last resumption.
    pub frozen: Duration,
    /// Since when that is so now.
    pub frozen_since: Option<Instant>,
    /// Everything counted.
    pub counts: Counts,
}

impl core::ops::AddAssign for Counts {
    /// Of several flows together: what a station's numbers are made of, frames and fragments.
    fn add_assign(&mut self, other: Counts) {
        let fields: [fn(&mut Counts) -> &mut u64; 16] = [
            |counts| &mut counts.frames_sent,
            |counts| &mut counts.frames_refused,
            |counts| &mut counts.frames_held,
            |counts| &mut counts.frames_unsent,
            |counts| &mut counts.frames_whole,
            |counts| &mut counts.frames_incomplete,
            |counts| &mut counts.frames_undecodable,
            |counts| &mut counts.frames_stale,
            |counts| &mut counts.frames_passed_over,
            |counts| &mut counts.fragments_sent,
            |counts| &mut counts.fragments_repeated,
            |counts| &mut counts.fragments_received,
            |counts| &mut counts.fragments_repaired,
            |counts| &mut counts.parities_sent,
            |counts| &mut counts.fragments_mended,
            |counts| &mut counts.freezes,
        ];
        let mut other = other;
        for field in fields {
            *field(self) += *field(&mut other);
        }
    }
}

/// Everything that a flow counts, from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames taken to be sent.
    pub frames_sent: u64,
    /// Frames not taken: too large, or dependent on one that was not sent.
    pub frames_refused: u64,
    /// Frames not taken, since the path loses so much that only a few key frames are sent.
    pub frames_held: u64,
    /// Frames taken but not (wholly) sent, since the path did not take them in time.
    pub frames_unsent: u64,
    /// Fragments sent for the first time.
    pub fragments_sent: u64,
    /// Fragments sent again.
    pub fragments_repeated: u64,
    /// Parities sent.
    pub parities_sent: u64,
    /// Fragments asked for and not sent again: sent a moment ago, or too often.
    pub repeats_refused: u64,
    /// Fragments larger than the session lets a payload be.
    pub fragments_unsendable: u64,
    /// Sound packets sent.
    pub sound_sent: u64,
    /// Sound packets dropped before they were sent.
    pub sound_unsent: u64,
    /// Key frames that the station was asked for.
    pub key_frames_wanted: u64,
    /// Requests (each for one or more fragments) sent.
    pub nacks_sent: u64,
    /// Requests for a key frame sent.
    pub key_frames_requested: u64,

    /// Frames handed out.
    pub frames_whole: u64,
    /// Frames given up that were not whole.
    pub frames_incomplete: u64,
    /// Whole frames given up, since one that they depend on was.
    pub frames_undecodable: u64,
    /// Whole frames given up, since they were too old.
    pub frames_stale: u64,
    /// Frames given up for a newer key frame.
    pub frames_passed_over: u64,
    /// Times that the picture froze.
    pub freezes: u64,
    /// Fragments that arrived, all of them.
    pub fragments_received: u64,
    /// Missing fragments that arrived after all, asked for or late.
    pub fragments_repaired: u64,
    /// Parities that arrived.
    pub parities_received: u64,
    /// Fragments that came out of parities.
    pub fragments_mended: u64,
    /// Fragments that arrived once too often.
    pub fragments_duplicate: u64,
    /// Fragments of frames that were done with.
    pub fragments_late: u64,
    /// Fragments that contradict others of their frame, or break a limit.
    pub fragments_refused: u64,
    /// Sound packets that arrived.
    pub sound_received: u64,
    /// Sound packets that arrived once too often, or far too late.
    pub sound_duplicate: u64,
    /// Sound packets dropped, since nobody took them.
    pub sound_untaken: u64,

    /// Control messages delivered.
    pub control_delivered: u64,
    /// Control messages of a kind that this version does not know, or broken.
    pub control_unknown: u64,
    /// Control segments meant for an earlier life of ours, and those that found no room.
    pub control_void: u64,
    /// Items of a kind that this version does not know.
    pub items_unknown: u64,
    /// Items and payloads that do not parse.
    pub malformed: u64,
    /// Answers to pings that were not asked, or cannot be true.
    pub pongs_refused: u64,
    /// Payloads of an earlier life of the peer.
    pub payloads_stale: u64,
}
