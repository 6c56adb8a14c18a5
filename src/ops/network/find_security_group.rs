//! `find_security_group`: a security group that is there, whoever made it.

use aws_sdk_ec2::types as ec2;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    SecurityGroup, Vpc,
    common::{filter, has_tags, is_id, is_named, only, tag_filters},
    read,
};
use crate::{
    ops::{Error, IdOf, Operation, Tags, Together, require},
    run::Ctx,
};

/// Finds the one security group of a description. It is used, and not changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindSecurityGroup {
    /// Its id, its group name, or its `Name` tag.
    security_group: Option<String>,
    /// The VPC it is in.
    vpc_id: Option<IdOf<Vpc>>,
    /// Tags it has.
    #[serde(default)]
    tags: Tags,
}

impl Operation for FindSecurityGroup {
    const NAME: &'static str = "find_security_group";
    const AREA: &'static str = "VPC";
    const POSITIONAL: &'static [&'static str] = &["security_group"];
    const EXAMPLE: &'static str = r#"find_security_group(#{ security_group: "default", vpc_id: find_vpc("default") })"#;

    type Options = Self;
    type Handle = SecurityGroup;

    fn subject(options: &Self) -> String {
        options.security_group.clone().unwrap_or_else(|| "by tags".to_owned())
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<SecurityGroup, Error> {
        let described = options.security_group.as_deref();
        if described.is_none() && options.tags.0.is_empty() {
            return Err(Error::option("", "expected a `security_group` or `tags` to find it by, found neither"));
        }
        let vpc_id = options.vpc_id.as_ref().map(IdOf::as_str);
        let mut filters = tag_filters(&options.tags.0);
        filters.extend(vpc_id.map(|vpc_id| filter("vpc-id", vpc_id)));
        let mut found = match described {
            Some(id) if is_id(id, "sg-") => read::security_groups(ctx, &[id.to_owned()], &filters).await?,
            Some(name) => {
                let with = |more| [&filters[..], &[more]].concat();
                let (by_group_name, by_name) = (with(filter("group-name", name)), with(filter("tag:Name", name)));
                let (mut found, named) = futures::join!(
                    read::security_groups(ctx, &[], &by_group_name),
                    read::security_groups(ctx, &[], &by_name),
                )
                .together()?;
                found.retain(|group| group.group_name() == Some(name));
                let others = named.into_iter().filter(|group| is_named(group.tags(), name));
                let others: Vec<_> =
                    others.filter(|group| found.iter().all(|other| other.group_id() != group.group_id())).collect();
                found.extend(others);
                found
            }
            None => read::security_groups(ctx, &[], &filters).await?,
        };
        found.retain(|group| {
            vpc_id.is_none_or(|vpc_id| group.vpc_id() == Some(vpc_id)) && has_tags(group.tags(), &options.tags.0)
        });
        let what =
            described.map_or("security group with these tags".to_owned(), |name| format!("security group {name}"));
        let group = only(&what, found, ec2::SecurityGroup::group_id)?;
        let group = group.ok_or(Error::NotFound { what, hint: None })?;
        const CALL: &str = "ec2:DescribeSecurityGroups";
        Ok(SecurityGroup {
            group_id: require(CALL, "groupId", group.group_id())?,
            group_name: require(CALL, "groupName", group.group_name())?,
            vpc_id: require(CALL, "vpcId", group.vpc_id())?,
        })
    }
}
