//! Names and tags of what EC2 knows by an id.

use std::collections::BTreeMap;

use super::resources::resource;
use crate::{
    ops::{
        Error,
        compute::ensure_launch_template,
        ec2_tags::from_ec2,
        network::{common::filter, read},
    },
    policy::Resource,
    run::Ctx,
};

pub async fn read(ctx: &Ctx, id: &str) -> Result<Vec<(String, Resource)>, Error> {
    match id.split_once('-').map(|(prefix, _)| prefix) {
        // Two kinds have a name besides their tags.
        Some("sg") => {
            let group = read::security_group(ctx, id).await?;
            let (name, tags) = group.map(|group| (group.group_name, group.tags)).unwrap_or_default();
            Ok(vec![(id.to_owned(), named(name, from_ec2(&tags.unwrap_or_default())))])
        }
        Some("lt") => {
            let template = ensure_launch_template::by_id(ctx, id).await?;
            let (name, tags) =
                template.map(|template| (template.launch_template_name, template.tags)).unwrap_or_default();
            Ok(vec![(id.to_owned(), named(name, from_ec2(&tags.unwrap_or_default())))])
        }
        // An association has no tags: what it associates is changed.
        Some("rtbassoc") => {
            let by_id = [filter("association.route-table-association-id", id)];
            let tables = read::route_tables(ctx, &[], &by_id).await?;
            let associations = tables.iter().flat_map(|table| table.associations());
            let of_it = associations.filter(|one| one.route_table_association_id() == Some(id));
            let ids = of_it.flat_map(|one| [one.route_table_id(), one.subnet_id()]).flatten().map(str::to_owned);
            tagged(ctx, ids.collect()).await
        }
        Some("aclassoc") => {
            let by_id = [filter("association.association-id", id)];
            let acls = read::network_acls(ctx, &[], &by_id).await?;
            let associations = acls.iter().flat_map(|acl| acl.associations());
            let of_it = associations.filter(|one| one.network_acl_association_id() == Some(id));
            let ids = of_it.flat_map(|one| [one.network_acl_id(), one.subnet_id()]).flatten().map(str::to_owned);
            tagged(ctx, ids.collect()).await
        }
        _ => tagged(ctx, vec![id.to_owned()]).await,
    }
}

fn named(name: Option<String>, tags: BTreeMap<String, String>) -> Resource {
    let mut resource = resource(tags);
    resource.names.extend(name);
    resource
}

/// By the one list that has the tags of everything.
async fn tagged(ctx: &Ctx, ids: Vec<String>) -> Result<Vec<(String, Resource)>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let of_ids = aws_sdk_ec2::types::Filter::builder().name("resource-id").set_values(Some(ids.clone())).build();
    let tags = ctx
        .read("ec2:DescribeTags", || {
            let request = ctx.aws().ec2.describe_tags().filters(of_ids.clone());
            request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let mut by_id: BTreeMap<String, BTreeMap<String, String>> =
        ids.into_iter().map(|id| (id, BTreeMap::new())).collect();
    for tag in tags {
        if let (Some(of), Some(key)) = (tag.resource_id.and_then(|id| by_id.get_mut(&id)), tag.key) {
            of.insert(key, tag.value.unwrap_or_default());
        }
    }
    Ok(by_id.into_iter().map(|(id, tags)| (id, resource(tags))).collect())
}
