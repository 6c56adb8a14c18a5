//! Rules of a network ACL: as options say them, as EC2 shows them, and from one to the other.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{self as ec2, RuleAction};
use ipnet::{Ipv4Net, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    read,
    setting::{self, Setting, Undoing},
    traffic::{Said, Traffic},
};
use crate::{
    event::Field,
    ops::{Cidr, Error, all_of},
    run::{Ctx, LookUp, Mutation, UndoAction},
};

/// A rule. The first that fits, by number, decides.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleOptions {
    /// Its place among the rules, 1 to 32766. If left out, 10 after the rule before it; the first is 100.
    rule_number: Option<i32>,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `all`, or a number.
    #[serde(default = "all")]
    protocol: String,
    /// One port, of `tcp` and `udp`.
    port: Option<i32>,
    /// The first port of a range.
    from_port: Option<i32>,
    /// The last port of a range.
    to_port: Option<i32>,
    /// The ICMP type, all if left out.
    icmp_type: Option<i32>,
    /// The ICMP code, all if left out.
    icmp_code: Option<i32>,
    /// The IPv4 range on the other side.
    cidr_block: Option<Cidr<Ipv4Net>>,
    /// The IPv6 range on the other side.
    ipv6_cidr_block: Option<Cidr<Ipv6Net>>,
    /// `allow` or `deny`.
    #[serde(default)]
    rule_action: Action,
}

fn all() -> String {
    "all".to_owned()
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    #[default]
    Allow,
    Deny,
}

/// A rule without its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    traffic: Traffic,
    cidr_block: String,
    rule_action: Action,
}

/// The rules of one direction by number, with the one that denies the rest left out.
pub type Rules = BTreeMap<i32, Rule>;

/// EC2's own rule, which denies what no other has let in or out; IPv6 has one more.
const LAST: i32 = 32767;

impl RuleOptions {
    fn read(&self, path: &str) -> Result<Rule, Error> {
        let said = Said {
            protocol: &self.protocol,
            port: self.port,
            from_port: self.from_port,
            to_port: self.to_port,
            icmp_type: self.icmp_type,
            icmp_code: self.icmp_code,
        };
        let traffic = Traffic::read(&said, path)?;
        let cidr_block = match (&self.cidr_block, &self.ipv6_cidr_block) {
            (Some(range), None) => range.0.trunc().to_string(),
            (None, Some(range)) => range.0.trunc().to_string(),
            _ => return Err(Error::option(path, "expected `cidr_block` or `ipv6_cidr_block`")),
        };
        Ok(Rule { traffic, cidr_block, rule_action: self.rule_action })
    }
}

/// The rules that options describe; `direction` is the option they are in.
pub fn wanted(direction: &str, options: &[RuleOptions]) -> Result<Rules, Error> {
    let mut rules = Rules::new();
    let mut last = None;
    for (index, rule) in options.iter().enumerate() {
        let path = format!("{direction}[{index}]");
        let number = rule.rule_number.unwrap_or_else(|| last.map_or(100, |last: i32| last.saturating_add(10)));
        if !(1..LAST).contains(&number) {
            return Err(Error::option(path, format!("expected a rule number from 1 to 32766, found {number}")));
        }
        if rules.insert(number, rule.read(&path)?).is_some() {
            return Err(Error::option(path, format!("there is another rule {number}")));
        }
        last = Some(number);
    }
    Ok(rules)
}

/// The rules of one direction that somebody made.
pub fn of_acl(acl: &ec2::NetworkAcl, egress: bool) -> Rules {
    let entries = acl.entries().iter().filter(|entry| entry.egress() == Some(egress));
    let entries = entries.filter_map(|entry| Some((entry.rule_number()?, entry)));
    entries.filter(|(number, _)| *number < LAST).map(|(number, entry)| (number, from_ec2(entry))).collect()
}

