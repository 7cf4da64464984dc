use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;

/// Every 8th job of the planted set is bad, at a place that changes.
fn right(set: Set, job: usize) -> bool {
    !(set == Set::Planted && job % PLANTED_EVERY == job / PLANTED_EVERY % PLANTED_EVERY)
}

fn check(set: Set, range: Range<usize>, answers: &[Option<bool>]) -> Result<usize, Wrong> {
    let mut spoilt = 0;
    for (job, answer) in range.zip(answers) {
        if *answer != Some(right(set, job)) {
            return Err(Wrong { job, what: format!("{answer:?}") });
        }
        spoilt += usize::from(!right(set, job));
    }
    Ok(spoilt)
}

fn race(batch: usize, threads: usize) -> Race<'static, Option<bool>> {
    Race {
        subject: "verify test".to_owned(),
        jobs: 256,
        planted: true,
        batch,
        threads,
        duration: Duration::from_millis(120),
        blank: None,
        check: &check,
    }
}

fn contender<'a>(
    name: &str,
    answer: impl Fn(Set, usize) -> Option<bool> + Send + Sync + 'a,
) -> Contender<'a, Option<bool>> {
    let call = move |set, range: Range<usize>, answers: &mut [Option<bool>]| {
        for (job, place) in range.zip(answers) {
            if let Some(answer) = answer(set, job) {
                *place = Some(answer);
            }
        }
        Ok(())
    };
    Contender { name: name.to_owned(), one_by_one: false, call: Box::new(call) }
}

#[test]
fn honest_contenders_have_figures_at_every_batch_size() {
    for (batch, threads) in [(1, 1), (3, 2), (64, 3), (256, 1)] {
        let contenders =
            [contender("one", |set, job| Some(right(set, job))), contender("other", |set, job| Some(right(set, job)))];
        let tallies = race(batch, threads).run(&contenders, None).unwrap();
        for tally in &tallies {
            assert!(tally.ops_per_cpu_s > 0.0 && tally.ops_per_s > 0.0, "{tally:?}");
            assert!(tally.planted_ops_per_cpu_s.is_some_and(|ops| ops > 0.0), "{tally:?}");
            assert!(tally.p50_us <= tally.p99_us, "{tally:?}");
            // One job in eight of one call in eight, and the warm-up's.
            let share = tally.spoilt as f64 / tally.verified as f64;
            assert!((1.0 / 100.0..1.0 / 30.0).contains(&share), "batch {batch}: {share} planted of {}", tally.verified);
        }
        assert_eq!(tallies.len(), 2);
    }
}

#[test]
fn who_finds_everything_good_is_caught() {
    for batch in [1, 5, 256] {
        let contenders = [contender("honest", |set, job| Some(right(set, job))), contender("liar", |_, _| Some(true))];
        let error = race(batch, 1).run(&contenders, None).unwrap_err().to_string();
        assert!(error.contains("liar") && error.contains("verify test") && error.contains("job "), "{error}");
    }
}

#[test]
fn a_single_wrong_answer_late_in_the_set_is_caught_with_its_index() {
    let contenders = [contender("liar", |set, job| Some(right(set, job) && !(set == Set::Good && job == 201)))];
    let error = race(16, 2).run(&contenders, None).unwrap_err().to_string();
    assert!(error.contains("liar") && error.contains("job 201:"), "{error}");
}

#[test]
fn an_answer_from_the_call_before_does_not_count() {
    // Answers the first time that it is asked, and leaves the place as it was from then on.
    let asked = AtomicUsize::new(0);
    let contenders = [contender("idler", |set, job| (asked.fetch_add(1, Relaxed) < 300).then(|| right(set, job)))];
    let error = race(256, 1).run(&contenders, None).unwrap_err().to_string();
    assert!(error.contains("idler") && error.contains("None"), "{error}");
}

#[test]
fn a_failure_is_no_figure() {
    let call = |_: Set, _: Range<usize>, _: &mut [Option<bool>]| anyhow::bail!("the device is gone");
    let contenders = [Contender { name: "device".to_owned(), one_by_one: false, call: Box::new(call) }];
    let error = format!("{:#}", race(16, 2).run(&contenders, None).unwrap_err());
    assert!(error.contains("device failed at verify test") && error.contains("is gone"), "{error}");
}

#[test]
fn contenders_take_turns() {
    let order = std::sync::Mutex::new(Vec::new());
    let noting = |name: &'static str| {
        let order = &order;
        contender(name, move |set, job| {
            let mut order = order.lock().unwrap();
            if order.last() != Some(&name) {
                order.push(name);
            }
            Some(right(set, job))
        })
    };
    race(64, 1).run(&[noting("one"), noting("other")], None).unwrap();
    // The warm-up and at least two slices each.
    let order = order.lock().unwrap();
    assert!(order.len() >= 6 && order.windows(2).all(|pair| pair[0] != pair[1]), "{order:?}");
}

#[test]
fn cpu_time_of_helper_threads_counts() {
    let spin = |rounds: u64| (0..rounds).fold(0_u64, |sum, round| std::hint::black_box(sum ^ round));
    let work = |helpers: usize| {
        move |set: Set, range: Range<usize>, answers: &mut [Option<bool>]| {
            thread::scope(|scope| {
                for _ in 0..helpers {
                    scope.spawn(move || spin(3_000_000));
                }
                spin(3_000_000);
            });
            range.zip(answers).for_each(|(job, place)| *place = Some(right(set, job)));
            Ok(())
        }
    };
    let contenders = [
        Contender { name: "alone".to_owned(), one_by_one: false, call: Box::new(work(0)) },
        Contender { name: "helped".to_owned(), one_by_one: false, call: Box::new(work(3)) },
    ];
    let tallies = race(64, 1).run(&contenders, None).unwrap();
    // The same work four times. What other tests of this process use meanwhile counts as well, for both.
    let ratio = tallies[0].ops_per_cpu_s / tallies[1].ops_per_cpu_s;
    assert!(ratio > 1.3, "helpers cost nothing: {ratio}");
}

#[test]
fn a_call_of_many_slow_jobs_is_made_in_pieces_and_timed_as_a_whole() {
    let largest = AtomicUsize::new(0);
    let call = |set, range: Range<usize>, answers: &mut [Option<bool>]| {
        largest.fetch_max(range.len(), Relaxed);
        for (job, place) in range.zip(answers) {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(1) {}
            *place = Some(right(set, job));
        }
        Ok(())
    };
    let contenders = [Contender { name: "slow".to_owned(), one_by_one: true, call: Box::new(call) }];
    let tallies = race(256, 1).run(&contenders, None).unwrap();
    assert!(largest.load(Relaxed) <= 16, "{} jobs in a piece", largest.load(Relaxed));
    // Longer than it should run, so that there is one whole call.
    assert!(tallies[0].p50_us >= 256_000.0 && tallies[0].verified >= 256, "{tallies:?}");
    assert!(tallies[0].spoilt > 0);
}
