//! Goal: two stations that trust each other are connected soon and stay so, and nobody else is ever answered.
//! Method: endpoints joined by a seeded simulated network; time is a number, so an hour passes in a moment and every
//! failure can be replayed.

mod calls;
mod hostile;
mod house;
mod net;
mod recovery;
mod specimen;
