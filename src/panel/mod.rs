//! The hands of a station: buttons, encoders, keys and touches come in as actions; lamps and the door's strike go out;
//! and the control socket, through which scripts and people at a terminal do what hands do.
//!
//! What a press, a tap, a turn or a blink is, is decided by small machines without a clock ([`button`], [`tap`],
//! [`rotary`], [`lamp`], [`strike`]). [`Hands`] moves between them and the devices, [`socket`] between the station and
//! its clients. **Neither knows the station**, and neither blocks: both give what to poll, and take their turn.

pub mod button;
pub mod client;
pub mod config;
mod hands;
pub mod lamp;
pub mod protocol;
pub mod rotary;
pub mod socket;
pub mod strike;
pub mod tap;
mod words;

pub use config::PanelConfig;
pub use hands::{HandEvent, Hands};
