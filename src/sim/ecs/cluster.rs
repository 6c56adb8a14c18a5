//! Clusters: made, with settings and capacity providers, and deleted when nothing is in them. A deleted one is shown as
//! inactive.

use std::time::Duration;

use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateCluster",
        params: &["clusterName settings[].name settings[].value", PROVIDERS, TAGS],
        run: create_cluster,
    },
    Action { name: "DescribeClusters", params: &["clusters[] include[]"], run: describe_clusters },
    Action { name: "ListClusters", params: &[PAGES], run: list_clusters },
    Action {
        name: "UpdateClusterSettings",
        params: &["cluster settings[].name settings[].value"],
        run: update_cluster_settings,
    },
    Action {
        name: "UpdateCluster",
        params: &["cluster settings[].name settings[].value"],
        run: update_cluster_settings,
    },
    Action {
        name: "PutClusterCapacityProviders",
        params: &["cluster", PROVIDERS],
        run: put_cluster_capacity_providers,
    },
    Action { name: "DeleteCluster", params: &["cluster"], run: delete_cluster },
];

const PROVIDERS: &str = "
    capacityProviders[] defaultCapacityProviderStrategy[].capacityProvider defaultCapacityProviderStrategy[].weight
    defaultCapacityProviderStrategy[].base
";

/// How long capacity providers take to be attached.
const ATTACHING: Duration = Duration::from_secs(4);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cluster {
    pub name: String,
    /// `ACTIVE` or `INACTIVE`.
    pub status: String,
    /// `disabled`, `enabled` or `enhanced`.
    pub container_insights: String,
    pub capacity_providers: Vec<String>,
    /// As it is shown.
    pub strategy: Vec<Value>,
    /// Its capacity providers are being attached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attaching: bool,
    pub tags: Tags,
}

resource!(Cluster, name, region.ecs.clusters, Extent::Kind, |_: &str| {
    AwsError::new("ClusterNotFoundException", "Cluster not found.")
});

pub const CALLS: &[&str] = &["ecs:DescribeClusters", "ecs:ListClusters"];

/// Reads all clusters of a region.
pub fn load(reader: &Reader, _: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let mut arns = Vec::new();
    reader.each_page("ecs", "ListClusters", json!({ "maxResults": 100 }), TOKEN, |page| {
        arns.extend(page.strings("clusterArns").into_iter().map(str::to_owned));
    })?;
    for arns in arns.chunks(100) {
        let params = json!({ "clusters": arns, "include": ["ATTACHMENTS", "CONFIGURATIONS", "SETTINGS", "TAGS"] });
        for shown in reader.get("ecs", "DescribeClusters", params)?.list("clusters") {
            let other = shown.has("configuration") || shown.has("serviceConnectDefaults");
            let row = read(&shown);
            let what = other.then(|| "the configuration of this cluster".to_owned());
            rows.whole(Read::of(row).shown(&shown).except(what));
        }
    }
    Ok(())
}

fn read(shown: &Params) -> Cluster {
    let insights = shown.map("settings", "name", "value").remove("containerInsights");
    Cluster {
        name: shown.text("clusterName"),
        status: shown.text("status"),
        container_insights: insights.unwrap_or_else(|| "disabled".to_owned()),
        capacity_providers: shown.strings("capacityProviders").into_iter().map(str::to_owned).collect(),
        strategy: shown.list("defaultCapacityProviderStrategy").into_iter().map(|part| part.0).collect(),
        attaching: false,
        tags: shown.map("tags", "key", "value"),
    }
}

impl Cluster {
    pub fn arn(&self, tx: &Tx) -> String {
        arn_of(tx, &self.name)
    }

    fn is_active(&self) -> bool {
        self.status == "ACTIVE"
    }

    /// With everything: what was not asked for is taken out.
    fn view(&self, tx: &Tx) -> Value {
        let of_it = |task: &&Task| task.cluster == self.name;
        let count = |status: &[task::Status]| {
            tx.all::<Task>().filter(of_it).filter(|task| status.contains(&task.status)).count()
        };
        let services = tx.all::<Service>().filter(|service| service.cluster == self.name && service.is_active());
        json!({
            "clusterArn": self.arn(tx),
            "clusterName": self.name,
            "status": self.status,
            "registeredContainerInstancesCount": 0,
            "runningTasksCount": count(&[task::Status::Running]),
            "pendingTasksCount": count(&[task::Status::Provisioning, task::Status::Pending]),
            "activeServicesCount": services.count(),
            "statistics": [],
            "tags": show_tags(&self.tags),
            "settings": [{ "name": "containerInsights", "value": self.container_insights }],
            "capacityProviders": self.capacity_providers,
            "defaultCapacityProviderStrategy": self.strategy,
            "attachments": [],
            "attachmentsStatus": self.attaching.then_some("UPDATE_IN_PROGRESS"),
        })
    }
}

