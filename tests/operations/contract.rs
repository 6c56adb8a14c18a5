//! What every operation that makes something must keep: it is made from nothing; again, nothing
//! changes; after a change of options only the difference is sent; and undone, newest first, the
//! account is as before.

use runner::event::Field;
use serde_json::Value;

pub use crate::same::assert_same;
use crate::{
    account::{Account, Trial},
    moto::moto,
};

/// What moto cannot do, by operation, with the reason. Everything else is judged by it.
/// Source of the reasons: moto 5.2.5 itself; what real AWS does is on the simulator's side.
const NOT_ON_MOTO: &[(&str, &str)] = &[
    ("ensure_launch_template", "DeleteLaunchTemplateVersions is not implemented; tags set later are not shown"),
    (
        "deploy_ecs_service",
        "services stay at runningCount 0, so none is ever stable; deploymentConfiguration is forgotten",
    ),
    ("ensure_service_scaling", "needs a stable service; tried there with one that others have made, in containers.rs"),
    ("bake_image", "CreateImage with tags of snapshots is not implemented"),
    ("destroy_stack", "a network ACL keeps its associations with subnets that are gone, and is never deleted"),
    ("wait_http", "there is nothing behind its load balancers: nobody answers"),
];

/// Whether an operation is exempt from being judged by moto.
pub fn is_exempt(operation: &str) -> bool {
    NOT_ON_MOTO.iter().any(|(exempt, _)| *exempt == operation)
}

/// Where the two answer otherwise, by operation: what, why, and which of them AWS's documentation supports. All of what an
/// operation returns and says is compared, but for ids and addresses.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("launch_asg", "handle.instance_ids", AT_ONCE),
    ("launch_asg", "handle.in_service", AT_ONCE),
    (
        "ensure_load_balancer",
        "handle.dns_name",
        "moto's begin with NAME-1; AWS, as the simulator, puts digits of its own there",
    ),
    (
        "ensure_load_balancer",
        "handle.security_groups",
        "moto gives none; CreateLoadBalancer gives the VPC's default group when none is named, as the simulator does",
    ),
    (
        "ensure_topic",
        "handle.subscriptions",
        "moto confirms by itself; Subscribe says that whoever is asked by mail or over HTTP has to, as in the simulator",
    ),
];

const AT_ONCE: &str =
    "moto's instances are in service when the call returns; AWS's are pending first, as the simulator's";

/// The calls of the parts, for the test to pin.
#[derive(Debug, PartialEq)]
pub struct Contract {
    pub created: Vec<String>,
    pub created_depth: usize,
    pub unchanged_depth: usize,
    pub updated: Vec<String>,
    /// What the operation returned, and said it changed.
    told: Vec<(String, Value)>,
}

