//! Memory for tables, in regions that the kernel may back with huge pages: additions read tables at random, and with
//! pages of 4 KiB most reads would miss the TLB.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    collections::HashMap,
    ops::Deref,
    ptr::NonNull,
    sync::Arc,
};

use parking_lot::Mutex;

use crate::point::Affine;

/// A huge page of x86-64.
const REGION: usize = 2 << 20;
/// A page. What a large table has beyond its last whole huge page is in these: else it would take most of another one.
const PAGE: usize = 4096;

/// Where tables lie. Tables of one size share regions; a table larger than a region has its own.
#[derive(Default)]
pub(crate) struct Pool {
    /// Free places by the size of a table in bytes.
    free: Mutex<HashMap<usize, Vec<Place>>>,
}

/// Room for a table.
struct Place {
    region: Arc<Region>,
    offset: usize,
}

/// Aligned memory of its own.
struct Region {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a region is plain memory; who may read and write which part is decided by `Place`s, of which there is one
// for each part.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    fn new(bytes: usize) -> Self {
        let size = bytes.next_multiple_of(if bytes > REGION { PAGE } else { REGION });
        let layout = Layout::from_size_align(size, REGION).expect("tables are below 2^63 bytes");
        // SAFETY: the size is not zero.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        #[cfg(target_os = "linux")]
        {
            use nix::sys::mman::{MmapAdvise, madvise};
            // SAFETY: advice on memory that was just allocated and holds nothing. It may be refused; that costs speed.
            let _ = unsafe { madvise(start.cast(), layout.size(), MmapAdvise::MADV_HUGEPAGE) };
        }
        Self { start, layout }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody holds a place in it any more.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

impl Pool {
    fn take(&self, bytes: usize) -> Place {
        let mut free = self.free.lock();
        let places = free.entry(bytes).or_default();
        if places.is_empty() {
            let region = Arc::new(Region::new(bytes));
            let count = region.layout.size() / bytes;
            let place = |index| Place { region: Arc::clone(&region), offset: index * bytes };
            places.extend((0..count).rev().map(place));
        }
        places.pop().expect("a region has room for a table")
    }

    fn give_back(&self, bytes: usize, place: Place) {
        let mut free = self.free.lock();
        let places = free.entry(bytes).or_default();
        let region = Arc::clone(&place.region);
        places.push(place);
        // A region without tables goes back to the system.
        let count = region.layout.size() / bytes;
        let is_here = |place: &&Place| Arc::ptr_eq(&place.region, &region);
        if places.iter().filter(is_here).count() == count {
            places.retain(|place| !Arc::ptr_eq(&place.region, &region));
        }
    }
}

/// The entries of a table.
pub(crate) struct Entries<A> {
    pool: Arc<Pool>,
    /// Always there but while it is dropped.
    place: Option<Place>,
    start: NonNull<Affine<A>>,
    count: usize,
}

// SAFETY: it owns its memory alone and gives shared references to plain numbers.
unsafe impl<A: Send> Send for Entries<A> {}
// SAFETY: as above.
unsafe impl<A: Sync> Sync for Entries<A> {}

impl<A> Entries<A> {
    /// Copies a table into the pool's memory.
    pub(crate) fn copy(pool: &Arc<Pool>, entries: &[Affine<A>]) -> Self {
        let place = pool.take(size_of_val(entries).max(1));
        // SAFETY: the offset is inside of the region.
        let start = unsafe { place.region.start.add(place.offset) }.cast::<Affine<A>>();
        assert!(start.is_aligned(), "places begin at multiples of whole points");
        // SAFETY: the place has room for so many bytes, is aligned, and nobody else has it.
        unsafe { std::ptr::copy_nonoverlapping(entries.as_ptr(), start.as_ptr(), entries.len()) };
        Self { pool: Arc::clone(pool), place: Some(place), start, count: entries.len() }
    }
}

impl<A> Deref for Entries<A> {
    type Target = [Affine<A>];

    #[inline]
    fn deref(&self) -> &[Affine<A>] {
        // SAFETY: `copy` wrote so many points there, and they do not change while `self` lives.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl<A> Drop for Entries<A> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.pool.give_back(size_of_val::<[Affine<A>]>(self).max(1), place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{arith::Portable, curve::P256, field::Fe};

    type Point = Affine<Portable<P256>>;

    #[test]
    fn places_are_distinct_reused_and_given_back() {
        let pool = Arc::<Pool>::default();
        let table = |fill: u64, count: usize| vec![Point { x: Fe::raw([fill; 4]), y: Fe::raw([!fill; 4]) }; count];
        let holds = |entries: &Entries<Portable<P256>>, fill: u64| {
            entries.iter().all(|point| point.x.0 == [fill; 4] && point.y.0 == [!fill; 4])
        };
        // Sizes below, at and above a region.
        for count in [1000, 2368, 4096, 32_768, 40_000] {
            let mut all: Vec<_> = (0..40).map(|fill| Entries::copy(&pool, &table(fill, count))).collect();
            all.retain(|entries| entries[0].x.0[0] % 3 != 0);
            all.extend((100..120).map(|fill| Entries::copy(&pool, &table(fill, count))));
            for entries in &all {
                assert!(holds(entries, entries[0].x.0[0]));
            }
            drop(all);
            let left: Vec<_> = pool.free.lock().iter().map(|(bytes, places)| (*bytes, places.len())).collect();
            assert!(left.iter().all(|(_, places)| *places == 0), "regions without tables are given back: {left:?}");
        }
    }
}
