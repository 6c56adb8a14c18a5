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
/// there is time for are a fair sample.
pub fn all(calls: &[Called], seed: u64) -> Vec<Case> {
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let mut cases = Vec::new();
    for Called { service, action, kinds } in calls {
        let at = counts.entry((service, action)).or_default();
        *at += 1;
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

/// Pairs of faults: one at a call of the run, the other at any call after it, those of the way back among them.
pub fn doubles(calls: &[Called], count: usize, seed: u64) -> Vec<Case> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let singles = all(calls, seed);
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
