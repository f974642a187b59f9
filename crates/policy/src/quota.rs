//! How often a rule permits a call: `@quota("10/hour")`. Counts and times are handed in; nothing here reads a clock.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// Most that one quota may allow: each counted call is remembered.
const MAX_COUNT: u32 = 10_000;

/// The longest that a [`Tally`] remembers: every quota's window is at most this, in seconds.
const MAX_WINDOW: i64 = 7 * 86_400;

/// Whose calls are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Per {
    /// All calls that the rule counts, whoever makes them.
    All,
    /// Those on behalf of one user.
    User,
    /// Those of one session.
    Session,
    /// Those of one plugin on behalf of one user.
    Plugin,
}

/// So many calls in every stretch of so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quota {
    /// How many.
    pub count: u32,
    /// The stretch, in seconds; it slides with the time of each call.
    pub window: i64,
    /// Whose.
    pub per: Per,
}

impl Quota {
    /// Reads `10/hour`, `100/day per session`; none if it is not that. Counted per user unless it says otherwise.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (rate, per) = match text.split_once(" per ") {
            None => (text, Per::User),
            Some((rate, "all")) => (rate, Per::All),
            Some((rate, "user")) => (rate, Per::User),
            Some((rate, "session")) => (rate, Per::Session),
            Some((rate, "plugin")) => (rate, Per::Plugin),
            Some(_) => return None,
        };
        let (count, unit) = rate.split_once('/')?;
        let window = match unit {
            "second" => 1,
            "minute" => 60,
            "hour" => 3_600,
            "day" => 86_400,
            "week" => MAX_WINDOW,
            _ => return None,
        };
        let digits = count.bytes().all(|b| b.is_ascii_digit()) && !count.starts_with('0');
        let count: u32 = digits.then(|| count.parse().ok())??;
        (count <= MAX_COUNT).then_some(Self { count, window, per })
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.window {
            1 => "second",
            60 => "minute",
            3_600 => "hour",
            86_400 => "day",
            _ => "week",
        };
        let per = match self.per {
            Per::All => "all",
            Per::User => "user",
            Per::Session => "session",
            Per::Plugin => "plugin",
        };
        write!(f, "{}/{unit} per {per}", self.count)
    }
}

/// What is counted: the calls that one rule permitted, or limited, for one of those whom its quota tells apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Charge {
    /// The policy's id.
    pub policy: String,
    /// The user, session or plugin; empty where all are counted together.
    pub who: String,
    /// The policy's quota.
    pub quota: Quota,
}

/// Tells how often something was charged. The decision point asks; who calls it counts.
pub trait Counts {
    /// How many calls were charged within the quota's window before `now`, in seconds since 1970.
    fn used(&self, charge: &Charge, now: i64) -> u32;
}

/// For those who count nothing: every quota is used up, so nothing is permitted by one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uncounted;

impl Counts for Uncounted {
    fn used(&self, _: &Charge, _: i64) -> u32 {
        u32::MAX
    }
}

/// Counts in memory, exactly: the time of each charged call, for as long as its window lasts.
/// What it holds is bounded by the quotas themselves: none is charged beyond its count.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    charged: BTreeMap<Charge, VecDeque<i64>>,
}

impl Tally {
    /// Notes that a call was made at `now`. Times that go backwards count as the newest that was noted.
    pub fn charge(&mut self, charges: &[Charge], now: i64) {
        for charge in charges {
            let times = self.charged.entry(charge.clone()).or_default();
            let now = times.back().copied().unwrap_or(now).max(now);
            times.push_back(now);
            while times.len() > charge.quota.count as usize {
                times.pop_front();
            }
        }
    }

    /// Forgets what no window holds any more.
    pub fn forget(&mut self, now: i64) {
        self.charged.retain(|charge, times| {
            let newest = times.back().copied().unwrap_or(i64::MIN);
            newest > now.saturating_sub(charge.quota.window)
        });
    }

    /// What is remembered: each charge with the times of its calls, oldest first. Charging them one by one gives the
    /// same counts again.
    pub fn charged(&self) -> impl Iterator<Item = (&Charge, impl Iterator<Item = i64>)> {
        let all = self.charged.iter();
        all.map(|(charge, times)| (charge, times.iter().copied()))
    }

    /// How many quotas are being counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.charged.len()
    }

    /// Whether nothing is being counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.charged.is_empty()
    }
}

impl Counts for Tally {
    fn used(&self, charge: &Charge, now: i64) -> u32 {
        let since = now.saturating_sub(charge.quota.window);
        let times = self.charged.get(charge).into_iter().flatten();
        let within = times.filter(|time| **time > since).count();
        u32::try_from(within).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(quota: &str) -> Charge {
        Charge {
            policy: "p".into(),
            who: "alice".into(),
            quota: Quota::parse(quota).unwrap(),
        }
    }

    #[test]
    fn quotas_are_written_one_way() {
        let quota = |count, window, per| Some(Quota { count, window, per });
        assert_eq!(Quota::parse("10/hour"), quota(10, 3600, Per::User));
        assert_eq!(Quota::parse("1/second per all"), quota(1, 1, Per::All));
        assert_eq!(
            Quota::parse("10000/week per session"),
            quota(10_000, MAX_WINDOW, Per::Session)
        );
        assert_eq!(
            Quota::parse("3/day per plugin"),
            quota(3, 86_400, Per::Plugin)
        );
        for text in [
            "10/hour per user",
            "1/second per all",
            "3/week per plugin",
            "7/day per session",
            "2/minute per user",
        ] {
            assert_eq!(Quota::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "10",
            "/hour",
            "0/hour",
            "010/hour",
            "+1/hour",
            "-1/hour",
            "10001/hour",
            "99999999999/hour",
            "10/hours",
            "10 / hour",
            "10/hour per",
            "10/hour per moon",
            "1/hour per user per user",
        ] {
            assert_eq!(Quota::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_window_slides_and_forgets() {
        let mut tally = Tally::default();
        let two = charge("2/minute");
        assert_eq!(tally.used(&two, 100), 0);
        tally.charge(std::slice::from_ref(&two), 100);
        tally.charge(std::slice::from_ref(&two), 130);
        assert_eq!(tally.used(&two, 130), 2);
        assert_eq!(tally.used(&two, 159), 2);
        assert_eq!(tally.used(&two, 160), 1, "the first is a whole minute old");
        assert_eq!(tally.used(&two, 190), 0);
        let other = Charge {
            who: "bob".into(),
            ..two.clone()
        };
        assert_eq!(tally.used(&other, 130), 0);
        tally.forget(189);
        assert_eq!(tally.len(), 1);
        tally.forget(190);
        assert!(tally.is_empty());
    }

    /// A clock that is set back gives nothing back.
    #[test]
    fn time_that_goes_backwards_frees_nothing() {
        let mut tally = Tally::default();
        let two = charge("2/minute");
        tally.charge(std::slice::from_ref(&two), 1000);
        tally.charge(std::slice::from_ref(&two), 10);
        assert_eq!(tally.used(&two, 10), 2);
        assert_eq!(tally.used(&two, 1030), 2);
        assert_eq!(tally.used(&two, i64::MAX), 0);
        assert_eq!(Uncounted.used(&two, 0), u32::MAX);
    }
}
