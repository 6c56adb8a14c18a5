//! `allowed_commands` and `allowed_hosts`: what a run may do outside AWS. What is not named is not allowed, and where there is
//! no policy, nothing is.

use super::{Call, Pattern, actions};

/// The service of calls that run a program. Its name is the parameter [`PROGRAM`].
pub const EXEC: &str = "exec";
pub const PROGRAM: &str = "program";
/// The service of calls that write to another one over HTTP. Where to is the parameter [`HOST`].
pub const HTTP: &str = "http";
pub const HOST: &str = "host";

/// Whether a call is none of AWS.
pub fn is_outside(call: &Call<'_>) -> bool {
    [EXEC, HTTP].contains(&call.service())
}

pub(super) fn command(allowed: &[Pattern], call: &Call<'_>) -> Option<String> {
    let program = call.text(PROGRAM).filter(|_| call.service() == EXEC)?;
    not_among(allowed, program, rule_for(call)?)
}

pub(super) fn host(allowed: &[Pattern], call: &Call<'_>) -> Option<String> {
    let host = call.text(HOST).filter(|_| call.service() == HTTP)?;
    not_among(allowed, host, rule_for(call)?)
}

/// What a call does outside AWS, and the rule that would allow it.
pub fn rule_for(call: &Call<'_>) -> Option<(String, String)> {
    match call.service() {
        EXEC => call
            .text(PROGRAM)
            .map(|program| (format!("the command `{program}`"), format!("allowed_commands = [\"{program}\"]"))),
        HTTP => call.text(HOST).map(|host| (format!("the host {host}"), format!("allowed_hosts = [\"{host}\"]"))),
        _ => None,
    }
}

fn not_among(allowed: &[Pattern], name: &str, (what, rule): (String, String)) -> Option<String> {
    match allowed {
        [] => Some(format!("{what} is not allowed: nothing is, until there is `{rule}`")),
        allowed => actions::allowed(allowed, name, &what),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_named_is_not_allowed() {
        let patterns = |names: &[&str]| -> Vec<Pattern> { serde_json::from_value(json!(names)).expect("patterns") };
        let docker = json!({ "program": "docker", "args": ["push"] });
        let docker = Call { action: "exec:docker", resource: "", parameters: &docker };
        assert_eq!(command(&patterns(&["git", "docker"]), &docker), None);
        let denied = command(&[], &docker).expect("denied");
        let wanted =
            "the command `docker` is not allowed: nothing is, until there is `allowed_commands = [\"docker\"]`";
        assert_eq!(denied, wanted);
        let denied = command(&patterns(&["/usr/bin/docker"]), &docker).expect("denied");
        assert_eq!(denied, "the command `docker` is not among what is allowed: `/usr/bin/docker`");
        let slack = json!({ "host": "hooks.slack.com" });
        let slack = Call { action: "http:POST", resource: "", parameters: &slack };
        assert_eq!(host(&patterns(&["*.slack.com"]), &slack), None);
        assert!(host(&patterns(&["slack.com"]), &slack).is_some());
        let vpc = json!({ "host": "a", "program": "b" });
        let vpc = Call { action: "ec2:CreateVpc", resource: "", parameters: &vpc };
        assert!(host(&[], &vpc).is_none() && command(&[], &vpc).is_none() && !is_outside(&vpc));
    }
}
