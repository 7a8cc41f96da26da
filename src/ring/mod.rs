//! Rings: how buffers pass between threads without a copy, a lock or an allocation.
//!
//! Three pieces, each single-producer single-consumer, each made once before the station says that it is ready:
//!
//! - [`Pool`] is memory: a fixed table of slots. A slot is lent, not copied: *claim → fill → lend*, *read → drop*. The
//!   drop of a [`Lent`] is what gives it back, from whatever thread. A V4L2 queue's mmapped buffers are such slots.
//! - [`fifo()`] hands over what must all arrive, in order: a `heapless::spsc` queue. When it is full the producer keeps
//!   its item, and says what becomes of it.
//! - [`mailbox()`] hands over what only counts while it is new: the newest replaces the one nobody took, and the
//!   replaced one comes back to the producer, who counts it.
//!
//! Nothing here blocks or wakes anybody; a stage pairs a ring with a [`Wake`](crate::sys::wake::Wake).
#![allow(unsafe_code)]

mod fifo;
mod mailbox;
mod pool;

pub use fifo::{Consumer, Producer, fifo};
pub use mailbox::{Receiver, Sender, mailbox};
pub use pool::{Claim, Lent, Pool, SLOTS_MAX};

/// The atomics, which the model checker replaces (`RUSTFLAGS="--cfg loom"`).
mod sync {
    #[cfg(loom)]
    pub use loom::{
        cell::UnsafeCell,
        sync::{
            Arc,
            atomic::{AtomicU8, AtomicU32, Ordering},
        },
    };
    #[cfg(not(loom))]
    pub use std::sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering},
    };

    /// `std`'s cell with loom's interface.
    #[cfg(not(loom))]
    #[derive(Debug)]
    pub struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    #[cfg(not(loom))]
    impl<T> UnsafeCell<T> {
        pub fn new(value: T) -> UnsafeCell<T> {
            UnsafeCell(core::cell::UnsafeCell::new(value))
        }
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
