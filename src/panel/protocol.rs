//! What passes through the control socket.
//!
//! A **frame** is its body's length (4 bytes, little-endian) and the body: a version byte ([`VERSION`]) and one
//! message in postcard. The client asks, one [`Request`] at a time, and gets one [`Reply`] to each; after
//! [`Request::Watch`] it gets events until it goes. Whoever changes a type here raises the version: postcard does not
//! describe itself. The JSON of `--json` has the same names, to which fields may be added and from which none is taken.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of the frames' contents.
pub const VERSION: u8 = 6;
/// Longest body of a request: an action's text is short.
pub const REQUEST_BYTES_MAX: usize = 1 << 10;
/// Longest body of a reply: a picture, of [`STILL_BYTES_MAX`]; a log of [`LOG_MAX`] calls, or [`ITEMS_MAX`] stations, with names of
/// 32 letters have less.
pub const REPLY_BYTES_MAX: usize = STILL_BYTES_MAX + 64;
/// Longest image in JPEG that is given out: 640x480 in good quality has some 60 kB, noisy 720p in fair quality less than this.
pub const STILL_BYTES_MAX: usize = 192 << 10;
/// Calls in one log at most.
pub const LOG_MAX: usize = 200;
/// Links, stations or faults in one reply at most.
pub const ITEMS_MAX: usize = 64;
/// The length before the body.
pub(super) const PREFIX_BYTES: usize = 4;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Do something: the notation of [`Action`](crate::call::Action).
    Act(String),
    /// How things are.
    Status,
    /// Events from now on.
    Watch,
    /// The last so many calls, at most [`LOG_MAX`].
    Log(u16),
    /// The stations of the address book.
    Peers,
    /// Pair with another station: begin, and if it is given, take that station's code.
    Pair {
        /// The six words that the other station shows.
        code: Option<String>,
        /// Where it is, as an address with a port, where it cannot be found by itself.
        address: Option<String>,
    },
    /// Measure how long sound or pictures take from there to here; it takes ten seconds and some.
    Measure(Medium),
    /// How far that has come, or what the last one found.
    Measurement(Medium),
    /// A still picture, as things look now; it may take a few seconds.
    Still(Look),
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Look {
    /// Who stands here: this station's own camera.
    Camera,
    /// Who rings, or is talked to: the far side, as the screen shows it.
    Call,
}

/// What the station says to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// It is not, for this reason.
    Refused(String),
    /// How things are.
    Status(Box<Status>),
    /// Events follow.
    Watching,
    /// The newest last.
    Log(Vec<CallRecord>),
    /// In the book's order.
    Peers(Vec<PeerRecord>),
    /// Pairing goes on; events tell how it ends.
    Pairing {
        /// The six words to be given to the other station.
        words: String,
    },
    /// A measurement of sound, so far.
    Measurement(Measurement),
    /// An image in JPEG, of [`STILL_BYTES_MAX`] at most.
    Still(Vec<u8>),
    /// A measurement of pictures.
    PictureMeasurement(PictureMeasurement),
}

/// What the station sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// To the request.
    Answer(Answer),
    /// To a watcher.
    Event(Event),
    /// The last: why the station hangs up.
    Goodbye(String),
}

/// How things are with a station.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub station: String,
    /// Its program's version.
    pub version: String,
    /// Seconds since its start.
    pub uptime_s: u64,
    /// `idle`, `calling`, `ringing`, `talking`, …
    pub state: String,
    /// Whom it calls or talks to.
    pub peer: Option<String>,
    /// Why the call ended, in a few words, while the state is `ended`.
    pub reason: Option<String>,
    /// Seconds for which that state has lasted.
    pub state_for_s: u64,
    /// Whether its microphone is kept from being heard.
    pub muted: bool,
    /// How loud its loudspeaker is, in percent.
    pub volume_percent: u8,
    /// Whether nobody may ring here.
    pub do_not_disturb: bool,
    /// Other stations.
    pub links: Vec<LinkStatus>,
    /// The call's pictures and sound, while there is one.
    pub media: Option<MediaStatus>,
    /// What is wrong, in words.
    pub faults: Vec<String>,
    /// Pictures that are less than they were meant to be, since the board is hot or late.
    pub reduced: Vec<ReducedStatus>,
    /// Its key's fingerprint.
    pub key: String,
    /// Calls that were missed since somebody was last here.
    pub missed: u32,
    /// Whether it has a door's strike.
    pub has_door: bool,
    /// Whether that has current, so that the door can be pushed open.
    pub is_door_open: bool,
}

