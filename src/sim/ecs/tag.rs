//! Tags of clusters, services, task definitions and tasks, by ARN.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "TagResource", params: &["resourceArn", TAGS], run: tag_resource },
    Action { name: "UntagResource", params: &["resourceArn tagKeys[]"], run: untag_resource },
    Action { name: "ListTagsForResource", params: &["resourceArn"], run: list_tags_for_resource },
];

/// What the keys of AWS's own tags begin with.
const RESERVED: &str = "aws:";

/// Those that ECS gives tasks itself ("Use Amazon ECS managed tags").
pub fn managed(cluster: &str, service: Option<&str>) -> Tags {
    let of = |key: &str, name: &str| (format!("{RESERVED}ecs:{key}"), name.to_owned());
    [of("clusterName", cluster)].into_iter().chain(service.map(|name| of("serviceName", name))).collect()
}

/// What an ARN names.
enum Named {
    Cluster(String),
    Service(String),
    TaskDefinition(String),
    Task(String),
}

fn named(p: &Params) -> Result<Named, AwsError> {
    let arn = p.str("resourceArn")?;
    let mut parts = arn.splitn(6, ':');
    let is_ours = parts.nth(2) == Some("ecs");
    let resource = parts.nth(2).filter(|_| is_ours);
    let named = resource.and_then(|resource| resource.split_once('/')).and_then(|(kind, name)| match kind {
        "cluster" => Some(Named::Cluster(name.to_owned())),
        "service" => Some(Named::Service(name.to_owned())),
        "task-definition" => Some(Named::TaskDefinition(name.to_owned())),
        "task" => Some(Named::Task(name_of(name).to_owned())),
        _ => None,
    });
    named.ok_or_else(|| invalid(format!("The ARN {arn} is not valid. Specify a valid ARN and try again.")))
}

fn tags<'t>(tx: &'t Tx, p: &Params) -> Result<&'t Tags, AwsError> {
    let gone = |_| absent();
    Ok(match named(p)? {
        Named::Cluster(name) => {
            let cluster = tx.get::<Cluster>(&name)?;
            if cluster.status != "ACTIVE" {
                return Err(Cluster::absent(&name));
            }
            &cluster.tags
        }
        Named::Service(key) => &tx.get::<Service>(&key).ok().filter(|it| !it.is_inactive()).ok_or_else(absent)?.tags,
        Named::TaskDefinition(id) => &tx.get::<TaskDefinition>(&id).map_err(gone)?.tags,
        Named::Task(id) => &tx.get::<Task>(&id).map_err(gone)?.tags,
    })
}

fn absent() -> AwsError {
    invalid("The specified resource was not found.")
}

fn change(tx: &mut Tx, p: &Params, change: impl FnOnce(&mut Tags)) -> Reply {
    tags(tx, p)?;
    let tags = match named(p)? {
        Named::Cluster(name) => &mut tx.get_mut::<Cluster>(&name)?.tags,
        Named::Service(key) => &mut tx.get_mut::<Service>(&key)?.tags,
        Named::TaskDefinition(id) => &mut tx.get_mut::<TaskDefinition>(&id)?.tags,
        Named::Task(id) => &mut tx.get_mut::<Task>(&id)?.tags,
    };
    change(tags);
    // "Tags with this prefix do not count against your tags per resource limit."
    match tags.keys().filter(|key| !key.starts_with(RESERVED)).count() > 50 {
        true => Err(invalid("Too many tags were specified. Number of tags cannot exceed 50.")),
        false => Ok(json!({})),
    }
}

fn tag_resource(tx: &mut Tx, p: &Params) -> Reply {
    let new = own_tags(p)?;
    change(tx, p, |tags| tags.extend(new))
}

fn untag_resource(tx: &mut Tx, p: &Params) -> Reply {
    let keys: Vec<String> = p.strings("tagKeys").into_iter().map(str::to_owned).collect();
    if let Some(key) = keys.iter().find(|key| key.starts_with(RESERVED)) {
        return Err(invalid(format!("The tag key {key} is reserved: it cannot be edited or deleted.")));
    }
    change(tx, p, |tags| tags.retain(|key, _| !keys.contains(key)))
}

fn list_tags_for_resource(tx: &mut Tx, p: &Params) -> Reply {
    Ok(json!({ "tags": show_tags(tags(tx, p)?) }))
}
