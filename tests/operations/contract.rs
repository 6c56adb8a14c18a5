//! What every operation that makes something must keep: it is made from nothing; again, nothing
//! changes; after a change of options only the difference is sent; and undone, newest first, the
//! account is as before.

use serde_json::Value;

pub use crate::same::assert_same;
use crate::{
    account::{Account, Trial},
    moto::moto,
};

/// What moto cannot do, by operation, with the reason. Everything else is judged by it.
/// Source of the reasons: moto 5.2.5 itself; what real AWS does is on the simulator's side.
const NOT_ON_MOTO: &[(&str, &str)] =
    &[("ensure_launch_template", "DeleteLaunchTemplateVersions is not implemented; tags set later are not shown")];

/// The calls of the parts, for the test to pin.
pub struct Contract {
    pub created: Vec<String>,
    pub created_depth: usize,
    pub unchanged_depth: usize,
    pub updated: Vec<String>,
}

/// Tries the contract of `operation` in new accounts. `setup` makes what it needs and returns the
/// options, and the options changed.
pub fn contract(operation: &str, setup: impl Fn(&mut Trial<'_>) -> (Value, Value)) -> Contract {
    let account = Account::new();
    let contract = try_on(&account, operation, &setup, || account.observe());
    if NOT_ON_MOTO.iter().all(|(exempt, _)| *exempt != operation) {
        let name = moto().new_account();
        let account = Account::moto(moto().url(), name.clone());
        try_on(&account, operation, &setup, || moto().boto3(&name, "observe()"));
    }
    contract
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
    let mut fourth = account.run();
    let again = fourth.ok(operation, changed);
    assert_eq!(again["change"], "unchanged", "changed options, again: {:?}", fourth.fields());

    let report = third.roll_back();
    assert!(report.is_clean(), "the change undone: {report:?}");
    assert_same(&observe(), &after, "the change undone");
    let report = first.roll_back();
    assert!(report.is_clean(), "undone: {report:?}");
    assert_same(&observe(), &before, "undone");
    Contract { created, created_depth, unchanged_depth: second.depth(), updated }
}
