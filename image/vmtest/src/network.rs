//! A machine's network.

use crate::VmError;

/// A network of the machine alone, behind this one: it gets an address by DHCP, and what it listens on is reached
/// through ports of 127.0.0.1. Nothing outside can be reached from it, unless it is [open](Network::open).
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// The guest's port, and the one here; 0 for any that is free.
    forwarded: Vec<(u16, u16)>,
    open: bool,
    /// Instead of all that: the bridge that it is plugged into, by this interface.
    interface: Option<String>,
}

impl Network {
    /// One without forwarded ports.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forwards a free port to a port of the guest. [`Running::port`](crate::Running::port) says which.
    #[must_use]
    pub fn forward(self, guest: u16) -> Self {
        self.forward_from(guest, 0)
    }

    /// Forwards this port here to a port of the guest.
    #[must_use]
    pub fn forward_from(mut self, guest: u16, here: u16) -> Self {
        self.forwarded.push((guest, here));
        self
    }

    /// Lets the guest out, as far as this machine comes. Tests do not: they would depend on the world.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Plugs the machine into whatever this TAP interface is connected to. Ports are not forwarded then.
    #[must_use]
    pub fn tap(interface: &str) -> Self {
        Self { interface: Some(interface.to_owned()), ..Self::default() }
    }

    /// For `-netdev`.
    pub(crate) fn argument(&self, id: &str) -> String {
        if let Some(interface) = &self.interface {
            return format!("tap,id={id},ifname={interface},script=no,downscript=no");
        }
        let restrict = if self.open { "off" } else { "on" };
        let forwarded = self.forwarded.iter().map(|(guest, here)| format!(",hostfwd=tcp:127.0.0.1:{here}-:{guest}"));
        format!("user,id={id},restrict={restrict}{}", forwarded.collect::<String>())
    }
}

/// The port here to which QEMU forwards one of the guest, as its monitor's `info usernet` has it. QEMU chose it: nobody
/// can have taken it in between.
pub(crate) fn port(usernet: &str, guest: u16) -> Result<u16, VmError> {
    let mut rows = usernet.lines().filter(|line| line.contains("[HOST_FORWARD]"));
    let found = rows.find_map(|row| {
        // Protocol[State], file, address and port here, address and port there.
        let columns: Vec<&str> = row.split_whitespace().collect();
        (columns.get(5)?.parse() == Ok(guest)).then_some(columns.get(3)?.parse().ok()?)
    });
    found.ok_or(VmError::NoPort(guest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_of_the_monitor() {
        let usernet = "Hub -1 (net0):\r\n\
            \x20 Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n\
            \x20 TCP[HOST_FORWARD]  12       127.0.0.1 41234       10.0.2.15  8545     0     0\r\n\
            \x20 TCP[HOST_FORWARD]  11       127.0.0.1 35001       10.0.2.15    80     0     0\r\n\
            \x20 UDP[236 sec]       13       10.0.2.15    68        10.0.2.2    67     0     0\r\n";
        assert_eq!((port(usernet, 80).unwrap(), port(usernet, 8545).unwrap()), (35001, 41234));
        assert!(matches!(port(usernet, 68), Err(VmError::NoPort(68))));
    }

    #[test]
    fn a_network_is_closed_unless_it_is_open() {
        let network = Network::new().forward(80).forward_from(8545, 18545);
        assert_eq!(
            network.argument("net0"),
            "user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:0-:80,hostfwd=tcp:127.0.0.1:18545-:8545"
        );
        assert_eq!(Network::new().open().argument("n"), "user,id=n,restrict=off");
    }
}
