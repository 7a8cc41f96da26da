//! The items of a payload, their kinds and their bodies.

use super::{Parity, Ranges, Reader, U16s, VideoFragment, Writer};
use crate::media::SOUND_BYTES_MAX;

/// Kinds as they stand on the wire. A number is never given a second meaning.
mod kind {
    pub const VIDEO: u8 = 1;
    pub const SOUND: u8 = 2;
    pub const FEEDBACK: u8 = 3;
    pub const NACK: u8 = 4;
    pub const KEY_FRAME_REQUEST: u8 = 5;
    pub const CONTROL: u8 = 6;
    pub const CONTROL_ACK: u8 = 7;
    pub const PING: u8 = 8;
    pub const PONG: u8 = 9;
    pub const TAIL_PROBE: u8 = 10;
    pub const PARITY: u8 = 11;
}

/// One item. Sequence numbers, frame numbers and 32-bit times are modulo 2³².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Part of an encoded frame.
    Video(VideoFragment<'a>),
    /// One period of sound.
    Sound(Sound<'a>),
    /// What arrived here, and when.
    Feedback(Feedback<'a>),
    /// Video sequences that are missing here and still wanted.
    Nack(Ranges<'a>),
    /// Decoding cannot go on without a key frame.
    KeyFrameRequest(KeyFrameRequest),
    /// One control message.
    Control(ControlSegment<'a>),
    /// Which control messages arrived.
    ControlAck(ControlAck),
    /// Asks for a [`Pong`] at once.
    Ping(Ping),
    /// Answers a [`Ping`].
    Pong(Pong),
    /// The sequence that the next new video fragment will have: all before it were sent.
    TailProbe(u32),
    /// Stands in for a lost part of an encoded frame.
    Parity(Parity<'a>),
    /// A kind that this version does not know; stepped over.
    Unknown(u8),
}

/// One encoded period of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound<'a> {
    /// Counts periods of the sender's stream.
    pub sequence: u32,
    /// When its first sample reached the microphone: microseconds of the sender's CLOCK_MONOTONIC.
    pub captured_us: u32,
    /// As in [`Item::TailProbe`]: sound goes out every 10 ms and so shows the loss of a frame's last fragments.
    pub video_end: u32,
    /// The Opus packet, at most [`SOUND_BYTES_MAX`] bytes.
    pub data: &'a [u8],
}

/// Arrivals of video fragments, for the sender's loss figure and for rate control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback<'a> {
    /// Sequences known to have been sent since the first one that arrived.
    pub expected: u32,
    /// Those of them that arrived without having been asked for again.
    pub received: u32,
    /// The sequence that `arrivals` begins with.
    pub first: u32,
    /// The earliest arrival in the list: microseconds of the reporter's CLOCK_MONOTONIC.
    pub base_us: u32,
    /// For each sequence from `first` on: when it arrived, after `base_us`, in units of [`Feedback::UNIT_US`];
    /// [`Feedback::ABSENT`] for one that has not.
    pub arrivals: U16s<'a>,
}

impl Feedback<'_> {
    /// Microseconds in a unit of arrival time: 16 µs, finer than a packet's time on a fast link, and 1 s in 16 bits.
    pub const UNIT_US: u32 = 16;
    /// Stands for a fragment that has not arrived.
    pub const ABSENT: u16 = u16::MAX;
    /// The most arrivals that one item lists: 50 ms of 2,560 fragments a second in 256 bytes.
    pub const ARRIVALS_MAX: usize = 128;
}

/// A request for a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFrameRequest {
    /// The first frame number of which nothing has been seen here: a key frame with this number or a later one that
    /// is already on its way answers the request.
    pub from: u32,
}

/// A control message and its place in the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlSegment<'a> {
    /// The receiver's epoch as the sender knows it: a message meant for an earlier life of the receiver is void.
    pub to_epoch: u32,
    /// Counts messages from 0.
    pub sequence: u32,
    /// The message in postcard.
    pub message: &'a [u8],
}

/// Acknowledges control messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlAck {
    /// The epoch of the sender of the messages.
    pub to_epoch: u32,
    /// All before this one arrived.
    pub next: u32,
    /// Bit `i` is set where `next + 1 + i` arrived too.
    pub beyond: u8,
}

/// A time-stamped question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Told back in the answer.
    pub id: u32,
    /// When it was sent: microseconds of the sender's CLOCK_MONOTONIC.
    pub sent_us: u64,
}

