//! Boot files of the image: what a box's firmware loads, signed by the organisation that releases images, and what it
//! will leave in the registers (PCRs) of the box's TPM.
//!
//! In the order of their use by an image builder: [`uki`] puts stub, kernel and initrd together to one file,
//! [`measure`] predicts register 11 from it and has the prediction signed, [`authenticode`] signs the file for Secure
//! Boot, and [`measure`] predicts registers 4 and 7 from the signed files. [`pe`] is the format of all these files, and
//! [`key`] is where the keys are.
//!
//! Nothing here does IO, reads a clock or has randomness: the same parts make the same bytes, so that everybody can
//! build the image again and compare. Bytes from anywhere may come in: the answer is a value or an error that says what
//! does not hold. Bounds on what is read stand in `limits.rs`.

pub mod authenticode;
mod bytes;
pub mod key;
mod limits;
pub mod measure;
pub mod pe;
pub mod uki;
