//! Measures sides turn by turn, so that whatever else the machine does meets all of them alike.

use std::time::Instant;

use crate::Outcome;

/// Rounds that are run and not counted.
const WARM_UP: usize = 3;

/// One thing to be timed.
pub(crate) struct Side<'a> {
    name: String,
    run: Box<dyn FnMut() -> Outcome + 'a>,
}

impl<'a> Side<'a> {
    pub(crate) fn new(name: impl Into<String>, run: impl FnMut() -> Outcome + 'a) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
        }
    }
}

/// How often: `rounds` samples of each side, each the mean of `batch` runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) batch: u32,
}

/// The median of some samples, and what a tenth of them lies below and above.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) p10: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

impl Spread {
    pub(crate) fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part: usize| {
            let place = sorted.len().saturating_sub(1) * part / 10;
            sorted.get(place).copied().unwrap_or(f64::NAN)
        };
        Self {
            p10: at(1),
            median: at(5),
            p90: at(9),
        }
    }
}

/// One of ours, against one baseline.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) ours: String,
    pub(crate) baseline: String,
    /// Microseconds.
    pub(crate) our_time: Spread,
    /// Microseconds.
    pub(crate) baseline_time: Spread,
    /// Ours over the baseline, of the samples of one round each.
    pub(crate) ratio: Spread,
    pub(crate) samples: usize,
    /// Runs that one sample is the mean of.
    pub(crate) batch: u32,
}

/// Times the first side against each of the others: one row a baseline.
///
/// # Errors
/// The first run of any side that fails.
pub(crate) fn compare(name: &str, plan: Plan, sides: &mut [Side<'_>]) -> Outcome<Vec<Row>> {
    let mut times = vec![Vec::with_capacity(plan.rounds); sides.len()];
    for round in 0..WARM_UP + plan.rounds {
        for (side, times) in sides.iter_mut().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..plan.batch {
                (side.run)().map_err(|error| format!("{}: {error}", side.name))?;
            }
            let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(plan.batch);
            if round >= WARM_UP {
                times.push(micros);
            }
        }
    }
    let (Some((ours, baselines)), Some((our_times, baseline_times))) =
        (sides.split_first(), times.split_first())
    else {
        return Ok(Vec::new());
    };
    let row = |(baseline, theirs): (&Side<'_>, &Vec<f64>)| {
        let ratios: Vec<f64> = our_times.iter().zip(theirs).map(|(a, b)| a / b).collect();
        Row {
            name: name.to_owned(),
            ours: ours.name.clone(),
            baseline: baseline.name.clone(),
            our_time: Spread::of(our_times),
            baseline_time: Spread::of(theirs),
            ratio: Spread::of(&ratios),
            samples: plan.rounds,
            batch: plan.batch,
        }
    };
    Ok(baselines.iter().zip(baseline_times).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_the_sorted_samples() {
        let samples: Vec<f64> = (0..=10).rev().map(f64::from).collect();
        let spread = Spread::of(&samples);
        assert_eq!((spread.p10, spread.median, spread.p90), (1.0, 5.0, 9.0));
        assert!(Spread::of(&[]).median.is_nan());
    }

    #[test]
    fn sides_take_turns() {
        let order = std::cell::RefCell::new(String::new());
        let note = |letter| {
            order.borrow_mut().push(letter);
            Ok(())
        };
        let plan = Plan {
            rounds: 2,
            batch: 1,
        };
        let mut sides = [
            Side::new("a", || note('a')),
            Side::new("b", || note('b')),
            Side::new("c", || note('c')),
        ];
        let rows = compare("row", plan, &mut sides).unwrap();
        drop(sides);
        assert_eq!(order.into_inner(), "abc".repeat(WARM_UP + 2));
        let baselines: Vec<&str> = rows.iter().map(|row| row.baseline.as_str()).collect();
        assert_eq!(baselines, ["b", "c"]);
        assert_eq!(rows[0].samples, 2);
    }

    #[test]
    fn a_side_that_fails_is_named() {
        let plan = Plan {
            rounds: 1,
            batch: 1,
        };
        let mut sides = [Side::new("ours", || Err("it broke".into()))];
        let error = compare("row", plan, &mut sides).unwrap_err();
        assert_eq!(error.to_string(), "ours: it broke");
    }
}
