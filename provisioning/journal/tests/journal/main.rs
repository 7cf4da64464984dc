//! Journals on a disk: what is written is read, and what was not written is found.

mod damage;
mod full;
mod journal;
mod random;
mod support;
