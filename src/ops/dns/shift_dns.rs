//! `shift_dns`: users move from one of several records to another, a part at a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    HostedZone, bare_id,
    ensure_record::{Type, evidence_name, owner},
    health_check_status, normal,
    record_set::{self, Batch, Key, RecordSet, Weighted, followed, pass},
};
use crate::{
    event::Change,
    ops::{Duration, Error, IdOf, Kind, Operation, all_of, ownership::changed},
    run::{Ctx, Seen, Wait},
};

/// Moves users between records of one name by their weights, in steps. After each step it waits until all name servers have
/// it, then as long as resolvers may keep the old answer, then as long as the step says. The records are made by
/// `ensure_record` with a `set_identifier`. What an earlier run has done of it is not done again; if more users are on the record
/// than the last step says, they go back to that at once. Before each step that gives the record more users it looks at the
/// record's health check, if it has one, and refuses if that is not healthy; the way back needs no health. Rolled back, the
/// weights are what they were before the first step, and it waits for the resolvers once more before anything else is undone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShiftDns {
    /// The zone: its id, or what `ensure_hosted_zone` or `find_hosted_zone` returned.
    hosted_zone_id: IdOf<HostedZone>,
    /// The whole name: `"shop.example.com"`.
    name: String,
    /// Of the records. Left out: `A`.
    #[serde(rename = "type", default = "type_a")]
    kind: Type,
    /// The set identifier of the record that gets users.
    to: String,
    /// How much of the users is on it then, in percent, and for how long it stays so before the next step. The other records
    /// share the rest as they did before. Without steps, all move at once.
    #[serde(default = "at_once")]
    steps: Vec<Step>,
    /// How long to wait for the name servers, for each step.
    #[serde(default = "five_minutes")]
    timeout: Duration,
}

/// A part of the way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    /// The percentage of users that is on the record then.
    weight: u8,
    /// How long it stays so, after resolvers have had time to follow.
    #[serde(default = "no_time")]
    hold: Duration,
}

fn type_a() -> Type {
    Type::A
}

fn no_time() -> Duration {
    Duration::from_secs(0)
}

