//! How much longer a run takes, if everything it waits for comes in the last moment.

use std::collections::BTreeMap;

use super::{Step, Wait};

/// The steps of a run or of a branch, by the numbers of their path ids: `3.1.2` is the second in the first branch of 3.
type Numbered<'a> = Vec<(Vec<u32>, &'a Step)>;

/// Seconds beyond the expected ones. What comes one after the other adds up; of what happens at the same time, the longest
/// counts.
pub fn more<'a>(steps: impl Iterator<Item = &'a Step>) -> f64 {
    let numbers = |id: &str| id.split('.').map(|number| number.parse().unwrap_or(u32::MAX)).collect();
    in_turn(steps.map(|step| (numbers(&step.id), step)).collect())
}

/// Of steps that follow each other.
fn in_turn(steps: Numbered<'_>) -> f64 {
    let of_one = |steps: Numbered<'_>| {
        let (own, inner): (Numbered<'_>, Numbered<'_>) = steps.into_iter().partition(|(numbers, _)| numbers.is_empty());
        let own: f64 = own.iter().map(|(_, step)| of_waits(&step.waits)).sum();
        own + of_branches(by_number(inner))
    };
    by_number(steps).into_values().map(of_one).sum()
}

/// Of branches. Where one began only after another had ended, not all of them run at the same time: then they add up.
fn of_branches(branches: BTreeMap<u32, Numbered<'_>>) -> f64 {
    let span = |steps: &Numbered<'_>| {
        let starts = steps.iter().map(|(_, step)| step.starts).fold(f64::INFINITY, f64::min);
        let ends = steps.iter().map(|(_, step)| step.starts + step.seconds).fold(0.0, f64::max);
        (starts, ends)
    };
    let spans: Vec<(f64, f64)> = branches.values().map(span).collect();
    let last = spans.iter().map(|(starts, _)| *starts).fold(0.0, f64::max);
    let take_turns = spans.iter().any(|(_, ends)| *ends < last);
    let each = branches.into_values().map(in_turn);
    if take_turns { each.sum() } else { each.fold(0.0, f64::max) }
}

/// Of the waits of one operation: those that overlap, or have one deadline, are as long as the longest.
fn of_waits(waits: &[Wait]) -> f64 {
    let mut waits: Vec<&Wait> = waits.iter().collect();
    waits.sort_by(|a, b| a.starts.total_cmp(&b.starts));
    let (mut sum, mut longest) = (0.0, 0.0_f64);
    let (mut ends, mut deadline) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for wait in waits {
        let more = wait.at_most_seconds - wait.expected_seconds;
        let own_deadline = wait.starts + wait.at_most_seconds;
        // Deadlines are counted from the start of a wait, so that one deadline may differ by a call.
        let is_same = wait.starts < ends || (own_deadline - deadline).abs() < 1.0;
        if !is_same {
            sum += longest;
            longest = 0.0;
        }
        longest = longest.max(more);
        ends = ends.max(wait.starts + wait.expected_seconds);
        deadline = own_deadline;
    }
    sum + longest
}

/// Sorted by their first number, which is taken off.
fn by_number(steps: Numbered<'_>) -> BTreeMap<u32, Numbered<'_>> {
    let mut sorted: BTreeMap<u32, Numbered<'_>> = BTreeMap::new();
    for (mut numbers, step) in steps {
        let first = if numbers.is_empty() { u32::MAX } else { numbers.remove(0) };
        sorted.entry(first).or_default().push((numbers, step));
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str, starts: f64, waits: &[(f64, f64, f64)]) -> Step {
        let wait = |&(starts, expected_seconds, at_most_seconds): &(f64, f64, f64)| Wait {
            what: "it".to_owned(),
            starts,
            expected_seconds,
            at_most_seconds,
        };
        let waits: Vec<Wait> = waits.iter().map(wait).collect();
        let seconds = waits.iter().map(|wait| wait.expected_seconds).sum();
        Step { id: id.to_owned(), starts, seconds, waits, ..Step::default() }
    }

    #[test]
    fn one_after_the_other_adds_up_and_at_the_same_time_does_not() {
        let of = |steps: &[Step]| more(steps.iter());
        assert_eq!(of(&[step("1", 0.0, &[(0.0, 10.0, 60.0)]), step("2", 10.0, &[(10.0, 5.0, 20.0)])]), 65.0);
        let branches = [
            step("1.1.1", 0.0, &[(0.0, 10.0, 60.0)]),
            step("1.1.2", 10.0, &[(10.0, 10.0, 60.0)]),
            step("1.2.1", 0.0, &[(0.0, 30.0, 100.0)]),
        ];
        assert_eq!(of(&branches), 100.0, "the branch with two waits");
        let in_turn = [step("1.1.1", 0.0, &[(0.0, 10.0, 60.0)]), step("1.2.1", 20.0, &[(20.0, 10.0, 60.0)])];
        assert_eq!(of(&in_turn), 100.0, "one branch at a time");
    }

    #[test]
    fn waits_of_one_operation() {
        assert_eq!(of_waits(&[]), 0.0);
        let of = |waits: &[(f64, f64, f64)]| of_waits(&step("1", 0.0, waits).waits);
        assert_eq!(of(&[(0.0, 60.0, 300.0), (1.0, 60.0, 300.0)]), 240.0, "at the same time");
        assert_eq!(of(&[(0.0, 5.0, 1800.0), (5.0, 60.0, 1795.0)]), 1795.0, "one deadline");
        assert_eq!(of(&[(0.0, 5.0, 20.0), (10.0, 5.0, 20.0)]), 30.0, "one after the other");
    }
}
