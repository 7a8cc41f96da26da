//! The one place that reads the clock.

use crate::time::Instant;
use nix::time::{ClockId, clock_gettime};

/// Now, on CLOCK_MONOTONIC.
pub fn now() -> Instant {
    // The call fails only for a clock that the kernel does not have; every Linux has this one.
    let t = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC");
    Instant::from_nanos(t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}

/// CPU time that this process has used, all threads.
pub fn process_cpu() -> core::time::Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or_else(|_| core::time::Duration::ZERO, Into::into)
}
