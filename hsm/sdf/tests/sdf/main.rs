//! The backend on a device made of software, `tests/mock/sdf.c`, which is compiled when the tests run.

mod conformance;
mod device;
mod faults;
mod mock;
mod passwords;
