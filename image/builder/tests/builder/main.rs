//! The crate's public side: results of small parts, and of the real ones where somebody asks for it.

mod full;
mod small;
