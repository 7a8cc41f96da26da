//! visavis: a face-to-face intercom for Raspberry Pi-class Linux boards.
//!
//! Two stations on a network see and hear each other within a tenth of a second, and go on doing so for months.
//!
//! ```text
//!  camera ──V4L2──▶ capture ═leases═▶ compress ═packets═▶ ┐                       ┌ ═frames═▶ expand ═newest═▶ present ──KMS──▶ screen
//!                                                         ├ net loop: link ⇄ UDP ⇄│
//!  mic ──ALSA──▶ voice ▶ talk: echo, noise, Opus ═packets▶┘ call · panel · timers └ ═packets═▶ voice: playout, drift ──ALSA──▶ speaker
//! ```
//!
//! There are two net loops over the same switchboard: [`Chat`](station::Chat) with one other station, and the
//! [`Intercom`](station::Intercom) of a house, in which [`call`] decides who rings whom. A third, in a process of its own,
//! has no devices: [`Handsets`](station::Handsets) are the stations that browsers are.
//!
//! **A thread per clock, not per function.** The sensor, the sound card, the screen and the network each have a clock;
//! so there are `capture`, `compress`, `expand`, `present`, `voice` and the net loop; and `talk` beside `voice`, since what a
//! microphone's sound needs takes longer than a sound card waits. Video codecs never run on the net loop, and the net loop
//! never touches a pixel.
//!
//! **Pure core, thin edge, one driver.** Protocols and policies are state machines with one verb set: `handle_*` in,
//! `poll_*` out, `poll_timeout` next. Time comes in as an argument.
//!
//! # The rooms
//!
//! Lower rooms know nothing of upper ones; `tests/tidy.rs` keeps this table true.
//!
//! | room | what it is | may use |
//! |---|---|---|
//! | [`time`] | `Instant`, 32-bit unwrapping, what is said seldom | – |
//! | [`media`] | what flows: pictures, encoded frames, sound packets, quality `Level`, `Limit` | time |
//! | [`load`] | what the board can bear, and what a narrow network leaves: steps down, and up again | media, time |
//! | [`ring`] | `pool` (leases), `fifo`, `mailbox` | – |
//! | [`stats`] | counters, latency histograms | time |
//! | [`codec`] | `h264`, `mjpeg`, `deflate`, `opus`, pixel conversion and scaling | media, time |
//! | [`voice`] | echo, noise and level; jitter buffer, concealment, drift, tones, volume; how long a voice takes | codec, media, time |
//! | [`card`] | what the station itself draws on its screen | media |
//! | [`flash`] | how long a picture takes from light to light, by flashes of the screen | media, time |
//! | [`wire`] | the bytes: datagram header, fragments and parities, sound packets, control messages | media, time |
//! | [`link`] | one peer: session, rate, loss repair, frame assembly, control channel, clock offset | wire, media, time, stats, identity |
//! | [`identity`] | keys, one-time codes, pairing, the address book | time |
//! | [`journal`] | calls, door releases and refusals on disk, with still pictures | identity, codec, media |
//! | [`call`] | what is asked of a station, and what becomes of it | identity, wire, media, time |
//! | [`sys`] | the kernel's calls that no crate covers, Landlock, and the clock | time |
//! | [`find`] | stations find each other by name; where a peer may be | identity, wire, sys |
//! | [`metrics`] | numbers in Prometheus' text format, and the port that serves them | stats, time |
//! | [`device`] | thin edges: `v4l2`, `m2m`, `alsa`, `drm`, `fbdev`, `gpio`, `keys`, `touch`, `file`, `pattern`, … | sys, media, time, ring, codec |
//! | [`panel`] | buttons, keys, touches, lamps, the door's strike, and the control socket | call, device, sys, time |
//! | [`stage`] | the thread bodies | device, ring, codec, voice, card, flash, stats, sys, media, time |
//! | [`web`] | browsers as stations: the page, who is let in, WebRTC; players and media servers | identity, codec, sys, media, time |
//! | [`mqtt`] | the house's own automation: what a broker, and Home Assistant there, are told and may ask | call, panel, time |
//! | [`station`] | wiring, net loop, supervision, report | everything below |
//! | [`config`] | `station.toml`: as typed, as meant | station, web, panel, call, find, card, device, identity, media, time |
//! | [`cli`] | one file per subcommand | station, device, everything below |

pub mod call;
pub mod card;
pub mod cli;
pub mod codec;
pub mod config;
pub mod device;
pub mod find;
pub mod flash;
pub mod identity;
pub mod journal;
pub mod link;
pub mod load;
pub mod media;
pub mod metrics;
pub mod mqtt;
pub mod panel;
pub mod ring;
pub mod stage;
pub mod station;
pub mod stats;
pub mod sys;
pub mod time;
pub mod voice;
pub mod web;
pub mod wire;
