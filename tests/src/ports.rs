//! Ports of boxes that tests start and stop while other tests do the same.

use std::{
    env,
    net::TcpListener,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Ports of a box of a new chain: `dolmen devnet` counts its own from ten times the box's index on.
const PORTS_A_BOX: u16 = 10;
/// Where the first share begins; the last ends below the ports that the system gives to connections.
const FIRST: u16 = 20_000;
/// Each test that runs has a share of its own.
const SHARE: u16 = 1_000;
const SHARES: u32 = 12;

/// The first of so many ports of this test's share that nobody takes while their box does not run.
fn quiet_place(count: u16) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id = process::id();
    // nextest's number of this test among those that run.
    let slot = env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse().ok()).unwrap_or(id);
    let small = |number: u32| u16::try_from(number).expect("a small number");
    // Elsewhere than the test before, whose last connections may not be forgotten yet.
    let place = id.wrapping_add(NEXT.fetch_add(count.into(), Ordering::Relaxed)) % u32::from(SHARE - count);
    FIRST + small(slot % SHARES) * SHARE + small(place)
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).ok()
}

/// A port of a box that joins later.
pub fn quiet_port() -> TcpListener {
    (0..10_000).find_map(|_| bind(quiet_place(1))).expect("there are free ports")
}

/// The first of the ports of so many boxes, side by side.
pub(crate) fn quiet_ports(boxes: usize) -> u16 {
    let count = PORTS_A_BOX * u16::try_from(boxes).expect("few boxes");
    let is_free = |base: u16| (base..base + count).all(|port| bind(port).is_some());
    (0..1_000).map(|_| quiet_place(count)).find(|base| is_free(*base)).expect("there are free ports side by side")
}
