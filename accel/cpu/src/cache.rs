//! The keys that have a comb table, within a bound on memory.
//!
//! A key earns a table by valid signatures: [`SIGHTINGS_FOR_TABLE`] of them within the memory of [`Sightings`]. When
//! the bound is reached, a key takes the place of one that was used less than it was seen, or gets none. So a stream
//! of fresh keys takes nothing from the keys in use.
//!
//! Wider windows make a key faster and its table larger. All tables of the hot keys together should stay within the
//! bound, so the width of a new table follows from how many keys there are, and a key that turns out to be hot gets a
//! wider one.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use dolmen_accel_api::{Address, Counters, KeyCacheUsage};
use parking_lot::{Mutex, RwLock};

use crate::{
    arith::Arith,
    builder::Builder,
    comb::{self, Layout, Table},
    memory::Pool,
    point::Affine,
    sightings::Sightings,
};

/// A public key as the cache names it: `x || y`, or an Ed25519 key and zeros.
pub(crate) type Key = [u8; 64];

/// Widths of windows that tables may have, the narrowest first.
const WIDTHS: [usize; 4] = [7, 8, 10, 12];
/// A table with narrow windows is paid for by about so many signatures that it makes cheaper.
const SIGHTINGS_FOR_TABLE: u8 = 12;
/// Uses after which a key is hot: a table with wide windows costs as much as some hundred signatures.
const USES_FOR_WIDER: u32 = 2048;

/// A key with a table.
pub(crate) struct Known<A> {
    pub(crate) key: Key,
    /// What the algorithm keeps for the key beside its table: an address, or SM2's `Z`.
    pub(crate) extra: [u8; 32],
    pub(crate) table: Table<A>,
    /// Index in `WIDTHS` of the table's width.
    width: usize,
    /// Uses lately.
    uses: AtomicU32,
}

struct Keys<A> {
    by_key: HashMap<Key, Arc<Known<A>>>,
    by_address: HashMap<Address, Arc<Known<A>>>,
    bytes: usize,
}

impl<A> Default for Keys<A> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), by_address: HashMap::new(), bytes: 0 }
    }
}

/// The tables of one algorithm's keys. Clones share them.
pub(crate) struct Cache<A>(Arc<Shared<A>>);

impl<A> Clone for Cache<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<A> {
    keys: RwLock<Keys<A>>,
    sightings: Mutex<Sightings>,
    layouts: [Arc<Layout>; WIDTHS.len()],
    pool: Arc<Pool>,
    builder: Builder,
    bytes_max: usize,
    /// Makes `Known::extra`.
    extra: fn(&Key) -> [u8; 32],
    /// Whether the first 20 bytes of `Known::extra` are an address to find the key by.
    has_address: bool,
    counters: Arc<Counters>,
}

impl<A: Arith> Cache<A> {
    pub(crate) fn new(
        bytes_max: usize,
        extra: fn(&Key) -> [u8; 32],
        has_address: bool,
        builder: Builder,
        counters: Arc<Counters>,
    ) -> Self {
        Self(Arc::new(Shared {
            keys: RwLock::new(Keys::default()),
            sightings: Mutex::default(),
            layouts: WIDTHS.map(comb::layout::<A::Curve>),
            pool: Arc::default(),
            builder,
            bytes_max,
            extra,
            has_address,
            counters,
        }))
    }

    /// Where tables lie.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.0.pool
    }

    /// Looks keys up and counts the use of each that is there.
    pub(crate) fn find(&self, keys: impl Iterator<Item = Key>, found: &mut Vec<Option<Arc<Known<A>>>>) {
        let map = self.0.keys.read();
        found.extend(keys.map(|key| map.by_key.get(&key).cloned()));
        drop(map);
        self.count_uses(found);
    }

    /// Looks keys up by their addresses.
    pub(crate) fn find_addresses(
        &self,
        addresses: impl Iterator<Item = Option<Address>>,
        found: &mut Vec<Option<Arc<Known<A>>>>,
    ) {
        let map = self.0.keys.read();
        found.extend(addresses.map(|address| map.by_address.get(&address?).cloned()));
        drop(map);
        self.count_uses(found);
    }

    fn count_uses(&self, found: &[Option<Arc<Known<A>>>]) {
        for known in found.iter().flatten() {
            let uses = known.uses.load(Relaxed).saturating_add(1);
            known.uses.store(uses, Relaxed);
            if uses.is_multiple_of(USES_FOR_WIDER) && self.0.best_width() > known.width {
                let (cache, known) = (self.clone(), Arc::clone(known));
                self.0.builder.submit(move || cache.0.widen(&known));
            }
        }
    }

    /// Notes a valid signature by a key that has no table. `point` gives the key's point, if it may have one.
    pub(crate) fn saw(&self, key: &Key, point: impl FnOnce() -> Option<Affine<A>> + Send + 'static) {
        if self.0.bytes_max < self.0.layouts[0].bytes() {
            return;
        }
        let sighting = self.0.sightings.lock().count(key);
        if sighting.halve {
            for known in self.0.keys.read().by_key.values() {
                known.uses.store(known.uses.load(Relaxed) / 2, Relaxed);
            }
        }
        // Once, not at each sighting after; again later if the queue was full or the key found no room.
        if sighting.count.is_multiple_of(SIGHTINGS_FOR_TABLE) {
            let (cache, key, count) = (self.clone(), *key, u32::from(sighting.count));
            self.0.builder.submit(move || {
                if let Some(point) = point() {
                    cache.0.insert(&key, &point, 0, count);
                }
            });
        }
    }

    /// Makes tables for keys now, with windows as wide as there is room for all of them. Returns how many have one.
    pub(crate) fn prepare(&self, keys: &[(Key, Affine<A>)]) -> usize {
        let shared = &self.0;
        let fits = |width: &usize| keys.len().saturating_mul(shared.layouts[*width].bytes()) <= shared.bytes_max;
        let width = (0..WIDTHS.len()).rev().find(fits).unwrap_or(0);
        keys.iter().filter(|(key, point)| shared.insert(key, point, width, USES_FOR_WIDER - 1)).count()
    }

    /// Gives all tables up, and what led to them.
    pub(crate) fn forget(&self) {
        *self.0.keys.write() = Keys::default();
        *self.0.sightings.lock() = Sightings::default();
    }

    pub(crate) fn usage(&self) -> KeyCacheUsage {
        let keys = self.0.keys.read();
        KeyCacheUsage { keys: keys.by_key.len(), bytes: keys.bytes, bytes_max: self.0.bytes_max }
    }
}

