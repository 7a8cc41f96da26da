//! A call from the door to the kitchen: vivid to a KMS screen, one sound card to the other; then the network goes and
//! comes back.
//!
//! At 640x480 and level 1, the sizes of an installed station; where both ways are judged picture by picture they are smaller.

use crate::Outcome;
use crate::command::wait_for;
use crate::devices::End;
use crate::devices::camera;
use crate::devices::network::{Ip, Network};
use crate::devices::screen::{self, Screen};
use crate::devices::sound::{self, Speaker};
use crate::judge::photo::Sight;
use crate::judge::tone;
use crate::machine::Order;
use crate::station::Station;
use std::time::Duration;

/// Tells "slow on a busy machine" from "never".
const PATIENCE: Duration = Duration::from_secs(60);

pub fn play(_: &Order) -> Outcome<String> {
    let (mut near, mut far, network, shown) = begin(Ip::V6)?;
    let _speaker = Speaker::start(End::Near)?;
    let (_, seen) = wait_for("the far screen shows the near camera", PATIENCE, || sees_bars(&shown))?;
    let (_, heard) = wait_for("the far room hears the near one", PATIENCE, hears_near)?;

    network.cut()?;
    let (_, noticed) = wait_for("the far screen says that the other end is away", PATIENCE, || sees_card(&shown))?;
    network.join()?;
    let (_, back) = wait_for("the picture comes back", PATIENCE, || sees_bars(&shown))?;
    let (_, heard_again) = wait_for("the sound comes back", PATIENCE, hears_near)?;

    near.must_run()?;
    far.must_run()?;
    let (sent, report) = (near.hang_up()?, far.hang_up()?);
    let frames = report["video"]["shown"]["frames"].as_u64().unwrap_or(0);
    let faults = [&sent["video"]["sent"]["fault"], &report["video"]["shown"]["fault"]];
    if frames < 20 || faults.iter().any(|fault| !fault.is_null()) || report["link"]["ip_version"] != 6 {
        return Err(format!("sent {sent}\nshown {report}").into());
    }
    Ok(format!(
        "seen after {:.1} s, heard {:.1} s later; a cut was noticed after {:.1} s, picture back after {:.1} s, sound {:.1} s later",
        seen.as_secs_f64(),
        heard.as_secs_f64(),
        noticed.as_secs_f64(),
        back.as_secs_f64(),
        heard_again.as_secs_f64()
    ))
}

fn begin(ip: Ip) -> Outcome<(Station, Station, Network, Screen)> {
    screen::load()?;
    sound::load()?;
    camera::load_vivid()?;
    let network = Network::lay(ip)?;
    let shown = Screen::open(End::Far)?;
    let words = |end: End, rest: &[(&str, String)]| -> Vec<String> {
        let both = [("--host", ip.address(end.other()).to_string()), ("-v", ip.number().to_string())];
        both.iter().chain(rest).flat_map(|(name, value)| [(*name).to_string(), value.clone()]).collect()
    };
    let near = [
        ("--camera", format!("v4l2:{}", camera::VIVID[0])),
        ("--screen", "none".to_string()),
        ("--mic", format!("alsa:{}", sound::station_side(End::Near))),
        ("--clean-mic", "false".into()),
        ("--speaker", "none".to_string()),
    ];
    let far = [
        ("--camera", "none".to_string()),
        ("--screen", format!("drm:{}", Screen::card(End::Far))),
        ("--mic", "none".to_string()),
        ("--speaker", format!("alsa:{}", sound::station_side(End::Far))),
    ];
    let near = Station::start(End::Near, &words(End::Near, &near))?;
    let far = Station::start(End::Far, &words(End::Far, &far))?;
    Ok((near, far, network, shown))
}

fn sees_bars(screen: &Screen) -> Option<()> {
    let photo = screen.photograph().ok()??;
    matches!(photo.sight(), Sight::Bars).then_some(())
}

/// Anything that is neither the camera's picture nor an empty screen.
fn sees_card(screen: &Screen) -> Option<()> {
    let photo = screen.photograph().ok()??;
    matches!(photo.sight(), Sight::Other).then_some(())
}

fn hears_near() -> Option<()> {
    let heard = sound::listen(End::Far, Duration::from_millis(500)).ok()?;
    (tone::share(&heard, sound::pitch_hz(End::Near)) > 0.5).then_some(())
}
