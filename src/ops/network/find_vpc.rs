//! `find_vpc`: a network that is there, whoever made it.

use aws_sdk_ec2::types as ec2;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Vpc,
    common::{filter, has_tags, is_id, is_named, name_of, only, tag_filters},
    read,
};
use crate::{
    ops::{Error, Operation, Tags, require},
    run::Ctx,
};

/// Finds the one VPC of a description. It is used, and not changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindVpc {
    /// Its id, its `Name` tag, or `default` for the region's default VPC.
    vpc: Option<String>,
    /// Tags it has.
    #[serde(default)]
    tags: Tags,
}

impl Operation for FindVpc {
    const NAME: &'static str = "find_vpc";
    const AREA: &'static str = "VPC";
    const POSITIONAL: &'static [&'static str] = &["vpc"];
    const EXAMPLE: &'static str = r#"find_vpc("default")"#;

    type Options = Self;
    type Handle = Vpc;

    fn subject(options: &Self) -> String {
        options.vpc.clone().unwrap_or_else(|| "by tags".to_owned())
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Vpc, Error> {
        let described = options.vpc.as_deref();
        if described.is_none() && options.tags.0.is_empty() {
            return Err(Error::option("", "expected a `vpc` or `tags` to find it by, found neither"));
        }
        let mut filters = tag_filters(&options.tags.0);
        let mut ids = Vec::new();
        match described {
            Some("default") => filters.push(filter("is-default", "true")),
            Some(id) if is_id(id, "vpc-") => ids.push(id.to_owned()),
            Some(name) => filters.push(filter("tag:Name", name)),
            None => {}
        }
        let mut found = read::vpcs(ctx, &ids, &filters).await?;
        found.retain(|vpc| {
            let is_it = described.is_none_or(|described| match described {
                "default" => vpc.is_default() == Some(true),
                id if is_id(id, "vpc-") => vpc.vpc_id() == Some(id),
                name => is_named(vpc.tags(), name),
            });
            is_it && has_tags(vpc.tags(), &options.tags.0)
        });
        let what = described.map_or("vpc with these tags".to_owned(), |vpc| format!("vpc {vpc}"));
        let vpc = only(&what, found, ec2::Vpc::vpc_id)?.ok_or_else(|| {
            let hint = (described == Some("default")).then(|| {
                "this region has no default VPC; `aws ec2 create-default-vpc` makes one, `ensure_vpc` a better one"
                    .into()
            });
            Error::NotFound { what, hint }
        })?;
        Ok(Vpc {
            vpc_id: require("ec2:DescribeVpcs", "vpcId", vpc.vpc_id())?,
            cidr_block: require("ec2:DescribeVpcs", "cidrBlock", vpc.cidr_block())?,
            name: name_of(vpc.tags()).to_owned(),
        })
    }
}
