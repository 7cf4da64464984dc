//! Every library against our rule, against each other and against the standards.

mod agreement;
mod corners;
mod corruption;
mod ed25519;
mod faulty;
mod known;
mod support;
mod versions;
