use super::*;

fn hint(source: Source, host: &str) -> Hint {
    Hint::new(source, host, 443).unwrap()
}

fn hosts(route: &mut Route) -> Vec<String> {
    let mut hosts = Vec::new();
    while let Some(hint) = route.next().cloned() {
        hosts.push(hint.host().to_owned());
        route.failed(&hint);
    }
    hosts
}

#[test]
fn pauses_double_and_end() {
    let without_chance: Vec<_> = (0..12).map(|failures| backoff_seconds(failures, 0)).collect();
    assert_eq!(without_chance, [2, 2, 4, 8, 16, 32, 64, 128, 240, 240, 240, 240]);
    for failures in (0..100).chain([u32::MAX - 1, u32::MAX]) {
        let least = backoff_seconds(failures, 0);
        assert_eq!(backoff_seconds(failures, u8::MAX), least + least / 2);
        assert!((0..u8::MAX).all(|chance| backoff_seconds(failures, chance) <= backoff_seconds(failures, chance + 1)));
    }
}

#[test]
fn each_is_called_once_and_trusted_sources_first() {
    let mut route = Route::default();
    assert!(route.next().is_none() && route.is_stale());
    let hints = [
        hint(Source::DnsSd, "c"),
        hint(Source::Dhcp, "b"),
        hint(Source::DnsSd, "a"),
        hint(Source::Stick, "a"),
        hint(Source::DnsSd, "c"),
    ];
    route.discovered(hints.to_vec(), 0);
    assert_eq!(hosts(&mut route), ["a", "b", "c"]);
    assert!(!route.is_stale());
    assert_eq!(route.pause_seconds(), 2);
    route.waited(2);
    assert!(route.is_stale());
    assert_eq!(hosts(&mut route), ["a", "b", "c"]);
    assert_eq!(route.pause_seconds(), 4);
}

#[test]
fn a_flood_does_not_push_out_the_others() {
    let mut route = Route::default();
    let mut hints: Vec<_> = (0..1000).map(|n| hint(Source::DnsSd, &format!("flood-{n}"))).collect();
    hints.push(hint(Source::Dhcp, "b"));
    hints.push(hint(Source::Stick, "a"));
    for round in 0_u32..20 {
        hints.rotate_left(5);
        route.discovered(hints.clone(), 0);
        assert!(route.places.len() <= PLACES_MAX);
        let hosts = hosts(&mut route);
        if round == 0 {
            assert_eq!(hosts[..2], ["a", "b"]);
            assert_eq!(hosts.len(), 2 + HINTS_PER_SOURCE_MAX);
        }
    }
}

#[test]
fn one_that_refuses_is_left_alone() {
    let mut route = Route::default();
    let (a, b) = (hint(Source::DnsSd, "a"), hint(Source::DnsSd, "b"));
    route.discovered(vec![a.clone(), b.clone()], 0);
    route.served(&a);
    route.refused(&a);
    assert_eq!(route.next(), Some(&b));
    // Nor does it come back by not being announced once.
    route.discovered(vec![b.clone()], 0);
    route.discovered(vec![a.clone(), b.clone()], 0);
    assert_eq!(route.next(), Some(&b));
    let mut waited = 0;
    while route.next() != Some(&a) {
        route.failed(&b);
        let seconds = route.pause_seconds();
        route.waited(seconds);
        waited += seconds;
    }
    assert_eq!(waited, REFUSED_SECONDS);
}

#[test]
fn nobody_there_is_asked_for_again() {
    let mut route = Route::default();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        route.discovered(vec![], 0);
        pauses.push(route.pause_seconds());
        route.waited(route.pause_seconds());
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 240, 240]);
}

#[test]
fn the_one_that_served_is_called_again_first() {
    let mut route = Route::default();
    let (a, b) = (hint(Source::DnsSd, "a"), hint(Source::DnsSd, "b"));
    route.discovered(vec![a.clone(), b.clone()], 0);
    route.served(&b);
    assert_eq!(route.next(), Some(&b));
    route.later(&b, 3600);
    assert_eq!(route.next(), Some(&a));
    route.later(&a, 3600);
    assert_eq!(route.pause_seconds(), ROUND_SECONDS_MAX);
    route.wake();
    assert_eq!(route.next(), Some(&b));
    assert!(route.is_stale());
}
