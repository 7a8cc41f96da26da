//! The house's own automation: a client of an MQTT broker, and what Home Assistant finds there of a station.
//!
//! ```text
//!  station ─status, events, stills─▶ mirror ─publications─▶ session ─▶ bytes ─▶ broker ─▶ Home Assistant
//!          ◀──────wishes───────────         ◀──messages────         ◀─       ◀─
//! ```
//!
//! | file | what |
//! |---|---|
//! | `packet` | the bytes of MQTT 3.1.1 |
//! | `session` | one client of one broker: who is told what, and whether it arrived |
//! | `mirror` | what is so at the station, as topics; and what may be asked through them |
//! | `command` | a message as a wish, or why it is none |
//! | `discovery` | the document from which Home Assistant makes its entities |
//!
//! All of it is pure; sockets and threads are in `station::mqtt`, which `visavis mqtt` runs as a process of its own, without
//! devices and without the station's key. **The broker is a stranger who may be told things and may ask for a few:** what it
//! sends is bounded, whatever lies in it since who knows when (retained messages) is refused, the session is a clean one, so
//! that nothing is kept for later, and the door opens only where the configuration says so.
//!
//! Why no crate: what is needed of MQTT 3.1.1 is ten kinds of packet. rumqttc brings tokio for one connection,
//! mqtt-protocol-core (without I/O, well kept) some thirty crates of macros and a second hashbrown; mqttrs and mqttbytes are no longer kept.

mod command;
mod discovery;
mod mirror;
mod packet;
mod session;

pub use command::{Refusal, Wish};
pub use discovery::identifier;
pub use mirror::{Mirror, MirrorConfig, Topics};
pub use packet::{Publication, QoS, fuzz_packets};
pub use session::{Message, Session, SessionConfig, SessionError, SessionEvent};