/// Tries the contract of `operation` in new accounts. `setup` makes what it needs and returns the
/// options, and the options changed.
pub fn contract(operation: &str, setup: impl Fn(&mut Trial<'_>) -> (Value, Value)) -> Contract {
    let account = Account::new();
    let contract = try_on(&account, operation, &setup, || account.observe());
    if !is_exempt(operation) {
        let name = moto().new_account();
        let account = Account::moto(moto().url(), name.clone());
        let on_moto = try_on(&account, operation, &setup, || moto().boto3(&name, "observe()"));
        // Calls that are sent together arrive in the order of the sockets.
        let sorted = |calls: &[String]| {
            let mut calls = calls.to_vec();
            calls.sort();
            calls
        };
        assert_eq!(sorted(&on_moto.created), sorted(&contract.created), "other calls on moto to make it");
        assert_eq!(sorted(&on_moto.updated), sorted(&contract.updated), "other calls on moto to change it");
        agree(operation, &contract.told, &on_moto.told);
    }
    contract
}

/// Both told the same, but for what is known to differ.
fn agree(operation: &str, simulated: &[(String, Value)], on_moto: &[(String, Value)]) {
    let known = |what: &str| DIFFERENT.iter().any(|(of, differs, _)| *of == operation && *differs == what);
    let names = |told: &[(String, Value)]| -> Vec<String> {
        told.iter().map(|(what, _)| what.clone()).filter(|what| !known(what)).collect()
    };
    assert_eq!(names(simulated), names(on_moto), "{operation} tells of other things on moto");
    let of_moto = on_moto.iter().filter(|(what, _)| !known(what));
    let differences: Vec<String> = simulated
        .iter()
        .filter(|(what, _)| !known(what))
        .zip(of_moto)
        .filter(|(ours, theirs)| ours != theirs)
        .map(|((what, ours), (_, theirs))| format!("{what}: {ours} simulated, {theirs} on moto"))
        .collect();
    assert_eq!(differences, [""; 0], "{operation}");
}

/// A value without what AWS chooses: ids, account numbers, digits of names and addresses.
fn told(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains(".awsdns-") || text.parse::<std::net::Ipv4Addr>().is_ok() => "*".into(),
        Value::String(text) => {
            let text = without_uuids(text);
            let is_chosen = |word: &str| word.len() >= 8 && word.bytes().any(|byte| byte.is_ascii_digit());
            let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
            let word = |word: &str| {
                let (body, end) = word.split_at(word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len());
                format!("{}{end}", if is_chosen(body) { "*" } else { body })
            };
            words.map(word).collect::<String>().into()
        }
        Value::Array(items) => items.iter().map(told).collect(),
        Value::Object(fields) => {
            let is_kept = |(name, _): &(&String, &Value)| *name != "runner:run";
            fields.iter().filter(is_kept).map(|(name, value)| (name.clone(), told(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn without_uuids(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == '-';
    let part = |part: &str| {
        let (body, end) = part.split_at(part.trim_end_matches(|c| !is_part(c)).len());
        let is_uuid = body.len() == 36 && body.matches('-').count() == 4;
        format!("{}{end}", if is_uuid { "*" } else { body })
    };
    text.split_inclusive(|c| !is_part(c)).map(part).collect()
}

fn try_on(
    account: &Account,
    operation: &str,
    setup: impl Fn(&mut Trial<'_>) -> (Value, Value),
    observe: impl Fn() -> Value,
) -> Contract {
    let mut needs = account.run();
    let (options, changed) = setup(&mut needs);
    let before = observe();

    let mut first = account.run();
    let made = first.ok(operation, options.clone());
    assert_eq!(made["change"], "created", "from nothing");
    let returned = made.as_object().into_iter().flatten().map(|(name, value)| (format!("handle.{name}"), told(value)));
    let mut all_told: Vec<(String, Value)> = returned.collect();
    let (created, created_depth) = (first.mutations(), first.depth());
    let after = observe();
    assert_ne!(after, before, "something was made");

    let mut second = account.run();
    let again = second.ok(operation, options.clone());
    assert_eq!(again["change"], "unchanged", "again: {:?}", second.fields());
    assert_eq!(second.mutations(), [""; 0], "again");

    let mut third = account.run();
    assert_eq!(third.ok(operation, changed.clone())["change"], "updated", "changed options");
    let updated = third.mutations();
    let updated_field = |field: Field| {
        let name = told(&field.name.into());
        (format!("updated.{}", name.as_str().unwrap_or_default()), told(&field.after))
    };
    all_told.extend(third.fields().into_iter().map(updated_field));
    let mut fourth = account.run();
    let again = fourth.ok(operation, changed);
    assert_eq!(again["change"], "unchanged", "changed options, again: {:?}", fourth.fields());

    let report = third.roll_back();
    assert!(report.is_clean(), "the change undone: {report:?}");
    assert_same(&observe(), &after, "the change undone");
    let report = first.roll_back();
    assert!(report.is_clean(), "undone: {report:?}");
    assert_same(&observe(), &before, "undone");
    Contract { created, created_depth, unchanged_depth: second.depth(), updated, told: all_told }
}
