//! The kernel's calls: the clock, wake-ups, timers, polling, memory, scheduling, wireless networks and Landlock.
//!
//! Every wait in visavis is a poll on file descriptors: nobody sleeps blind, nobody spins.
#![allow(unsafe_code)]

pub mod board;
pub mod calendar;
pub mod clock;
pub mod landlock;
pub mod memory;
pub mod notify;
pub mod poll;
pub mod process;
pub mod sched;
pub mod tty;
pub mod wake;
pub mod wireless;
