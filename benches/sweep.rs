//! How many complete deploys the machine can try: what bounds a sweep of faults.

use std::time::{Duration, Instant};

use crate::{account::Account, deploy::prod};

/// For how long it is tried.
const LONG: Duration = Duration::from_secs(10);

/// Worlds of their own on all cores.
pub fn measure() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("| deploy | each second, on {cores} cores |\n|---|---|");
    for (what, images) in [
        ("first, in an empty account", &["ami-healthy-1"][..]),
        ("first and second colour", &["ami-healthy-1", "ami-healthy-2"][..]),
    ] {
        let started = Instant::now();
        let count: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| deploys(started, images))).collect();
            workers.into_iter().map(|worker| worker.join().expect("no deploy failed")).sum()
        });
        println!("| {what} | {:.1} |", count as f64 / started.elapsed().as_secs_f64());
    }
}

fn deploys(started: Instant, images: &[&str]) -> usize {
    let mut count = 0;
    while started.elapsed() < LONG {
        let account = Account::new();
        for image in images {
            prod(&account, image);
            count += 1;
        }
    }
    count
}
