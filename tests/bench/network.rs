//! `make bench-network`: the picture in bad weather, visavis's beside GStreamer's in the same weather.
//!
//! All send the same film at 2 Mbit/s through the relay; what GStreamer's pipelines cannot do (ask for what was lost, send
//! less) is what the table is about. Pictures count by their number, however coarse they are; how coarse, PSNR says, and
//! **poor** are those of which some part is worse than anything that encoding alone does to this film at its full rate:
//! smeared, or small ones made large. A download beside the call is not here, since the relay carries datagrams
//! alone; the simulation in `src/link/flow/tests/weather.rs` has it.

use crate::feed::RATE_HZ;
use crate::figures::{self, Figures};
use crate::lab::{self, Lab};
use crate::live::{Log, Setup, Span};
use crate::peers::{self, Codec};
use crate::relay::{self, Relay, Weather};
use crate::watch::Shown;
use crate::{Options, Result};
use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Half of a round trip of 20 ms, as the simulation has it.
const CALM: Weather = Weather { delay: Duration::from_millis(10), ..Weather::NONE };
/// A picture that stands longer is seen to stand.
const STILL: Duration = Duration::from_millis(250);
/// Widths of the steps, and how long each lasts.
const STEPS_BPS: [u64; 3] = [2_000_000, 500_000, 2_000_000];
/// Each of so many seconds has a cut of this length.
const CUT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(200));

/// How the weather changes during the stretch.
#[derive(Clone, Copy)]
enum Change {
    Never,
    /// Everything is lost for a moment, again and again.
    Cuts,
    /// The link has three widths in turn.
    Steps,
}

/// A kind of weather.
struct Kind {
    name: &'static str,
    weather: Weather,
    change: Change,
}

const fn steady(name: &'static str, weather: Weather) -> Kind {
    Kind { name, weather, change: Change::Never }
}

const fn narrow(bits_per_second: u64) -> Weather {
    Weather { rate_bps: Some(bits_per_second), ..CALM }
}

const KINDS: &[Kind] = &[
    steady("none", CALM),
    steady("loss1", Weather { loss_percent: 1, ..CALM }),
    steady("loss5", Weather { loss_percent: 5, ..CALM }),
    Kind { name: "cuts200ms", weather: CALM, change: Change::Cuts },
    steady("jitter20ms", Weather { jitter: Duration::from_millis(20), ..CALM }),
    steady("reorder5", Weather { late_percent: 5, ..CALM }),
    steady("1mbit", narrow(1_000_000)),
    steady("300kbit", narrow(300_000)),
    Kind { name: "steps", weather: narrow(STEPS_BPS[0]), change: Change::Steps },
];

