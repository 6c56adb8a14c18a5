//! `find_subnets`: subnets that are there, whoever made them.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Subnet, Subnets, Vpc,
    common::{filter, has_tags, name_of, tag_filters},
    read,
    subnets::TIER_TAG,
};
use crate::{
    ops::{Error, IdOf, Operation, Tags, ec2_tags},
    run::Ctx,
    wildcard,
};

/// Finds all subnets of a VPC that fit a description, at least one, in the order of their availability zones. They are
/// used, and not changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindSubnets {
    /// The VPC they are in.
    vpc_id: IdOf<Vpc>,
    /// The value of their tag `Tier`, capitals or not: `ensure_subnets` sets it, and many others do.
    tier: Option<String>,
    /// A pattern for their `Name` tag: `*` is any text, `?` any character.
    name: Option<String>,
    /// Tags they have.
    #[serde(default)]
    tags: Tags,
    /// Only those in these availability zones.
    #[serde(default)]
    availability_zones: Vec<String>,
}

impl Operation for FindSubnets {
    const NAME: &'static str = "find_subnets";
    const AREA: &'static str = "VPC";
    const EXAMPLE: &'static str = r#"find_subnets(#{ vpc_id: find_vpc("default") })"#;

    type Options = Self;
    type Handle = Subnets;

    fn subject(options: &Self) -> String {
        let of = options.name.as_ref().or(options.tier.as_ref());
        of.cloned().unwrap_or_else(|| options.vpc_id.to_string())
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Subnets, Error> {
        let vpc_id = options.vpc_id.as_str();
        let mut filters = tag_filters(&options.tags.0);
        filters.push(filter("vpc-id", vpc_id));
        filters.extend(options.name.as_ref().map(|name| filter("tag:Name", name)));
        let mut found = read::subnets(ctx, &[], &filters).await?;
        found.retain(|subnet| {
            let tags = ec2_tags::from_ec2(subnet.tags());
            let in_tier = |tier: &String| {
                tags.iter().any(|(key, value)| key.eq_ignore_ascii_case(TIER_TAG) && value.eq_ignore_ascii_case(tier))
            };
            let zones = &options.availability_zones;
            subnet.vpc_id() == Some(vpc_id)
                && options.tier.as_ref().is_none_or(in_tier)
                && options.name.as_ref().is_none_or(|pattern| wildcard::matches(pattern, name_of(subnet.tags())))
                && has_tags(subnet.tags(), &options.tags.0)
                && (zones.is_empty() || zones.iter().any(|zone| subnet.availability_zone() == Some(zone)))
        });
        if found.is_empty() {
            let what = format!("a subnet of {vpc_id} that fits");
            let hint = "look at them: `aws ec2 describe-subnets --filters Name=vpc-id,Values=…`";
            return Err(Error::NotFound { what, hint: Some(hint.into()) });
        }
        let mut subnets = found
            .iter()
            .map(|subnet| Subnet::from_ec2("ec2:DescribeSubnets", subnet))
            .collect::<Result<Vec<_>, _>>()?;
        subnets.sort_by(|a, b| (&a.availability_zone, &a.subnet_id).cmp(&(&b.availability_zone, &b.subnet_id)));
        Ok(Subnets::new(vpc_id, subnets))
    }
}
