//! Browsers as stations: the page that a phone or a laptop opens, and WebRTC to it; and to players and media servers.
//!
//! A browser cannot speak [`link`](crate::link); so a **handset** (see `station::web`) is a whole station for each browser
//! that was let in, with a key and an entry in the address book of its own, whose camera, microphone, screen and loudspeaker
//! are in the browser. What is said between the handset and the station is the protocol between stations, over loopback:
//! rights, doors, ringing and forgetting need nothing new, and the programs that talk to browsers run apart from the one
//! that has the devices.
//!
//! ```text
//!  browser ──HTTPS──▶ server ▶ http ─ asks ─▶ handset ──link, loopback──▶ station
//!          ◀─events──                         │
//!          ◀═WebRTC═▶ rtc (str0m) ◀═ frames, sound ═▶
//! ```
//!
//! | file | what |
//! |---|---|
//! | `certificate` | the key and certificate that the page is served with |
//! | `http`, `server` | requests of HTTP/1.1 under TLS, and what answers them |
//! | `page` | the page itself |
//! | `invitation`, `guests` | who is let in: links for one use, and browsers that have used one |
//! | `rtc`, `sound` | pictures and sound to and from one browser, viewer or media server |
//! | `whep` | players and media servers come, and look on |
//! | `whip`, `client`, `url` | a media server is gone to, and published to |
//!
//! Who only looks on is one more station of this kind, for all of them together: see `station::web`.
//!
//! Trust: a browser proves itself by a random token in a cookie, of which only the digest is kept; it is given out for an
//! invitation, which holds for minutes and once. A viewer has a bearer token, which is made where the station's files are.
//! Everything else is refused before it is read.

mod certificate;
mod client;
mod guests;
mod http;
mod invitation;
mod page;
mod rtc;
mod server;
mod sound;
mod url;
mod whep;
mod whip;

pub use certificate::{Certificate, CertificateError, Fingerprint, FingerprintError};
pub use guests::{GUEST_FILE, Guest, Guests, Token, VIEWER_FILE};
pub use http::Request;
pub use invitation::{INVITATION_LIFE, Invitation, Inviter};
pub use rtc::{Rtc, RtcEvent};
pub use server::{Ask, Asked, Refused, Server, ServerConfig};
pub use url::{Url, UrlError};
pub use whip::Destination;

/// Where in a station's state directory the files of this room are.
pub const WEB_DIRECTORY: &str = "web";
