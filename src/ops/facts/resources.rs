//! Names and tags of what a call would change.

use std::collections::BTreeMap;

use super::{ec2, known};
use crate::{
    ops::{
        Error,
        certificate::CertificateTags,
        compute::asg::GroupTags,
        containers::{ecr::RepositoryTags, ecs::EcsTags},
        dns::tags::{HealthCheckTags, ZoneTags},
        identity::tags::{PolicyTags, ProfileTags, RoleTags},
        load_balancing::tags::Resource as Balancing,
        monitoring::tags,
        ownership::RUN_TAG,
        parameters::tags::ParameterTags,
        tagged::Tagged,
    },
    policy::{Call, Kind, Known, Resource, Target, targets},
    run::Ctx,
};

/// All of it but what this run has made itself.
pub async fn changed_by(ctx: &Ctx, call: &Call<'_>) -> BTreeMap<String, Known<Resource>> {
    let mut resources = BTreeMap::new();
    for Target { kind, id } in targets(call) {
        if ctx.has_made(kind, &id) {
            continue;
        }
        match known(read(ctx, kind, &id).await) {
            Ok(found) => resources.extend(found.into_iter().map(|(id, resource)| (id, Ok(resource)))),
            Err(why) => drop(resources.insert(id, Err(why))),
        }
    }
    let of_this_run = |resource: &Known<Resource>| {
        resource.as_ref().is_ok_and(|resource| resource.tags.get(RUN_TAG).is_some_and(|run| run == ctx.run_id()))
    };
    resources.retain(|_, resource| !of_this_run(resource));
    resources
}

/// Usually one; an association is what it associates. What is not there has neither names nor tags.
async fn read(ctx: &Ctx, kind: Kind, id: &str) -> Result<Vec<(String, Resource)>, Error> {
    let tags = match kind {
        Kind::Ec2 => return ec2::read(ctx, id).await,
        Kind::LoadBalancing => tags_of::<Balancing>(ctx, id).await?,
        Kind::AutoScalingGroup => tags_of::<GroupTags>(ctx, id).await?,
        Kind::Role => tags_of::<RoleTags>(ctx, id).await?,
        Kind::ManagedPolicy => tags_of::<PolicyTags>(ctx, id).await?,
        Kind::InstanceProfile => tags_of::<ProfileTags>(ctx, id).await?,
        Kind::Certificate => tags_of::<CertificateTags>(ctx, id).await?,
        Kind::HostedZone => tags_of::<ZoneTags>(ctx, id).await?,
        Kind::HealthCheck => tags_of::<HealthCheckTags>(ctx, id).await?,
        Kind::Repository => tags_of::<RepositoryTags>(ctx, id.rsplit(":repository/").next().unwrap_or(id)).await?,
        Kind::Ecs => tags_of::<EcsTags>(ctx, &ecs_arn(ctx, id)?).await?,
        Kind::Topic => or_none(tags::of_topic(ctx, id).await)?,
        Kind::Alarm => or_none(tags::of_alarm(ctx, id).await)?,
        Kind::LogGroup => or_none(tags::of_log_group(ctx, id).await)?,
        Kind::Record | Kind::Dashboard | Kind::Other => BTreeMap::new(),
        Kind::Parameter => tags_of::<ParameterTags>(ctx, id).await?,
    };
    Ok(vec![(id.to_owned(), resource(tags))])
}

/// A cluster may be named, and a service of Application Auto Scaling is `service/CLUSTER/NAME`. The name of a service alone does
/// not say of which cluster.
fn ecs_arn(ctx: &Ctx, id: &str) -> Result<String, Error> {
    match id {
        arn if arn.starts_with("arn:") => Ok(arn.to_owned()),
        resource if resource.starts_with("service/") => Ok(ctx.aws().arn("ecs", resource)),
        name => Err(Error::option("", format!("the tags of {name} are read by its ARN, and only its name is known"))),
    }
}

async fn tags_of<T: Tagged>(ctx: &Ctx, id: &str) -> Result<BTreeMap<String, String>, Error> {
    match T::read(ctx, id).await {
        Err(error) if error.is(T::GONE) => Ok(BTreeMap::new()),
        read => read,
    }
}

/// What is not there has no tags.
fn or_none(read: Result<BTreeMap<String, String>, Error>) -> Result<BTreeMap<String, String>, Error> {
    match read {
        Err(error) if error.is(&["NotFound", "ResourceNotFound", "ResourceNotFoundException"]) => Ok(BTreeMap::new()),
        read => read,
    }
}

/// The tag `Name` is a name.
pub fn resource(tags: BTreeMap<String, String>) -> Resource {
    Resource { names: tags.get("Name").cloned().into_iter().collect(), tags }
}
