//! What one run may ask of its host: a script that counts as small can still ask for very much.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::script::Failure;

/// What is counted, and how much of it one run may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Operations,
    /// Of `parallel`, all together.
    Branches,
    /// Of `on_rollback`.
    Hooks,
    /// Calls of `commit`, each of which waits for the disk.
    Commits,
    /// Calls of `sleep`, each of which moves all that is simulated.
    Sleeps,
    /// What the runbook says itself: `log`, `print`, `output`, stages.
    Messages,
    /// The same in bytes.
    MessageBytes,
    /// Files of `config`.
    Files,
}

impl Count {
    const ALL: [Self; 8] = [
        Self::Operations,
        Self::Branches,
        Self::Hooks,
        Self::Commits,
        Self::Sleeps,
        Self::Messages,
        Self::MessageBytes,
        Self::Files,
    ];

    const fn limit(self) -> usize {
        match self {
            Self::Branches | Self::Hooks | Self::Files => 1_000,
            Self::Commits => 100,
            Self::Sleeps => 1_000,
            Self::Operations | Self::Messages => 10_000,
            Self::MessageBytes => 4 << 20,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Operations => "operations",
            Self::Branches => "branches of `parallel`",
            Self::Hooks => "hooks of `on_rollback`",
            Self::Commits => "calls of `commit`",
            Self::Sleeps => "calls of `sleep`",
            Self::Messages => "messages and outputs",
            Self::MessageBytes => "bytes of messages and outputs",
            Self::Files => "files of `config`",
        }
    }
}

/// How many branches may be under way at the same time, each with a thread of its own.
const BRANCHES_AT_ONCE: usize = 64;

/// How much one run has asked for.
#[derive(Debug, Default)]
pub struct Budget {
    used: [AtomicUsize; Count::ALL.len()],
    branches_under_way: AtomicUsize,
}

impl Budget {
    /// Takes `amount` from what is left.
    ///
    /// # Errors
    /// If that is more than is left. It should end the script for good.
    pub fn take(&self, what: Count, amount: usize) -> Result<(), Failure> {
        let used = self.used[what as usize].fetch_add(amount, Ordering::Relaxed).saturating_add(amount);
        let limit = what.limit();
        if used <= limit {
            return Ok(());
        }
        Err(Failure::new(format!("the run has more than {limit} {}", what.words()))
            .help("divide it into several runbooks"))
    }

    /// One message of `bytes`.
    pub fn say(&self, bytes: usize) -> Result<(), Failure> {
        self.take(Count::Messages, 1)?;
        self.take(Count::MessageBytes, bytes)
    }

    /// Room for `count` branches, of which up to `at_once` run at the same time, until it is dropped. Where others use it up
    /// they run one after the other: who asks waits for them, so there is always room for one.
    pub fn branches(&self, count: usize, at_once: usize) -> Result<Branches<'_>, Failure> {
        self.take(Count::Branches, count)?;
        let wanted = count.min(at_once).max(1);
        let mut threads = wanted;
        let _ = self.branches_under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |under_way| {
            threads = wanted.min(BRANCHES_AT_ONCE.saturating_sub(under_way)).max(1);
            Some(under_way + threads)
        });
        Ok(Branches { budget: self, threads })
    }
}

/// Branches under way.
#[derive(Debug)]
pub struct Branches<'a> {
    budget: &'a Budget,
    threads: usize,
}

impl Branches<'_> {
    /// How many may run at the same time.
    pub fn at_once(&self) -> usize {
        self.threads
    }
}

impl Drop for Branches<'_> {
    fn drop(&mut self) {
        self.budget.branches_under_way.fetch_sub(self.threads, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_has_its_own_end() {
        let budget = Budget::default();
        for what in Count::ALL {
            assert_eq!(budget.take(what, what.limit()).map_err(|failure| failure.message), Ok(()), "{what:?}");
            assert!(budget.take(what, 1).is_err(), "{what:?}");
        }
    }

    #[test]
    fn branches_share_the_room_and_give_it_back() {
        let budget = Budget::default();
        let at_once = |count, at_once| budget.branches(count, at_once).expect("not too many in all");
        for _ in 0..3 {
            let outer = at_once(60, 60);
            let inner = at_once(100, 3);
            assert_eq!((outer.at_once(), inner.at_once()), (60, 3));
            let rest = at_once(5, 5);
            assert_eq!(rest.at_once(), 1, "what is left");
            assert_eq!(at_once(5, 5).at_once(), 1, "one always");
        }
        assert_eq!(at_once(200, usize::MAX).at_once(), 64);
    }
}
