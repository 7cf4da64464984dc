//! Boxes that join a chain by themselves (`dolmen devnet --zero-touch`), and those that may not.

mod est;
mod hostile;
mod impostor;
mod join;
mod refused;
mod stick;
