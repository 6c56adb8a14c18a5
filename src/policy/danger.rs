//! What of a call is a danger whatever it is for: it opens something to everybody, or allows everything.

use serde_json::Value;

use super::Call;

/// What a call opens to everybody: `tcp 22`.
pub fn opens(call: &Call<'_>) -> Vec<String> {
    if call.action != "ec2:AuthorizeSecurityGroupIngress" {
        return Vec::new();
    }
    let of = |permission| Call { parameters: permission, ..*call };
    let permissions = call.at("IpPermissions").into_iter().map(of);
    let open = permissions.filter(|permission| {
        permission.texts("IpRanges.CidrIp").contains(&"0.0.0.0/0")
            || permission.texts("Ipv6Ranges.CidrIpv6").contains(&"::/0")
    });
    let words = |permission: Call<'_>| {
        let text = |path| permission.text(path).unwrap_or_default();
        format!("{}{}", protocol(text("IpProtocol")), ports(text("FromPort"), text("ToPort")))
    };
    open.map(words).collect()
}

/// Whether a call lets somebody do everything.
pub fn allows_all(call: &Call<'_>) -> bool {
    match call.action {
        "iam:PutRolePolicy" | "iam:CreatePolicy" | "iam:CreatePolicyVersion" => {
            let document = call.text("PolicyDocument").and_then(|text| serde_json::from_str(text).ok());
            let document = document.unwrap_or(Value::Null);
            let document = Call { parameters: &document, ..*call };
            document
                .at("Statement")
                .into_iter()
                .any(|statement| allows_everything(&Call { parameters: statement, ..*call }))
        }
        "iam:AttachRolePolicy" => {
            call.text("PolicyArn").is_some_and(|arn| arn.ends_with(":policy/AdministratorAccess"))
        }
        _ => false,
    }
}

fn allows_everything(statement: &Call<'_>) -> bool {
    let any = |member| statement.texts(member).iter().any(|text| matches!(*text, "*" | "*:*"));
    statement.text("Effect") == Some("Allow") && any("Action") && any("Resource")
}

/// ` 443`, ` 80 to 90`, or nothing for all of them.
pub fn ports(from: &str, to: &str) -> String {
    match (from, to) {
        ("" | "-1", _) => String::new(),
        ("0", "65535") => String::new(),
        (from, to) if from == to => format!(" {from}"),
        (from, to) => format!(" {from} to {to}"),
    }
}

/// The numbers that network ACLs have for protocols.
pub fn protocol(protocol: &str) -> &str {
    match protocol {
        "-1" => "all",
        "1" => "icmp",
        "6" => "tcp",
        "17" => "udp",
        "58" => "icmpv6",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call<'a>(action: &'a str, parameters: &'a Value) -> Call<'a> {
        Call { action, resource: "r", parameters }
    }

    #[test]
    fn what_is_open_to_all() {
        let ingress = |permissions: Value| {
            opens(&call("ec2:AuthorizeSecurityGroupIngress", &json!({ "IpPermissions": permissions })))
        };
        let from = |cidr: &str| json!([{ "IpProtocol": "tcp", "FromPort": "22", "ToPort": "22", "IpRanges": [{ "CidrIp": "10.0.0.0/8" }, { "CidrIp": cidr }] }]);
        assert_eq!(ingress(from("0.0.0.0/0")), ["tcp 22"]);
        assert!(ingress(from("10.0.1.0/24")).is_empty());
        assert_eq!(ingress(json!([{ "IpProtocol": "-1", "Ipv6Ranges": [{ "CidrIpv6": "::/0" }] }])), ["all"]);
    }

    #[test]
    fn what_may_do_everything() {
        let policy = |statement: Value| {
            let document = json!({ "Statement": statement }).to_string();
            allows_all(&call("iam:PutRolePolicy", &json!({ "PolicyName": "p", "PolicyDocument": document })))
        };
        assert!(policy(json!({ "Effect": "Allow", "Action": "*", "Resource": "*" })));
        assert!(policy(json!([{ "Effect": "Allow", "Action": ["s3:*", "*:*"], "Resource": ["*"] }])));
        assert!(!policy(json!({ "Effect": "Deny", "Action": "*", "Resource": "*" })));
        assert!(!policy(json!([{ "Effect": "Allow", "Action": "s3:*", "Resource": "*" }])));
        let attached = json!({ "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess" });
        assert!(allows_all(&call("iam:AttachRolePolicy", &attached)));
        assert!(!allows_all(&call("iam:PutRolePolicy", &json!({ "PolicyDocument": "{" }))));
    }
}
