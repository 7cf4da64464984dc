use super::*;
use crate::{
    arith::Portable,
    curve::Secp256k1,
    point::{Jacobian, to_affine},
};

type Point = Affine<Portable<Secp256k1>>;

fn cache(tables: usize) -> (Cache<Portable<Secp256k1>>, Arc<Counters>) {
    let counters = Arc::<Counters>::default();
    let bytes_max = tables * comb::layout::<Secp256k1>(WIDTHS[0]).bytes();
    let extra = |key: &Key| std::array::from_fn(|index| key[index]);
    (Cache::new(bytes_max, extra, true, Builder::start(), counters.clone()), counters)
}

fn keys(count: u64) -> Vec<(Key, Point)> {
    let generator = Jacobian::from(Point::generator());
    let points: Vec<_> = (1..=count).map(|k| generator.mul(&[k, 0, 0, 0])).collect();
    to_affine(&points).into_iter().map(|point| (point.to_bytes(), point)).collect()
}

fn see(cache: &Cache<Portable<Secp256k1>>, (key, point): &(Key, Point), times: u8) {
    for _ in 0..times {
        let point = *point;
        cache.saw(key, move || Some(point));
    }
    cache.0.builder.settle();
}

fn is_known(cache: &Cache<Portable<Secp256k1>>, key: &Key) -> bool {
    let mut found = Vec::new();
    cache.find([*key].into_iter(), &mut found);
    found[0].is_some()
}

#[test]
fn a_key_earns_a_table_and_is_found_by_its_address_too() {
    let (cache, _) = cache(4);
    let key = keys(1)[0];
    see(&cache, &key, SIGHTINGS_FOR_TABLE - 1);
    assert!(!is_known(&cache, &key.0));
    see(&cache, &key, 1);
    assert!(is_known(&cache, &key.0));
    let mut found = Vec::new();
    let address = *key.0.first_chunk().unwrap();
    cache.find_addresses([Some(address), None, Some([0; 20])].into_iter(), &mut found);
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false]);
    let known = found[0].as_ref().unwrap();
    assert!(known.key == key.0 && known.table.point() == key.1 && known.extra[..20] == address);
    let usage = cache.usage();
    assert_eq!((usage.keys, usage.bytes * 4), (1, usage.bytes_max));
    cache.forget();
    assert_eq!((cache.usage().keys, cache.usage().bytes, is_known(&cache, &key.0)), (0, 0, false));
}

#[test]
fn the_bound_holds_and_used_keys_stay() {
    let (cache, counters) = cache(3);
    let keys = keys(12);
    assert_eq!(cache.prepare(&keys[..2]), 2);
    let mut found = Vec::new();
    for _ in 0..100 {
        found.clear();
        cache.find(keys[..2].iter().map(|(key, _)| *key), &mut found);
    }
    for key in &keys[2..] {
        see(&cache, key, SIGHTINGS_FOR_TABLE);
        let usage = cache.usage();
        assert!(usage.bytes <= usage.bytes_max && usage.keys <= 3, "{usage:?}");
    }
    assert!(keys[..2].iter().all(|(key, _)| is_known(&cache, key)), "the keys in use have their tables still");
    assert!(is_known(&cache, &keys[2].0), "the last place is taken by the first that came, and others came no oftener");
    // One that comes twice as often takes it.
    see(&cache, &keys[11], SIGHTINGS_FOR_TABLE);
    assert!(is_known(&cache, &keys[11].0) && !is_known(&cache, &keys[2].0));
    assert_eq!(counters.snapshot().keys_evicted, 1);
}

#[test]
fn without_room_for_a_table_there_is_none() {
    let (cache, _) = cache(0);
    let keys = keys(1);
    assert_eq!(cache.prepare(&keys), 0);
    see(&cache, &keys[0], 100);
    assert_eq!(cache.usage(), KeyCacheUsage::default());
}

#[test]
fn few_keys_get_wide_windows_and_hot_ones_wider_ones() {
    let (cache, _) = cache(20);
    let keys = keys(2);
    assert_eq!(cache.prepare(&keys), 2);
    let narrow = cache.0.layouts[0].bytes();
    assert!(cache.usage().bytes > 2 * narrow, "room for wider windows was used");
    cache.forget();
    see(&cache, &keys[0], SIGHTINGS_FOR_TABLE);
    assert_eq!(cache.usage().bytes, narrow);
    let mut found = Vec::new();
    for _ in 0..USES_FOR_WIDER {
        found.clear();
        cache.find([keys[0].0].into_iter(), &mut found);
    }
    cache.0.builder.settle();
    assert!(cache.usage().bytes > narrow, "a hot key got a wider table");
    assert!(found[0].as_ref().unwrap().table.point() == keys[0].1);
    assert!(is_known(&cache, &keys[0].0));
}
