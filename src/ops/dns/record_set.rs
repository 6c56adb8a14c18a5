//! Record sets as data: read, compared, changed in one batch, put back.

use aws_sdk_route53::{
    operation::change_resource_record_sets::{
        ChangeResourceRecordSetsOutput, builders::ChangeResourceRecordSetsFluentBuilder,
    },
    types::{AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{health_check, normal, zone::GONE};
use crate::{
    event::Event,
    ops::{Error, Together, all_of, arguments, require},
    run::{Class, Ctx, LookUp, Mutation, Phase, Reading, Seen, Undo, UndoAction, Undone, Wait},
};

/// A record set that is alone under its name and type, or one of several with weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSet {
    /// As [`normal`] makes it.
    pub name: String,
    pub r#type: String,
    pub content: Content,
    /// What tells it from others of the same name and type, and its share among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighted: Option<Weighted>,
    /// It is answered only while this one is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_id: Option<String>,
}

/// One of several record sets of one name and type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighted {
    pub set_identifier: String,
    /// 0 to 255, of the sum of all.
    pub weight: i64,
}

/// Which record set.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub name: &'a str,
    pub r#type: &'a str,
    pub set_identifier: Option<&'a str>,
}

/// What a record set says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    Values { ttl: i64, values: Vec<String> },
    Alias { dns_name: String, hosted_zone_id: String, evaluate_target_health: bool },
}

/// Route 53 answers for a load balancer with this TTL, in seconds.
const TTL_OF_ALIAS: i64 = 60;

impl RecordSet {
    pub fn weight(&self) -> Option<i64> {
        self.weighted.as_ref().map(|weighted| weighted.weight)
    }

    /// How long resolvers keep it, in seconds.
    fn ttl(&self) -> i64 {
        match &self.content {
            Content::Values { ttl, .. } => *ttl,
            Content::Alias { .. } => TTL_OF_ALIAS,
        }
    }

    pub fn key(&self) -> Key<'_> {
        let set_identifier = self.weighted.as_ref().map(|weighted| weighted.set_identifier.as_str());
        Key { name: &self.name, r#type: &self.r#type, set_identifier }
    }

    /// Values in any order, and names in values with or without a dot at their end.
    pub fn is_same(&self, other: &Self) -> bool {
        let canonical = |set: &Self| {
            let mut set = set.clone();
            if let Content::Values { values, .. } = &mut set.content {
                if ["CNAME", "MX", "NS", "PTR", "SRV"].contains(&set.r#type.as_str()) {
                    values.iter_mut().for_each(|value| *value = normal(value));
                }
                values.sort();
            }
            set
        };
        canonical(self) == canonical(other)
    }

    fn to_route53(&self) -> ResourceRecordSet {
        let set = ResourceRecordSet::builder().name(&self.name).r#type(RrType::from(self.r#type.as_str()));
        let set = match &self.content {
            Content::Values { ttl, values } => {
                let record = |value| ResourceRecord::builder().value(value).build();
                let records = values.iter().map(record).collect::<Result<Vec<_>, _>>().expect("the value is set");
                set.ttl(*ttl).set_resource_records(Some(records))
            }
            Content::Alias { dns_name, hosted_zone_id, evaluate_target_health } => {
                let target = AliasTarget::builder().dns_name(dns_name).hosted_zone_id(hosted_zone_id);
                let target = target.evaluate_target_health(*evaluate_target_health).build();
                set.alias_target(target.expect("all members are set"))
            }
        };
        let set = match &self.weighted {
            Some(Weighted { set_identifier, weight }) => set.set_identifier(set_identifier).weight(*weight),
            None => set,
        };
        let set = set.set_health_check_id(self.health_check_id.clone());
        set.build().expect("name and type are set")
    }

