//! Goal: how the picture fares on bad networks is under review. Method: one direction of a call of 2 Mbit/s through each
//! kind of weather, seeded; what comes out is compared with `weather.txt` as a whole. Where a change of it is for the
//! better, what is printed takes its place.

use super::*;
use crate::time::{Duration, Instant};
use core::fmt::Write;

const SECOND: Duration = Duration::from_secs(1);

/// A path of 20 ms round trip.
fn path() -> Path {
    Path::new(Duration::from_millis(10))
}

/// With so many bits a second behind a queue of so many milliseconds.
fn narrow(bits_per_second: u64, queue_ms: u64) -> Path {
    Path { rate: Some(rate(bits_per_second, queue_ms)), ..path() }
}

fn rate(bits_per_second: u64, queue_ms: u64) -> (u64, u64) {
    (bits_per_second, bits_per_second / 8 * queue_ms / 1_000)
}

/// A call through `path`; `change` is called before each second.
fn call(path: Path, seconds: u32, mut change: impl FnMut(&mut World, u32)) -> World {
    let mut network = Network::even(self::path());
    network.paths[0] = path;
    let mut world = World::new(1, network);
    for second in 0..seconds {
        change(&mut world, second);
        world.run(SECOND);
    }
    world
}

/// Everything but the first second.
fn line(name: &str, world: &World) -> String {
    let from = Instant::from_millis(1_000);
    let (fps, p50, p95) = world.measure(from);
    let [near, far] = &world.stations;
    let seconds = world.now.since(Instant::ZERO).as_secs_f64();
    let times: Vec<_> = far.shown.iter().map(|s| s.at).filter(|&at| at >= from).chain([world.now]).collect();
    let gaps = times.windows(2).map(|pair| pair[1].since(pair[0]));
    let still = gaps.clone().map(|gap| gap.saturating_sub(STILL)).sum::<Duration>().as_secs_f64();
    let longest = gaps.max().unwrap_or_default().as_millis();
    let sound = 100.0 * (1.0 - far.sounds.len() as f64 / near.flow.report().counts.sound_sent as f64);
    let bits = near.bytes as f64 * 8.0 / seconds / 1e6;
    let other = world.download.as_ref().map_or(0.0, |d| d.arrived_bytes as f64 * 8.0 / seconds / 1e6);
    format!(
        "{name:32} {fps:6.1} {p50:6.0} {p95:6.0} {:8.1} {longest:7} {bits:8.2} {other:8.2} {sound:6.1}",
        100.0 * still / (seconds - 1.0),
    )
}

/// A picture that stands longer is seen to stand.
const STILL: Duration = Duration::from_millis(250);

#[test]
fn the_picture_fares_in_every_weather_as_it_was_reviewed() {
    let still = |_: &mut World, _: u32| {};
    let cut_each_5_s = |world: &mut World, second: u32| {
        if second % 5 == 4 {
            world.network.paths[0].cut = true;
            world.run(Duration::from_millis(200));
            world.network.paths[0].cut = false;
        }
    };
    let steps = |world: &mut World, second: u32| {
        let bits_per_second = if (10..20).contains(&second) { 500_000 } else { 2_000_000 };
        world.network.paths[0].rate = Some(rate(bits_per_second, 200));
    };
    let download = |world: &mut World, second: u32| {
        if second == 5 {
            world.download = Some(Download::new());
        }
    };
    let jitter = Path { jitter: Duration::from_millis(20), ..path() };
    let half = |world: &mut World, second: u32| {
        if second == 10 {
            world.network.paths[0].rate = Some((1_200_000, 60_000));
        }
    };
    let lines = [
        line("no loss", &call(path(), 30, still)),
        line("1 % loss", &call(Path { loss: 0.01, ..path() }, 30, still)),
        line("5 % loss", &call(Path { loss: 0.05, ..path() }, 30, still)),
        line("cut for 200 ms every 5 s", &call(path(), 30, cut_each_5_s)),
        line("jitter of 10 ± 10 ms", &call(jitter, 30, still)),
        line("5 % arrive 10 ms late", &call(Path { strayed: 0.05, ..path() }, 30, still)),
        line("3 Mbit/s", &call(narrow(3_000_000, 200), 30, still)),
        line("1 Mbit/s", &call(narrow(1_000_000, 200), 30, still)),
        line("1 Mbit/s, 5 % loss", &call(Path { loss: 0.05, ..narrow(1_000_000, 200) }, 30, still)),
        line(
            "1 Mbit/s, jitter of 10 ± 10 ms",
            &call(Path { jitter: Duration::from_millis(20), ..narrow(1_000_000, 200) }, 30, still),
        ),
        line("300 kbit/s", &call(narrow(300_000, 200), 30, still)),
        line("2, 0.5, 2 Mbit/s, 10 s each", &call(narrow(2_000_000, 200), 30, steps)),
        line("cut to half after 10 s", &call(path(), 30, half)),
        line("4 Mbit/s and a download", &call(narrow(4_000_000, 200), 60, download)),
    ];
    let mut table = String::from(
        "path, 20 ms round trip            fps/s    p50    p95  still %  longest   Mbit/s  others   sound\n",
    );
    lines.iter().for_each(|line| writeln!(table, "{line}").unwrap());
    println!("{table}");
    assert_eq!(table, include_str!("weather.txt"));
}