fn at_once() -> Vec<Step> {
    vec![Step { weight: 100, hold: no_time() }]
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

/// Records of one name, and the weight of each.
#[derive(Debug, Serialize)]
pub struct DnsWeights {
    /// Without the dot at its end.
    pub name: String,
    /// By set identifier.
    pub weights: std::collections::BTreeMap<String, i64>,
}

impl Kind for DnsWeights {
    const KIND: &'static str = "dns_weights";
    const ID: &'static str = "name";
}

/// How long a list may be behind a change that all name servers have.
const READ_BACK: std::time::Duration = std::time::Duration::from_secs(60);
const LOOK: std::time::Duration = std::time::Duration::from_secs(2);

impl Operation for ShiftDns {
    const NAME: &'static str = "shift_dns";
    const AREA: &'static str = "Route 53";
    const EXAMPLE: &'static str = r#"shift_dns(#{
    hosted_zone_id: zone, name: "shop.example.com", to: "eu-west-1",
    steps: [#{ weight: 10, hold: "10m" }, #{ weight: 50, hold: "10m" }, #{ weight: 100 }],
})"#;

    type Options = Self;
    type Handle = DnsWeights;

    fn subject(options: &Self) -> String {
        format!("{} {} to {}", options.kind.as_str(), options.name, options.to)
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<DnsWeights, Error> {
        options.check()?;
        let (zone, name) = (bare_id(options.hosted_zone_id.as_str()), normal(&options.name));
        let kind = options.kind.as_str();
        let mut now = record_set::weighted(ctx, zone, &name, kind).await?;
        if !now.iter().any(|set| identifier(set) == options.to) {
            let what = format!("record {kind} {} ({})", options.name, options.to);
            let hint = Some("make it with `ensure_record` and this `set_identifier` first".to_owned());
            return Err(Error::NotFound { what, hint });
        }
        is_ours(ctx, zone, &now).await?;
        let before = now.clone();
        let was = share(&now, &options.to);
        ctx.capture("before", &before);
        for step in options.steps_from(was) {
            let wanted = with_share(&before, &options.to, i64::from(step.weight));
            // Whole weights: the share can be a little more than it was to be.
            if wanted == now {
                continue;
            }
            if share(&wanted, &options.to) > share(&now, &options.to) {
                is_healthy(ctx, &now, &options.to).await?;
            }
            let batch = Batch {
                zone,
                what: format!("the weights of {kind} {}", options.name),
                sets: now.iter().cloned().map(Some).zip(wanted.iter().cloned()).collect(),
                keep_on_rollback: false,
            };
            let change = batch.apply(ctx).await?;
            let is = format!("share of {}: {}", options.to, percent(share(&wanted, &options.to)));
            followed(ctx, change.as_deref(), &now, options.timeout.0, is.clone()).await?;
            read_back(ctx, zone, &wanted).await?;
            now = wanted;
            pass(ctx, "the hold to be over", is, step.hold.0).await?;
        }
        let is = share(&now, &options.to);
        if now == before {
            ctx.did(Change::Unchanged, []);
        } else {
            ctx.did(Change::Updated, [changed(&format!("share of {}", options.to), percent(was), percent(is))]);
        }
        let weights = now.iter().map(|set| (identifier(set).to_owned(), weight(set))).collect();
        Ok(DnsWeights { name: super::plain(&options.name), weights })
    }
}

impl ShiftDns {
    /// What is to be done where `was` percent of the users are on the record.
    fn steps_from(&self, was: i64) -> impl Iterator<Item = &Step> {
        let last = self.steps.last().filter(|last| i64::from(last.weight) < was);
        let up = self.steps.iter().filter(move |step| i64::from(step.weight) > was && last.is_none());
        up.chain(last)
    }

    fn check(&self) -> Result<(), Error> {
        if self.steps.is_empty() {
            return Err(Error::option("steps", "expected at least one step, found none"));
        }
        // None is a step too: away from the record.
        let mut least = 0;
        for (index, step) in self.steps.iter().enumerate() {
            if step.weight > 100 || step.weight < least {
                let message = format!("expected a percentage from {least} to 100, found {}", step.weight);
                return Err(Error::option(format!("steps[{index}].weight"), message));
            }
            least = step.weight + 1;
        }
        Ok(())
    }
}

/// Fails unless all of the records are the stack's.
async fn is_ours(ctx: &Ctx, zone: &str, sets: &[RecordSet]) -> Result<(), Error> {
    let stack = ctx.stack()?;
    let read = async |set: &RecordSet| {
        let name = evidence_name(set);
        let evidence = record_set::read(ctx, zone, Key { name: &name, r#type: "TXT", set_identifier: None }).await?;
        match evidence.as_ref().and_then(owner) {
            Some(owner) if owner == stack => Ok(()),
            owner => {
                let resource = format!("record {} {} ({})", set.r#type, super::plain(&set.name), identifier(set));
                Err(Error::NotOwned { resource, stack: stack.clone(), owner })
            }
        }
    };
    all_of(sets.iter().map(read)).await.map(drop)
}

/// Fails if the health check of a record says that nobody should be led there.
async fn is_healthy(ctx: &Ctx, sets: &[RecordSet], to: &str) -> Result<(), Error> {
    let Some(set) = sets.iter().find(|set| identifier(set) == to) else { return Ok(()) };
    let Some(check) = &set.health_check_id else { return Ok(()) };
    match health_check_status::illness(ctx, check).await? {
        None => Ok(()),
        Some(illness) => {
            let record = format!("record {} {} ({to})", set.r#type, super::plain(&set.name));
            Err(Error::Unsafe(format!("{record} gets no more users: {illness}")))
        }
    }
}

/// A read may be behind, so it is looked again; what stays different is somebody else's.
async fn read_back(ctx: &Ctx, zone: &str, wanted: &[RecordSet]) -> Result<(), Error> {
    let [first, ..] = wanted else { return Ok(()) };
    let what = format!("Route 53 to have the weights of {} that were set", super::plain(&first.name));
    ctx.wait(Wait { what, timeout: READ_BACK, every: LOOK }, async || {
        let found = record_set::weighted(ctx, zone, &first.name, &first.r#type).await?;
        let is_there = |set: &RecordSet| found.iter().any(|found| found.is_same(set));
        if wanted.iter().all(is_there) {
            return Ok(Seen::Ready(()));
        }
        let weights: Vec<String> = found.iter().map(|set| format!("{} {}", identifier(set), weight(set))).collect();
        Ok(Seen::Pending(weights.join(", ")))
    })
    .await
}

/// The records with `percent` of the users on one of them; the others share the rest as they did.
fn with_share(before: &[RecordSet], to: &str, percent: i64) -> Vec<RecordSet> {
    let others: Vec<&RecordSet> = before.iter().filter(|set| identifier(set) != to).collect();
    let whole: i64 = others.iter().map(|set| weight(set)).sum();
    let count = i64::try_from(others.len()).unwrap_or(1).max(1);
    let part = |set: &RecordSet| match whole {
        // None of them has any: they share alike.
        0 => (100 - percent) / count,
        whole => (100 - percent) * weight(set) / whole,
    };
    let with = |set: &RecordSet, weight: i64| {
        let weighted = Weighted { set_identifier: identifier(set).to_owned(), weight };
        RecordSet { weighted: Some(weighted), ..set.clone() }
    };
    // What is lost by rounding is on the one that gets users.
    let left: i64 = others.iter().map(|set| part(set)).sum();
    before.iter().map(|set| if identifier(set) == to { with(set, 100 - left) } else { with(set, part(set)) }).collect()
}

fn identifier(set: &RecordSet) -> &str {
    set.weighted.as_ref().map_or("", |weighted| weighted.set_identifier.as_str())
}

fn weight(set: &RecordSet) -> i64 {
    set.weight().unwrap_or_default()
}

/// How much of the users a record has, in percent. If none has a weight, all are alike: source, "Weighted routing" of the
/// Route 53 guide.
fn share(sets: &[RecordSet], of: &str) -> i64 {
    let whole: i64 = sets.iter().map(weight).sum();
    let own: i64 = sets.iter().filter(|set| identifier(set) == of).map(weight).sum();
    match whole {
        0 => 100 / i64::try_from(sets.len()).unwrap_or(1).max(1),
        whole => own * 100 / whole,
    }
}

fn percent(share: i64) -> String {
    format!("{share} %")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::dns::record_set::Content;

    fn sets(weights: &[(&str, i64)]) -> Vec<RecordSet> {
        let one = |(id, weight): &(&str, i64)| RecordSet {
            name: "shop.example.com.".into(),
            r#type: "A".into(),
            content: Content::Values { ttl: 30, values: vec!["192.0.2.1".into()] },
            weighted: Some(Weighted { set_identifier: (*id).into(), weight: *weight }),
            health_check_id: None,
        };
        weights.iter().map(one).collect()
    }

    #[test]
    fn the_rest_is_shared_as_before() {
        let weights = |before: &[(&str, i64)], to, percent| {
            with_share(&sets(before), to, percent).iter().map(weight).collect::<Vec<_>>()
        };
        assert_eq!(weights(&[("blue", 100), ("green", 0)], "green", 10), [90, 10]);
        assert_eq!(weights(&[("a", 200), ("b", 100), ("c", 0)], "c", 40), [40, 20, 40]);
        assert_eq!(weights(&[("a", 1), ("b", 1), ("c", 1)], "c", 33), [33, 33, 34]);
        assert_eq!(weights(&[("a", 0), ("b", 0)], "a", 60), [60, 40]);
        assert_eq!(weights(&[("only", 0)], "only", 100), [100]);
    }

    #[test]
    fn shares_are_of_the_sum() {
        assert_eq!(share(&sets(&[("a", 30), ("b", 90)]), "a"), 25);
        assert_eq!(share(&sets(&[("a", 0), ("b", 0)]), "a"), 50);
    }
}
