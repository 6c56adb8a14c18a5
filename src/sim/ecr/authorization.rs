//! Tokens that log docker in to the registry. Nothing here takes one: they are secrets that look like it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::SignedDuration;

use super::*;
use crate::redact::placeholder;

pub const ACTIONS: &[Action] =
    &[Action { name: "GetAuthorizationToken", params: &["registryIds[]"], run: get_authorization_token }];

/// "The authorization token is valid for 12 hours."
const VALID: SignedDuration = SignedDuration::from_hours(12);

fn get_authorization_token(tx: &mut Tx, p: &Params) -> Reply {
    let account = &tx.scope.account;
    if let Some(other) = p.strings("registryIds").into_iter().find(|id| id != account) {
        return Err(AwsError::not_modelled("InvalidParameterException", "registry", other, tx.action));
    }
    let registry = format!("https://{}", repository::registry(tx));
    Ok(json!({ "authorizationData": [{
        "authorizationToken": STANDARD.encode(format!("AWS:{}", placeholder(&registry))),
        "expiresAt": epoch(tx.now + VALID),
        "proxyEndpoint": registry,
    }] }))
}
