//! Access control as a server uses it: by its methods, on a disk.

mod audit;
mod crash;
mod factors;
mod file;
mod login;
mod passkeys;
mod random;
mod roles;
mod sessions;
mod tokens;
mod world;
