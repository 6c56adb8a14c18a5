//! Calls of AWS that no operation is made for.

pub mod aws_call;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Error, Kind, secret_in};
use crate::{
    aws::{ApiCall, Assumption, AwsService, Misplaced, Speaks, intern, labels_of},
    run::Ctx,
};

/// What AWS has replied.
#[derive(Debug, Serialize)]
pub struct AwsReply {
    /// `dynamodb:CreateTable`
    pub call: String,
    /// Under AWS's names. What AWS writes as XML is text throughout.
    pub reply: Value,
    /// It is not AWS's: a dry run, or the simulated AWS, has taken `assume` for it.
    pub assumed: bool,
}

impl Kind for AwsReply {
    const KIND: &'static str = "aws_reply";
    const ID: &'static str = "call";
}

/// A call by name, that was looked at before anything is sent.
#[derive(Debug)]
struct Asked {
    service: AwsService,
    action: &'static str,
    /// As IAM names it.
    call: &'static str,
    input: Map<String, Value>,
    /// Of services that are asked by methods and paths.
    place: Option<(http::Method, String)>,
}

/// How a call is written in a runbook.
struct Written<'a> {
    service: &'a str,
    action: &'a str,
    input: Map<String, Value>,
    method: Option<&'a str>,
    path: Option<&'a str>,
}

impl Asked {
    /// `within` is the option that the call is written in.
    fn new(within: &str, written: Written<'_>) -> Result<Self, Error> {
        let Written { service: name, action, mut input, method, path } = written;
        let at = |option: &str| format!("{within}{option}");
        let service = AwsService::find(name).ok_or_else(|| {
            let message = format!("expected a service as boto3 names it (`dynamodb`, `stepfunctions`), found `{name}`");
            Error::option(at("service"), message)
        })?;
        let is_name = action.starts_with(|first: char| first.is_ascii_uppercase());
        if !is_name || !action.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let message = format!("expected an action as AWS names it (`DescribeTable`), found `{action}`");
            return Err(Error::option(at("action"), message));
        }
        if let Some(path) = secret_in(&Value::Object(input.clone())) {
            let message = "a secret cannot go into a call that is shown in plans and journals";
            return Err(Error::option(format!("{}{path}", at("input")), message));
        }
        let place = match (service.speaks, method, path) {
            (Speaks::RestXml, ..) => {
                let message =
                    format!("`{name}` speaks XML over paths, which aws_call does not: use an operation made for it");
                return Err(Error::option(at("service"), message));
            }
            (Speaks::RestJson, ..) => Some(place_of(&service, within, action, &mut input, (method, path))?),
            (_, None, None) => None,
            (_, method, _) => {
                let option = if method.is_some() { "method" } else { "path" };
                return Err(Error::option(at(option), format!("`{name}` is asked by the action's name alone")));
            }
        };
        if hands_out_secrets(action, &input) {
            let message = format!("{name}:{action} returns secrets, which scripts do not get as text: use `secret(…)`");
            return Err(Error::option(at("action"), message));
        }
        let (action, call) = (intern(action), intern(&format!("{}:{action}", service.prefix)));
        Ok(Self { service, action, call, input, place })
    }

    /// What policy looks at, as it reads it in the request.
    fn parameters(&self) -> Value {
        match &self.place {
            None => Value::Object(self.input.clone()),
            Some((method, path)) => json!({
                "method": method.as_str(), "path": path, "labels": labels_of(self.call, path), "body": self.input,
            }),
        }
    }

    fn to_send(&self, ctx: &Ctx, assumption: &Assumption) -> ApiCall {
        let call = match &self.place {
            None => ctx.aws().call_of(self.service, self.action, &self.input),
            Some((method, path)) => {
                let body = (!self.input.is_empty()).then(|| Value::Object(self.input.clone()));
                ctx.aws().rest_call(self.service, self.action, method.clone(), path.clone(), body.as_ref())
            }
        };
        call.assuming(assumption)
    }
}

