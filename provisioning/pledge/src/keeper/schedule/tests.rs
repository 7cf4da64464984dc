use super::*;

const START: u64 = 1_800_000_000;
const DAY: u32 = 24 * 60 * 60;
const LIFE: u64 = 90 * DAY as u64;

fn validity() -> Validity {
    let [from, to] = [START, START + LIFE].map(|seconds| UnixTime::from_secs(seconds).unwrap());
    Validity::new(from, to).unwrap()
}

fn attested(at: u64, again: u32) -> Schedule {
    let mut schedule = Schedule::new();
    schedule.attested(at, again, false);
    schedule
}

#[test]
fn a_box_attests_when_its_registrar_wants_it() {
    let schedule = Schedule::new();
    assert_eq!(schedule.task(validity(), START), Task::Attest);
    let schedule = attested(START, DAY);
    let day = u64::from(DAY);
    for (after, task) in [
        (0, Task::Rest(60)),
        (day - 61, Task::Rest(60)),
        (day - 59, Task::Rest(59)),
        (day - 1, Task::Rest(1)),
        (day, Task::Attest),
        (LIFE / 3, Task::Attest),
    ] {
        assert_eq!(schedule.task(validity(), START + after), task, "{after}");
    }
    assert_eq!(schedule.last_attested(), Some(START));
}

#[test]
fn what_a_registrar_wants_is_bounded() {
    for (again, seconds) in [(0, 60), (59, 60), (61, 61), (7 * DAY, 7 * DAY), (u32::MAX, 7 * DAY)] {
        let schedule = attested(START, again);
        assert!(matches!(schedule.task(validity(), START + u64::from(seconds) - 1), Task::Rest(1)), "{again}");
        assert_eq!(schedule.task(validity(), START + u64::from(seconds)), Task::Attest, "{again}");
    }
}

#[test]
fn a_wish_counts_until_it_is_fulfilled() {
    let mut schedule = attested(START, DAY);
    schedule.want();
    assert_eq!(schedule.task(validity(), START), Task::Attest);
    // While the one before was on its way.
    schedule.attested(START + 1, DAY, true);
    assert_eq!(schedule.task(validity(), START + 1), Task::Attest);
    schedule.attested(START + 2, DAY, false);
    assert_eq!(schedule.task(validity(), START + 2), Task::Rest(60));
}

/// A clock that stands still, goes back, or jumps.
#[test]
fn no_clock_ends_attestations() {
    let mut schedule = attested(START, DAY);
    for _ in 0..DAY / 60 - 1 {
        schedule.waited(60);
        assert!(matches!(schedule.task(validity(), START), Task::Rest(_)));
    }
    schedule.waited(60);
    assert_eq!(schedule.task(validity(), START), Task::Attest);
    let schedule = attested(START + 10, DAY);
    assert_eq!(schedule.task(validity(), START + 9), Task::Attest);
    assert_eq!(schedule.task(validity(), 0), Task::Attest);
    let schedule = attested(u64::MAX, DAY);
    assert_eq!(schedule.task(validity(), START), Task::Attest);
    let schedule = attested(0, DAY);
    assert_eq!(schedule.task(validity(), u64::MAX), Task::Enrol);
}

#[test]
fn a_certificate_is_renewed_at_two_thirds_and_enrolled_after_its_end() {
    let (due, end) = (START + LIFE / 3 * 2, START + LIFE);
    for (at, task) in [(due - 1, Task::Attest), (due, Task::Renew), (end, Task::Renew), (end + 1, Task::Enrol)] {
        assert_eq!(Schedule::new().task(validity(), at), task);
    }
    // That is told before anything else is due, and a clock that is behind asks for nothing.
    assert_eq!(attested(due, DAY).task(validity(), due), Task::Renew);
    assert_eq!(attested(5, DAY).task(validity(), 6), Task::Rest(60));
    assert_eq!(standing(validity(), 6), Standing::ClockBehind);
    assert_eq!(standing(validity(), u64::MAX), Standing::Expired);
}

/// A clock that is far ahead makes every certificate look old.
#[test]
fn a_new_certificate_is_not_renewed_at_once() {
    for ahead in [LIFE / 3 * 2, 10 * LIFE] {
        let mut schedule = Schedule::new();
        schedule.waited(500);
        schedule.renewed();
        let now = START + ahead;
        assert_eq!(schedule.task(validity(), now), Task::Attest);
        schedule.attested(now, 7 * DAY, false);
        let hours = LIFE / 3 / 3600;
        for hour in 1..=hours {
            schedule.waited(3599);
            assert!(!matches!(schedule.task(validity(), now), Task::Renew | Task::Enrol), "{hour}");
            schedule.waited(1);
        }
        assert!(matches!(schedule.task(validity(), now), Task::Renew | Task::Enrol));
    }
}

/// One without an end never is.
#[test]
fn a_certificate_without_an_end_is_kept() {
    let validity = Validity::new(UnixTime::from_secs(START).unwrap(), UnixTime::MAX).unwrap();
    let mut schedule = Schedule::new();
    schedule.attested(u64::MAX, DAY, false);
    assert_eq!(schedule.task(validity, u64::MAX), Task::Rest(60));
    schedule.renewed();
    assert_eq!(schedule.task(validity, u64::MAX), Task::Attest);
}
