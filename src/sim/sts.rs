//! STS: who is asking.

use serde_json::json;

use super::error::Reply;
use super::service::{Action, Service, no_secrets};
use super::tx::Tx;
use super::wire::{Params, Protocol};

pub const SERVICE: Service = Service {
    name: "sts",
    protocol: Protocol::Query,
    namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
    actions: &[ACTIONS],
    sanitise: no_secrets,
};

const ACTIONS: &[Action] = &[Action { name: "GetCallerIdentity", params: &[], run: get_caller_identity }];

/// The simulator knows accounts, not people: everybody is the account's role `simulated`.
fn get_caller_identity(tx: &mut Tx, _: &Params) -> Reply {
    let account = &tx.scope.account;
    Ok(json!({
        "UserId": "AROASIMULATED:runner",
        "Account": account,
        "Arn": tx.global_arn("sts", "assumed-role/simulated/runner"),
    }))
}
