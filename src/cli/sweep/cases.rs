//! Which faults befall which calls.

use std::{collections::BTreeMap, fmt};

use crate::sim::{Called, Fault, FaultKind};

/// The faults of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case(pub Vec<Fault>);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.0.iter().map(Fault::to_string).collect();
        f.write_str(&faults.join(" "))
    }
}

/// Each call times each kind that can befall it, once and lasting; in an order that the seed decides, so that as many as
/// there is time for are a fair sample. Of the looks of a wait only the first, the second and the last, unless `every_look`
/// is wanted.
pub fn all(calls: &[Called], seed: u64, every_look: bool) -> Vec<Case> {
    let tells = if every_look { vec![true; calls.len()] } else { telling(calls) };
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let mut cases = Vec::new();
    for (Called { service, action, kinds, .. }, tells) in calls.iter().zip(tells) {
        let at = counts.entry((service, action)).or_default();
        *at += 1;
        if !tells {
            continue;
        }
        for kind in kinds {
            // An instance that dies at each call is no fault of a call.
            let ways: &[bool] = if kind.is_mishap() { &[false] } else { &[false, true] };
            for lasting in ways.iter().copied() {
                let (service, action) = ((*service).to_owned(), action.clone());
                cases.push(Case(vec![Fault { service, action, at: *at, lasting, kind: *kind }]));
            }
        }
    }
    fastrand::Rng::with_seed(seed).shuffle(&mut cases);
    cases
}

/// Which calls are not the same question as the one before and the one after it, with no change between them.
pub(super) fn telling(calls: &[Called]) -> Vec<bool> {
    let mut tells = vec![true; calls.len()];
    let mut asked: BTreeMap<(&str, &str, u64), Vec<usize>> = BTreeMap::new();
    let mut leave_out = |asked: &mut BTreeMap<_, Vec<usize>>| {
        for same in std::mem::take(asked).into_values() {
            for at in same.iter().take(same.len() - 1).skip(2) {
                tells[*at] = false;
            }
        }
    };
    for (at, call) in calls.iter().enumerate() {
        if call.changes() {
            leave_out(&mut asked);
        } else {
            asked.entry((call.service, &call.action, call.asks)).or_default().push(at);
        }
    }
    leave_out(&mut asked);
    tells
}

/// Pairs of faults: one at a call of the run, the other at any call after it, those of the way back among them.
pub fn doubles(calls: &[Called], count: usize, seed: u64) -> Vec<Case> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let singles = all(calls, seed, true);
    let pair = |_| {
        let first = singles.get(rng.usize(..singles.len().max(1)))?.0.first()?.clone();
        let at = rng.u32(1..=calls.len() as u32 * 3 / 2);
        let kind = FaultKind::ALL[rng.usize(..FaultKind::ALL.len())];
        let any = || "*".to_owned();
        let second = Fault { service: any(), action: any(), at, lasting: rng.bool(), kind };
        Some(Case(vec![Fault { lasting: false, ..first }, second]))
    };
    (0..count).map_while(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_looks_of_a_wait_the_first_the_second_and_the_last_are_tried() {
        let call = |action: &str, asks| Called { service: "ec2", action: action.to_owned(), kinds: vec![], asks };
        let (look, other, change) = (call("DescribeVpcs", 1), call("DescribeVpcs", 2), call("CreateVpc", 3));
        let calls = [&look, &look, &other, &look, &look, &change, &look].map(Clone::clone);
        assert_eq!(telling(&calls), [true, true, true, false, true, true, true]);
    }
}
