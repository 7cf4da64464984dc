//! When a certificate is to be renewed, and when somebody has to look.
//!
//! | time | standing |
//! |---|---|
//! | before the first second | the clock is behind |
//! | up to two thirds of the life | good |
//! | from then on | renew |
//! | 30, 7 and 1 days before the end | renew, and it should have been done: alarms |
//! | after the last second | expired: nobody takes it but a registrar that renews it (`simplereenroll`, see [`est`](crate::est)); a box may show its IDevID for that, too |
//!
//! No alarm comes before renewal is due, however short the life. A certificate without an end is never renewed.

use crate::{UnixTime, Validity};

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// How a certificate stands at a time. Later ones are worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It does not hold yet: the clock is behind, or not set.
    ClockBehind,
    /// Nothing is to be done.
    Good,
    /// It is to be renewed.
    Due,
    /// 30 days are left, and it is not renewed.
    ThirtyDays,
    /// 7 days are left.
    SevenDays,
    /// 1 day is left.
    OneDay,
    /// It does not hold any more.
    Expired,
}

impl Standing {
    /// At a time.
    #[must_use]
    pub fn of(validity: Validity, now: UnixTime) -> Self {
        if now < validity.not_before() {
            return Self::ClockBehind;
        }
        if now > validity.not_after() {
            return Self::Expired;
        }
        if renew_from(validity).is_none_or(|from| now < from) {
            return Self::Good;
        }
        match validity.not_after().as_secs() - now.as_secs() {
            left if left <= DAY_SECONDS => Self::OneDay,
            left if left <= 7 * DAY_SECONDS => Self::SevenDays,
            left if left <= 30 * DAY_SECONDS => Self::ThirtyDays,
            _ => Self::Due,
        }
    }

    /// Whether to renew now.
    #[must_use]
    pub const fn renew(self) -> bool {
        matches!(self, Self::Due | Self::ThirtyDays | Self::SevenDays | Self::OneDay)
    }

    /// Its name in logs and metrics, which never changes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ClockBehind => "clock-behind",
            Self::Good => "good",
            Self::Due => "due",
            Self::ThirtyDays => "30-days",
            Self::SevenDays => "7-days",
            Self::OneDay => "1-day",
            Self::Expired => "expired",
        }
    }
}

/// The first second of the last third of its life; none where there is no end.
#[must_use]
pub fn renew_from(validity: Validity) -> Option<UnixTime> {
    let (from, to) = (validity.not_before().as_secs(), validity.not_after().as_secs());
    let seconds = from + ((to - from) * 2).div_ceil(3);
    UnixTime::from_secs(seconds).ok().filter(|_| validity.not_after() != UnixTime::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_800_000_000;

    fn standing(life: u64, at: u64) -> Standing {
        let [from, to, now] = [START, START + life, at].map(|seconds| UnixTime::from_secs(seconds).unwrap());
        Standing::of(Validity::new(from, to).unwrap(), now)
    }

    #[test]
    fn each_begins_with_its_second() {
        let life = 360 * DAY_SECONDS;
        let end = START + life;
        for (at, before, after) in [
            (START, Standing::ClockBehind, Standing::Good),
            (START + 240 * DAY_SECONDS, Standing::Good, Standing::Due),
            (end - 30 * DAY_SECONDS, Standing::Due, Standing::ThirtyDays),
            (end - 7 * DAY_SECONDS, Standing::ThirtyDays, Standing::SevenDays),
            (end - DAY_SECONDS, Standing::SevenDays, Standing::OneDay),
            (end + 1, Standing::OneDay, Standing::Expired),
        ] {
            assert_eq!((standing(life, at - 1), standing(life, at)), (before, after), "{at}");
            assert!(before < after);
        }
        assert_eq!(standing(life, 0), Standing::ClockBehind);
        assert_eq!(standing(life, UnixTime::MAX.as_secs()), Standing::Expired);
    }

    #[test]
    fn short_lives_give_no_early_alarms() {
        // The last third of 30 days is 10 days.
        let life = 30 * DAY_SECONDS;
        assert_eq!(standing(life, START + 20 * DAY_SECONDS - 1), Standing::Good);
        assert_eq!(standing(life, START + 20 * DAY_SECONDS), Standing::ThirtyDays);
        // And of an hour, 20 minutes; of a second, nothing.
        assert_eq!(standing(3600, START + 2399), Standing::Good);
        assert_eq!(standing(3600, START + 2400), Standing::OneDay);
        assert_eq!(standing(0, START), Standing::OneDay);
    }

    #[test]
    fn what_does_not_divide_is_renewed_later() {
        let renew = |life| {
            let [from, to] = [START, START + life].map(|seconds| UnixTime::from_secs(seconds).unwrap());
            renew_from(Validity::new(from, to).unwrap()).unwrap().as_secs() - START
        };
        assert_eq!([0, 1, 2, 3, 4].map(renew), [0, 1, 2, 2, 3]);
    }

    #[test]
    fn no_end_no_renewal() {
        let validity = Validity::new(UnixTime::from_secs(START).unwrap(), UnixTime::MAX).unwrap();
        assert_eq!(renew_from(validity), None);
        assert_eq!(Standing::of(validity, UnixTime::MAX), Standing::Good);
        assert_eq!(standing(UnixTime::MAX.as_secs() - START, START), Standing::Good);
    }

    #[test]
    fn renewal_is_for_what_still_holds() {
        let all = [
            (Standing::ClockBehind, false),
            (Standing::Good, false),
            (Standing::Due, true),
            (Standing::ThirtyDays, true),
            (Standing::SevenDays, true),
            (Standing::OneDay, true),
            (Standing::Expired, false),
        ];
        for (at, (standing, renew)) in all.into_iter().enumerate() {
            assert_eq!(standing.renew(), renew, "{standing:?}");
            assert!(all[..at].iter().all(|(other, _)| other.code() != standing.code() && *other < standing));
        }
    }
}
