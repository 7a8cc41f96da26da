//! The firewall, as far as its rules can be read: whether the station's port and multicast DNS come in.
//!
//! Rules are a language, which is not interpreted here: a packet filter that lets little in by default is seen by its
//! policy or by a last rule without conditions, and a hole by an `accept` for the port. What is between the two (by
//! address, by interface) counts as a hole.

use super::Around;
use super::finding::Finding;
use super::machine::Machine;

const SUBJECT: &str = "firewall";
/// Where firewalls' programs are.
const TOOLS: [&str; 4] = ["/usr/sbin/nft", "/usr/sbin/iptables-save", "/sbin/nft", "/sbin/iptables-save"];

/// Who is to be told of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    Ufw,
    Firewalld,
    Nft,
}

pub(super) fn look(around: &Around) -> Vec<Finding> {
    let Ok(config) = &around.config else { return Vec::new() };
    let machine = &around.machine;
    if !TOOLS.iter().any(|tool| machine.has(tool)) {
        return vec![Finding::good(SUBJECT, "no firewall is installed on this board")];
    }
    // Newer iptables keep their rules in nftables; what an old one keeps is seen by its own tool alone.
    let rules = machine.answer("nft", &["list", "ruleset"]).filter(|rules| !rules.trim().is_empty());
    let Some(rules) = rules.or_else(|| machine.answer("iptables-save", &[])) else {
        return vec![Finding::unseen(SUBJECT, "its rules", "only root may read them: sudo visavis doctor")];
    };
    vec![examine(&rules, config.station.port, keeper(machine))]
}

fn keeper(machine: &Machine) -> Keeper {
    match () {
        () if machine.has("/usr/sbin/ufw") => Keeper::Ufw,
        () if machine.has("/usr/bin/firewall-cmd") => Keeper::Firewalld,
        () => Keeper::Nft,
    }
}

fn examine(rules: &str, port: u16, keeper: Keeper) -> Finding {
    if !shuts(rules) {
        return Finding::good(SUBJECT, "it lets everything in");
    }
    if opens(rules, port) {
        return Finding::good(SUBJECT, format!("it lets UDP port {port} in"));
    }
    let remedy = match keeper {
        Keeper::Ufw => format!("sudo ufw allow {port}/udp\nsudo ufw allow 5353/udp"),
        Keeper::Firewalld => format!(
            "sudo firewall-cmd --permanent --add-port={port}/udp --add-service=mdns\nsudo firewall-cmd --reload"
        ),
        Keeper::Nft => format!(
            "sudo nft insert rule {} udp dport '{{ {port}, 5353 }}' accept\nand the same rule in /etc/nftables.conf",
            input_chain(rules).unwrap_or_else(|| "inet filter input".into())
        ),
    };
    Finding::wrong(SUBJECT, format!("it keeps UDP port {port} shut, as far as its rules can be read"))
        .because("Other stations cannot ring here; at most they are reached when this one calls first.")
        .mend(remedy)
}

/// Whether what no rule accepts is dropped on its way in.
fn shuts(rules: &str) -> bool {
    let mut in_input = false;
    for line in rules.lines().map(str::trim) {
        if line.starts_with("chain ") {
            in_input = false;
        }
        in_input |= line.contains("hook input");
        let by_policy = in_input && line.contains("hook input") && line.contains("policy drop");
        // A counter is no condition.
        let bare = line
            .strip_prefix("counter packets")
            .map_or(line, |rest| rest.split_once(" bytes ").map_or(line, after_number));
        let by_last_rule = in_input && (bare == "drop" || bare == "reject" || bare.starts_with("reject with "));
        let by_iptables =
            line.starts_with(":INPUT DROP") || line == "-A INPUT -j DROP" || line.starts_with("-A INPUT -j REJECT");
        if by_policy || by_last_rule || by_iptables {
            return true;
        }
    }
    false
}

/// What follows the number of a counter's bytes.
fn after_number<'t>((_, rest): (&'t str, &'t str)) -> &'t str {
    rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start()
}

/// Whether a rule accepts the port.
fn opens(rules: &str, port: u16) -> bool {
    rules.lines().map(str::trim).any(|line| {
        let nft = line.split_once("udp dport ").filter(|_| line.contains(" accept"));
        let iptables = line.split_once("--dport ").or_else(|| line.split_once("--dports "));
        let iptables = iptables.filter(|_| line.contains("udp") && line.contains("-j ACCEPT"));
        nft.or(iptables).is_some_and(|(_, ports)| holds(ports, port)) || line == "meta l4proto udp accept"
    })
}

