//! The one place that reads the clock.

use crate::time::{Duration, Instant};
use nix::libc;
use nix::time::{ClockId, clock_gettime};

/// Now, on CLOCK_MONOTONIC.
pub fn now() -> Instant {
    // The call fails only for a clock that the kernel does not have; every Linux has this one.
    let t = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC");
    Instant::from_nanos(t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}

/// When the calendar's clock showed `unix`, as far as that lies back by a second at most: the kernel stamps datagrams by that
/// clock, and who sets it meanwhile must not set ours. Now, for any other time.
pub fn at_unix(unix: Duration) -> Instant {
    let calendar = clock_gettime(ClockId::CLOCK_REALTIME).map_or(unix, Duration::from);
    let passed = calendar.checked_sub(unix).filter(|passed| *passed <= Duration::from_secs(1));
    now() - passed.unwrap_or_default()
}

/// CPU time that this process has used, all threads.
pub fn process_cpu() -> core::time::Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or_else(|_| core::time::Duration::ZERO, Into::into)
}

/// Whether something (NTP, as a rule) keeps the calendar's clock right, by the kernel's own account: adjtimex(2).
///
/// # Errors
/// EPERM where a sandbox forbids the call.
pub fn is_synchronised() -> std::io::Result<bool> {
    // SAFETY: all fields of `timex` are integers: zero is a value of each, and means that nothing is to be changed.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes `state` alone, which is ours.
    let result = unsafe { libc::adjtimex(&raw mut state) };
    match result {
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok(state.status & libc::STA_UNSYNC == 0),
    }
}
