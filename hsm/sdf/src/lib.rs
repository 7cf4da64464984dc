//! Keys of devices that speak GM/T 0018 (SDF, the Chinese interface of cryptographic devices): cards and network
//! appliances that sign with SM2.
//!
//! A device's maker ships a shared library; `module-path` names it, and it is loaded when a key is first needed. Keys
//! are numbers, `sdf:3`. The standard has no way to make, delete or rename them: that is done with the maker's tool, at
//! the device. An open key costs one call into the device per signature.
//!
//! | part | does |
//! |---|---|
//! | `library` | calls the library; all unsafe code |
//! | `raw` | the structures that pass to and fro |
//! | `session` | what a session of the device can do, with our types: [`Session`], [`Sm4Key`] |
//! | `driver` | one opened device per library and process, its sessions, and how it comes back after a fault |
//! | `queue` | the threads that wait for the device, so that async callers do not |
//! | `access` | the password of a key, and the promise never to try a refused one again |
//! | `key`, `store`, `sealer` | the interface of `dolmen_hsm_api` |
//!
//! # What a key may sign for
//!
//! A key of such a device carries no uses, and the standard has no room to note them. It may sign for all domains: what
//! the administrator's configuration names it for is what it is for.
//!
//! # When something fails
//!
//! The standard has few error codes, and makers use them as they like: a session that the device forgot may look like a
//! wrong argument. So whatever fails, unless another try could not change it, makes the driver close all sessions and
//! the device, open them again and try once more. A key that was opened again must have the public key that it had, or
//! it signs nothing more.
//!
//! Devices lock keys after some wrong passwords. One that was refused is remembered, as a hash, and not tried again
//! before the file that holds it has another or the program is started again.

mod access;
mod code;
mod driver;
mod failure;
mod key;
mod library;
mod limits;
mod queue;
mod raw;
mod sealer;
mod session;
mod sm2;
mod store;

pub use code::{Code, SdfError};
pub use library::{Device, Library, Session, Sm4Key};
pub use sealer::SdfSealer;
pub use session::{DeviceInfo, WrappedKey};
pub use store::{SdfConfig, SdfStore};
