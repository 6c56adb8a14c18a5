//! The table of what is modelled: services, their actions, and the parameters of each action.
//!
//! Everything outside of it fails closed and by name, so that no runbook passes here on a request whose meaning was
//! guessed. A service is one `Service` in [`SERVICES`]; a file of handlers contributes one `ACTIONS` list to it.

use super::error::{AwsError, Reply};
use super::tx::Tx;
use super::wire::{Params, Protocol, Request};
use super::{
    acm, application_autoscaling, autoscaling, cloudwatch, ec2, ecr, ecs, elbv2, iam, logs, route53, secretsmanager,
    sns, ssm, sts,
};

pub const SERVICES: &[&Service] = &[
    &acm::SERVICE,
    &autoscaling::SERVICE,
    &ec2::SERVICE,
    &elbv2::SERVICE,
    &iam::SERVICE,
    &route53::SERVICE,
    &secretsmanager::SERVICE,
    &ssm::SERVICE,
    &sts::SERVICE,
    &application_autoscaling::SERVICE,
    &ecr::SERVICE,
    &ecs::SERVICE,
    &cloudwatch::SERVICE,
    &logs::SERVICE,
    &sns::SERVICE,
];

/// Those of them that take JSON besides forms, as they speak it.
const ALSO_JSON: &[&Service] = &[&cloudwatch::IN_JSON];

pub struct Service {
    /// The name requests are signed with.
    pub name: &'static str,
    pub protocol: Protocol,
    /// Of the XML the service writes; empty for JSON.
    pub namespace: &'static str,
    /// One list per file of handlers.
    pub actions: &'static [&'static [Action]],
    /// Takes secrets out of a request before it is handled and logged: a private key becomes its public half.
    pub sanitise: fn(&mut Request),
}

/// Whether an action of the service that requests are signed for so is modelled.
pub fn models(signing_name: &str, action: &str) -> bool {
    find(signing_name).is_some_and(|service| service.action_names().any(|name| name == action))
}

pub struct Action {
    pub name: &'static str,
    /// Paths a request may set, list indices folded: `TagSpecification[].Tag[].Key`; `*` stands for any key of a map, `**` at the end
    /// for one that may have dots in it.
    /// One entry may hold several, separated by spaces, so that common groups have a name (`ec2::FILTERS`).
    pub params: &'static [&'static str],
    pub run: fn(&mut Tx, &Params) -> Reply,
}

/// Reads of what nothing in a fork changes: AWS's own catalogue, and what others publish. They are answered by the forked
/// account itself.
pub const PASSED_ON: &[(&str, &str)] = &[
    ("ec2", "DescribeAvailabilityZones"),
    ("ec2", "DescribeImages"),
    ("ec2", "DescribeInstanceTypeOfferings"),
    ("ec2", "DescribeInstanceTypes"),
    ("ec2", "DescribeManagedPrefixLists"),
    ("ec2", "DescribeRegions"),
    ("ssm", "GetParameter"),
];

/// Whether the forked account answers this itself. Of parameters, those that others publish.
pub fn is_passed_on(service: &str, action: &str, request: &Request) -> bool {
    let name = || request.params.opt_str("Name").unwrap_or_default();
    PASSED_ON.contains(&(service, action)) && (service != "ssm" || ssm::is_of_others(name(), &request.account))
}

pub fn find(name: &str) -> Option<&'static Service> {
    SERVICES.iter().copied().find(|service| service.name == name)
}

/// The service whose actions begin so in policies: `cloudwatch`, which signs as `monitoring`.
pub fn of_prefix(prefix: &str) -> Option<&'static Service> {
    SERVICES.iter().copied().find(|service| service.prefix() == prefix)
}

/// The `sanitise` of a service whose requests hold no secrets.
pub fn no_secrets(_: &mut Request) {}

impl Service {
    /// A service that is not modelled.
    pub const fn nobody() -> Self {
        Self { name: "", protocol: Protocol::Query, namespace: "", actions: &[], sanitise: no_secrets }
    }

