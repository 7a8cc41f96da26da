//! Whether the station's user may open the devices: by their groups and modes.

use super::Around;
use super::finding::Finding;
use super::machine::Machine;
use super::service::Unit;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

const SUBJECT: &str = "permissions";
/// What a station opens: the folder, how names in it begin, what it is to people, and whether it is written as well.
const KINDS: [(&str, &str, &str, bool); 5] = [
    ("/dev", "video", "cameras", true),
    ("/dev/snd", "", "sound", true),
    ("/dev/dri", "card", "the screen", true),
    ("/dev", "gpiochip", "buttons, lamps and the door", true),
    ("/dev/input", "event", "keys and touch", false),
];

/// A device's node.
struct Node {
    path: String,
    group: Option<String>,
    mode: u32,
}

pub(super) fn look(around: &Around) -> Vec<Finding> {
    let machine = &around.machine;
    let groups = machine.text("/etc/group").unwrap_or_default();
    let Some((user, unit)) = who(around) else {
        return vec![Finding::unseen(SUBJECT, "what the station may open", "this is root, who may open everything")];
    };
    let passwd = machine.text("/etc/passwd").unwrap_or_default();
    let joined = joined(&user, &groups, &passwd, unit);
    let all = KINDS.into_iter().flat_map(|(folder, begins, what, writes)| {
        let nodes = nodes(machine, folder, begins, &groups);
        examine(&nodes, what, writes, &user, &joined)
    });
    let mut findings: Vec<Finding> = all.collect();
    if findings.is_empty() {
        findings
            .push(Finding::good(SUBJECT, format!("user {user} may open every camera, sound card, screen and line")));
    }
    findings
}

/// Whom the station runs as: the unit's user, or who asks. None for root.
fn who(around: &Around) -> Option<(String, Option<&Unit>)> {
    let unit = around.unit.as_ref().filter(|unit| unit.is_installed());
    let asking = || nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    let user = unit.map_or_else(asking, |unit| Some(unit.get("User").unwrap_or("root").to_owned()))?;
    (user != "root").then_some((user, unit))
}

/// The groups that a user is in: by the lists of users and groups, and those that its unit adds.
fn joined(user: &str, groups: &str, passwd: &str, unit: Option<&Unit>) -> BTreeSet<String> {
    let own = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == user);
    let own = own.and_then(|fields| fields.get(3).map(|gid| (*gid).to_owned()));
    let is_member = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let listed = fields.get(3).is_some_and(|members| members.split(',').any(|member| member == user));
        (listed || own.as_deref() == fields.get(2).copied()).then(|| fields[0].to_owned())
    };
    let added = unit.and_then(|unit| unit.get("SupplementaryGroups")).unwrap_or_default();
    groups.lines().filter_map(is_member).chain(added.split_whitespace().map(str::to_owned)).collect()
}

fn nodes(machine: &Machine, folder: &str, begins: &str, groups: &str) -> Vec<Node> {
    let name_of = |gid: u32| {
        let gid = gid.to_string();
        groups.lines().find(|line| line.split(':').nth(2) == Some(&gid)).and_then(|line| line.split(':').next())
    };
    let named = machine.names(folder).into_iter().filter(|name| name.starts_with(begins));
    let node = |name: String| {
        let path = format!("{folder}/{name}");
        let metadata = std::fs::metadata(machine.place(&path)).ok().filter(|metadata| !metadata.is_dir())?;
        Some(Node { group: name_of(metadata.gid()).map(str::to_owned), mode: metadata.mode(), path })
    };
    named.filter_map(node).collect()
}

/// A finding for each group that is lacking.
fn examine(nodes: &[Node], what: &str, writes: bool, user: &str, joined: &BTreeSet<String>) -> Vec<Finding> {
    let wanted = if writes { 0o6 } else { 0o4 };
    let may = |bits: u32| bits & wanted == wanted;
    let refused = nodes.iter().filter(|node| {
        let by_group = may(node.mode >> 3) && node.group.as_ref().is_some_and(|group| joined.contains(group));
        !may(node.mode) && !by_group
    });
    let mut lacking: Vec<(Option<&str>, Vec<&str>)> = Vec::new();
    for node in refused {
        // A group that may do no more than others helps nobody.
        let group = node.group.as_deref().filter(|group| *group != "root" && may(node.mode >> 3));
        match lacking.iter_mut().find(|(known, _)| *known == group) {
            Some((_, paths)) => paths.push(&node.path),
            None => lacking.push((group, vec![&node.path])),
        }
    }
    let finding = |(group, paths): (Option<&str>, Vec<&str>)| {
        let remedy = match group {
            Some(group) => format!("sudo usermod -aG {group} {user}\nsudo systemctl restart visavis"),
            None => "Install the package's udev rules (/usr/lib/udev/rules.d/70-visavis.rules), then:\n\
                     sudo udevadm control --reload && sudo udevadm trigger"
                .into(),
        };
        Finding::wrong(SUBJECT, format!("user {user} may not open {}", paths.join(", ")))
            .because(format!("The station cannot use {what}."))
            .mend(remedy)
    };
    lacking.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    //! Goal: a missing group is named. Method: the lists of a Raspberry Pi OS, modes as its udev rules set them.
    use super::*;

    const GROUPS: &str =
        "root:x:0:\naudio:x:29:pi\nvideo:x:44:pi,visavis\nrender:x:105:\nvisavis:x:990:\ngpio:x:993:pi\n";
    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nvisavis:x:991:990::/var/lib/visavis:/usr/sbin/nologin\n";

    fn node(path: &str, group: &str, mode: u32) -> Node {
        Node { path: path.into(), group: Some(group.into()), mode: 0o20_000 | mode }
    }

    #[test]
    fn groups_come_from_lists_and_from_the_unit() {
        let unit = Unit::parse("SupplementaryGroups=audio input\n");
        let groups = joined("visavis", GROUPS, PASSWD, Some(&unit));
        assert_eq!(groups.iter().map(String::as_str).collect::<Vec<_>>(), ["audio", "input", "video", "visavis"]);
        assert_eq!(joined("nobody", GROUPS, PASSWD, None).len(), 0);
    }

    #[test]
    fn what_may_not_be_opened_names_the_group_to_join() {
        let groups = BTreeSet::from(["video".to_owned()]);
        let seen = |nodes: &[Node], writes| examine(nodes, "it", writes, "visavis", &groups);
        assert!(seen(&[node("/dev/video0", "video", 0o660)], true).is_empty());
        assert!(seen(&[node("/dev/dri/card0", "render", 0o666)], true).is_empty());
        let lines = seen(&[node("/dev/gpiochip0", "gpio", 0o660), node("/dev/gpiochip4", "gpio", 0o660)], true);
        assert_eq!(
            (lines.len(), lines[0].what.as_str()),
            (1, "user visavis may not open /dev/gpiochip0, /dev/gpiochip4")
        );
        assert!(lines[0].remedy.starts_with("sudo usermod -aG gpio visavis"));
        assert!(seen(&[node("/dev/gpiochip0", "root", 0o600)], true)[0].remedy.contains("udev rules"));
        assert!(seen(&[node("/dev/input/event0", "video", 0o640)], false).is_empty());
        assert_eq!(seen(&[node("/dev/input/event0", "video", 0o640)], true).len(), 1);
    }
}
