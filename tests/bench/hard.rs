//! The hard days of a call: a link cut in half, a display too slow, a receiver that freezes, a call's first moment.

use crate::Result;
use crate::feed::RATE_HZ;
use crate::figures::{self, Figures};
use crate::lab::{self, Lab};
use crate::live::{Live, Setup};
use crate::relay::Weather;
use crate::watch::Shown;
use nix::sys::signal::Signal;
use std::thread;
use std::time::{Duration, Instant};

/// What a rate control may take to find a link's new rate.
const FINDING: Duration = Duration::from_secs(2);
/// The freeze that made the tutorial's program show pictures 10 s old.
const FREEZE: Duration = Duration::from_secs(10);
/// How long what comes after a freeze is watched.
const AFTERMATH: Duration = Duration::from_secs(4);
/// Calls made to find how long one takes to begin: the middle one of five counts.
const BEGINNINGS: usize = 5;

/// The link is cut to half the stream's rate.
pub fn cut(lab: &Lab, setup: Setup) -> Result<Figures> {
    let open = Weather { delay: Duration::from_millis(5), ..Weather::NONE };
    let relay = lab.relay(open)?;
    let live = lab.settled(setup)?;
    let cut_at = Instant::now();
    relay.change(Weather { rate_bps: Some(1_000_000), ..open });
    thread::sleep(FINDING);
    let span = live.measure(lab.length)?;
    let log = live.finish();
    let mut figures = figures::of_span(&log, &span);
    let since_cut = log.shown.iter().filter(|shown| shown.number.is_some() && shown.read_at >= cut_at);
    let moments: Vec<Instant> = [cut_at]
        .into_iter()
        .chain(since_cut.map(|shown| shown.read_at).filter(|at| *at < span.to))
        .chain([span.to])
        .collect();
    lab::halve_carried(&mut figures);
    figures.insert("longest_gap_ms", longest_step_ms(&moments));
    Ok(figures)
}

/// The display takes a picture only every second frame's time.
pub fn slow_display(lab: &Lab, setup: Setup) -> Result<Figures> {
    let pace = Duration::from_secs(2) / RATE_HZ;
    lab.stretch(Setup { display_pace: Some(pace), ..setup })
}

/// The receiver is stopped for 10 s and goes on: how old is what it shows then?
pub fn frozen(lab: &Lab, setup: Setup) -> Result<Figures> {
    let live = lab.settled(setup)?;
    live.receiver.program.signal(Signal::SIGSTOP)?;
    thread::sleep(FREEZE);
    let thawed_at = Instant::now();
    live.receiver.program.signal(Signal::SIGCONT)?;
    let span = live.measure(AFTERMATH)?;
    let log = live.finish();
    let mut figures = figures::of_span(&log, &span);
    // A picture half written when the freeze came is finished after it; no program can take it back.
    let after: Vec<&Shown> = log.shown.iter().filter(|shown| shown.begun_at >= thawed_at).collect();
    let ages: Vec<f64> = after.iter().filter_map(|shown| figures::latency_ms(shown, &log.fed_at)).collect();
    let back = after.iter().find(|shown| shown.number.is_some()).ok_or("no picture came after the freeze")?;
    figures.insert("oldest_ms", ages.iter().copied().fold(0.0, f64::max));
    figures.insert("back_after_ms", back.read_at.saturating_duration_since(thawed_at).as_secs_f64() * 1e3);
    Ok(figures)
}

/// From the start of the second program to the first picture out of the first one.
pub fn first_picture(lab: &Lab, setup: impl Fn() -> Setup) -> Result<Figures> {
    let mut times = Vec::with_capacity(BEGINNINGS);
    for _ in 0..BEGINNINGS {
        let mut live = Live::start(setup(), &lab.logs)?;
        let first = live.await_first_picture()?;
        times.push(first.read_at.saturating_duration_since(live.started_at).as_secs_f64() * 1e3);
        live.finish();
    }
    times.sort_by(f64::total_cmp);
    Ok(Figures::from([("first_picture_ms", times[BEGINNINGS / 2])]))
}

fn longest_step_ms(moments: &[Instant]) -> f64 {
    let steps = moments.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0]));
    steps.max().unwrap_or_default().as_secs_f64() * 1e3
}