    fn from_route53(set: &ResourceRecordSet) -> Self {
        let content = match set.alias_target() {
            Some(target) => Content::Alias {
                dns_name: normal(target.dns_name()),
                hosted_zone_id: target.hosted_zone_id().to_owned(),
                evaluate_target_health: target.evaluate_target_health(),
            },
            None => Content::Values {
                ttl: set.ttl().unwrap_or_default(),
                values: set.resource_records().iter().map(|record| record.value().to_owned()).collect(),
            },
        };
        let weighted = set.set_identifier().zip(set.weight());
        let weighted = weighted.map(|(id, weight)| Weighted { set_identifier: id.to_owned(), weight });
        let health_check_id = set.health_check_id().map(str::to_owned);
        Self { name: normal(set.name()), r#type: set.r#type().as_str().to_owned(), content, weighted, health_check_id }
    }
}

/// The first record sets of a zone, as they were a moment ago, and whether these are all. Its own are the first: `NS`, `SOA`.
///
/// # Errors
/// If the call fails.
pub async fn first_page(ctx: &Ctx, zone: &str) -> Result<(Vec<ResourceRecordSet>, bool), Error> {
    const READING: Reading = Reading::new("route53:ListResourceRecordSets", &["ResourceRecordSets", "HostedZone"]);
    let read = async || {
        let request = || ctx.aws().route53.list_resource_record_sets().hosted_zone_id(zone).send();
        let reply = ctx.read("route53:ListResourceRecordSets", request).await?;
        Ok((reply.resource_record_sets, !reply.is_truncated))
    };
    ctx.shared(READING, zone, read).await
}

/// All record sets of a zone that are alone or weighted: others are nobody's here.
pub async fn all(ctx: &Ctx, zone: &str) -> Result<Vec<RecordSet>, Error> {
    let (mut all, mut next) = (Vec::new(), None::<(String, RrType, Option<String>)>);
    loop {
        let request = || {
            let request = ctx.aws().route53.list_resource_record_sets().hosted_zone_id(zone);
            let (name, kind, identifier) = match next.clone() {
                Some((name, kind, identifier)) => (Some(name), Some(kind), identifier),
                None => (None, None, None),
            };
            let request = request.set_start_record_name(name).set_start_record_type(kind);
            request.set_start_record_identifier(identifier).send()
        };
        let reply = ctx.read("route53:ListResourceRecordSets", request).await?;
        let simple = |set: &&ResourceRecordSet| set.set_identifier().is_none() || set.weight().is_some();
        all.extend(reply.resource_record_sets().iter().filter(simple).map(RecordSet::from_route53));
        next = match (reply.is_truncated, reply.next_record_name, reply.next_record_type) {
            (true, Some(name), Some(kind)) => Some((name, kind, reply.next_record_identifier)),
            _ => return Ok(all),
        };
    }
}

/// These record sets, as they were a moment ago. All are found in one page, or each on its own.
///
/// # Errors
/// As [`read`].
pub async fn seen(ctx: &Ctx, zone: &str, wanted: [Key<'_>; 2]) -> Result<[Option<RecordSet>; 2], Error> {
    if let (page, true) = first_page(ctx, zone).await? {
        let [a, b] = wanted.map(|key| among(&page, key));
        return Ok([a?, b?]);
    }
    let [a, b] = wanted.map(|key| read(ctx, zone, key));
    let (a, b) = futures::join!(a, b).together()?;
    Ok([a, b])
}

/// A record set.
///
/// # Errors
/// [`Error::Unsafe`] if another routing policy than the one that is asked for is under its name and type.
pub async fn read(ctx: &Ctx, zone: &str, key: Key<'_>) -> Result<Option<RecordSet>, Error> {
    among(&page_from(ctx, zone, key).await?, key)
}

/// All weighted record sets of a name and type.
///
/// # Errors
/// [`Error::Unsafe`] if there is a record without weight.
pub async fn weighted(ctx: &Ctx, zone: &str, name: &str, r#type: &str) -> Result<Vec<RecordSet>, Error> {
    let key = Key { name, r#type, set_identifier: Some("") };
    let page = page_from(ctx, zone, key).await?;
    let sets: Vec<&ResourceRecordSet> = page.iter().filter(|set| is_of(set, key)).collect();
    match sets.iter().find(|set| set.weight().is_none()) {
        Some(_) => Err(Error::Unsafe(format!("record {type} {} has no weights", super::plain(name)))),
        None => Ok(sets.into_iter().map(RecordSet::from_route53).collect()),
    }
}

/// "You can create a maximum of 100 records that have the same name and type" and weights.
const MOST_OF_A_NAME: i32 = 100;

/// The record sets of a name and type: the first, or all of several.
async fn page_from(ctx: &Ctx, zone: &str, key: Key<'_>) -> Result<Vec<ResourceRecordSet>, Error> {
    let most = if key.set_identifier.is_some() { MOST_OF_A_NAME } else { 1 };
    let request = || {
        let request = ctx.aws().route53.list_resource_record_sets().hosted_zone_id(zone).start_record_name(key.name);
        request.start_record_type(RrType::from(key.r#type)).max_items(most).send()
    };
    Ok(ctx.read("route53:ListResourceRecordSets", request).await?.resource_record_sets)
}

fn is_of(set: &ResourceRecordSet, key: Key<'_>) -> bool {
    normal(set.name()) == normal(key.name) && set.r#type().as_str() == key.r#type
}

fn among(sets: &[ResourceRecordSet], key: Key<'_>) -> Result<Option<RecordSet>, Error> {
    let Key { name, r#type, set_identifier } = key;
    let same_name: Vec<&ResourceRecordSet> = sets.iter().filter(|set| is_of(set, key)).collect();
    // Route 53 takes either one record set of a name and type, or several with one routing policy.
    let other = same_name.iter().find(|set| match set_identifier {
        None => set.set_identifier().is_some(),
        Some(_) => set.weight().is_none(),
    });
    if let Some(other) = other {
        let found = match other.set_identifier() {
            Some(identifier) => format!("has a routing policy (set identifier {identifier})"),
            None => "has no weights".to_owned(),
        };
        return Err(Error::Unsafe(format!("record {type} {name} {found}")));
    }
    let found = same_name.into_iter().find(|set| set.set_identifier() == set_identifier);
    Ok(found.map(RecordSet::from_route53))
}

/// A change of record sets of one zone: all of it happens, or nothing.
pub struct Batch<'a> {
    pub zone: &'a str,
    /// In the user's words.
    pub what: String,
    /// What is there now, and what should be, one by one; equal ones are not sent.
    pub sets: Vec<(Option<RecordSet>, RecordSet)>,
    pub keep_on_rollback: bool,
}

/// What is kept of a change: not known when its reply was lost.
#[derive(Serialize, Deserialize)]
struct Made {
    change_id: Option<String>,
}

const CALL: &str = "route53:ChangeResourceRecordSets";

impl Made {
    fn of(reply: &ChangeResourceRecordSetsOutput) -> Result<Self, Error> {
        let id = reply.change_info().map(|info| super::bare_id(info.id()).to_owned());
        Ok(Self { change_id: Some(require(CALL, "ChangeInfo.Id", id)?) })
    }
}

impl Batch<'_> {
    /// Sends what differs. Returns the id of the change, to wait for.
    pub async fn apply(self, ctx: &Ctx) -> Result<Option<String>, Error> {
        let differs =
            |(before, ours): &&(Option<RecordSet>, RecordSet)| before.as_ref().is_none_or(|b| !b.is_same(ours));
        let new: Vec<&RecordSet> = self.sets.iter().filter(differs).map(|(_, ours)| ours).collect();
        let created = self.sets.iter().filter(differs).any(|(before, _)| before.is_none());
        // Created, not upserted, what was not there: if somebody else is quicker, AWS says so.
        let action = |(before, ours): &(Option<RecordSet>, RecordSet)| {
            let action = if before.is_none() { ChangeAction::Create } else { ChangeAction::Upsert };
            change(action, ours)
        };
        let changes: Vec<Change> = self.sets.iter().filter(differs).map(action).collect();
        let (before, ours): (Vec<_>, Vec<_>) = self.sets.iter().cloned().unzip();
        // What users were sent to before comes back before anything is deleted.
        let phase = if before.first().is_some_and(Option::is_some) { Phase::Traffic } else { Phase::Rest };
        let undo = Undo::new(
            &RESTORE_RECORDS,
            format!("restore {}", self.what),
            json!({ "hosted_zone_id": self.zone, "before": before, "ours": ours }),
        );
        let undo = undo.keep(self.keep_on_rollback).phase(phase).key(format!("{} in {}", self.what, self.zone));
        // A record that stays needs its health check.
        let is_checked = self.sets.iter().any(|(_, ours)| ours.health_check_id.is_some());
        let undo = if is_checked { undo.rests() } else { undo };
        let declared = match created {
            true => Mutation::new(CALL, Class::Unique, &self.what)
                .look_up(&RECORDS_BY_CONTENT, json!({ "hosted_zone_id": self.zone, "sets": new })),
            false => Mutation::new(CALL, Class::Idempotent, &self.what),
        };
        let checks: Vec<&String> = self.sets.iter().filter_map(|(_, ours)| ours.health_check_id.as_ref()).collect();
        let made = ctx.mutate(
            declared.refers_to(checks).undo(undo),
            |permit| send(ctx, self.zone, &changes).customize().interceptor(permit).send(),
            Made::of,
        );
        Ok(made.await?.change_id)
    }
}

fn change(action: ChangeAction, set: &RecordSet) -> Change {
    let change = Change::builder().action(action).resource_record_set(set.to_route53());
    change.build().expect("action and record set are given")
}

fn send(ctx: &Ctx, zone: &str, changes: &[Change]) -> ChangeResourceRecordSetsFluentBuilder {
    let batch = ChangeBatch::builder().set_changes(Some(changes.to_vec())).build().expect("changes are given");
    ctx.aws().route53.change_resource_record_sets().hosted_zone_id(zone).change_batch(batch)
}

/// Waits until all name servers have a change.
pub async fn in_sync(ctx: &Ctx, change_id: &str, timeout: std::time::Duration) -> Result<(), Error> {
    let wait =
        Wait { what: "the name servers to have the change".into(), timeout, every: std::time::Duration::from_secs(5) };
    ctx.wait(wait, async || {
        let reply = ctx.read("route53:GetChange", || ctx.aws().route53.get_change().id(change_id).send()).await?;
        let status = reply.change_info().map_or("", |info| info.status().as_str());
        Ok(if status == "INSYNC" { Seen::Ready(()) } else { Seen::Pending(status.to_owned()) })
    })
    .await
}

/// Waits until users are where a change leads them: all name servers have it, and no resolver keeps what `left` said.
pub async fn followed(
    ctx: &Ctx,
    change_id: Option<&str>,
    left: &[RecordSet],
    timeout: std::time::Duration,
    what: String,
) -> Result<(), Error> {
    if let Some(change_id) = change_id {
        in_sync(ctx, change_id, timeout).await?;
    }
    let ttl = left.iter().map(RecordSet::ttl).max().unwrap_or_default();
    let kept = std::time::Duration::from_secs(u64::try_from(ttl).unwrap_or_default());
    pass(ctx, "resolvers to follow", what, kept).await
}

/// Lets time pass, and says why.
pub async fn pass(ctx: &Ctx, what: &str, seen: String, time: std::time::Duration) -> Result<(), Error> {
    if time.is_zero() {
        return Ok(());
    }
    let (id, what) = (ctx.id().to_owned(), what.to_owned());
    let elapsed = std::time::Duration::ZERO;
    ctx.emit(Event::Waiting { id: id.clone(), what: what.clone(), seen, elapsed, timeout: time });
    ctx.will_wait(time)?;
    ctx.sleep(time).await?;
    ctx.emit(Event::Waited { id, what, elapsed: time, timeout: time });
    Ok(())
}

/// Finds record sets that are exactly as they were to be made.
pub const RECORDS_BY_CONTENT: LookUp =
    LookUp { name: "records_by_content", run: |ctx, arguments| Box::pin(records_by_content(ctx, arguments)) };

#[derive(Deserialize)]
struct ByContent {
    hosted_zone_id: String,
    sets: Vec<RecordSet>,
}

async fn records_by_content(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByContent { hosted_zone_id, sets } = arguments(wanted)?;
    let found = all_of(sets.iter().map(|set| read(ctx, &hosted_zone_id, set.key()))).await?;
    let there = found.iter().zip(&sets).all(|(found, set)| found.as_ref().is_some_and(|found| found.is_same(set)));
    Ok(there.then(|| json!(Made { change_id: None })))
}

/// Puts record sets back to what they were: deletes those that were not there.
pub const RESTORE_RECORDS: UndoAction =
    UndoAction { name: "restore_records", run: |ctx, arguments| Box::pin(restore_records(ctx, arguments)) };

#[derive(Deserialize)]
struct RestoreRecords {
    hosted_zone_id: String,
    before: Vec<Option<RecordSet>>,
    ours: Vec<RecordSet>,
}

async fn restore_records(ctx: &Ctx, restore: Value) -> Result<Undone, Error> {
    let RestoreRecords { hosted_zone_id: zone, before, ours } = arguments(restore)?;
    let found = match all_of(ours.iter().map(|set| read(ctx, &zone, set.key()))).await {
        Ok(found) => found,
        Err(error) if error.is(GONE) => return Ok(Undone::Already),
        Err(error) => return Err(error),
    };
    let mut back = Vec::new();
    // What users are moved away from. What is behind it is undone right after this, so nobody may be there any more.
    let mut left = Vec::new();
    for ((before, ours), found) in before.into_iter().zip(&ours).zip(found) {
        match (before, found) {
            (None, None) => {}
            (Some(before), Some(found)) if before.is_same(&found) => {
                // It may be a moment ago that a rollback that was broken off has put it back.
                if before.weight() != ours.weight() {
                    left.push(ours.clone());
                }
            }
            (_, Some(found)) if !found.is_same(ours) => {
                let (ours, found) = (json!(ours), json!(found));
                return Ok(Undone::Foreign(format!("expected {ours}, found {found}")));
            }
            (Some(_), None) => return Ok(Undone::Foreign(format!("expected {}, found nothing", json!(ours)))),
            (Some(before), Some(found)) => {
                if before.weight() != found.weight() {
                    left.push(found);
                }
                back.push((ChangeAction::Upsert, before));
            }
            // As it is there: a delete must repeat what it deletes.
            (None, Some(found)) => {
                if found.weight().is_some_and(|weight| weight > 0) {
                    left.push(found.clone());
                }
                back.push((ChangeAction::Delete, found));
            }
        }
    }
    let name =
        ours.first().map_or_else(String::new, |set| format!("record {} {}", set.r#type, super::plain(&set.name)));
    let follow = async |change_id: Option<String>| match left.is_empty() {
        true => Ok(()),
        false => followed(ctx, change_id.as_deref(), &left, TO_BE_IN_SYNC, format!("{name} is as before")).await,
    };
    if back.is_empty() {
        follow(None).await?;
        return Ok(Undone::Already);
    }
    let made = match send_back(ctx, &zone, &name, &back).await {
        Err(error) if error.is(health_check::GONE) => {
            without_gone_checks(ctx, &mut back).await?;
            send_back(ctx, &zone, &name, &back).await?
        }
        made => made?,
    };
    follow(made.change_id).await?;
    Ok(Undone::Done)
}

/// How long an undo waits for the name servers: "Changes generally propagate to all Route 53 name servers within 60 seconds".
const TO_BE_IN_SYNC: std::time::Duration = std::time::Duration::from_secs(300);

async fn send_back(ctx: &Ctx, zone: &str, name: &str, back: &[(ChangeAction, RecordSet)]) -> Result<Made, Error> {
    let changes: Vec<Change> = back.iter().map(|(action, set)| change(action.clone(), set)).collect();
    let declared = Mutation::new(CALL, Class::Idempotent, name);
    ctx.mutate(declared, |permit| send(ctx, zone, &changes).customize().interceptor(permit).send(), Made::of).await
}

/// A record is better back without its health check than not at all, if somebody has deleted that.
async fn without_gone_checks(ctx: &Ctx, back: &mut [(ChangeAction, RecordSet)]) -> Result<(), Error> {
    for (_, set) in back.iter_mut().filter(|(action, _)| *action == ChangeAction::Upsert) {
        let Some(id) = set.health_check_id.clone() else { continue };
        if health_check::read(ctx, &id).await?.is_none() {
            let name = super::plain(&set.name);
            let message =
                format!("record {} {name} is put back without its health check {id}, which is gone", set.r#type);
            ctx.emit(Event::Warning { message });
            set.health_check_id = None;
        }
    }
    Ok(())
}
