//! Boxes that are updated, that lose power meanwhile, that refuse, and that go back.

mod cycle;
mod files;
mod images;
mod power;
mod refuse;
mod world;
