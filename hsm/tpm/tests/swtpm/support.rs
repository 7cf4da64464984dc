//! TPMs of software, opened.

use std::sync::Arc;

pub(crate) use dolmen_hsm_swtpm::Swtpm;
use dolmen_hsm_tpm::Tpm;

/// What a program does first.
pub(crate) trait Open {
    fn open(&self) -> Arc<Tpm>;
}

impl Open for Swtpm {
    fn open(&self) -> Arc<Tpm> {
        Tpm::new(self.tcti().parse().expect("a TCTI"))
    }
}
