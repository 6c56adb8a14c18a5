//! Members of requests and replies whose values are secrets, whoever knows them.

use serde_json::Value;

use super::MASK;

/// By their names in AWS's APIs.
pub const SECRET: &[&str] =
    &["authorizationToken", "PrivateKey", "SecretAccessKey", "SecretBinary", "SecretString", "SessionToken"];

/// Masks them in a tree: those, the value of a secure parameter, and those of `more`.
pub fn mask(tree: &mut Value, more: &[&str]) {
    match tree {
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, more)),
        Value::Object(fields) => {
            let is_secure = fields.get("Type").is_some_and(|kind| kind == "SecureString");
            for (name, value) in fields.iter_mut() {
                let name = name.as_str();
                let is_secret = SECRET.iter().any(|secret| secret.eq_ignore_ascii_case(name));
                if is_secret || more.contains(&name) || (is_secure && name == "Value") {
                    *value = MASK.into();
                } else {
                    mask(value, more);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
