//! Altered cases: what comes of them is for the libraries to say.

use rand::{Rng, RngExt as _};

use crate::{
    curve::Curve,
    support::{Job, Signed, checked_add, hex_array, number, subtract},
};

/// The prime of the field and the order of the group, big endian.
#[derive(Clone, Copy)]
pub(super) struct Moduli {
    pub(super) p: [u8; 32],
    pub(super) n: [u8; 32],
}

impl Moduli {
    pub(super) fn of<C: Curve>() -> Self {
        Self { p: hex_array(C::P), n: hex_array(C::N) }
    }

    /// A number at an end of what is allowed, or beyond it.
    fn edge(&self, random: &mut impl Rng) -> [u8; 32] {
        let small = number(random.random_range(0..4));
        match random.random_range(0..7) {
            0 => small,
            1 => subtract(&self.n, &small),
            2 => checked_add(&self.n, &small).unwrap_or(small),
            3 => subtract(&self.p, &small),
            4 => checked_add(&self.p, &small).unwrap_or(small),
            5 => subtract(&[0xff; 32], &small),
            _ => subtract(&self.p, &self.n),
        }
    }
}

/// Alters a case on a Weierstrass curve. `other` is another key.
pub(super) fn alter(random: &mut impl Rng, moduli: &Moduli, job: &mut Job, other: &[u8]) {
    let Moduli { p, n } = *moduli;
    let half = random.random_range(0..2) * 32;
    match random.random_range(0..13) {
        0 => flip(random, &mut job.key),
        1 | 2 => flip(random, &mut job.signature),
        3 => match &mut job.message {
            Signed::Digest(digest) => flip(random, digest),
            Signed::Bytes(bytes) => bytes.push(random.random()),
        },
        4 | 5 => job.signature[half..half + 32].copy_from_slice(&moduli.edge(random)),
        6 => job.signature = [moduli.edge(random), moduli.edge(random)].concat(),
        // The malleable ones: the negative, and the same number modulo n or p.
        7 => change(&mut job.signature[half..half + 32], |number| (*number <= n).then(|| subtract(&n, number))),
        8 => change(&mut job.signature[half..half + 32], |number| checked_add(number, &n)),
        9 => change(&mut job.key[32..], |y| (*y <= p).then(|| subtract(&p, y))),
        10 => match &mut job.message {
            // The same number modulo n, or another.
            Signed::Digest(digest) => {
                change(digest, |e| checked_add(e, &n).or_else(|| (*e >= n).then(|| subtract(e, &n))))
            }
            Signed::Bytes(bytes) => bytes.clear(),
        },
        11 => job.key = other.to_vec(),
        _ => resize(random, job),
    }
}

/// Alters an Ed25519 case. `other` is another key or `R`, of whatever order.
pub(super) fn alter_ed25519(random: &mut impl Rng, order: &[u8; 32], job: &mut Job, other: &[u8; 32]) {
    match random.random_range(0..8) {
        0 => flip(random, &mut job.key),
        1 | 2 => flip(random, &mut job.signature),
        3 => match &mut job.message {
            Signed::Digest(digest) => flip(random, digest),
            Signed::Bytes(bytes) => bytes.push(random.random()),
        },
        // S + L.
        4 => {
            job.signature[32..].reverse();
            change(&mut job.signature[32..], |s| checked_add(s, order));
            job.signature[32..].reverse();
        }
        5 => job.signature[..32].copy_from_slice(other),
        6 => job.key = other.to_vec(),
        _ => resize(random, job),
    }
}

fn flip(random: &mut impl Rng, bytes: &mut [u8]) {
    if !bytes.is_empty() {
        bytes[random.random_range(0..bytes.len())] ^= 1 << random.random_range(0..8);
    }
}

fn resize(random: &mut impl Rng, job: &mut Job) {
    let bytes = if random.random() { &mut job.key } else { &mut job.signature };
    let length = [0, 1, bytes.len() - 1, bytes.len() + 1, 2 * bytes.len()][random.random_range(0..5)];
    bytes.resize(length, 0);
}

/// Puts another number in the place of one, if there is one.
fn change(bytes: &mut [u8], to: impl FnOnce(&[u8; 32]) -> Option<[u8; 32]>) {
    let number: &[u8; 32] = (&*bytes).try_into().expect("numbers have 32 bytes");
    if let Some(changed) = to(number) {
        bytes.copy_from_slice(&changed);
    }
}