    /// What its actions begin with in policies, and are called by everywhere outside of the wire.
    pub fn prefix(&self) -> &'static str {
        match self.name {
            "monitoring" => "cloudwatch",
            name => name,
        }
    }

    /// The same service for those who ask it in JSON.
    pub fn in_json(&'static self) -> &'static Service {
        ALSO_JSON.iter().copied().find(|also| also.name == self.name).unwrap_or(self)
    }

    /// The protocol it has words for: that of its XML, if it takes JSON besides.
    fn in_xml(&self) -> Protocol {
        match self.protocol {
            Protocol::Json(_) if !self.namespace.is_empty() => Protocol::Query,
            protocol => protocol,
        }
    }

    /// Its one code for a parameter that is missing or wrong. EC2 has several.
    pub fn invalid(&self) -> Option<&'static str> {
        match (self.in_xml(), self.name) {
            (Protocol::Ec2, _) => None,
            (Protocol::Query, _) => Some("ValidationError"),
            (Protocol::RestXml(_), _) => Some("InvalidInput"),
            // ValidationException is none of the errors of their actions.
            (Protocol::Json(_), "ecr" | "ecs" | "logs") => Some("InvalidParameterException"),
            (Protocol::Json(_), _) => Some("ValidationException"),
        }
    }

    /// Of the API: the end of the namespace says it. Empty for JSON, where the target does.
    pub fn version(&self) -> &'static str {
        self.namespace.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// The names of its actions.
    pub fn action_names(&self) -> impl Iterator<Item = &'static str> {
        self.actions.iter().copied().flatten().map(|action| action.name)
    }

    pub fn action(&self, name: &str) -> Result<&'static Action, AwsError> {
        let known = self.actions.iter().copied().flatten().find(|action| action.name == name);
        known.ok_or_else(|| {
            let code = match self.protocol {
                Protocol::Ec2 | Protocol::Query | Protocol::RestXml(_) => "InvalidAction",
                Protocol::Json(_) => "UnknownOperationException",
            };
            AwsError::unanswered(code, format!("the simulator does not model the action `{}:{name}`", self.name))
        })
    }

    /// Refuses what the action does not model.
    pub fn check(&self, action: &Action, params: &Params) -> Result<(), AwsError> {
        // Every action of EC2 takes DryRun; `Simulator` answers it.
        let common = matches!(self.protocol, Protocol::Ec2).then_some("DryRun");
        let unknown =
            params.paths().into_iter().find(|path| !action.paths().chain(common).any(|known| matches(known, path)));
        let Some(path) = unknown else { return Ok(()) };
        let code = self.invalid().unwrap_or("UnknownParameter");
        Err(AwsError::not_modelled(code, "parameter", &path, &format!("{}:{}", self.name, action.name)))
    }
}

impl Action {
    pub fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.params.iter().flat_map(|group| group.split_whitespace())
    }

    /// Whether the action only reads: then it is not logged.
    pub fn reads(&self) -> bool {
        reads(self.name)
    }
}

/// Whether an action only reads: AWS's names tell.
pub fn reads(action: &str) -> bool {
    ["Describe", "Get", "List"].iter().any(|verb| action.starts_with(verb))
}

/// An empty structure or list shows as its own path, so a known path covers its beginnings.
fn matches(known: &str, path: &str) -> bool {
    let mut known = known.split('.');
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        let Some(expected) = known.next() else {
            return false;
        };
        // Keys of a map may have dots themselves.
        if expected == "**" {
            return true;
        }
        let begins = parts.peek().is_none() && expected.trim_end_matches("[]") == part;
        if expected != part && expected != "*" && !begins {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_action_is_listed_twice() {
        for service in SERVICES {
            let mut names: Vec<_> = service.actions.iter().copied().flatten().map(|action| action.name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{}", service.name);
        }
    }

    #[test]
    fn known_paths() {
        assert!(matches("Tag[].Key", "Tag[].Key"));
        assert!(matches("Tag[].Key", "Tag"));
        assert!(matches("Parameters.*", "Parameters.colour"));
        assert!(matches("Labels.**", "Labels.com.example.team") && !matches("Labels.**", "Label.com"));
        assert!(!matches("Tag[].Key", "Tag[].Value"));
        assert!(!matches("Tag", "Tag.Key"));
        assert!(!matches("Tag[].Key", "Tag.Key"));
        assert!(!matches("VpcId", "VpcIds"));
    }
}