/// What takes time from one station to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Medium {
    /// From mouth to ear.
    Sound,
    /// From light to light.
    Picture,
}

/// How long sound takes from mouth to ear.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Whether no more is to come.
    pub is_over: bool,
    /// Chirps that are played in all, unless the call ends before.
    pub chirps: u8,
    /// How long each took that came back, in the order in which they were played.
    pub took_ms: Vec<f32>,
    /// Chirps that this station's own microphone did not hear.
    pub unheard_here: u8,
    /// Those that it did, and that did not come back.
    pub unheard_there: u8,
}

/// How long a picture takes from light to light.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PictureMeasurement {
    /// Whether it has come to its end; the rest is known then only.
    pub is_over: bool,
    /// Whether this station has a screen that can flash.
    pub has_screen: bool,
    /// Flashes that were shown.
    pub flashes: u8,
    /// Pictures that came meanwhile.
    pub pictures: u32,
    /// How long each flash took that was seen, in the order in which they were shown.
    pub took_ms: Vec<f32>,
}

/// Pictures one way, reduced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReducedStatus {
    /// `sent` or `shown`.
    pub pictures: String,
    /// How far, from 1.
    pub step: u8,
    /// The lowest step that there is.
    pub of: u8,
    /// Why.
    pub reason: String,
}

/// How things are with another station.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Its name.
    pub name: String,
    /// Whether it is reached.
    pub is_here: bool,
    /// Seconds since it came or went.
    pub for_s: u64,
    /// Where it is, or was.
    pub address: Option<String>,
    /// Round trip.
    pub rtt_ms: Option<f32>,
}

/// Pictures and sound of a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MediaStatus {
    /// Pictures a second that are shown here.
    pub shown_fps: f32,
    /// Pictures a second that are sent from here.
    pub sent_fps: f32,
    /// From the camera there to the screen here, the median.
    pub latency_ms: f32,
    /// Encoded pictures that come, bits a second.
    pub received_bps: u64,
    /// Encoded pictures that leave, bits a second.
    pub sent_bps: u64,
    /// Share of datagrams that had to be repaired or were missing, 0 to 1.
    pub loss: f32,
}

/// A call that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// When it began, in milliseconds since 1970 (UTC).
    pub at_unix_ms: u64,
    /// Who.
    pub peer: String,
    /// Whether it came in.
    pub incoming: bool,
    /// How it ended: `answered`, `missed`, `busy`, …
    pub ended: String,
    /// How long it was talked.
    pub talked_s: u64,
    /// Where the still picture of who stood there is.
    pub picture: Option<String>,
}

