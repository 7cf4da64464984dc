//! The builder of a box's bootable image: a recipe of one page becomes disks, a signed bundle and a bill of materials,
//! byte for byte the same wherever and whenever it is built.
//!
//! Follow [`image::build`] for an image, and [`stick::build`] for the stick that installs it. What they need first is
//! gathered by [`Materials::gather`](materials::Materials::gather): a [`recipe`], its [`lock`] of Debian packages, their
//! files ([`debs`]), the [`tools`] among them, the [`kernel`] and the [`keys`].
//!
//! Nothing here needs to be root: a [`root`] is installed by mmdebstrap, which makes do with namespaces, and is from
//! then on a [`tree`] in memory, of which the [`system`] is made. Formats of disks, boot files and bundles are those of
//! `dolmen-image-disk`, `dolmen-image-uki` and `dolmen-image-bundle`, and where they lie on a disk is
//! `dolmen-image-installer`'s to say.

pub mod boot;
pub mod compare;
pub mod debs;
pub mod disk;
pub mod epoch;
pub mod erofs;
pub mod file;
pub mod identity;
pub mod image;
pub mod initrd;
pub mod kernel;
pub mod keys;
mod limits;
pub mod lock;
pub mod materials;
pub mod pattern;
pub mod process;
pub mod programs;
pub mod progress;
pub mod recipe;
pub mod result;
pub mod root;
pub mod sbom;
pub mod stick;
pub mod system;
pub mod tools;
pub mod tree;
pub mod verify;
