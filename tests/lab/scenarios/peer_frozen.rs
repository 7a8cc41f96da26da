//! The far station stands still for 10 s, as under a debugger or on a dying SD card: afterwards it shows nothing old.

use crate::Outcome;
use crate::call::{Call, Plan, STALE};
use crate::devices::End;
use crate::judge::photo::Sight;
use crate::machine::Order;
use std::time::{Duration, Instant};

const FROZEN: Duration = Duration::from_secs(10);
/// Two frame times of the clip.
const DRAWN_WITHIN: Duration = Duration::from_millis(140);
/// Longer than the queues of a station that gets this wrong could last without being seen.
const AFTERWARDS: Duration = Duration::from_secs(4);

pub fn play(_: &Order) -> Outcome<String> {
    let (mut call, _) = Call::begin(Plan::default(), None)?;
    call.station(End::Far)?.freeze()?;
    std::thread::sleep(FROZEN);
    let frozen_at = call.look(End::Far)?.sight;
    call.station(End::Far)?.thaw()?;

    let start = Instant::now();
    let mut back = None;
    let mut longest_lag = Duration::ZERO;
    while start.elapsed() < AFTERWARDS {
        // Twice in a frame's time: a picture that is shown for one frame only is seen, and the core is left to it.
        std::thread::sleep(Duration::from_millis(15));
        // The picture that was there all the time stays until a new one comes; every new one must be young.
        let look = call.look(End::Far)?;
        // So does one that was being drawn as the station stopped, which nothing can call back.
        if same_frame(look.sight, frozen_at) || start.elapsed() < DRAWN_WITHIN {
            continue;
        }
        if let Some(lag) = call.lag(End::Far, &look) {
            longest_lag = longest_lag.max(lag);
            back.get_or_insert(start.elapsed());
        }
    }
    assert!(longest_lag < STALE, "after the freeze a picture is shown that is {} ms behind", longest_lag.as_millis());
    let back = back.ok_or("no picture came after the freeze")?;
    for end in End::BOTH {
        call.wait_live(end)?;
        call.wait_heard(end)?;
        call.watch(end)?;
    }
    call.end()?;
    Ok(format!(
        "recovered in {:.1} s, nothing shown was more than {} ms behind",
        back.as_secs_f64(),
        longest_lag.as_millis()
    ))
}

fn same_frame(a: Sight, b: Sight) -> bool {
    matches!((a, b), (Sight::Clip { number: a, .. }, Sight::Clip { number: b, .. }) if a == b)
}
