//! Goal: what a flow promises holds over bad networks. Method: two flows joined by a simulated network under simulated
//! time, everything drawn from a seed; each frame carries its number and the number of the frame it depends on, so that
//! what comes out is compared byte for byte and no broken dependency goes unseen.

mod behaviour;
mod clocks;
mod control;
mod hostile;
mod mending;
mod network;
mod repair;
mod table;
mod weather;

pub(super) use network::{Download, Network, Path, World};
