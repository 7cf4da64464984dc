//! Screens against golden files, and dialogs typed through.

mod dialogs;
mod golden;
mod samples;
