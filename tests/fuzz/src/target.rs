//! A target: what reads bytes, what it reads, and how both forms of the tests feed it.

use std::{fs, io::Write as _, path::PathBuf, thread};

use crate::mutation::{Random, mutate};

/// A decoder, and the inputs that changes begin from.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is also that of its test and of its directories.
    pub name: &'static str,
    /// Inputs that it takes, made by those who write what it reads.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Gives bytes to the decoder, and says whether it takes them. What it takes has to be as promised: that is asserted.
    pub decode: fn(&[u8]) -> bool,
    /// Inputs of the short form: about a second's worth, unoptimised.
    pub cases: u64,
}

impl Target {
    pub(crate) const fn new(name: &'static str, seeds: fn() -> Vec<Vec<u8>>, decode: fn(&[u8]) -> bool) -> Self {
        Self { name, seeds, decode, cases: 3_000 }
    }

    /// For one that takes longer, as signing and files do.
    pub(crate) const fn cases(self, cases: u64) -> Self {
        Self { cases, ..self }
    }

    /// The short form: all seeds, which are taken; what the long form found in the past; and changed seeds, the same
    /// ones every time.
    ///
    /// # Panics
    ///
    /// Where the decoder does, or breaks a promise. The input is left in a file then.
    pub fn check(&self) {
        let seeds = (self.seeds)();
        for (at, seed) in seeds.iter().enumerate() {
            assert!(self.decode(seed, &format!("seed-{at}")), "{}: the seed {at} is refused", self.name);
        }
        for entry in fs::read_dir(self.regressions()).into_iter().flatten() {
            let path = entry.expect("a file").path();
            self.decode(&fs::read(&path).expect("a file"), &path.display().to_string());
        }
        let taken = (0..self.cases).filter(|case| self.decode(&input(*case, &seeds), &format!("case-{case}"))).count();
        eprintln!("{}: {} inputs, {taken} of them taken", self.name, self.cases);
    }

    /// Where inputs lie that once broke it.
    #[must_use]
    pub fn regressions(&self) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "regressions", self.name].iter().collect()
    }

    fn decode(&self, bytes: &[u8], label: &str) -> bool {
        let _witness = Witness { target: self.name, label, bytes };
        (self.decode)(bytes)
    }
}

/// The input of this number.
fn input(case: u64, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut random = Random::new(case);
    let seed = random.pick(seeds);
    mutate(&mut random, seed, seeds)
}

/// Keeps the input that a decoder panics at.
struct Witness<'a> {
    target: &'static str,
    label: &'a str,
    bytes: &'a [u8],
}

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let kept = tempfile::Builder::new().prefix(&format!("{}-", self.target)).tempfile();
            let kept = kept.and_then(|mut file| file.write_all(self.bytes).and_then(|()| Ok(file.keep()?.1)));
            eprintln!("{}: {} breaks it; the input: {kept:?}", self.target, self.label);
        }
    }
}
