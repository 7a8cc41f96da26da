//! Scheduling of the calling thread.

use nix::libc;
use nix::sys::resource::{Resource, getrlimit, rlim_t};

/// Puts the calling thread under SCHED_FIFO at that priority (1 to 99): it then runs before every ordinary thread as soon
/// as it is woken. Only for threads whose work is bounded, and only where whoever started the program wants it: a unit
/// says so by `LimitRTPRIO`. Root started from a shell may do it too, but has not been asked to; on a board with one
/// core that would put the voice before the kernel's own threads that flip the screen.
///
/// # Errors
/// EPERM where RLIMIT_RTPRIO does not allow it; the thread then goes on as before. EINVAL for another priority.
pub fn make_realtime(priority: u8) -> std::io::Result<()> {
    let (allowed, _) = getrlimit(Resource::RLIMIT_RTPRIO)?;
    if (1..=99).contains(&priority) && rlim_t::from(priority) > allowed {
        return Err(nix::errno::Errno::EPERM.into());
    }
    let param = libc::sched_param { sched_priority: libc::c_int::from(priority) };
    // SAFETY: the call only reads `param`, and the thread that it names is the one that is running.
    let result = unsafe { libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_FIFO, &raw const param) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::from_raw_os_error(result)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_that_is_none_is_refused_and_changes_nothing() {
        assert_eq!(make_realtime(200).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
