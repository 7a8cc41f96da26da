//! The network between the ends: two namespaces, a cable between them, and netem for what goes wrong on the way.

use super::End;
use crate::Outcome;
use crate::command::run;

/// Which protocol the two ends can speak; neither knows the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ip {
    V4,
    V6,
}

impl Ip {
    /// As `-v` takes it.
    pub const fn number(self) -> u8 {
        match self {
            Ip::V4 => 4,
            Ip::V6 => 6,
        }
    }

    /// The address of `end`.
    pub const fn address(self, end: End) -> &'static str {
        match (self, end) {
            (Ip::V4, End::Near) => "10.87.0.1",
            (Ip::V4, End::Far) => "10.87.0.2",
            (Ip::V6, End::Near) => "fd87::1",
            (Ip::V6, End::Far) => "fd87::2",
        }
    }
}

/// Two namespaces called as the ends are, in each of them a cable `wire` to the other.
#[derive(Debug)]
pub struct Network {
    pub ip: Ip,
}

impl Network {
    /// Lays the cable, clean and fast.
    pub fn lay(ip: Ip) -> Outcome<Network> {
        for end in End::BOTH {
            run(&format!("ip netns add {}", end.name()))?;
        }
        run("ip link add wire netns near type veth peer name wire netns far")?;
        let network = Network { ip };
        for end in End::BOTH {
            let (name, address) = (end.name(), ip.address(end));
            run(&format!("ip -n {name} link set lo up"))?;
            if ip == Ip::V4 {
                inside(end, "busybox sysctl -q -w net.ipv6.conf.all.disable_ipv6=1")?;
                run(&format!("ip -n {name} address add {address}/24 dev wire"))?;
            } else {
                network.add_address(end, address)?;
            }
            network.plug(end)?;
        }
        Ok(network)
    }

    /// From now on both ends send over a network that is as bad as `netem` says (its own words: `loss 2% delay 10ms`).
    pub fn spoil(&self, netem: &str) -> Outcome {
        for end in End::BOTH {
            run(&format!("tc -n {} qdisc replace dev wire root netem {netem}", end.name()))?;
        }
        Ok(())
    }

    /// Clean again.
    pub fn mend(&self) -> Outcome {
        for end in End::BOTH {
            run(&format!("tc -n {} qdisc delete dev wire root", end.name()))?;
        }
        Ok(())
    }

    /// Pulls the cable out at both ends: addresses stay, the carrier is gone.
    pub fn cut(&self) -> Outcome {
        run("ip -n far link set wire down").map(drop)
    }

    /// Puts the cable in again.
    pub fn join(&self) -> Outcome {
        self.plug(End::Far)?;
        if self.ip == Ip::V6 {
            // The kernel takes an interface's IPv6 addresses away with it.
            self.add_address(End::Far, self.ip.address(End::Far))?;
        }
        Ok(())
    }

    /// Puts the cable of `end` in again, without an address.
    pub fn plug(&self, end: End) -> Outcome {
        run(&format!("ip -n {} link set wire up", end.name())).map(drop)
    }

    /// Gives `end` one more IPv6 address.
    pub fn add_address(&self, end: End, address: &str) -> Outcome {
        // Without duplicate address detection, which would keep the address back for a second.
        run(&format!("ip -n {} address replace {address}/64 dev wire nodad", end.name())).map(drop)
    }

    /// Takes an IPv6 address of `end` away.
    pub fn remove_address(&self, end: End, address: &str) -> Outcome {
        run(&format!("ip -n {} address delete {address}/64 dev wire", end.name())).map(drop)
    }
}

/// Runs a command line in the namespace of `end`.
pub fn inside(end: End, line: &str) -> Outcome<String> {
    run(&format!("ip netns exec {} {line}", end.name()))
}
