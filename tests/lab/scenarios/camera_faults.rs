//! What cameras do: one comes back under another number, two change theirs, frames stop, frames are damaged, the driver
//! answers EIO. The far end sees a card as long as nothing comes, never a frozen picture; then the camera it was told.

use crate::Outcome;
use crate::call::{Call, Plan};
use crate::devices::End;
use crate::devices::camera::{self, Damaged, Feed, Player, Unplugged};
use crate::judge::photo::Sight;
use crate::machine::Order;
use std::time::{Duration, Instant};

/// A number that no camera had before.
const REPLUGGED: &str = "/dev/video20";

pub fn play(_: &Order) -> Outcome<String> {
    let [first, _] = camera::VIVID;
    // Whatever the driver is: the station knows only the name.
    let mut call = Call::prepare(Plan { vivid: Some(camera::STABLE), ..Plan::default() })?;
    camera::name(first)?;
    for end in End::BOTH {
        call.start(end)?;
    }
    for end in End::BOTH {
        call.wait_live(end)?;
        call.speak(end)?;
    }
    call.wait_heard(End::Far)?;
    let before = call.station(End::Near)?.holdings()?;

    let replugged = comes_back_as_another_number(&mut call, first)?;
    let swapped = changes_numbers_with_another(&mut call)?;
    // It has the number that the other camera had.
    let here = camera::LOOPBACK[End::Near.index()];
    let frozen = freezes(&mut call, here)?;
    let damaged = delivers_damaged_frames(&mut call, here)?;
    let broken = answers_eio(&mut call, here)?;

    call.wait_heard(End::Far)?;
    call.wait_watched(End::Near)?;
    let station = call.station(End::Near)?;
    before.wait_as_before(|| station.holdings())?;
    call.end()?;
    let [replugged, swapped, frozen, damaged, broken] =
        [replugged, swapped, frozen, damaged, broken].map(|took| took.as_secs_f64());
    Ok(format!(
        "recovered in {replugged:.1} s under another number, {swapped:.1} s with that of another, {frozen:.1} s from \
         standing still, {damaged:.1} s from damaged frames, {broken:.1} s from EIO"
    ))
}

fn comes_back_as_another_number(call: &mut Call, was: &str) -> Outcome<Duration> {
    let unplugged = Unplugged::pull(was)?;
    wait_card(call)?;
    camera::renumber(was, REPLUGGED)?;
    camera::name(REPLUGGED)?;
    drop(unplugged);
    wait_bars(call)
}

/// The other camera shows the clip: who goes by numbers would show that now.
fn changes_numbers_with_another(call: &mut Call) -> Outcome<Duration> {
    let other = camera::LOOPBACK[End::Near.index()];
    let _clip = Player::start(End::Near, Feed::Raw)?;
    let unplugged = Unplugged::pull(REPLUGGED)?;
    wait_card(call)?;
    camera::swap(REPLUGGED, other)?;
    camera::name(other)?;
    drop(unplugged);
    wait_bars(call)
}

fn freezes(call: &mut Call, device: &str) -> Outcome<Duration> {
    camera::freeze(device, true)?;
    wait_card(call)?;
    // Opened anew, it stands still all the same.
    std::thread::sleep(Duration::from_secs(2));
    wait_card(call)?;
    camera::freeze(device, false)?;
    wait_bars(call)
}

fn delivers_damaged_frames(call: &mut Call, device: &str) -> Outcome<Duration> {
    let said = call.station(End::Near)?.said()?.len();
    let damaged = Damaged::start(device)?;
    wait_card(call)?;
    // What is wrong is told seldom; that the camera is opened anew, each time.
    call.station(End::Near)?.wait_said(OPENED, said)?;
    drop(damaged);
    wait_bars(call)
}

/// The fault is over once the camera is opened anew, which is the station's to do: the card may be gone before it is seen.
fn answers_eio(call: &mut Call, device: &str) -> Outcome<Duration> {
    let station = call.station(End::Near)?;
    let said = station.said()?.len();
    let start = Instant::now();
    camera::break_stream(device)?;
    station.wait_said(OPENED, said)?;
    wait_bars(call)?;
    Ok(start.elapsed())
}

/// What a station says of a camera that it has opened.
const OPENED: &str = ": open; ";

fn wait_card(call: &mut Call) -> Outcome<Duration> {
    call.wait_sight(End::Far, "a card", |_, look| look.sight == Sight::Other)
}

fn wait_bars(call: &mut Call) -> Outcome<Duration> {
    call.wait_sight(End::Far, "the camera's bars", |_, look| look.sight == Sight::Bars)
}
