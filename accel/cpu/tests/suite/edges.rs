//! Inputs that only an attacker makes, by the rules at [`Algorithm`](dolmen_accel_api::Algorithm).

mod bls;
mod collisions;
mod ed25519;
mod recovery;
mod weierstrass;

pub(crate) use ed25519::small_order_encodings;
