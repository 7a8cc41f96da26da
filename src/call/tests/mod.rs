//! Goal: an intercom does what a household expects of it, and several agree about it whatever the network does.
//!
//! Method: `house` joins any number of stations by a seeded network in simulated time; `calls`, `watching` and `doors`
//! are sentences about what people see; `agreement` does anything at all in houses of two, three and eight, and looks
//! whether all agree once it is quiet; `anything` tells one machine anything at all and holds its promises against it.

mod agreement;
mod anything;
mod calls;
mod doors;
mod house;
mod watching;
