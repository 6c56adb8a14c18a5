//! What is known of the account at the moment of a call. Read by `ops::facts`, as far as rules ask for it.

use std::collections::BTreeMap;

/// Something that was asked of the account; `Err` says why it is not known. What cannot be judged is refused.
pub type Known<T> = Result<T, String>;

/// What is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// What a call would change, by the id, ARN or name with which the call names it. What this run has made itself is
    /// not in it: that is protected against later runs.
    pub resources: BTreeMap<String, Known<Resource>>,
    /// How the route that a call changes spreads its requests now.
    pub shares: Option<Known<Vec<Share>>>,
    /// How target groups are that would get more of the requests, by ARN.
    pub health: BTreeMap<String, Known<Health>>,
    /// The Auto Scaling groups of the stack.
    pub fleets: Option<Known<Vec<Fleet>>>,
    /// The size of the Auto Scaling group that a call would give a size.
    pub size: Option<Known<Size>>,
}

/// A resource, as its names and tags tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// What it is called besides the id that the call has: the tag `Name`, a group's name.
    pub names: Vec<String>,
    pub tags: BTreeMap<String, String>,
}

/// A target group's part of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    pub target_group: String,
    pub weight: u32,
}

/// The targets of a target group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    pub healthy: u32,
    /// All that are to serve: those on their way out are not among them.
    pub targets: u32,
}

/// An Auto Scaling group and the number of instances it is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    pub name: String,
    pub desired_capacity: u32,
}

/// How large an Auto Scaling group is, and may become. A group that is not there has neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub max_size: u32,
    pub desired_capacity: u32,
}

/// `shop-prod-blue`, of a target group's ARN.
pub(super) fn name_in(arn: &str) -> &str {
    arn.split('/').nth(1).unwrap_or(arn)
}
