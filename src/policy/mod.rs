//! What an environment's runs may do: pure functions over the rules of `runner.toml`, a call, and what is known of the
//! account. A check is a file, and is called like its key.
//!
//! ```text
//! rules     what runner.toml says           call      what is about to be sent
//! targets   which resources a call changes  facts     what is there, read by `ops::facts` as far as rules ask
//! judge     all checks on one of them: a list of denials, which `run::policy` tells of, overrides or enforces
//! ```

mod actions;
mod call;
mod check;
pub mod danger;
mod facts;
mod freeze;
mod health;
mod judge;
pub mod outside;
mod pattern;
mod protected;
mod refusal;
mod required_tags;
mod rules;
mod scope;
mod sizes;
mod targets;
mod weights;

pub use call::Call;
pub use check::{Check, Level};
pub use facts::{Facts, Fleet, Health, Known, Resource, Share, Size};
pub use judge::Policy;
pub use pattern::Pattern;
pub use refusal::{Denial, Refusal};
pub use rules::{MinHealthy, Rules};
pub use targets::{Kind, Target, targets};
pub use weights::{asked, gaining};

use std::{collections::BTreeSet, sync::Arc};

/// What says what the runs of an environment may do.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Governed {
    /// Nothing: runner.toml has no policy for it.
    #[default]
    Freely,
    By(Arc<Policy>),
    /// `--policy-from` names a file that does not have the environment.
    Unknown {
        file: String,
    },
}

/// Checks that a person has set aside for one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    pub checks: BTreeSet<Check>,
    pub reason: String,
    /// Who: `anna@laptop`, `octocat (GitHub Actions)`.
    pub by: String,
}
