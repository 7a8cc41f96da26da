//! What can only be judged when several values are seen together: names that occur twice, lines that two things claim.

use super::{Config, Name};
use crate::device::gpio::LineSpec;
use crate::identity::same_name;
use core::str::FromStr;
use evdev::KeyCode;

/// Buttons, lamps, relays, peers, groups, members of one, keys: a house has a dozen, a board has some 30 lines.
pub(super) const ENTRIES_MAX: usize = 64;

/// Media servers: one that records, one that shows, and two to spare. Each is a stream of pictures.
const PUBLICATIONS_MAX: usize = 4;

/// What is wrong with the value of a key.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Where: `call.groups.upstairs`, `button[1].line`.
    pub key: String,
    /// What.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

fn wrong(key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Wrong {
    Wrong { key: key.into(), problem: problem.into(), remedy: remedy.into() }
}

/// Looks at the whole.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn check(config: &Config) -> Result<(), Wrong> {
    bounds(config)?;
    names(config)?;
    lines(config)?;
    keys(config)?;
    publications(config)?;
    if config.rotary.line_a.is_some() != config.rotary.line_b.is_some() {
        return Err(wrong("rotary", "a knob has two lines, and one is missing", "give line_a and line_b, or neither"));
    }
    Ok(())
}

fn bounds(config: &Config) -> Result<(), Wrong> {
    let lists = [
        ("button", config.button.len()),
        ("lamp", config.lamp.len()),
        ("relay", config.relay.len()),
        ("peer", config.peer.len()),
        ("keys", config.keys.0.len()),
        ("call.groups", config.call.groups.len()),
        ("door.without_call", config.door.without_call.len()),
    ];
    let members = config.call.groups.iter().map(|(group, members)| (format!("call.groups.{group}"), members.len()));
    let lists = lists.into_iter().map(|(key, length)| (key.to_owned(), length)).chain(members);
    lists.into_iter().find(|(_, length)| *length > ENTRIES_MAX).map_or(Ok(()), |(key, length)| {
        Err(wrong(key, format!("{length} entries are too many"), format!("{ENTRIES_MAX} are the most")))
    })
}

fn names(config: &Config) -> Result<(), Wrong> {
    let same = |a: &Name, b: &Name| same_name(a.as_str(), b.as_str());
    for (i, peer) in config.peer.iter().enumerate() {
        if config.peer[..i].iter().any(|other| same(&other.name, &peer.name)) {
            let problem = format!("there are two entries for {:?}", peer.name.as_str());
            return Err(wrong(format!("peer[{i}].name"), problem, "put all of it into one"));
        }
    }
    for (group, members) in &config.call.groups {
        let key = format!("call.groups.{group}");
        if members.is_empty() {
            return Err(wrong(key, "nobody is in this group", "name its stations, or leave it out"));
        }
        if config.peer.iter().any(|peer| same(&peer.name, group)) {
            return Err(wrong(key, "a station has this name too", "give the group another name"));
        }
        if let Some(inner) = members.iter().find(|member| config.call.groups.contains_key(member)) {
            let problem = format!("{:?} is a group itself", inner.as_str());
            return Err(wrong(key, problem, "name its stations one by one"));
        }
    }
    Ok(())
}

/// Media servers are few, and have names of their own.
fn publications(config: &Config) -> Result<(), Wrong> {
    let publish = &config.web.publish;
    if publish.len() > PUBLICATIONS_MAX {
        let problem = format!("{} media servers are too many", publish.len());
        return Err(wrong("web.publish", problem, format!("{PUBLICATIONS_MAX} are the most")));
    }
    for (i, server) in publish.iter().enumerate() {
        if publish[..i].iter().any(|other| same_name(other.name.as_str(), server.name.as_str())) {
            let problem = format!("there are two media servers called {:?}", server.name.as_str());
            return Err(wrong(format!("web.publish[{i}].name"), problem, "give each a name of its own"));
        }
    }
    Ok(())
}

/// Each line does one thing.
fn lines(config: &Config) -> Result<(), Wrong> {
    let mut claimed: Vec<(String, &LineSpec)> = Vec::new();
    let single = [
        ("door.line", config.door.line.as_ref()),
        ("rotary.line_a", config.rotary.line_a.as_ref()),
        ("rotary.line_b", config.rotary.line_b.as_ref()),
    ];
    let single = single.into_iter().filter_map(|(key, line)| Some((key.to_owned(), line?)));
    let buttons = config.button.iter().enumerate().map(|(i, button)| (format!("button[{i}].line"), &button.line));
    let lamps = config.lamp.iter().enumerate().map(|(i, lamp)| (format!("lamp[{i}].line"), &lamp.line));
    let relays = config.relay.iter().enumerate().map(|(i, relay)| (format!("relay[{i}].line"), &relay.line));
    for (key, line) in single.chain(buttons).chain(lamps).chain(relays) {
        if let Some((other, _)) = claimed.iter().find(|(_, known)| *known == line) {
            let problem = format!("the line \"{line}\" is {other} already");
            return Err(wrong(key, problem, "a line does one thing: give each its own"));
        }
        claimed.push((key, line));
    }
    Ok(())
}

fn keys(config: &Config) -> Result<(), Wrong> {
    match config.keys.0.keys().find(|name| KeyCode::from_str(name).is_err()) {
        Some(name) => {
            let remedy =
                "write it as the kernel does: KEY_ENTER, KEY_VOLUMEUP, BTN_0; `evtest` shows what a key is called";
            Err(wrong(format!("keys.{name}"), "there is no key of this name", remedy))
        }
        None => Ok(()),
    }
}
