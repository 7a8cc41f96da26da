//! A door that is short of everything in turn: its disk is full, or may not be written, it may not have more memory, has no
//! descriptor left, and shares its core with a program that wants all of it. It rings and talks all the same, says what it
//! could not do, and loses nothing of what it had.

use crate::Outcome;
use crate::call::{Call, PATIENCE, Plan};
use crate::command::wait_for;
use crate::devices::scarcity::{Disk, MemoryGroup, hog_cores, limit_descriptors};
use crate::judge::photo::Region;
use crate::machine::Order;
use crate::pair::{KITCHEN, Pair};
use std::fs;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The door's state, and room for its key, its book, a journal and a picture or two.
const STATE: &str = "/run/visavis-door";
const DISK_KIB: u32 = 512;
/// What its journal has at the start.
const RECORDS: usize = 10;
/// More than it has in a call that has gone on for a while: nothing there may grow.
const MEMORY_ROOM: u64 = 2 << 20;
/// So often the group must have been at its bound before the call is looked at: it bites.
const REACHED_LEAST: u64 = 20;
/// As many as it may have by default, on Debian.
const DESCRIPTORS: u64 = 1024;
/// How long a core is taken away.
const HOGGED: Duration = Duration::from_secs(8);

pub fn play(_: &Order) -> Outcome<String> {
    let disk = Disk::mount(STATE, DISK_KIB)?;
    let group = MemoryGroup::make("door")?;
    let around = Call::prepare(Plan { judged: Region::BESIDE_OVERLAY, ..Plan::default() })?;
    write_full_page()?;
    let mut pair = Pair::begin_around(around, "", "")?;
    the_disk_is_full(&mut pair, &disk)?;

    // What it has already would not count.
    pair.door.crash()?;
    disk.forbid(true)?;
    group.around(|| pair.door.start_again())?;
    pair.door.wait_joined()?;
    pair.kitchen.wait_joined()?;
    pair.talk()?;
    // Once every buffer has found its size.
    pair.call.wait_watched(KITCHEN)?;
    let bound = group.bound(MEMORY_ROOM)?;
    the_group_is_at_its_bound(&mut pair, &group)?;
    let before = pair.door.holdings()?;
    let accepted = no_descriptor_is_left(&mut pair)?;
    let hogged = a_core_is_taken_away(&mut pair)?;
    pair.must_go_on()?;
    before.wait_as_before(|| pair.door.holdings())?;
    pair.hang_up()?;
    the_disk_was_read_only(&mut pair, &disk)?;
    let (peak, (reached, _)) = (group.peak()?, group.events()?);
    pair.stop()?;
    Ok(format!(
        "memory was bounded at {} KiB, of which {} were had at most and the bound was reached {reached} times; clients were let in {:.1} s after there were \
         descriptors; pictures recovered in {:.1} s after the core was free",
        bound >> 10,
        peak >> 10,
        accepted.as_secs_f64(),
        hogged.as_secs_f64()
    ))
}

/// A journal that fills the first page of its file but for a few bytes: half of the next record fits.
fn write_full_page() -> Outcome {
    const PAGE_BYTES: usize = 4096;
    const LEFT_BYTES: usize = 20;
    let record = |who: &str| format!("{{\"at_unix_ms\":1,\"what\":\"made-call\",\"who\":\"{who}\"}}\n");
    let mut lines = record("kitchen").repeat(RECORDS - 1);
    let padding = PAGE_BYTES - LEFT_BYTES - lines.len() - record("").len();
    lines += &record(&"k".repeat(padding));
    Ok(fs::write(format!("{STATE}/journal.jsonl"), lines)?)
}

/// A call is made and not kept, which is said; the book can't be changed, which is said too. When there is room, the next
/// call is kept, and nothing is missing of what was there before.
fn the_disk_is_full(pair: &mut Pair, disk: &Disk) -> Outcome {
    let book = pair.door.peers("--json")?;
    disk.fill()?;
    pair.talk()?;
    pair.hang_up()?;
    let said = || pair.door.said().ok()?.contains("cannot write a record").then_some(());
    wait_for("the door says that it cannot write", PATIENCE, said)?;
    let refused = pair.door.peers("allow kitchen release").err().ok_or("the book was changed on a full disk")?;
    assert!(refused.to_string().contains("No space left"), "{refused}");
    assert_eq!((pair.door.peers("--json")?, pair.door.records()?.len()), (book, RECORDS));

    disk.clear()?;
    pair.door.peers("allow kitchen release")?;
    pair.talk()?;
    pair.hang_up()?;
    let kept = || pair.door.records().ok().filter(|records| records.len() == RECORDS + 1);
    wait_for("the call after that is kept, beside all before", PATIENCE, kept)?;
    assert!(pair.door.said()?.contains("the journal can be written again"));
    Ok(())
}

/// The door was started on a disk that could only be read; since then it has rung and talked. Once it may write there, it
/// keeps that call, and the next.
fn the_disk_was_read_only(pair: &mut Pair, disk: &Disk) -> Outcome {
    let said = pair.door.said()?;
    assert!(said.contains("no journal") && said.contains("Read-only file system"), "{said}");
    assert_eq!(pair.door.records()?.len(), RECORDS + 1);
    disk.forbid(false)?;
    pair.talk()?;
    pair.hang_up()?;
    let kept = || pair.door.records().ok().filter(|records| records.len() == RECORDS + 3);
    wait_for("both calls are kept, beside all before", PATIENCE, kept).map(drop)
}

/// Another program of the group takes all of its room, and the kernel takes back from both what it can. The call goes on.
fn the_group_is_at_its_bound(pair: &mut Pair, group: &MemoryGroup) -> Outcome {
    let (reached_before, _) = group.events()?;
    let press = group.press()?;
    wait_for("the bound is reached", PATIENCE, || {
        (group.events().ok()?.0 >= reached_before + REACHED_LEAST).then_some(())
    })?;
    pair.must_go_on()?;
    press.finish()?;
    let (reached, killed) = group.events()?;
    println!(
        "the memory's bound was reached {} times, at most {} bytes were had",
        reached - reached_before,
        group.peak()?
    );
    if killed == 0 { Ok(()) } else { Err(format!("{killed} programs were killed for want of memory").into()) }
}

/// Nobody can connect, and the call goes on. How long after there are descriptors again the first client is let in.
fn no_descriptor_is_left(pair: &mut Pair) -> Outcome<Duration> {
    let process = pair.door.process()?;
    limit_descriptors(process, pair.door.holdings()?.descriptors)?;
    let clients: Vec<_> = (0..8).map(|_| UnixStream::connect(&pair.door.socket)).collect::<Result<_, _>>()?;
    pair.call.wait_watched(KITCHEN)?;
    let said = pair.door.said()?;
    let refusals = said.matches("nobody can connect").count();
    assert_eq!(refusals, 1, "a state is said once: {said}");
    drop(clients);

    let start = Instant::now();
    limit_descriptors(process, DESCRIPTORS)?;
    pair.door.wait_state("talking")?;
    Ok(start.elapsed())
}

/// How long after the core was free each saw the other live.
fn a_core_is_taken_away(pair: &mut Pair) -> Outcome<Duration> {
    let hogs = hog_cores()?;
    std::thread::sleep(HOGGED);
    drop(hogs);
    let start = Instant::now();
    pair.wait_live()?;
    for station in [&pair.door, &pair.kitchen] {
        station.wait_state("talking")?;
    }
    Ok(start.elapsed())
}