fn from_ec2(entry: &ec2::NetworkAclEntry) -> Rule {
    let ports = entry.port_range().and_then(|range| Some((range.from()?, range.to()?)));
    let icmp = entry.icmp_type_code().and_then(|icmp| Some((icmp.r#type()?, icmp.code()?)));
    let protocol = entry.protocol().unwrap_or("-1");
    // Both may be shown, one of them without a meaning.
    let is_icmp = Traffic::from_ec2(protocol, None).is_icmp();
    let rule_action = match entry.rule_action() {
        Some(RuleAction::Deny) => Action::Deny,
        _ => Action::Allow,
    };
    Rule {
        traffic: Traffic::from_ec2(protocol, if is_icmp { icmp } else { ports }),
        cidr_block: entry.cidr_block().or(entry.ipv6_cidr_block()).unwrap_or_default().to_owned(),
        rule_action,
    }
}

/// Makes the rules of one direction the wanted ones. Returns what changed.
pub async fn converge(
    ctx: &Ctx,
    acl: &str,
    egress: bool,
    found: &Rules,
    wanted: &Rules,
    undoing: Undoing,
) -> Result<Vec<Field>, Error> {
    let numbers: BTreeSet<i32> = found.keys().chain(wanted.keys()).copied().collect();
    let changes = numbers.into_iter().map(|number| (number, found.get(&number), wanted.get(&number)));
    let changes: Vec<_> = changes.filter(|(_, before, ours)| before != ours).collect();
    all_of(changes.iter().map(async |(number, before, ours)| {
        let entry = EntryOf { network_acl_id: acl.to_owned(), egress, rule_number: *number };
        setting::set(ctx, &entry, &before.cloned(), &ours.cloned(), undoing).await
    }))
    .await?;
    let direction = if egress { "egress" } else { "ingress" };
    let field = |(number, before, ours): (i32, Option<&Rule>, Option<&Rule>)| Field {
        name: format!("{direction}.{number}"),
        before: before.map(|rule| json!(rule.to_string())),
        after: json!(ours.map(ToString::to_string)),
    };
    Ok(changes.into_iter().map(field).collect())
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let action = if self.rule_action == Action::Allow { "allow" } else { "deny" };
        write!(f, "{action} {} {}", self.traffic, self.cidr_block)
    }
}

/// The rule of a number and direction: none, if there is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct EntryOf {
    network_acl_id: String,
    egress: bool,
    rule_number: i32,
}

/// The same setters on two builders without a common trait.
macro_rules! entry {
    ($request:expr, $of:expr, $rule:expr) => {{
        let (of, rule) = ($of, $rule);
        let request = $request
            .network_acl_id(&of.network_acl_id)
            .egress(of.egress)
            .rule_number(of.rule_number)
            .protocol(rule.traffic.number())
            .rule_action(if rule.rule_action == Action::Allow { RuleAction::Allow } else { RuleAction::Deny });
        let request = match rule.cidr_block.contains(':') {
            true => request.ipv6_cidr_block(&rule.cidr_block),
            false => request.cidr_block(&rule.cidr_block),
        };
        match rule.traffic.range {
            None => request,
            Some((kind, code)) if rule.traffic.is_icmp() => {
                request.icmp_type_code(ec2::IcmpTypeCode::builder().r#type(kind).code(code).build())
            }
            Some((from, to)) => request.port_range(ec2::PortRange::builder().from(from).to(to).build()),
        }
    }};
}

impl Setting for EntryOf {
    type Value = Option<Rule>;
    const LOOK_UP: &'static LookUp = &NETWORK_ACL_RULE_IS_SET;
    const UNDO: &'static UndoAction = &RESTORE_NETWORK_ACL_RULE;

    fn subject(&self) -> String {
        let direction = if self.egress { "egress" } else { "ingress" };
        format!("{direction} rule {} of {}", self.rule_number, self.network_acl_id)
    }

    async fn now(&self, ctx: &Ctx, _: &Option<Rule>) -> Result<Option<Option<Rule>>, Error> {
        let acl = read::network_acl(ctx, &self.network_acl_id).await?;
        Ok(acl.map(|acl| of_acl(&acl, self.egress).remove(&self.rule_number)))
    }

    async fn send(
        &self,
        ctx: &Ctx,
        from: &Option<Rule>,
        to: &Option<Rule>,
        declare: impl FnOnce(&'static str) -> Mutation,
    ) -> Result<(), Error> {
        let ec2 = &ctx.aws().ec2;
        match (from, to) {
            (None, None) => Ok(()),
            (None, Some(rule)) => {
                ctx.change(declare("ec2:CreateNetworkAclEntry"), |permit| {
                    entry!(ec2.create_network_acl_entry(), self, rule).customize().interceptor(permit).send()
                })
                .await
            }
            (Some(_), Some(rule)) => {
                ctx.change(declare("ec2:ReplaceNetworkAclEntry"), |permit| {
                    entry!(ec2.replace_network_acl_entry(), self, rule).customize().interceptor(permit).send()
                })
                .await
            }
            (Some(_), None) => {
                ctx.change(declare("ec2:DeleteNetworkAclEntry"), |permit| {
                    let request = ec2.delete_network_acl_entry().network_acl_id(&self.network_acl_id);
                    let request = request.egress(self.egress).rule_number(self.rule_number);
                    request.customize().interceptor(permit).send()
                })
                .await
            }
        }
    }
}

/// Finds out whether a rule was changed as declared.
pub const NETWORK_ACL_RULE_IS_SET: LookUp =
    LookUp { name: "network_acl_rule_is_set", run: |ctx, change| Box::pin(setting::is_set::<EntryOf>(ctx, change)) };

/// Gives a number its old rule back, or none.
pub const RESTORE_NETWORK_ACL_RULE: UndoAction = UndoAction {
    name: "restore_network_acl_rule",
    run: |ctx, change| Box::pin(setting::restore::<EntryOf>(ctx, change)),
};