pub fn arn_of(tx: &Tx, name: &str) -> String {
    tx.arn("ecs", &format!("cluster/{name}"))
}

/// The active cluster that a request names; without a name, `default`.
pub fn named<'t>(tx: &'t Tx, p: &Params) -> Result<&'t Cluster, AwsError> {
    let cluster = tx.get::<Cluster>(name_of(p.opt_str("cluster").unwrap_or("default")))?;
    match cluster.is_active() {
        true => Ok(cluster),
        false => Err(AwsError::new("ClusterNotFoundException", "The referenced cluster was inactive.")),
    }
}

fn named_mut<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut Cluster, AwsError> {
    let name = named(tx, p)?.name.clone();
    tx.get_mut::<Cluster>(&name)
}

fn insights(p: &Params) -> Result<Option<String>, AwsError> {
    let mut found = None;
    for setting in p.list("settings") {
        if setting.str("name")? != "containerInsights" {
            return Err(invalid(format!("Invalid setting name: {}", setting.text("name"))));
        }
        let value = among(&setting, "value", &["enabled", "disabled", "enhanced"])?;
        found = value.map(str::to_owned);
    }
    Ok(found)
}

/// Fargate's are there for everybody. Those of Auto Scaling groups are not modelled, so there are none.
fn providers(p: &Params) -> Result<(Vec<String>, Vec<Value>), AwsError> {
    let names = p.strings("capacityProviders");
    if let Some(unknown) = names.iter().find(|name| !["FARGATE", "FARGATE_SPOT"].contains(name)) {
        return Err(invalid(format!("The specified capacity provider '{unknown}' was not found.")));
    }
    let strategy = strategy(p, "defaultCapacityProviderStrategy", &names)?;
    Ok((names.into_iter().map(str::to_owned).collect(), strategy))
}

/// A strategy in which each provider is one of the cluster's.
pub fn strategy(p: &Params, path: &str, of_cluster: &[&str]) -> Result<Vec<Value>, AwsError> {
    let one = |part: &Params| {
        let name = part.str("capacityProvider")?;
        if !of_cluster.contains(&name) {
            return Err(invalid(format!(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated with \
                 the cluster. Specify a capacity provider that is associated with the cluster and try again: {name}"
            )));
        }
        let (weight, base) = (part.opt_int("weight")?.unwrap_or(0), part.opt_int("base")?.unwrap_or(0));
        Ok(json!({ "capacityProvider": name, "weight": weight, "base": base }))
    };
    let parts: Vec<Value> = p.list(path).iter().map(one).collect::<Result<_, _>>()?;
    if !parts.is_empty() && parts.iter().all(|part| part["weight"] == 0) {
        return Err(invalid("The specified capacity provider strategy must have at least one weight above 0."));
    }
    Ok(parts)
}

/// "If you create a cluster with a name that is there, it is returned"; with other arguments that is an error.
fn create_cluster(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.opt_str("clusterName").unwrap_or("default").to_owned();
    if name.is_empty() || name.len() > 255 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        return Err(invalid("Identifiers can only contain alphanumeric characters, underscores and hyphens."));
    }
    let (capacity_providers, strategy) = providers(p)?;
    let wanted = Cluster {
        status: "ACTIVE".to_owned(),
        container_insights: insights(p)?.unwrap_or_else(|| "disabled".to_owned()),
        capacity_providers,
        strategy,
        attaching: false,
        tags: own_tags(p)?,
        name: name.clone(),
    };
    if let Some(known) = tx.peek::<Cluster>(&name) {
        if known.is_active() {
            let same = known.container_insights == wanted.container_insights
                && known.capacity_providers == wanted.capacity_providers
                && known.strategy == wanted.strategy;
            return match same {
                true => Ok(json!({ "cluster": known.view(tx) })),
                false => Err(invalid(
                    "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
                )),
            };
        }
        if let Some(row) = tx.peek_mut::<Cluster>(&name) {
            *row = wanted.clone();
        }
    } else {
        tx.put(wanted.clone());
    }
    if !wanted.capacity_providers.is_empty() {
        attach(tx, &name);
    }
    Ok(json!({ "cluster": wanted.view(tx) }))
}

