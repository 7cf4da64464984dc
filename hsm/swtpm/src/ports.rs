//! Where TPMs listen.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// Below those that the system gives out.
const FIRST: u16 = 10_000;
const PAIRS: u32 = 10_000;

/// Two free ports, one after the other, and other ones than those of the tests that run beside this one.
pub(crate) fn pair() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let pair = (std::process::id() * 16 + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % PAIRS;
        let port = FIRST + u16::try_from(pair * 2).expect("below 20,000");
        let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if free(port) && free(port + 1) {
            return port;
        }
    }
}
