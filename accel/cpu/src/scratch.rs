//! Buffers for calls that come from many threads: each takes one and gives it back, so nothing is allocated once there
//! are as many as there were calls at a time.

use parking_lot::Mutex;

/// Buffers that no call uses now.
pub(crate) struct Scratches<T>(Mutex<Vec<Box<T>>>);

impl<T> Default for Scratches<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default> Scratches<T> {
    pub(crate) fn take(&self) -> Box<T> {
        self.0.lock().pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&self, scratch: Box<T>) {
        self.0.lock().push(scratch);
    }
}
