//! `ensure_security_group`: who may talk to whom.

use aws_sdk_ec2::types::{self as ec2, ResourceType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    SecurityGroup, Vpc,
    common::{IN_USE, LET_GO, filter, is_id, is_of_stack, only},
    read,
    security_group_rule::{self as rule, Peer, RuleOptions, Rules},
    security_group_rules::Direction,
    shared,
};
use crate::{
    event::{Change, Field},
    ops::{
        Error, IdOf, Operation, Tags, Together, arguments, ec2_tags,
        outcome::{deleted, fixed, report},
        ownership::{Owned, set},
        require,
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that a VPC has this security group, with these rules. It knows connections: replies need no rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureSecurityGroup {
    /// What the stack calls it; for AWS, its group name and its `Name` are `<stack>-<name>`.
    name: String,
    /// The VPC it is in.
    vpc_id: IdOf<Vpc>,
    /// What it is for. AWS cannot change it; if left out, a new group's is its name, and that of one that is there does
    /// not matter.
    description: Option<String>,
    /// Who may connect to its members: `#{ port: 443, cidr_ip: "0.0.0.0/0" }`, `#{ port: 8080, group_id: load_balancers }`.
    #[serde(default)]
    ingress: Vec<RuleOptions>,
    /// Whom its members may connect to. If left out, everybody.
    egress: Option<Vec<RuleOptions>>,
    /// `exact` removes all other rules; `at_least` leaves them.
    #[serde(default)]
    rules: Exactness,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a group of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Exactness {
    #[default]
    Exact,
    AtLeast,
}

/// AWS's limit of a group's name.
const LONGEST_NAME: usize = 255;

/// What is kept of a created group.
#[derive(Serialize, Deserialize)]
struct Made {
    group_id: String,
}

impl Operation for EnsureSecurityGroup {
    const NAME: &'static str = "ensure_security_group";
    const AREA: &'static str = "VPC";
    const EXAMPLE: &'static str = r#"ensure_security_group(#{
    name: "web", vpc_id: vpc, description: "HTTPS from everywhere",
    ingress: [#{ port: 443, cidr_ip: "0.0.0.0/0" }],
})"#;

    type Options = Self;
    type Handle = SecurityGroup;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<SecurityGroup, Error> {
        let mut ingress = rule::wanted("ingress", &options.ingress)?;
        let mut egress = match &options.egress {
            Some(rules) => rule::wanted("egress", rules)?,
            None => rule::everything(),
        };
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let group_name = owned.name_within(LONGEST_NAME);
        let vpc_id = options.vpc_id.as_str();
        let (groups, _, _) = futures::join!(
            shared::security_groups_of(ctx, vpc_id),
            name_prefix_lists(ctx, &mut ingress),
            name_prefix_lists(ctx, &mut egress),
        )
        .together()?;
        // The name of a group is its own: no two of a VPC have the same.
        let found = groups.iter().find(|group| group.group_name() == Some(&group_name));
        let group_id = match found {
            Some(group) => converge(ctx, &options, &owned, group, [ingress, egress]).await?,
            None => create(ctx, &options, &owned, &group_name, [ingress, egress]).await?,
        };
        Ok(SecurityGroup { group_id, group_name, vpc_id: vpc_id.to_owned() })
    }
}

/// Puts ids where options have names of prefix lists: every region has its own ids for AWS's.
async fn name_prefix_lists(ctx: &Ctx, rules: &mut Rules) -> Result<(), Error> {
    let names: Vec<String> = rules
        .keys()
        .filter_map(|permission| match &permission.peer {
            Peer::PrefixListId(name) if !is_id(name, "pl-") => Some(name.clone()),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let by_name = ec2::Filter::builder().name("prefix-list-name").set_values(Some(names)).build();
    let lists = read::prefix_lists(ctx, &[by_name]).await?;
    for (mut permission, details) in std::mem::take(rules) {
        if let Peer::PrefixListId(id) = &mut permission.peer
            && !is_id(id, "pl-")
        {
            let named = lists.iter().filter(|list| list.prefix_list_name() == Some(id)).collect();
            let what = format!("prefix list {id}");
            let list = only(&what, named, |list| list.prefix_list_id())?;
            let list = list.ok_or(Error::NotFound { what, hint: None })?;
            *id = require("ec2:DescribeManagedPrefixLists", "prefixListId", list.prefix_list_id())?;
        }
        rules.insert(permission, details);
    }
    Ok(())
}

/// Puts the group's id where options say `self`.
fn with_own_id(rules: Rules, group_id: &str) -> Rules {
    let own = |(mut permission, details): (rule::Permission, rule::Details)| {
        if permission.peer == Peer::GroupId(rule::SELF.to_owned()) {
            permission.peer = Peer::GroupId(group_id.to_owned());
        }
        (permission, details)
    };
    rules.into_iter().map(own).collect()
}

async fn converge(
    ctx: &Ctx,
    options: &EnsureSecurityGroup,
    owned: &Owned,
    group: &ec2::SecurityGroup,
    wanted: [Rules; 2],
) -> Result<String, Error> {
    let id: String = require("ec2:DescribeSecurityGroups", "groupId", group.group_id())?;
    let resource = format!("security group {} ({id})", owned.name);
    let tags = ec2_tags::from_ec2(group.tags());
    owned.check(&resource, &tags, options.adopt)?;
    if let Some(description) = &options.description {
        fixed(&resource, "description", group.description().unwrap_or_default(), description)?;
    }
    let (mut fields, rules) =
        futures::join!(ec2_tags::converge(ctx, &id, owned, &tags), set_rules(ctx, options, group, wanted, true),)
            .together()?;
    fields.extend(rules);
    report(ctx, fields);
    Ok(id)
}

/// Both directions.
async fn set_rules(
    ctx: &Ctx,
    options: &EnsureSecurityGroup,
    group: &ec2::SecurityGroup,
    wanted: [Rules; 2],
    undone: bool,
) -> Result<Vec<Field>, Error> {
    let group_id: String = require("ec2:DescribeSecurityGroups", "groupId", group.group_id())?;
    let [ingress, egress] = wanted;
    let set = async |egress: bool, wanted: Rules| {
        let found = rule::of_group(group, egress);
        let mut wanted = with_own_id(wanted, &group_id);
        for (permission, details) in &found {
            let of_aws = egress && options.egress.is_none() && rule::is_everything_ipv6(permission);
            if options.rules == Exactness::AtLeast || of_aws {
                wanted.entry(permission.clone()).or_insert_with(|| details.clone());
            }
        }
        Direction { group_id: group_id.clone(), egress }.converge(ctx, &found, &wanted, undone).await
    };
    let (mut fields, more) = futures::join!(set(false, ingress), set(true, egress)).together()?;
    fields.extend(more);
    Ok(fields)
}

async fn create(
    ctx: &Ctx,
    options: &EnsureSecurityGroup,
    owned: &Owned,
    group_name: &str,
    wanted: [Rules; 2],
) -> Result<String, Error> {
    let vpc_id = options.vpc_id.as_str();
    let undo = Undo::new(&DELETE_SECURITY_GROUP, format!("delete security group {}", owned.name), json!({}));
    let by_name = json!({ "vpc_id": vpc_id, "group_name": group_name, "stack": owned.stack });
    let declared = Mutation::new("ec2:CreateSecurityGroup", Class::Unique, format!("security group {}", owned.name))
        .look_up(&SECURITY_GROUP_BY_NAME, by_name)
        .undo(undo.keep(options.keep_on_rollback));
    let Made { group_id } = ctx
        .mutate(
            declared,
            |permit| {
                ctx.aws()
                    .ec2
                    .create_security_group()
                    .group_name(group_name)
                    .description(options.description.as_deref().unwrap_or(group_name))
                    .vpc_id(vpc_id)
                    .tag_specifications(ec2_tags::specification(ResourceType::SecurityGroup, owned))
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| Ok(Made { group_id: require("ec2:CreateSecurityGroup", "groupId", reply.group_id())? }),
        )
        .await?;
    // What AWS lets out of it at first depends on the VPC, so that a group with rules of its own for that is looked at.
    let group = match options.egress {
        Some(_) => read::security_group(ctx, &group_id).await?,
        None => None,
    };
    let group = group.unwrap_or_else(|| {
        let everything = rule::to_ec2(&rule::everything());
        ec2::SecurityGroup::builder().group_id(&group_id).set_ip_permissions_egress(Some(everything)).build()
    });
    // They go with the group.
    set_rules(ctx, options, &group, wanted, false).await?;
    ctx.did(Change::Created, [set("group_id", group_id.clone())]);
    Ok(group_id)
}

/// Finds a security group by the name and the tags it was created with.
pub const SECURITY_GROUP_BY_NAME: LookUp =
    LookUp { name: "security_group_by_name", run: |ctx, arguments| Box::pin(security_group_by_name(ctx, arguments)) };

#[derive(Deserialize)]
struct ByName {
    vpc_id: String,
    group_name: String,
    stack: String,
}

async fn security_group_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByName { vpc_id, group_name, stack } = arguments(wanted)?;
    let filters = [filter("vpc-id", &vpc_id), filter("group-name", &group_name)];
    let mut found = read::security_groups(ctx, &[], &filters).await?;
    found.retain(|group| {
        group.vpc_id() == Some(&vpc_id) && group.group_name() == Some(&group_name) && is_of_stack(group.tags(), &stack)
    });
    Ok(found.first().map(|group| json!({ "group_id": group.group_id() })))
}

/// Deletes a security group this run made.
pub const DELETE_SECURITY_GROUP: UndoAction =
    UndoAction { name: "delete_security_group", run: |ctx, arguments| Box::pin(delete_security_group(ctx, arguments)) };

async fn delete_security_group(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { group_id } = arguments(made)?;
    let declared = Mutation::new("ec2:DeleteSecurityGroup", Class::Idempotent, &group_id).patiently(IN_USE, LET_GO);
    let deletion = ctx.change(declared, |permit| {
        ctx.aws().ec2.delete_security_group().group_id(&group_id).customize().interceptor(permit).send()
    });
    deleted(deletion.await, &["InvalidGroup.NotFound"])
}