fn attach(tx: &mut Tx, name: &str) {
    if let Some(cluster) = tx.peek_mut::<Cluster>(name) {
        cluster.attaching = true;
    }
    tx.schedule(ATTACHING, Event::Attached(name.to_owned()));
}

pub fn attached(tx: &mut Tx, name: &str) {
    if let Some(cluster) = tx.peek_mut::<Cluster>(name) {
        cluster.attaching = false;
    }
}

fn describe_clusters(tx: &mut Tx, p: &Params) -> Reply {
    let mut names = p.strings("clusters");
    if names.is_empty() {
        names.push("default");
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names.into_iter().map(name_of) {
        let Ok(cluster) = tx.get::<Cluster>(name) else {
            failures.push(missing(arn_of(tx, name)));
            continue;
        };
        let mut view = tx.shown(cluster, Cluster::view);
        let parts =
            [("TAGS", "tags"), ("SETTINGS", "settings"), ("STATISTICS", "statistics"), ("ATTACHMENTS", "attachments")];
        for (_, member) in parts.iter().filter(|(part, _)| !includes(p, part)) {
            view[*member] = json!([]);
        }
        found.push(view);
    }
    Ok(json!({ "clusters": found, "failures": failures }))
}

fn list_clusters(tx: &mut Tx, p: &Params) -> Reply {
    let rows = tx.select::<Cluster>(&[])?.into_iter().filter(|cluster| cluster.is_active()).collect();
    let (rows, next) = select::page(&PAGING, p, rows, |cluster: &&Cluster| &cluster.name)?;
    let arns: Vec<String> = rows.iter().map(|cluster| cluster.arn(tx)).collect();
    Ok(json!({ "clusterArns": arns, "nextToken": next }))
}

fn update_cluster_settings(tx: &mut Tx, p: &Params) -> Reply {
    let wanted = insights(p)?;
    let cluster = named_mut(tx, p)?;
    if let Some(wanted) = wanted {
        cluster.container_insights = wanted;
    }
    let cluster = cluster.clone();
    Ok(json!({ "cluster": cluster.view(tx) }))
}

fn put_cluster_capacity_providers(tx: &mut Tx, p: &Params) -> Reply {
    let (capacity_providers, strategy) = providers(p)?;
    let name = named(tx, p)?.name.clone();
    let uses = |service: &Service, provider: &String| {
        service.cluster == name && service.is_active() && service.spec.uses_provider(provider)
    };
    let cluster = tx.get::<Cluster>(&name)?;
    if cluster.attaching {
        let message = "The specified cluster is in a busy state. Cluster attachments must be in UPDATE_COMPLETE or \
                       UPDATE_FAILED state before they can be updated. Wait and try again.";
        return Err(AwsError::new("UpdateInProgressException", message));
    }
    let leaving = cluster.capacity_providers.iter().filter(|provider| !capacity_providers.contains(provider));
    if leaving.clone().any(|provider| tx.all::<Service>().any(|service| uses(service, provider))) {
        let message = "The specified capacity provider is in use and cannot be removed.";
        return Err(AwsError::new("ResourceInUseException", message));
    }
    let changed = cluster.capacity_providers != capacity_providers;
    let cluster = tx.get_mut::<Cluster>(&name)?;
    (cluster.capacity_providers, cluster.strategy) = (capacity_providers, strategy);
    if changed {
        attach(tx, &name);
    }
    let cluster = tx.get::<Cluster>(&name)?;
    Ok(json!({ "cluster": cluster.view(tx) }))
}

fn delete_cluster(tx: &mut Tx, p: &Params) -> Reply {
    let cluster = named(tx, p)?.clone();
    let in_it = tx.all::<Service>().any(|service| service.cluster == cluster.name && !service.is_inactive());
    if in_it {
        let message = "The Cluster cannot be deleted while Services are active.";
        return Err(AwsError::new("ClusterContainsServicesException", message));
    }
    if tx.all::<Task>().any(|task| task.cluster == cluster.name && task.status != task::Status::Stopped) {
        let message = "The Cluster cannot be deleted while Tasks are active.";
        return Err(AwsError::new("ClusterContainsTasksException", message));
    }
    if cluster.attaching {
        let message = "The specified cluster is in a busy state. Wait and try again.";
        return Err(AwsError::new("UpdateInProgressException", message));
    }
    let row = tx.get_mut::<Cluster>(&cluster.name)?;
    row.status = "INACTIVE".to_owned();
    row.tags.clear();
    let row = row.clone();
    Ok(json!({ "cluster": row.view(tx) }))
}