/// Method and path of an action. What goes into the path or its query is taken out of the input; what is said of them has to be
/// the action's: policy judges by its name.
fn place_of(
    service: &AwsService,
    within: &str,
    action: &str,
    input: &mut Map<String, Value>,
    (method, path): (Option<&str>, Option<&str>),
) -> Result<(http::Method, String), Error> {
    let wrong = |option: &str, message: String| Error::option(format!("{within}{option}"), message);
    let name = service.name;
    let route = service
        .route(action)
        .ok_or_else(|| wrong("action", format!("expected an action of `{name}` as AWS names it, found `{action}`")))?;
    if let Some(given) = method.filter(|given| *given != route.method.as_str()) {
        return Err(wrong("method", format!("{name}:{action} is asked by {}, found {given}", route.method)));
    }
    let misplaced = |misplaced| match misplaced {
        Misplaced::Missing(member) => {
            format!("expected `{member}`, which is in the path of {name}:{action}: `{}`", route.path)
        }
        Misplaced::Elsewhere(member) => {
            format!("`{member}` of {name}:{action} is a header or a whole body, which aws_call does not send")
        }
        Misplaced::Dots(member) => format!("`{member}` leads to another path"),
    };
    let path = match path {
        Some(path) if route.fits(path) => path.to_owned(),
        Some(path) => return Err(wrong("path", format!("{name}:{action} is at `{}`, found `{path}`", route.path))),
        None => route.take(input).map_err(|why| wrong("input", misplaced(why)))?,
    };
    if let Some(member) = route.elsewhere(input) {
        return Err(wrong("input", misplaced(Misplaced::Elsewhere(member))));
    }
    if let Some(other) = service.instead(&route, &path) {
        return Err(wrong("path", format!("`{path}` is {name}:{other}")));
    }
    // No action that is asked in these ways has a body.
    let has_body = !matches!(route.method.as_str(), "GET" | "HEAD" | "DELETE");
    if let Some(left) = input.keys().next().filter(|_| !has_body) {
        return Err(wrong(
            "input",
            format!("{name}:{action} has no parameter `{left}` beside those in its path and query"),
        ));
    }
    Ok((route.method, path))
}

/// What actions that hand out secrets are called, over all services: how they begin, and what they are about.
const HAND_OUT: &[&str] = &["Get", "BatchGet", "Create", "Generate", "Reset"];
const SECRETS: &[&str] = &[
    "AccessDetails",
    "AccessKey",
    "ApiKey",
    "ApiKeys",
    "Credential",
    "Credentials",
    "CredentialsForIdentity",
    "CredentialsWithIAM",
    "DataKey",
    "DataKeyPair",
    "KeyPair",
    "KeysAndCertificate",
    "Password",
    "PasswordData",
    "SecretValue",
    "Token",
    "TokenForIdentity",
];

/// And those whose names do not say it: their replies have members that the service models call sensitive.
const OTHERS: &[&str] = &[
    "AdminInitiateAuth",
    "AdminRespondToAuthChallenge",
    "CreateProvisioningClaim",
    "Decrypt",
    "DeriveSharedSecret",
    "DescribeChapCredentials",
    "DescribeUserPoolClient",
    "ExecuteCommand",
    "ExportCertificate",
    "GetJobDetails",
    "GetParameterHistory",
    "GetThirdPartyJobDetails",
    "InitiateAuth",
    "ListUserPoolClientSecrets",
    "RespondToAuthChallenge",
];

/// Whether the reply is one that a script is not to have as text, and a journal not to keep.
fn hands_out_secrets(action: &str, input: &Map<String, Value>) -> bool {
    let decrypts = input.get("WithDecryption").is_some_and(|flag| flag == true || flag == "true");
    let by_name =
        HAND_OUT.iter().any(|verb| action.starts_with(verb)) && SECRETS.iter().any(|secret| action.ends_with(secret));
    decrypts || by_name || action.starts_with("Assume") || OTHERS.contains(&action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_the_names_of_actions() {
        for action in [
            "AssumeQueueRoleForRead",
            "AssumeRoleWithSAML",
            "CreateAccessKey",
            "CreateKeyPair",
            "CreateServiceSpecificCredential",
            "Decrypt",
            "GenerateDataKeyPair",
            "GetAuthorizationToken",
            "GetClusterCredentialsWithIAM",
            "GetInstanceAccessDetails",
            "GetRandomPassword",
            "GetSecretValue",
            "GetTokensFromRefreshToken",
            "ResetServiceSpecificCredential",
        ] {
            assert!(hands_out_secrets(action, &Map::new()), "{action}");
        }
        for action in
            ["CreateTable", "DeleteKeyPair", "DescribeKeyPairs", "GetAccessKeyLastUsed", "GetAccountPasswordPolicy"]
        {
            assert!(!hands_out_secrets(action, &Map::new()), "{action}");
        }
    }
}
