//! The world ends at every request of a life, and of the recovery after it.

use crate::disk::{Chance, End, Sim};
use crate::life::{Act, Promised, live, options, recover};

/// A life of every kind of act, with bundles that become full at awkward moments.
fn acts(seed: u64, length: usize) -> Vec<Act> {
    let mut chance = Chance(seed);
    let act = |_| match chance.below(20) {
        0 => Act::Reopen,
        1 | 2 => Act::Flush,
        3..=9 => Act::Durable,
        _ => Act::Append,
    };
    (0..length).map(act).collect()
}

/// Ends a life at each of its requests, in three ways. Gives the number of rounds.
fn every_point(acts: &[Act], step: u64, nested: bool) -> u64 {
    let mut rounds = 0;
    for point in (0..).step_by(usize::try_from(step).expect("small")) {
        let disk = Sim::new().crash_at(point);
        let mut promised = Promised::default();
        if live(&disk, &options(&disk), acts, &mut promised) {
            return rounds;
        }
        for end in [
            End::Kill,
            End::PowerLoss(point * 2 + 1),
            End::PowerLoss(point * 3 + 2),
        ] {
            let what = format!("request {point}, {end:?}");
            let left = disk.after(end);
            if nested {
                rounds += every_point_of_recovery(&left, &promised, end, &what);
            }
            recover(&left, end, &promised, &what);
            rounds += 1;
        }
    }
    rounds
}

/// Ends the recovery at each of its requests as well.
fn every_point_of_recovery(left: &Sim, promised: &Promised, end: End, what: &str) -> u64 {
    for point in 0.. {
        // The same disk again, as it was left.
        let again = left.after(End::Kill).crash_at(point);
        if live(&again, &options(&again), &[], &mut Promised::default()) {
            return point;
        }
        let second = End::PowerLoss(point * 5 + 3);
        let what = format!("{what}, then request {point} of the recovery, {second:?}");
        recover(&again.after(second), end, promised, &what);
    }
    0
}

#[test]
fn nothing_promised_is_lost_at_any_request_of_a_short_life() {
    let mut rounds = 0;
    for seed in 0..4 {
        rounds += every_point(&acts(seed, 25), 1, false);
    }
    println!("{rounds} rounds");
    assert!(rounds > 600, "{rounds}");
}

#[test]
fn nothing_promised_is_lost_when_bundles_turn_over() {
    let mut rounds = 0;
    for (seed, before) in [(11, 240), (12, 250)] {
        let mut all = vec![Act::Append; before];
        all.extend(acts(seed, 30));
        all.extend(vec![Act::Append; 240]);
        all.extend(acts(seed + 1, 30));
        rounds += every_point(&all, 7, false);
    }
    println!("{rounds} rounds");
    assert!(rounds > 200, "{rounds}");
}

#[test]
fn nothing_promised_is_lost_when_the_recovery_is_ended_too() {
    let rounds = every_point(&acts(21, 12), 3, true);
    println!("{rounds} rounds");
    assert!(rounds > 500, "{rounds}");
}