/// Who is measured, and how it is set up to send through the relay.
type Program = (&'static str, fn(&Lab, &str) -> Setup);

const PROGRAMS: [Program; 3] = [
    ("gst-x264", |lab, name| peers::gstreamer(name, Codec::X264, lab.vga(), relay::NEAR_FACE)),
    ("gst-buffer", |lab, name| peers::gstreamer(name, Codec::X264Buffered, lab.vga(), relay::NEAR_FACE)),
    ("visavis", |lab, name| lab.station.through_relay().one_way(name, lab.vga(), &["--codec", "h264"])),
];

/// Measures all of them, prints the table, and keeps it as JSON.
pub fn run(lab: &Lab, options: &Options) -> Result<()> {
    let head = ["weather", "program", "shown/s", "p50 ms", "p95 ms", "still %", "gap ms", "Mbit/s", "PSNR", "poor %"];
    println!("{:12} {:10}{}", head[0], head[1], head[2..].iter().map(|word| format!("{word:>9}")).collect::<String>());
    let mut all: BTreeMap<String, Figures> = BTreeMap::new();
    for kind in KINDS {
        for (program, setup) in PROGRAMS {
            let name = format!("{}-{program}", kind.name);
            if !options.chooses(&name) {
                continue;
            }
            match measure(lab, kind, setup(lab, &name)) {
                Ok(figures) => {
                    println!("{:12} {program:10}{}", kind.name, line(&figures));
                    all.insert(name, figures);
                }
                Err(error) => println!("{:12} {program:10} not measured: {error}", kind.name),
            }
        }
    }
    let path = options.out.join("network.json");
    fs::write(&path, serde_json::to_string_pretty(&all)?)?;
    println!("\n{}", path.display());
    Ok(())
}

const COLUMNS: [(&str, usize); 8] = [
    ("shown_fps", 1),
    ("p50_ms", 0),
    ("p95_ms", 0),
    ("still_percent", 1),
    ("longest_gap_ms", 0),
    ("mbit_s", 2),
    ("psnr_db", 1),
    ("poor_percent", 0),
];

fn line(figures: &Figures) -> String {
    let cell = |(name, digits): &(&str, usize)| match figures.get(name) {
        Some(value) => format!("{value:>9.digits$}"),
        None => format!("{:>9}", "-"),
    };
    COLUMNS.iter().map(cell).collect()
}

/// A call begins in calm weather and meets the other once it stands: every program has had its first key frame.
fn measure(lab: &Lab, kind: &Kind, setup: Setup) -> Result<Figures> {
    let relay = lab.relay(CALM)?;
    let live = lab.settled(setup)?;
    relay.change(kind.weather);
    thread::sleep(lab::SETTLE);
    let length = lab.length;
    let span = thread::scope(|scope| {
        let weather = scope.spawn(|| change(&relay, kind, length));
        let span = live.measure(length);
        let ended = weather.join();
        span.and_then(|span| ended.map(|()| span).map_err(|_| "the weather broke".into()))
    })?;
    let mut figures = of_span(&live.finish(), &span);
    lab::halve_carried(&mut figures);
    Ok(figures)
}

fn change(relay: &Relay, kind: &Kind, length: Duration) {
    match kind.change {
        Change::Never => {}
        Change::Steps => {
            for rate_bps in STEPS_BPS {
                relay.change(Weather { rate_bps: Some(rate_bps), ..kind.weather });
                thread::sleep(length / STEPS_BPS.len() as u32);
            }
        }
        Change::Cuts => {
            let until = Instant::now() + length;
            while Instant::now() + CUT.0 <= until {
                thread::sleep(CUT.0.saturating_sub(CUT.1));
                relay.change(Weather { loss_percent: 100, ..kind.weather });
                thread::sleep(CUT.1);
                relay.change(kind.weather);
            }
        }
    }
}

/// Figures of every picture that bears a number, the first time that it is shown.
fn of_span(log: &Log, span: &Span) -> Figures {
    let mut figures = figures::of_span(log, span);
    let seconds = span.to.duration_since(span.from).as_secs_f64();
    let mut newest = None;
    let fresh: Vec<&Shown> = log
        .shown
        .iter()
        .filter(|shown| shown.read_at >= span.from && shown.read_at < span.to)
        .filter(|shown| shown.number.is_some_and(|number| newest.replace(number) != Some(number)))
        .collect();
    let mut ages: Vec<f64> = fresh.iter().filter_map(|shown| figures::latency_ms(shown, &log.fed_at)).collect();
    ages.sort_by(f64::total_cmp);
    for (name, share) in [("p50_ms", 0.50), ("p95_ms", 0.95)] {
        figures.remove(name);
        figures.extend(ages.get((ages.len() as f64 * share) as usize).map(|age| (name, *age)));
    }
    let moments: Vec<Instant> =
        [span.from].into_iter().chain(fresh.iter().map(|shown| shown.read_at)).chain([span.to]).collect();
    let gaps = moments.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0]));
    let still: Duration = gaps.clone().map(|gap| gap.saturating_sub(STILL)).sum();
    let poor = fresh.iter().filter(|shown| !figures::is_intact(shown)).count();
    figures.insert("shown_fps", (fresh.len() as f64 / seconds).min(f64::from(RATE_HZ)));
    figures.insert("still_percent", 100.0 * still.as_secs_f64() / seconds);
    figures.insert("longest_gap_ms", gaps.max().unwrap_or_default().as_secs_f64() * 1e3);
    figures.insert("poor_percent", 100.0 * poor as f64 / fresh.len().max(1) as f64);
    figures
}