/// A station of the address book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRecord {
    /// Its name.
    pub name: String,
    /// Its key's fingerprint.
    pub key: String,
    /// What it may do here: `call`, `monitor`, `release`.
    pub may: Vec<String>,
    /// Whether it is reached.
    pub is_here: bool,
}

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// In milliseconds since 1970 (UTC).
    pub at_unix_ms: u64,
    /// What.
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// The call's state is another.
    State {
        /// As in [`Status::state`].
        state: String,
        /// With whom.
        peer: Option<String>,
        /// As in [`Status::reason`].
        reason: Option<String>,
    },
    /// A device does not work, or (without words) works again.
    Fault {
        /// Which.
        device: String,
        /// What is wrong.
        words: Option<String>,
    },
    /// Somebody called in vain.
    MissedCall {
        /// Who.
        peer: String,
    },
    /// A door was opened.
    DoorReleased {
        /// By whom: a station, a hand, or a user of this machine.
        by: String,
    },
    /// Somebody asked for a door and was not let.
    ReleaseRefused {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// The door's strike has current, or no more.
    DoorOpen(bool),
    /// Pairing began or ended.
    Pairing {
        /// In words.
        words: String,
        /// Whether it is over.
        is_over: bool,
        /// With whom, where it came to something.
        peer: Option<String>,
    },
    /// Another station was reached.
    LinkUp {
        /// Which.
        peer: String,
        /// Where.
        address: String,
    },
    /// Another station is no longer reached.
    LinkDown {
        /// Which.
        peer: String,
        /// Why.
        reason: String,
    },
    /// Somebody asked for something: hands, scripts, people at a terminal.
    Action {
        /// In its notation.
        action: String,
        /// By what or whom.
        by: String,
    },
    /// The microphone was muted or is heard again.
    Muted(bool),
    /// The loudspeaker's volume is another, in percent.
    Volume(u8),
    /// Ringing is allowed or not.
    DoNotDisturb(bool),
    /// Pictures are reduced, or less so.
    Load {
        /// `sent` or `shown`.
        pictures: String,
        /// How far; 0 is not at all.
        step: u8,
        /// Why they are.
        reason: Option<String>,
    },
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The length is beyond what a message may have.
    TooLong(usize),
    /// The other side speaks another version.
    Version(u8),
    /// It does not decode.
    Garbage,
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            FrameError::TooLong(bytes) => write!(f, "a message of {bytes} bytes is longer than any"),
            FrameError::Version(version) => write!(
                f,
                "the other side speaks version {version} of the control protocol, this one {VERSION}: after an update, \
                 restart the station (systemctl restart visavis)"
            ),
            FrameError::Garbage => f.write_str("that is no message of the control protocol"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Appends a frame to `out`. Fails where the message is longer than `max` bytes, and then leaves `out` as it was.
pub(super) fn write_frame(message: &impl Serialize, max: usize, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let body = postcard::to_stdvec(message).map_err(|_| FrameError::Garbage)?;
    let bytes = body.len() + 1;
    if bytes > max {
        return Err(FrameError::TooLong(bytes));
    }
    out.extend((bytes as u32).to_le_bytes());
    out.push(VERSION);
    out.extend(body);
    Ok(())
}

/// The first frame of `bytes`, with how many of them it took; `None` where it is not all there yet.
pub(super) fn read_frame<T: DeserializeOwned>(bytes: &[u8], max: usize) -> Result<Option<(T, usize)>, FrameError> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let length = u32::from_le_bytes(*prefix) as usize;
    if length > max {
        return Err(FrameError::TooLong(length));
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let (version, message) = body.split_first().ok_or(FrameError::Garbage)?;
    if *version != VERSION {
        return Err(FrameError::Version(*version));
    }
    // Bytes that are left over mean that the two sides do not mean the same type.
    match postcard::take_from_bytes(message) {
        Ok((message, [])) => Ok(Some((message, PREFIX_BYTES + length))),
        _ => Err(FrameError::Garbage),
    }
}

/// Entry for a fuzzer: whatever a client or a station sends, the reader returns, takes no more than is there, and what it
/// accepts is written again to something that means the same.
///
/// # Panics
/// Where that does not hold.
pub fn fuzz_frames(bytes: &[u8]) {
    fn check<T: Serialize + DeserializeOwned + core::fmt::Debug>(bytes: &[u8], max: usize) {
        let Ok(Some((message, used))) = read_frame::<T>(bytes, max) else { return };
        assert!(used <= bytes.len() && used <= PREFIX_BYTES + max, "{used} bytes of {}", bytes.len());
        let mut again = Vec::new();
        // A number may be written longer than it needs to be, never shorter.
        write_frame(&message, max, &mut again).expect("it is no longer than it was");
        let Ok(Some((same, all))) = read_frame::<T>(&again, max) else { panic!("{message:?} is not read again") };
        // Not by comparison: a number that is none is like nothing, not even itself.
        let mut once_more = Vec::new();
        write_frame(&same, max, &mut once_more).expect("the same again");
        assert_eq!((all, &once_more), (again.len(), &again));
    }
    check::<Request>(bytes, REQUEST_BYTES_MAX);
    check::<Reply>(bytes, REPLY_BYTES_MAX);
}

#[cfg(test)]
mod tests {
    //! Goal: what one version writes it reads, whatever else comes is told apart and panics nowhere, and the JSON stays.
    //! Method: messages there and back, random bytes, texts kept here.
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_once_it_is_all_there() {
        let mut bytes = Vec::new();
        write_frame(&Request::Act("ring kitchen".into()), REQUEST_BYTES_MAX, &mut bytes).unwrap();
        write_frame(&Request::Status, REQUEST_BYTES_MAX, &mut bytes).unwrap();
        // Golden: length 15, version 6, variant 0, text of 12 bytes.
        assert_eq!(bytes, b"\x0f\0\0\0\x06\0\x0cring kitchen\x02\0\0\0\x06\x01");
        for cut in 0..19 {
            assert_eq!(read_frame::<Request>(&bytes[..cut], REQUEST_BYTES_MAX), Ok(None));
        }
        let (first, used) = read_frame::<Request>(&bytes, REQUEST_BYTES_MAX).unwrap().unwrap();
        assert_eq!((first, used), (Request::Act("ring kitchen".into()), 19));
        assert_eq!(read_frame(&bytes[used..], REQUEST_BYTES_MAX), Ok(Some((Request::Status, 6))));
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        let read = |bytes: &[u8]| read_frame::<Request>(bytes, REQUEST_BYTES_MAX);
        assert_eq!(read(b"\xff\xff\xff\xff"), Err(FrameError::TooLong(0xffff_ffff)));
        assert_eq!(read(b"\x02\0\0\0\x01\x01"), Err(FrameError::Version(1)));
        for garbage in [&b"\0\0\0\0"[..], b"\x01\0\0\0\x06", b"\x02\0\0\0\x06\x63", b"\x03\0\0\0\x06\x01\x01"] {
            assert_eq!(read(garbage), Err(FrameError::Garbage), "{garbage:?}");
        }
    }

    #[test]
    fn the_longest_lists_fit_in_a_reply() {
        let name = "ü".repeat(32);
        let call = CallRecord {
            at_unix_ms: u64::MAX,
            peer: name.clone(),
            incoming: true,
            ended: "not-allowed".into(),
            talked_s: u64::MAX,
            picture: Some(format!("/var/lib/visavis/calls/{name}-1764028800.png")),
        };
        let link = LinkStatus { name, address: Some("[2001:db8:0:0:0:0:0:1]:10087".into()), ..LinkStatus::default() };
        let fault = "a fault is a sentence, and a long one may have two hundred letters ".repeat(4);
        let status = Status { links: vec![link; ITEMS_MAX], faults: vec![fault; ITEMS_MAX], ..Status::default() };
        let picture = Answer::Still(vec![255; STILL_BYTES_MAX]);
        for answer in [Answer::Log(vec![call; LOG_MAX]), Answer::Status(Box::new(status)), picture] {
            write_frame(&Reply::Answer(answer), REPLY_BYTES_MAX, &mut Vec::new()).unwrap();
        }
    }

    #[test]
    fn scripts_find_the_names_that_they_know() {
        let event = |what| serde_json::to_string(&Event { at_unix_ms: 7, what }).unwrap();
        let state = Happening::State { state: "ended".into(), peer: Some("door".into()), reason: Some("busy".into()) };
        let wanted = r#"{"at_unix_ms":7,"what":{"state":{"state":"ended","peer":"door","reason":"busy"}}}"#;
        assert_eq!(event(state), wanted);
        assert_eq!(event(Happening::Muted(true)), r#"{"at_unix_ms":7,"what":{"muted":true}}"#);
        let released = event(Happening::DoorReleased { by: "kitchen".into() });
        assert_eq!(released, r#"{"at_unix_ms":7,"what":{"door_released":{"by":"kitchen"}}}"#);
        let status = serde_json::to_value(Status::default()).unwrap();
        for name in ["station", "version", "uptime_s", "state", "peer", "state_for_s", "muted", "volume_percent"] {
            assert!(status.get(name).is_some(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_none_are_read_twice(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            for max in [REQUEST_BYTES_MAX, 16] {
                if let Ok(Some((_, used))) = read_frame::<Request>(&bytes, max) {
                    prop_assert!(used <= bytes.len() && used > PREFIX_BYTES);
                }
                let _ = read_frame::<Reply>(&bytes, max);
            }
        }
    }
}
