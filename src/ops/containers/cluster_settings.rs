//! A cluster as it is read, and the two parts of it that change: its settings, and its capacity providers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ecs::{self, Tag};
use crate::{
    event::Field,
    ops::{Error, arguments, outcome::nothing_to_undo, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// A cluster as ECS shows it, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Found {
    pub cluster_arn: String,
    pub cluster_name: String,
    pub status: String,
    pub settings: Vec<Setting>,
    pub capacity_providers: Vec<String>,
    pub default_capacity_provider_strategy: Vec<Share>,
    pub tags: Vec<Tag>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Setting {
    pub name: String,
    pub value: String,
}

/// How many tasks a capacity provider gets.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all(serialize = "camelCase"))]
#[schemars(inline)]
pub struct CapacityProviderShare {
    /// `"FARGATE"`, `"FARGATE_SPOT"`, or the name of one of an Auto Scaling group.
    pub capacity_provider: String,
    /// Its part of the tasks, in proportion to the weights of the others.
    #[serde(default = "one")]
    pub weight: i64,
    /// How many tasks it gets before the weights count.
    #[serde(default)]
    pub base: i64,
}

fn one() -> i64 {
    1
}

/// The same as ECS shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Share {
    capacity_provider: String,
    weight: i64,
    base: i64,
}

/// A strategy in one order: that of its parts says nothing.
pub fn strategy(shares: impl IntoIterator<Item = CapacityProviderShare>) -> Value {
    let mut shares: Vec<CapacityProviderShare> = shares.into_iter().collect();
    shares.sort_by(|a, b| a.capacity_provider.cmp(&b.capacity_provider));
    json!(shares)
}

impl From<Share> for CapacityProviderShare {
    fn from(share: Share) -> Self {
        let Share { capacity_provider, weight, base } = share;
        Self { capacity_provider, weight, base }
    }
}

/// A part of a cluster that one call changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// `disabled`, `enabled` or `enhanced`.
    ContainerInsights,
    /// `{ capacityProviders, defaultCapacityProviderStrategy }`
    CapacityProviders,
}

impl Found {
    pub fn is_active(&self) -> bool {
        self.status == "ACTIVE"
    }

    pub fn aspect(&self, aspect: Aspect) -> Value {
        match aspect {
            Aspect::ContainerInsights => {
                let setting = self.settings.iter().find(|setting| setting.name == "containerInsights");
                json!(setting.map_or("disabled", |setting| &setting.value))
            }
            Aspect::CapacityProviders => {
                let shares = self.default_capacity_provider_strategy.iter().cloned().map(Into::into);
                providers(self.capacity_providers.clone(), strategy(shares))
            }
        }
    }
}

/// Capacity providers in one order, with the default strategy.
pub fn providers(mut names: Vec<String>, strategy: Value) -> Value {
    names.sort();
    json!({ "capacityProviders": names, "defaultCapacityProviderStrategy": strategy })
}

/// The active cluster of that name or ARN.
///
/// # Errors
/// If the call fails.
pub async fn find(ctx: &Ctx, cluster: &str) -> Result<Option<Found>, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Reply {
        clusters: Vec<Found>,
    }
    let input = json!({ "clusters": [cluster], "include": ["SETTINGS", "TAGS"] });
    let arn = ctx.aws().arn("ecs", &format!("cluster/{}", ecs::name_in(cluster)));
    ecs::until_shown(ctx, &arn, async || {
        let reply: Reply = ctx.fetch("ecs:DescribeClusters", &input).await?;
        Ok(reply.clusters.into_iter().find(Found::is_active))
    })
    .await
}

/// Sets what differs. Returns what changed.
///
/// # Errors
/// If AWS refuses.
pub async fn set(ctx: &Ctx, found: &Found, aspect: Aspect, wanted: &Value) -> Result<Option<Field>, Error> {
    let before = found.aspect(aspect);
    if before == *wanted {
        return Ok(None);
    }
    let arn = &found.cluster_arn;
    let change = Change { cluster_arn: arn.clone(), aspect, before: before.clone(), ours: wanted.clone() };
    let label = aspect.label();
    let undo = Undo::new(&RESTORE_CLUSTER, format!("restore {label} of cluster {}", found.cluster_name), json!(change));
    write(ctx, arn, aspect, wanted, Some(undo.key(format!("{arn}/{label}")))).await?;
    Ok(Some(changed(label, before, wanted.clone())))
}

impl Aspect {
    fn label(self) -> &'static str {
        match self {
            Self::ContainerInsights => "container_insights",
            Self::CapacityProviders => "capacity_providers",
        }
    }
}

async fn write(ctx: &Ctx, arn: &str, aspect: Aspect, value: &Value, undo: Option<Undo>) -> Result<(), Error> {
    let (call, input) = match aspect {
        Aspect::ContainerInsights => (
            "ecs:UpdateCluster",
            json!({ "cluster": arn, "settings": [{ "name": "containerInsights", "value": value }] }),
        ),
        Aspect::CapacityProviders => {
            let mut input = value.clone();
            input["cluster"] = json!(arn);
            ("ecs:PutClusterCapacityProviders", input)
        }
    };
    // While providers are attached the cluster cannot be changed.
    let declared = Mutation::new(call, Class::Idempotent, format!("cluster {}", ecs::name_in(arn)))
        .patiently(&["UpdateInProgressException"], Duration::from_secs(5 * 60))
        .refers_to([arn])
        .undo(undo);
    ctx.change(declared, |permit| ctx.aws().call(call, &input).permit(permit).send::<Value>()).await
}

#[derive(Serialize, Deserialize)]
struct Change {
    cluster_arn: String,
    aspect: Aspect,
    before: Value,
    ours: Value,
}

/// Puts one part of a cluster back.
pub const RESTORE_CLUSTER: UndoAction =
    UndoAction { name: "restore_cluster", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let Change { cluster_arn: arn, aspect, before, ours } = arguments(change)?;
    let Some(found) = find(ctx, &arn).await? else { return Ok(Undone::Already) };
    if let Some(undone) = nothing_to_undo(&found.aspect(aspect), &before, &ours) {
        return Ok(undone);
    }
    write(ctx, &arn, aspect, &before, None).await?;
    Ok(Undone::Done)
}