impl<A: Arith> Shared<A> {
    /// The widest windows with which tables for all keys, as many as there are now, would stay within the bound.
    fn best_width(&self) -> usize {
        let keys = self.keys.read().by_key.len();
        (0..WIDTHS.len()).rev().find(|&width| keys * self.layouts[width].bytes() <= self.bytes_max).unwrap_or(0)
    }

    /// Gives a key a table at least so wide, if there is room or keys with fewer uses than `uses` to take it from. Whether
    /// it has a table.
    fn insert(&self, key: &Key, point: &Affine<A>, width: usize, uses: u32) -> bool {
        let has = |keys: &Keys<A>| keys.by_key.get(key).is_some_and(|known| known.width >= width);
        let keys = self.keys.read();
        // A table is not built for nothing.
        if has(&keys) || self.victims(&keys, key, width, uses).is_none() {
            return keys.by_key.contains_key(key);
        }
        drop(keys);
        let known = Arc::new(Known {
            key: *key,
            extra: (self.extra)(key),
            table: Table::new(point, &self.layouts[width], &self.pool),
            width,
            uses: AtomicU32::new(uses.min(USES_FOR_WIDER - 1)),
        });
        let mut keys = self.keys.write();
        // Another thread may have been faster.
        let victims = if has(&keys) { None } else { self.victims(&keys, key, width, uses) };
        let Some(victims) = victims else { return keys.by_key.contains_key(key) };
        for key in &victims {
            self.remove(&mut keys, key);
        }
        self.counters.evicted(victims.len());
        self.put(&mut keys, known);
        true
    }

    /// The keys to give up, all with fewer uses than `uses`, for a table of `new` to fit. None if it cannot.
    fn victims(&self, keys: &Keys<A>, new: &Key, width: usize, uses: u32) -> Option<Vec<Key>> {
        let replaced = keys.by_key.get(new).map_or(0, |old| self.layouts[old.width].bytes());
        let needed = self.layouts[width].bytes() + keys.bytes - replaced;
        if needed <= self.bytes_max {
            return Some(Vec::new());
        }
        let mut missing = needed - self.bytes_max;
        let mut colder: Vec<_> = keys
            .by_key
            .values()
            .filter(|known| known.key != *new)
            .map(|known| (known.uses.load(Relaxed), known.key, self.layouts[known.width].bytes()))
            .filter(|(known_uses, ..)| *known_uses < uses)
            .collect();
        colder.sort_unstable();
        let mut victims = Vec::new();
        for (_, key, bytes) in colder {
            if missing == 0 {
                break;
            }
            missing = missing.saturating_sub(bytes);
            victims.push(key);
        }
        (missing == 0).then_some(victims)
    }

    fn put(&self, keys: &mut Keys<A>, known: Arc<Known<A>>) {
        self.remove(keys, &known.key);
        keys.bytes += self.layouts[known.width].bytes();
        if let Some(address) = self.address(&known) {
            keys.by_address.insert(address, Arc::clone(&known));
        }
        keys.by_key.insert(known.key, known);
        self.counters.prepared();
    }

    fn remove(&self, keys: &mut Keys<A>, key: &Key) {
        if let Some(known) = keys.by_key.remove(key) {
            keys.bytes -= self.layouts[known.width].bytes();
            if let Some(address) = self.address(&known) {
                keys.by_address.remove(&address);
            }
        }
    }

    fn address(&self, known: &Known<A>) -> Option<Address> {
        self.has_address.then(|| known.extra.first_chunk().copied()).flatten()
    }

    /// Builds a wider table for a hot key, if it is still there and fits.
    fn widen(&self, known: &Known<A>) {
        let width = self.best_width();
        let point = known.table.point();
        if width > known.width && self.keys.read().by_key.contains_key(&known.key) {
            self.insert(&known.key, &point, width, known.uses.load(Relaxed));
        }
    }
}

#[cfg(test)]
mod tests;
