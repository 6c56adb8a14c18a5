//! The instance that an image is made of, with a security group of its own. Both are gone when the image is there, when it
//! could not be made, and when the run goes back.

use std::time::Duration;

use aws_sdk_ec2::types::{
    self as ec2, IamInstanceProfileSpecification, InstanceStateName as State, ResourceType, SummaryStatus,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    ops::{
        Error, arguments, ec2_tags,
        network::{
            common::{IN_USE, LET_GO, is_of_stack},
            ensure_security_group::{DELETE_SECURITY_GROUP, SECURITY_GROUP_BY_NAME},
            read,
        },
        outcome::deleted,
        ownership::{MadeBy, Owned, RUN_TAG, STACK_TAG},
        require,
    },
    run::{Class, Ctx, LookUp, Mutation, Seen, Undo, UndoAction, Undone, Wait},
};

/// How long an instance may take to boot, to stop, and to go.
const BOOT: Duration = Duration::from_secs(15 * 60);

const GONE: &[&str] = &["InvalidInstanceID.NotFound"];

/// What the builder is launched with.
pub struct Wanted<'a> {
    pub owned: &'a Owned,
    pub image_id: &'a str,
    pub instance_type: &'a str,
    pub subnet_id: &'a str,
    pub instance_profile: Option<&'a str>,
    pub user_data: Option<&'a str>,
}

/// A builder and its security group.
pub struct Builder {
    pub instance_id: Option<String>,
    group_id: String,
}

#[derive(Serialize, Deserialize)]
struct MadeGroup {
    group_id: String,
}

#[derive(Serialize, Deserialize)]
struct MadeInstance {
    instance_id: String,
}

