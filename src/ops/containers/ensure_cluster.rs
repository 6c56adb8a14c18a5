//! `ensure_cluster`: where services and tasks run.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Cluster,
    cluster_settings::{self, Aspect, CapacityProviderShare, Found, providers, strategy},
    ecs::{EcsTags, from_ecs, to_ecs},
};
use crate::{
    event::Change,
    ops::{
        Error, Operation, Tags, arguments,
        outcome::{deleted, report},
        ownership::{Owned, STACK_TAG, set},
        tagged,
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that the stack has a cluster of this name, with these settings. Capacity providers that are left out are left
/// alone; without any, tasks of the launch type `FARGATE` run all the same.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureCluster {
    /// What the stack calls it; ECS shows `<stack>-<name>`.
    name: String,
    /// What CloudWatch is told of tasks: `disabled`, `enabled` or `enhanced`. It costs by the metric.
    #[serde(default)]
    container_insights: Insights,
    /// `"FARGATE"`, `"FARGATE_SPOT"`, and those of Auto Scaling groups. Exactly these are attached afterwards.
    capacity_providers: Option<Vec<String>>,
    /// Which of them get tasks that do not say where they run.
    #[serde(default)]
    default_capacity_provider_strategy: Vec<CapacityProviderShare>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a cluster of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Insights {
    #[default]
    Disabled,
    Enabled,
    Enhanced,
}

/// What is kept of a created cluster.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    cluster_arn: String,
    cluster_name: String,
}

impl Operation for EnsureCluster {
    const NAME: &'static str = "ensure_cluster";
    const AREA: &'static str = "ECS";
    const EXAMPLE: &'static str = r#"ensure_cluster(#{ name: "main", container_insights: "enabled" })"#;

    type Options = Self;
    type Handle = Cluster;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Cluster, Error> {
        options.check()?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let name = owned.name_within(255);
        let made = match cluster_settings::find(ctx, &name).await? {
            Some(found) => converge(ctx, &options, &owned, &found).await?,
            None => create(ctx, &options, &owned, &name).await?,
        };
        Ok(Cluster { cluster_arn: made.cluster_arn, cluster_name: made.cluster_name })
    }
}

impl EnsureCluster {
    fn check(&self) -> Result<(), Error> {
        let names = self.capacity_providers.as_deref().unwrap_or_default();
        for (at, share) in self.default_capacity_provider_strategy.iter().enumerate() {
            if !names.contains(&share.capacity_provider) {
                let message = format!("expected one of `capacity_providers`, found {:?}", share.capacity_provider);
                let path = format!("default_capacity_provider_strategy[{at}].capacity_provider");
                return Err(Error::option(path, message));
            }
        }
        Ok(())
    }

    /// `None`: they are left alone.
    fn providers(&self) -> Option<Value> {
        let names = self.capacity_providers.clone()?;
        Some(providers(names, strategy(self.default_capacity_provider_strategy.iter().cloned())))
    }
}

fn made(found: &Found) -> Made {
    Made { cluster_arn: found.cluster_arn.clone(), cluster_name: found.cluster_name.clone() }
}

async fn create(ctx: &Ctx, options: &EnsureCluster, owned: &Owned, name: &str) -> Result<Made, Error> {
    let undo = Undo::new(&DELETE_CLUSTER, format!("delete cluster {name}"), json!({}));
    let declared = Mutation::new("ecs:CreateCluster", Class::Unique, format!("cluster {name}"))
        .look_up(&CLUSTER_BY_NAME, json!({ "name": name, "stack": owned.stack }))
        .undo(undo.keep(options.keep_on_rollback));
    let mut input = json!({
        "clusterName": name,
        "settings": [{ "name": "containerInsights", "value": options.container_insights }],
        "tags": to_ecs(&owned.tags()),
    });
    if let (Some(input), Some(providers)) =
        (input.as_object_mut(), options.providers().as_ref().and_then(Value::as_object))
    {
        input.extend(providers.clone());
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Reply {
        cluster: Found,
    }
    let made: Made = ctx
        .mutate(
            declared,
            |permit| ctx.aws().call("ecs:CreateCluster", &input).permit(permit).send::<Reply>(),
            |reply| Ok(made(&reply.cluster)),
        )
        .await?;
    ctx.did(Change::Created, [set("cluster_name", name), set("cluster_arn", made.cluster_arn.clone())]);
    Ok(made)
}

async fn converge(ctx: &Ctx, options: &EnsureCluster, owned: &Owned, found: &Found) -> Result<Made, Error> {
    let tags: BTreeMap<String, String> = from_ecs(&found.tags);
    owned.check(&format!("cluster {}", found.cluster_name), &tags, options.adopt)?;
    let mut fields = tagged::converge::<EcsTags>(ctx, &found.cluster_arn, owned, &tags).await?;
    let insights = json!(options.container_insights);
    fields.extend(cluster_settings::set(ctx, found, Aspect::ContainerInsights, &insights).await?);
    if let Some(providers) = options.providers() {
        fields.extend(cluster_settings::set(ctx, found, Aspect::CapacityProviders, &providers).await?);
    }
    report(ctx, fields);
    Ok(made(found))
}

/// Finds a cluster by its name, which is unique in a region.
pub const CLUSTER_BY_NAME: LookUp =
    LookUp { name: "cluster_by_name", run: |ctx, arguments| Box::pin(cluster_by_name(ctx, arguments)) };

#[derive(Deserialize)]
struct ByName {
    name: String,
    stack: String,
}

async fn cluster_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByName { name, stack } = arguments(wanted)?;
    let found = cluster_settings::find(ctx, &name).await?;
    let ours = found.filter(|found| from_ecs(&found.tags).get(STACK_TAG) == Some(&stack));
    Ok(ours.map(|found| json!(made(&found))))
}

/// Deletes a cluster this run made. Its tasks may still be draining.
pub const DELETE_CLUSTER: UndoAction =
    UndoAction { name: "delete_cluster", run: |ctx, arguments| Box::pin(delete_cluster(ctx, arguments)) };

async fn delete_cluster(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { cluster_arn, cluster_name } = arguments(made)?;
    let busy = &["ClusterContainsTasksException", "ClusterContainsServicesException", "UpdateInProgressException"];
    let declared = Mutation::new("ecs:DeleteCluster", Class::Idempotent, format!("cluster {cluster_name}"))
        .patiently(busy, Duration::from_secs(20 * 60));
    let input = json!({ "cluster": cluster_arn });
    let outcome =
        ctx.change(declared, |permit| ctx.aws().call("ecs:DeleteCluster", &input).permit(permit).send::<Value>());
    deleted(outcome.await, &["ClusterNotFoundException"])
}
