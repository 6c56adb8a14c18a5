//! The actions that only read: the guard lets them pass undeclared.
//!
//! `read_only.txt` is generated from botocore's service models by `scripts/services.py`.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::Value;

use super::services;

static READ_ONLY: LazyLock<BTreeSet<&str>> = LazyLock::new(|| include_str!("read_only.txt").lines().collect());

/// Whether `action` (`ec2:DescribeVpcs`) changes nothing and hands out no credentials.
pub fn is_read_only(action: &str) -> bool {
    READ_ONLY.contains(action) || action.split_once(':').is_some_and(|(prefix, name)| services::reads(prefix, name))
}

/// Whether a read hands out values that are secrets. Nobody asks for them in a dry run.
pub fn reads_secrets(action: &str, parameters: &Value) -> bool {
    match action {
        "ecr:GetAuthorizationToken" | "secretsmanager:GetSecretValue" | "secretsmanager:BatchGetSecretValue" => true,
        _ if action.starts_with("ssm:") => {
            let decrypts = &parameters["WithDecryption"];
            decrypts.as_bool() == Some(true) || decrypts == "true"
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{is_read_only, reads_secrets};

    #[test]
    fn reads_of_secrets_are_known() {
        assert!(reads_secrets("secretsmanager:GetSecretValue", &json!({})));
        assert!(reads_secrets("ssm:GetParametersByPath", &json!({ "WithDecryption": true })));
        assert!(!reads_secrets("ssm:GetParameter", &json!({ "Name": "a", "WithDecryption": false })));
        assert!(!reads_secrets("secretsmanager:DescribeSecret", &json!({})));
    }

    #[test]
    fn reads_pass_and_changes_do_not() {
        assert!(is_read_only("ec2:DescribeVpcs"));
        assert!(is_read_only("route53:GetChange"));
        for action in [
            "ec2:CreateVpc",
            "ec2:GetPasswordData",
            "sts:AssumeRole",
            "sts:GetSessionToken",
            "iam:PassRole",
            "lambda:Invoke",
        ] {
            assert!(!is_read_only(action), "{action}");
        }
    }
}