impl Builder {
    /// The security group, which lets nothing in.
    pub async fn begin(ctx: &Ctx, wanted: &Wanted<'_>) -> Result<Self, Error> {
        let owned = wanted.owned;
        let subnet = read::subnets(ctx, &[wanted.subnet_id.to_owned()], &[]).await?.into_iter().next();
        let subnet =
            subnet.ok_or_else(|| Error::NotFound { what: format!("subnet {}", wanted.subnet_id), hint: None })?;
        let vpc_id: String = require("ec2:DescribeSubnets", "vpcId", subnet.vpc_id())?;
        let group_name = owned.name_within(255);
        // One that a crash has left is used.
        let known = read::security_groups(
            ctx,
            &[],
            &[
                crate::ops::network::common::filter("vpc-id", &vpc_id),
                crate::ops::network::common::filter("group-name", &group_name),
            ],
        )
        .await?;
        let known = known.into_iter().find(|group| {
            let same = group.group_name() == Some(&group_name) && group.vpc_id() == Some(&vpc_id);
            same && is_of_stack(group.tags(), &owned.stack)
        });
        if let Some(group) = known {
            remove_others(ctx, owned).await?;
            let group_id = require("ec2:DescribeSecurityGroups", "groupId", group.group_id())?;
            return Ok(Self { instance_id: None, group_id });
        }
        let by_name = json!({ "vpc_id": vpc_id, "group_name": group_name, "stack": owned.stack });
        let declared = Mutation::new("ec2:CreateSecurityGroup", Class::Unique, format!("security group {group_name}"))
            .look_up(&SECURITY_GROUP_BY_NAME, by_name)
            .undo(Undo::new(&DELETE_SECURITY_GROUP, format!("delete security group {group_name}"), json!({})));
        let made = ctx.mutate(
            declared,
            |permit| {
                let request = ctx.aws().ec2.create_security_group().group_name(&group_name).vpc_id(&vpc_id);
                request
                    .description("A builder of an image: nothing gets in")
                    .tag_specifications(ec2_tags::specification(ResourceType::SecurityGroup, owned))
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| Ok(MadeGroup { group_id: require("ec2:CreateSecurityGroup", "groupId", reply.group_id())? }),
        );
        Ok(Self { instance_id: None, group_id: made.await?.group_id })
    }

    /// Launches the instance, and waits until it runs.
    pub async fn launch(&mut self, ctx: &Ctx, wanted: &Wanted<'_>) -> Result<String, Error> {
        const CALL: &str = "ec2:RunInstances";
        let owned = wanted.owned;
        let name = &owned.name;
        let declared = Mutation::new(CALL, Class::Token, format!("instance {name}"))
            .look_up(&INSTANCE_BY_TAGS, serde_json::to_value(owned.made()).unwrap_or_default())
            .undo(Undo::new(&TERMINATE_BUILDER, format!("terminate instance {name}"), json!({})));
        let profile = wanted.instance_profile.map(|name| IamInstanceProfileSpecification::builder().name(name).build());
        let user_data = wanted.user_data.map(|text| STANDARD.encode(text));
        let tokens = ec2::InstanceMetadataOptionsRequest::builder().http_tokens(ec2::HttpTokensState::Required).build();
        let made = ctx.mutate(
            declared,
            |permit| {
                let request = ctx.aws().ec2.run_instances().min_count(1).max_count(1).image_id(wanted.image_id);
                request
                    .instance_type(ec2::InstanceType::from(wanted.instance_type))
                    .subnet_id(wanted.subnet_id)
                    .security_group_ids(&self.group_id)
                    .set_iam_instance_profile(profile.clone())
                    .set_user_data(user_data.clone())
                    .metadata_options(tokens.clone())
                    .tag_specifications(ec2_tags::specification(ResourceType::Instance, owned))
                    .tag_specifications(ec2_tags::specification(ResourceType::Volume, owned))
                    .client_token(permit.token())
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| {
                let id = reply.instances().first().and_then(|instance| instance.instance_id());
                Ok(MadeInstance { instance_id: require(CALL, "instancesSet.instanceId", id)? })
            },
        );
        let id = made.await?.instance_id;
        self.instance_id = Some(id.clone());
        reached(ctx, &id, &State::Running).await?;
        Ok(id)
    }

    /// Removes both. What is not there is no error.
    pub async fn remove(&self, ctx: &Ctx) -> Result<(), Error> {
        if let Some(id) = &self.instance_id {
            terminate(ctx, id).await?;
        }
        let group = &self.group_id;
        let declared = Mutation::new("ec2:DeleteSecurityGroup", Class::Idempotent, format!("security group {group}"))
            .patiently(IN_USE, LET_GO);
        let deletion = ctx.change(declared, |permit| {
            ctx.aws().ec2.delete_security_group().group_id(group).customize().interceptor(permit).send()
        });
        deleted(deletion.await, &["InvalidGroup.NotFound"]).map(drop)
    }
}

/// Waits until EC2's own checks say that the system is up: as much as can be seen of what user data does.
pub async fn checked(ctx: &Ctx, id: &str) -> Result<(), Error> {
    let wait = Wait { what: format!("status checks of instance {id}"), timeout: BOOT, every: Duration::from_secs(10) };
    ctx.wait(wait, async || {
        let request = || ctx.aws().ec2.describe_instance_status().instance_ids(id).send();
        let reply = ctx.read("ec2:DescribeInstanceStatus", request).await?;
        let status = reply.instance_statuses().first().and_then(|status| status.instance_status()?.status().cloned());
        Ok(match status {
            Some(SummaryStatus::Ok) => Seen::Ready(()),
            other => Seen::Pending(other.map_or("no checks yet".to_owned(), |status| status.as_str().to_owned())),
        })
    })
    .await
}

/// Stops it, so that what is written is on its disks.
pub async fn stop(ctx: &Ctx, id: &str) -> Result<(), Error> {
    let declared = Mutation::new("ec2:StopInstances", Class::Idempotent, format!("instance {id}"));
    ctx.change(declared, |permit| {
        ctx.aws().ec2.stop_instances().instance_ids(id).customize().interceptor(permit).send()
    })
    .await?;
    reached(ctx, id, &State::Stopped).await
}

async fn state(ctx: &Ctx, id: &str) -> Result<Option<State>, Error> {
    let request = || ctx.aws().ec2.describe_instances().instance_ids(id).send();
    match ctx.read("ec2:DescribeInstances", request).await {
        Ok(reply) => {
            let mut all = reply.reservations().iter().flat_map(|reservation| reservation.instances());
            Ok(all.find(|one| one.instance_id() == Some(id)).and_then(|one| one.state()?.name().cloned()))
        }
        Err(error) if error.is(GONE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits until the instance is in that state.
async fn reached(ctx: &Ctx, id: &str, wanted: &State) -> Result<(), Error> {
    let what = format!("instance {id} to be {}", wanted.as_str());
    let wait = Wait { what: what.clone(), timeout: BOOT, every: Duration::from_secs(5) };
    ctx.wait(wait, async || match state(ctx, id).await? {
        Some(state) if state == *wanted => Ok(Seen::Ready(())),
        None if *wanted == State::Terminated => Ok(Seen::Ready(())),
        Some(State::Terminated | State::ShuttingDown) if *wanted != State::Terminated => {
            Err(Error::Hopeless { what: what.clone(), reason: "it was terminated".to_owned() })
        }
        other => Ok(Seen::Pending(other.map_or("not there yet".to_owned(), |state| state.as_str().to_owned()))),
    })
    .await
}

/// Terminates an instance and waits until it is gone. Says whether there was one.
async fn terminate(ctx: &Ctx, id: &str) -> Result<bool, Error> {
    if matches!(state(ctx, id).await?, None | Some(State::Terminated)) {
        return Ok(false);
    }
    let declared = Mutation::new("ec2:TerminateInstances", Class::Idempotent, format!("instance {id}"));
    let ended = ctx.change(declared, |permit| {
        ctx.aws().ec2.terminate_instances().instance_ids(id).customize().interceptor(permit).send()
    });
    match ended.await {
        Err(error) if error.is(GONE) => return Ok(false),
        ended => ended?,
    }
    reached(ctx, id, &State::Terminated).await?;
    Ok(true)
}

/// Terminates builders of this name that other runs of the stack could not remove: they hold the group.
async fn remove_others(ctx: &Ctx, owned: &Owned) -> Result<(), Error> {
    let tags = [("Name", &owned.name), (STACK_TAG, &owned.stack)].map(|(key, value)| (key.to_owned(), value.clone()));
    let tags: std::collections::BTreeMap<String, String> = tags.into();
    let filters = crate::ops::network::common::tag_filters(&tags);
    let request = || ctx.aws().ec2.describe_instances().set_filters(Some(filters.clone())).send();
    let reply = ctx.read("ec2:DescribeInstances", request).await?;
    for one in reply.reservations().iter().flat_map(|reservation| reservation.instances()) {
        let found = ec2_tags::from_ec2(one.tags());
        let is_of_another = found.get(RUN_TAG).is_none_or(|run| run != ctx.run_id());
        let has_all = tags.iter().all(|(key, value)| found.get(key) == Some(value));
        if let Some(id) = one.instance_id().filter(|_| has_all && is_of_another) {
            terminate(ctx, id).await?;
        }
    }
    Ok(())
}

/// Finds the builder that this run has launched.
pub const INSTANCE_BY_TAGS: LookUp =
    LookUp { name: "instance_by_tags", run: |ctx, arguments| Box::pin(instance_by_tags(ctx, arguments)) };

async fn instance_by_tags(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let MadeBy(tags) = arguments(wanted)?;
    let filters = crate::ops::network::common::tag_filters(&tags);
    let request = || ctx.aws().ec2.describe_instances().set_filters(Some(filters.clone())).send();
    let reply = ctx.read("ec2:DescribeInstances", request).await?;
    let mut all = reply.reservations().iter().flat_map(|reservation| reservation.instances());
    let lives = |one: &&ec2::Instance| {
        let state = one.state().and_then(|state| state.name());
        !matches!(state, Some(State::Terminated | State::ShuttingDown))
            && crate::ops::network::common::has_tags(one.tags(), &tags)
    };
    Ok(all.find(lives).map(|one| json!({ "instance_id": one.instance_id() })))
}

/// Terminates a builder that this run launched.
pub const TERMINATE_BUILDER: UndoAction =
    UndoAction { name: "terminate_builder", run: |ctx, arguments| Box::pin(terminate_builder(ctx, arguments)) };

async fn terminate_builder(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let MadeInstance { instance_id } = arguments(made)?;
    Ok(if terminate(ctx, &instance_id).await? { Undone::Done } else { Undone::Already })
}
