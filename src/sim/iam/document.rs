//! Policy documents: what IAM refuses in them, and how it hands them back.

use serde_json::Value;

use super::*;

/// Which grammar a document must keep.
#[derive(Clone, Copy, PartialEq)]
pub enum Grammar {
    /// What an identity may do: resources, no principals.
    Identity,
    /// Who may assume a role: principals, no resources.
    Trust,
}

/// Quotas count characters without white space.
pub fn size(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// Documents are percent-encoded in replies (RFC 3986).
pub fn encoded(document: &str) -> String {
    let form: String = form_urlencoded::byte_serialize(document.as_bytes()).collect();
    form.replace('+', "%20").replace('*', "%2A")
}

/// The inverse of [`encoded`].
pub fn decoded(text: &str) -> String {
    let form = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
    form_urlencoded::parse(form.as_bytes()).next().map(|(_, text)| text.into_owned()).unwrap_or_default()
}

pub fn check(tx: &Tx, document: &str, grammar: Grammar) -> Result<(), AwsError> {
    let document: Value = serde_json::from_str(document).map_err(|_| malformed("Syntax errors in policy."))?;
    let fields = document.as_object().ok_or_else(|| malformed("Syntax errors in policy."))?;
    for (name, value) in fields {
        match name.as_str() {
            "Version" if ["2012-10-17", "2008-10-17"].iter().any(|version| value == version) => {}
            "Id" | "Statement" => {}
            "Version" => {
                return Err(malformed(
                    "The policy must contain a valid version string. (use 2012-10-17 or 2008-10-17)",
                ));
            }
            _ => return Err(malformed("Syntax errors in policy.")),
        }
    }
    let statements = match fields.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        Some(statement @ Value::Object(_)) => vec![statement],
        Some(_) => return Err(malformed("Syntax errors in policy.")),
        None => return Err(malformed("Missing required field Statement")),
    };
    statements.into_iter().try_for_each(|statement| check_statement(tx, statement, grammar))
}

fn check_statement(tx: &Tx, statement: &Value, grammar: Grammar) -> Result<(), AwsError> {
    const KNOWN: &[&str] =
        &["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"];
    let fields = statement.as_object().ok_or_else(|| malformed("Syntax errors in policy."))?;
    if fields.keys().any(|name| !KNOWN.contains(&name.as_str())) {
        return Err(malformed("Syntax errors in policy."));
    }
    let has = |names: [&str; 2]| names.iter().any(|name| fields.contains_key(*name));
    match fields.get("Effect") {
        Some(effect) if effect == "Allow" || effect == "Deny" => {}
        Some(_) => return Err(malformed("Syntax errors in policy.")),
        None => return Err(malformed("Missing required field Effect")),
    }
    if !has(["Action", "NotAction"]) {
        return Err(malformed("Policy statement must contain actions."));
    }
    let actions = texts(fields.get("Action").or(fields.get("NotAction")));
    match grammar {
        Grammar::Identity => {
            if has(["Principal", "NotPrincipal"]) {
                return Err(malformed("Policy document should not specify a principal."));
            }
            if !has(["Resource", "NotResource"]) {
                return Err(malformed("Policy statement must contain resources."));
            }
            if !actions.iter().all(|action| *action == "*" || action.contains(':')) {
                let message = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
                return Err(malformed(message));
            }
            let resources = texts(fields.get("Resource").or(fields.get("NotResource")));
            if let Some(other) = resources.iter().find(|arn| **arn != "*" && !arn.starts_with("arn:")) {
                return Err(malformed(&format!("Resource {other} must be in ARN format or \"*\".")));
            }
            Ok(())
        }
        Grammar::Trust => {
            if has(["Resource", "NotResource"]) {
                return Err(malformed("Has prohibited field Resource"));
            }
            if !has(["Principal", "NotPrincipal"]) {
                return Err(malformed("Missing required field Principal"));
            }
            if !actions.iter().all(|action| action.to_ascii_lowercase().starts_with("sts:")) {
                return Err(malformed("AssumeRole policy may only specify STS AssumeRole actions."));
            }
            check_principal(tx, fields.get("Principal").or(fields.get("NotPrincipal")))
        }
    }
}

/// Roles that a trust policy names must exist; that a new one does is heard of late.
fn check_principal(tx: &Tx, principal: Option<&Value>) -> Result<(), AwsError> {
    let invalid = |kind: &str, name: &str| malformed(&format!("Invalid principal in policy: \"{kind}\":\"{name}\""));
    let Some(Value::Object(kinds)) = principal else {
        let everyone = principal.is_some_and(|principal| principal == "*");
        return if everyone { Ok(()) } else { Err(malformed("Syntax errors in policy.")) };
    };
    for (kind, names) in kinds {
        for name in texts(Some(names)) {
            match kind.as_str() {
                "Service" if name.contains('.') && name.contains(".amazonaws.com") => {}
                "AWS" if name == "*" || is_account(name) => {}
                "AWS" if name.starts_with("arn:") => {
                    let ours = tx.global_arn("iam", "role/");
                    let role = name.strip_prefix(&ours).map(|rest| rest.rsplit('/').next().unwrap_or(rest));
                    if role.is_some_and(|role| tx.get::<Role>(role).is_err()) {
                        return Err(invalid("AWS", name));
                    }
                }
                "Federated" | "CanonicalUser" => {}
                other => return Err(invalid(&other.to_uppercase(), name)),
            }
        }
    }
    Ok(())
}

fn is_account(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn malformed(message: &str) -> AwsError {
    AwsError::new("MalformedPolicyDocument", message)
}
