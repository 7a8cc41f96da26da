//! Counters and latency histograms that any thread may read while one thread writes.
//!
//! Reading is never exact to the instant: each value is read by itself. Writing costs one relaxed atomic addition.

mod histogram;

pub use histogram::{Histogram, Snapshot, Summary};

use core::sync::atomic::{AtomicU64, Ordering};

/// Something that is counted, or a value that was last seen.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn bump(&self) {
        self.add(1);
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Replaces the value: for gauges.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Replaces the value with a signed one, to be read by [`Counter::get_signed`].
    pub fn set_signed(&self, value: i64) {
        self.set(value as u64);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The value, as [`Counter::set_signed`] left it.
    pub fn get_signed(&self) -> i64 {
        self.get() as i64
    }
}