/// Whether the ports at the beginning of `text` hold this one: `10087`, `10000-10100`, `1000:2000,3000`, `{ 53, 10087 }`.
fn holds(text: &str, port: u16) -> bool {
    let text = match text.strip_prefix('{') {
        Some(set) => set.split('}').next().unwrap_or_default(),
        None => text.split_whitespace().next().unwrap_or_default(),
    };
    text.split(',').map(str::trim).any(|range| {
        let (from, to) = range.split_once(['-', ':']).unwrap_or((range, range));
        matches!((from.parse::<u16>(), to.parse::<u16>()), (Ok(from), Ok(to)) if (from..=to).contains(&port))
    })
}

/// Family, table and name of the chain through which packets come in, as nft takes them.
fn input_chain(rules: &str) -> Option<String> {
    let (mut table, mut chain) = ("", "");
    for line in rules.lines().map(str::trim) {
        table = line.strip_prefix("table ").map_or(table, |rest| rest.trim_end_matches([' ', '{']));
        chain = line.strip_prefix("chain ").map_or(chain, |rest| rest.trim_end_matches([' ', '{']));
        if line.contains("hook input") {
            return Some(format!("{table} {chain}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    //! Goal: a port that is shut is told, with the command of whoever keeps the firewall. Method: rules as nft and
    //! iptables-save print them.
    use super::super::finding::Severity;
    use super::*;

    const SHUT: &str = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\
        \t\tiif \"lo\" accept\n\t\tct state established,related accept\n\t\ttcp dport { 22, 80 } accept\n\t}\n\n\
        \tchain forward {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n";
    const IPTABLES: &str = "*filter\n:INPUT DROP [12:1044]\n:FORWARD ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n\
        -A INPUT -p udp -m multiport --dports 53,10000:10100 -j ACCEPT\nCOMMIT\n";

    #[test]
    fn a_shut_port_is_told_with_the_command_that_opens_it() {
        let shut = examine(SHUT, 10_087, Keeper::Nft);
        assert_eq!(shut.severity, Severity::Wrong);
        assert!(shut.remedy.starts_with("sudo nft insert rule inet filter input udp dport '{ 10087, 5353 }' accept"));
        assert!(examine(SHUT, 10_087, Keeper::Ufw).remedy.contains("sudo ufw allow 10087/udp"));
        assert!(examine(SHUT, 10_087, Keeper::Firewalld).remedy.contains("--add-port=10087/udp"));
        assert_eq!(examine(IPTABLES, 10_200, Keeper::Nft).severity, Severity::Wrong);
    }

    #[test]
    fn holes_are_seen_in_each_notation() {
        for rule in [
            "udp dport 10087 accept",
            "udp dport { 5353, 10087 } accept",
            "udp dport 10000-10100 counter accept",
            "meta l4proto udp udp dport 10087 counter packets 0 bytes 0 accept",
        ] {
            let open = SHUT.replace("tcp dport { 22, 80 } accept", rule);
            assert_eq!(examine(&open, 10_087, Keeper::Nft).severity, Severity::Good, "{rule}");
        }
        for rule in
            ["tcp dport 10087 accept", "udp dport 10088 accept", "udp dport 10087 drop", "udp sport 10087 accept"]
        {
            let shut = SHUT.replace("tcp dport { 22, 80 } accept", rule);
            assert_eq!(examine(&shut, 10_087, Keeper::Nft).severity, Severity::Wrong, "{rule}");
        }
        assert_eq!(examine(IPTABLES, 10_087, Keeper::Nft).severity, Severity::Good);
    }

    #[test]
    fn one_that_drops_only_elsewhere_lets_everything_in() {
        let open = SHUT.replacen("policy drop", "policy accept", 1);
        assert_eq!(examine(&open, 10_087, Keeper::Nft).what, "it lets everything in");
        let last = open
            .replace("tcp dport { 22, 80 } accept", "counter packets 7 bytes 420 reject with icmpx admin-prohibited");
        assert_eq!(examine(&last, 10_087, Keeper::Nft).severity, Severity::Wrong);
    }
}
