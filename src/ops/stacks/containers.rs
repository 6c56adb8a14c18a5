//! Containers of a stack: services, what they are made of, where they run, and their images.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Belonging, Rank, tagged};
use crate::{
    ops::{
        Error, Together, all_of, arguments,
        containers::{
            deploy_ecs_service::{self, DRAIN},
            ecr::RepositoryTags,
            ecs::{EcsTags, name_in},
            ensure_cluster::DELETE_CLUSTER,
            ensure_repository::DELETE_REPOSITORY,
            register_task_definition::DEREGISTER_TASK_DEFINITION,
            scaling,
        },
    },
    run::{Ctx, UndoAction, Undone},
};

/// What the stack owns. Lists have no tags: what is named as the stack's is looked at.
pub async fn of_stack(ctx: &Ctx, stack: &str) -> Result<Vec<Belonging>, Error> {
    let prefix = format!("{stack}-");
    let (clusters, definitions, repositories) =
        futures::join!(clusters(ctx, &prefix), definitions(ctx, &prefix), repositories(ctx, &prefix)).together()?;
    Ok([clusters, definitions, repositories].into_iter().flatten().collect())
}

/// A page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Page {
    #[serde(alias = "clusterArns", alias = "serviceArns", alias = "taskDefinitionArns")]
    arns: Vec<String>,
    families: Vec<String>,
    repositories: Vec<Repository>,
    next_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Repository {
    repository_name: String,
}

async fn all(ctx: &Ctx, call: &'static str, mut input: Value) -> Result<Page, Error> {
    let mut found = Page::default();
    loop {
        let page: Page = ctx.fetch(call, &input).await?;
        found.arns.extend(page.arns);
        found.families.extend(page.families);
        found.repositories.extend(page.repositories);
        match page.next_token {
            Some(next) => input["nextToken"] = next.into(),
            None => return Ok(found),
        }
    }
}

/// Clusters of the stack, and its services in any.
async fn clusters(ctx: &Ctx, prefix: &str) -> Result<Vec<Belonging>, Error> {
    let clusters = all(ctx, "ecs:ListClusters", json!({})).await?.arns;
    let services =
        all_of(clusters.iter().map(|cluster| all(ctx, "ecs:ListServices", json!({ "cluster": cluster })))).await?;
    let is_named = |arn: &String| name_in(arn).starts_with(prefix);
    let services = services.into_iter().flat_map(|page| page.arns).filter(is_named);
    let clusters = clusters.into_iter().filter(is_named);
    let (clusters, services) = futures::join!(
        tagged::<EcsTags>(ctx, clusters, str::to_owned),
        tagged::<EcsTags>(ctx, services, str::to_owned)
    )
    .together()?;
    let services = services.iter().filter_map(|(arn, tags)| {
        let found = Belonging::tagged(tags, "ECS service", arn, Rank::Fleets, ("ecs:DeleteService", "service"))?
            .named(name_in(arn));
        let of = json!({ "service_arn": arn });
        Some(found.gone_by(&STOP_SCALING, of.clone()).gone_by(&END_SERVICE, of))
    });
    let clusters = clusters.iter().filter_map(|(arn, tags)| {
        let found = Belonging::tagged(tags, "ECS cluster", arn, Rank::Parts, ("ecs:DeleteCluster", "cluster"))?
            .named(name_in(arn));
        Some(found.gone_by(&DELETE_CLUSTER, json!({ "cluster_arn": arn, "cluster_name": name_in(arn) })))
    });
    Ok(services.chain(clusters).collect())
}

/// Or it would bring tasks back while they are drained.
const STOP_SCALING: UndoAction =
    UndoAction { name: "stop_scaling", run: |ctx, arguments| Box::pin(stop_scaling(ctx, arguments)) };

#[derive(Deserialize)]
struct Service {
    service_arn: String,
}

async fn stop_scaling(ctx: &Ctx, of: Value) -> Result<Undone, Error> {
    let Service { service_arn } = arguments(of)?;
    let was_scaled = scaling::remove(ctx, &service_arn, true).await?;
    Ok(if was_scaled { Undone::Done } else { Undone::Already })
}

/// Its load balancer is gone by then, and with it those whose requests could be cut off.
const END_SERVICE: UndoAction =
    UndoAction { name: "end_service", run: |ctx, arguments| Box::pin(end_service(ctx, arguments)) };

async fn end_service(ctx: &Ctx, of: Value) -> Result<Undone, Error> {
    let Service { service_arn } = arguments(of)?;
    deploy_ecs_service::delete(ctx, &service_arn, true, None, DRAIN).await.map(|()| Undone::Done)
}

async fn definitions(ctx: &Ctx, prefix: &str) -> Result<Vec<Belonging>, Error> {
    let of_prefix = json!({ "familyPrefix": prefix, "status": "ACTIVE" });
    let families = all(ctx, "ecs:ListTaskDefinitionFamilies", of_prefix).await?.families;
    // There, a prefix is the whole name.
    let revisions = all_of(
        families
            .iter()
            .map(|family| all(ctx, "ecs:ListTaskDefinitions", json!({ "familyPrefix": family, "status": "ACTIVE" }))),
    );
    let arns = revisions.await?.into_iter().flat_map(|page| page.arns);
    let found = tagged::<EcsTags>(ctx, arns, str::to_owned).await?;
    let found = found.iter().filter_map(|(arn, tags)| {
        let found = Belonging::tagged(
            tags,
            "task definition",
            arn,
            Rank::Parts,
            ("ecs:DeregisterTaskDefinition", "taskDefinition"),
        )?
        .named(name_in(arn));
        let (family, revision) = name_in(arn).rsplit_once(':')?;
        let revision: i64 = revision.parse().ok()?;
        let made = json!({ "task_definition_arn": arn, "family": family, "revision": revision });
        Some(found.gone_by(&DEREGISTER_TASK_DEFINITION, made))
    });
    Ok(found.collect())
}

async fn repositories(ctx: &Ctx, prefix: &str) -> Result<Vec<Belonging>, Error> {
    let all = all(ctx, "ecr:DescribeRepositories", json!({})).await?.repositories;
    let named = all.into_iter().map(|one| one.repository_name).filter(|name| name.starts_with(prefix));
    let found = tagged::<RepositoryTags>(ctx, named, str::to_owned).await?.into_iter().filter_map(|(name, tags)| {
        let found =
            Belonging::tagged(&tags, "repository", &name, Rank::Parts, ("ecr:DeleteRepository", "repositoryName"))?
                .named(&name);
        // With its images: they are the stack's too.
        Some(found.gone_by(&DELETE_REPOSITORY, json!({ "repository_name": name, "force": true })))
    });
    Ok(found.collect())
}