/// The answer to a ping. Its four times (the fourth is when it arrives) give offset and round trip as in RFC 5905 §8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// The ping's.
    pub id: u32,
    /// The ping's: microseconds of the asker's clock.
    pub ping_sent_us: u64,
    /// When the ping arrived: microseconds of the answerer's clock.
    pub ping_received_us: u64,
    /// When this answer was sent: microseconds of the answerer's clock.
    pub sent_us: u64,
}

impl<'a> Item<'a> {
    /// Reads the body of an item of this kind. Bytes behind the last field that this version knows are ignored,
    /// except where the body ends in data.
    pub(super) fn parse(kind: u8, body: &'a [u8]) -> Option<Item<'a>> {
        let mut r = Reader(body);
        Some(match kind {
            kind::VIDEO => Item::Video(VideoFragment::parse(body)?),
            kind::SOUND => {
                let (sequence, captured_us, video_end) = (r.u32()?, r.u32()?, r.u32()?);
                let data = r.rest();
                if data.len() > SOUND_BYTES_MAX {
                    return None;
                }
                Item::Sound(Sound { sequence, captured_us, video_end, data })
            }
            kind::FEEDBACK => {
                let (expected, received, first, base_us) = (r.u32()?, r.u32()?, r.u32()?, r.u32()?);
                let arrivals = U16s::parse(r.rest())?;
                if arrivals.len() > Feedback::ARRIVALS_MAX {
                    return None;
                }
                Item::Feedback(Feedback { expected, received, first, base_us, arrivals })
            }
            kind::NACK => Item::Nack(Ranges::parse(body)?),
            kind::KEY_FRAME_REQUEST => Item::KeyFrameRequest(KeyFrameRequest { from: r.u32()? }),
            kind::CONTROL => {
                Item::Control(ControlSegment { to_epoch: r.u32()?, sequence: r.u32()?, message: r.rest() })
            }
            kind::CONTROL_ACK => Item::ControlAck(ControlAck { to_epoch: r.u32()?, next: r.u32()?, beyond: r.u8()? }),
            kind::PING => Item::Ping(Ping { id: r.u32()?, sent_us: r.u64()? }),
            kind::PONG => {
                Item::Pong(Pong { id: r.u32()?, ping_sent_us: r.u64()?, ping_received_us: r.u64()?, sent_us: r.u64()? })
            }
            kind::TAIL_PROBE => Item::TailProbe(r.u32()?),
            kind::PARITY => Item::Parity(Parity::parse(body)?),
            other => Item::Unknown(other),
        })
    }

    /// The number of its kind on the wire.
    pub const fn kind(&self) -> u8 {
        match self {
            Item::Video(_) => kind::VIDEO,
            Item::Sound(_) => kind::SOUND,
            Item::Feedback(_) => kind::FEEDBACK,
            Item::Nack(_) => kind::NACK,
            Item::KeyFrameRequest(_) => kind::KEY_FRAME_REQUEST,
            Item::Control(_) => kind::CONTROL,
            Item::ControlAck(_) => kind::CONTROL_ACK,
            Item::Ping(_) => kind::PING,
            Item::Pong(_) => kind::PONG,
            Item::TailProbe(_) => kind::TAIL_PROBE,
            Item::Parity(_) => kind::PARITY,
            Item::Unknown(kind) => *kind,
        }
    }

    pub(super) fn write_body(&self, w: &mut Writer<'_>) {
        match self {
            Item::Video(fragment) => fragment.write(w),
            Item::Sound(sound) => {
                w.u32(sound.sequence);
                w.u32(sound.captured_us);
                w.u32(sound.video_end);
                w.bytes(sound.data);
            }
            Item::Feedback(feedback) => {
                w.u32(feedback.expected);
                w.u32(feedback.received);
                w.u32(feedback.first);
                w.u32(feedback.base_us);
                w.bytes(feedback.arrivals.as_bytes());
            }
            Item::Nack(ranges) => w.bytes(ranges.as_bytes()),
            Item::KeyFrameRequest(request) => w.u32(request.from),
            Item::Control(segment) => {
                w.u32(segment.to_epoch);
                w.u32(segment.sequence);
                w.bytes(segment.message);
            }
            Item::ControlAck(ack) => {
                w.u32(ack.to_epoch);
                w.u32(ack.next);
                w.u8(ack.beyond);
            }
            Item::Ping(ping) => {
                w.u32(ping.id);
                w.u64(ping.sent_us);
            }
            Item::Pong(pong) => {
                w.u32(pong.id);
                w.u64(pong.ping_sent_us);
                w.u64(pong.ping_received_us);
                w.u64(pong.sent_us);
            }
            Item::TailProbe(video_end) => w.u32(*video_end),
            Item::Parity(parity) => parity.write(w),
            Item::Unknown(_) => {}
        }
    }
}
