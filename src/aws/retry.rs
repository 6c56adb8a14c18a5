//! The one retry layer: tells failures apart and says how long to wait.
//!
//! The SDK retries blindly; here the outcome decides. A throttled request was not carried out and
//! can be sent again; one whose reply is lost may have been, and what then is right depends on the
//! call's class.

use std::{collections::BTreeMap, error::Error as StdError, time::Duration};

use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{ConnectorError, SdkError},
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use backon::{BackoffBuilder, ExponentialBuilder};

use super::permit::PermitError;
use crate::{
    ops::{CallError, CallErrorKind},
    sim::UNANSWERED,
};

/// How often a throttled call is repeated before it fails.
pub const THROTTLED_ATTEMPTS: u32 = 10;
/// How often a call whose outcome is unknown, or that was not sent, is repeated.
pub const BROKEN_ATTEMPTS: u32 = 5;
/// How long a resource of our own may be "not found" after it was made. EC2's documentation says
/// to back off for up to five minutes.
pub const CONSISTENCY_WINDOW: Duration = Duration::from_secs(300);

/// Codes for "too many requests": the request was not carried out. Source: aws-runtime's list,
/// without `LimitExceededException`, which is a quota in ACM and ECS.
const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
];

/// Codes for "who are you?" and "you may not".
const PERMISSION: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "AuthorizationError",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "OptInRequired",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
];

/// Codes for "somebody else is changing this very thing, ask again": the request was not carried out, although Auto
/// Scaling says it with status 500. The IAM API reference words its two as "wait and submit your request again"; the last two are
/// those of SNS (tags of a topic) and CloudWatch Logs.
const BUSY: &[&str] = &[
    "ResourceContention",
    "ResourceContentionFault",
    "ConcurrentModification",
    "EntityTemporarilyUnmodifiable",
    "ConcurrentAccess",
    "OperationAbortedException",
];

/// Codes with which AWS says that it failed itself: the request may have been carried out.
const FAILED: &[&str] =
    &["InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable", "Unavailable"];

/// Turns the SDK's error into ours.
pub fn classify<E>(call: &'static str, error: SdkError<E, HttpResponse>, attempts: u32) -> CallError
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let request_id = error.request_id().map(str::to_owned);
    let unanswered = error.raw_response().is_some_and(|reply| reply.headers().get(UNANSWERED).is_some());
    let (kind, code, message) = match &error {
        SdkError::ServiceError(service) => {
            let meta = service.err().meta();
            let status = service.raw().status().as_u16();
            let code = meta.code().map(str::to_owned);
            (of_reply(code.as_deref(), status), code, meta.message().unwrap_or("no message").to_owned())
        }
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            (CallErrorKind::Unknown, None, format!("an unreadable reply with status {status}"))
        }
        SdkError::TimeoutError(_) => (CallErrorKind::Unknown, None, "no reply in time".to_owned()),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) if error.is_user() => of_our_own(error),
            Some(error) if error.is_timeout() => (CallErrorKind::Unknown, None, "no reply in time".to_owned()),
            Some(error) if never_connected(error) => (CallErrorKind::NotSent, None, chain(error)),
            _ => (CallErrorKind::Unknown, None, chain(&error)),
        },
        SdkError::ConstructionFailure(_) => of_construction(&error),
        _ => (CallErrorKind::Unknown, None, chain(&error)),
    };
    CallError { call, resource: None, kind, code, message, request_id, attempts, unanswered, before: false }
}

/// What kind of failure a reply is, by its error code and HTTP status.
pub(super) fn of_reply(code: Option<&str>, status: u16) -> CallErrorKind {
    match code {
        Some(code) if THROTTLED.contains(&code) || BUSY.contains(&code) => CallErrorKind::Throttled,
        Some(code) if PERMISSION.contains(&code) => CallErrorKind::Permission,
        Some(code) if FAILED.contains(&code) => CallErrorKind::Unknown,
        _ if status == 429 || status == 503 => CallErrorKind::Throttled,
        _ if status >= 500 => CallErrorKind::Unknown,
        _ => CallErrorKind::Refused,
    }
}

/// The error of ours that kept a request from leaving, if it is a `T`.
pub fn held_back<T: StdError + Clone + 'static, E>(error: &SdkError<E, HttpResponse>) -> Option<T> {
    let SdkError::DispatchFailure(failure) = error else { return None };
    StdError::source(failure.as_connector_error()?)?.downcast_ref::<T>().cloned()
}

/// Our own guard said no, or the journal could not be written.
fn of_our_own(error: &ConnectorError) -> (CallErrorKind, Option<String>, String) {
    let undeclared = StdError::source(error).is_some_and(|source| source.is::<PermitError>());
    let kind = if undeclared { CallErrorKind::Undeclared } else { CallErrorKind::NotSent };
    (kind, None, chain(error))
}

/// The request could not be built: missing credentials end up here.
fn of_construction(error: &(dyn StdError + 'static)) -> (CallErrorKind, Option<String>, String) {
    let text = chain(error);
    let kind = if text.contains("redential") { CallErrorKind::Permission } else { CallErrorKind::Undeclared };
    (kind, None, text)
}

fn never_connected(error: &ConnectorError) -> bool {
    let text = chain(error);
    ["Connection refused", "dns error", "tcp connect error"].iter().any(|sign| text.contains(sign))
}

/// An error with its causes, without repetition.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The waits between attempts: exponential with full jitter, from 0.5 s to 20 s, seeded so that a
/// simulated run repeats.
pub fn delays(seed: u64) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(20))
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .with_jitter_seed(seed)
        .build()
}

/// What this run made, and when: "not found" soon after is a delay of AWS, not an answer.
#[derive(Debug, Default)]
pub struct Fresh(BTreeMap<Made, jiff::Timestamp>);

/// An id, an ARN or a name. Names say of what: a role and a target group may well be called the same.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Made {
    text: String,
    /// `instanceprofile` for an `instance_profile_name`; empty for ids and ARNs, which are like no other.
    kind: String,
}

impl Fresh {
    /// Remembers every id, name and ARN in the recorded result of a mutation.
    pub fn remember(&mut self, result: &serde_json::Value, now: jiff::Timestamp) {
        self.remember_as("", result, now);
    }

    fn remember_as(&mut self, key: &str, result: &serde_json::Value, now: jiff::Timestamp) {
        match result {
            serde_json::Value::String(text) if text.len() > 3 => {
                let kind = squash(key.strip_suffix("_name").unwrap_or_default());
                self.0.insert(Made { text: text.clone(), kind }, now);
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| self.remember_as(key, item, now)),
            serde_json::Value::Object(fields) => {
                fields.iter().for_each(|(key, field)| self.remember_as(key, field, now));
            }
            _ => {}
        }
    }

    /// The ids with that prefix that were made in the last minute: lists may not show them yet.
    pub fn ids(&self, prefix: &str, now: jiff::Timestamp) -> Vec<String> {
        let is_new = |at: &jiff::Timestamp| now.duration_since(*at).unsigned_abs() < Duration::from_secs(60);
        let ids = self.0.iter().filter(|(made, at)| made.text.starts_with(prefix) && is_new(at));
        ids.map(|(made, _)| made.text.clone()).collect()
    }

    /// Whether this run has made `text`: an id or an ARN if `key` is empty, otherwise a name that is recorded under it.
    pub fn has(&self, key: &str, text: &str) -> bool {
        let kind = squash(key.strip_suffix("_name").unwrap_or_default());
        self.0.contains_key(&Made { text: text.to_owned(), kind })
    }

    /// Whether `error` only says that AWS has not yet heard everywhere of what we just made. Some services do not say
    /// what they did not find ("One or more target groups not found"): then it is `subject`, which was asked for.
    pub fn explains(&self, error: &CallError, subject: &str, now: jiff::Timestamp) -> bool {
        let Some(code) = error.code.as_deref() else { return false };
        let said = squash(&error.message);
        says_absent(code, &error.message)
            && self.0.iter().any(|(made, at)| {
                (error.message.contains(&made.text) || made.text == subject)
                    && said.contains(&made.kind)
                    && now.duration_since(*at).unsigned_abs() < CONSISTENCY_WINDOW
            })
    }
}

/// The letters of a text: AWS writes "instance profile", "InstanceProfile" and "instance-profile".
fn squash(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Whether a refusal can mean "I do not know this yet".
///
/// IAM's new roles and profiles reach EC2, Auto Scaling and IAM's own check of trust policies with a delay; all say it
/// in words only. Source of the words: terraform-provider-aws' propagation retries.
pub fn says_absent(code: &str, message: &str) -> bool {
    let signs: &[&str] = match code {
        "ValidationError" | "InvalidParameterValue" | "InvalidParameterException" => {
            &["instance profile", "instanceprofile", "assume", "not authorized", "does not exist", "not found"]
        }
        // ECS's, of a task definition and of a role ("TaskDefinition not found.").
        "ClientException" => &["not found", "assume"],
        // ELB's word for a security group of EC2's that it does not know yet, and for an instance (CreateLoadBalancer,
        // RegisterTargets).
        "InvalidSecurityGroup" | "InvalidTarget" => &["does not exist", "not exist", "not found"],
        // Systems Manager's, of what is to be tagged.
        "InvalidResourceId" => return true,
        "MalformedPolicyDocument" => &["invalid principal in policy"],
        _ => return code.ends_with("NotFound") || code.ends_with("NotFoundException") || code.starts_with("NoSuch"),
    };
    let message = message.to_lowercase();
    signs.iter().any(|sign| message.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, message: &str) -> CallError {
        CallError {
            call: "ec2:DescribeVpcs",
            resource: None,
            kind: CallErrorKind::Refused,
            code: Some(code.into()),
            message: message.into(),
            request_id: None,
            attempts: 1,
            unanswered: false,
            before: false,
        }
    }

    #[test]
    fn only_what_was_just_made_may_be_missing_for_a_while() {
        let mut fresh = Fresh::default();
        let made = jiff::Timestamp::UNIX_EPOCH;
        fresh.remember(&serde_json::json!({ "vpc_id": "vpc-1" }), made);
        let ours = refused("InvalidVpcID.NotFound", "The vpc ID 'vpc-1' does not exist");
        assert!(fresh.explains(&ours, "", made + Duration::from_secs(10)));
        assert!(!fresh.explains(&ours, "", made + Duration::from_secs(301)));
        // Auto Scaling has one code for everything, and says it in words.
        let group = refused("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup 'vpc-1' not found");
        assert!(fresh.explains(&group, "", made));
        let other = refused("InvalidVpcID.NotFound", "The vpc ID 'vpc-2' does not exist");
        assert!(!fresh.explains(&other, "", made));
        let nameless = refused("VpcNotFound", "One or more VPCs not found");
        assert!(fresh.explains(&nameless, "vpc-1", made));
        assert!(!fresh.explains(&nameless, "vpc-2", made) && !fresh.explains(&nameless, "", made));
        let refusal = refused("DependencyViolation", "The vpc 'vpc-1' has dependencies");
        assert!(!fresh.explains(&refusal, "", made));
        assert_eq!(fresh.ids("vpc-", made), ["vpc-1"]);
        assert_eq!(fresh.ids("subnet-", made), [""; 0]);
        assert_eq!(fresh.ids("vpc-", made + Duration::from_secs(61)), [""; 0]);
    }

    #[test]
    fn new_instance_profiles_reach_ec2_late() {
        let mut fresh = Fresh::default();
        let made = jiff::Timestamp::UNIX_EPOCH;
        let arn = "arn:aws:iam::123456789012:instance-profile/web";
        fresh.remember(&serde_json::json!({ "instance_profile_name": "shop-web", "arn": arn }), made);
        for (code, message) in [
            (
                "InvalidParameterValue",
                "Value (shop-web) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
            ),
            (
                "InvalidParameterValue",
                "IAM Instance Profile \"arn:aws:iam::123456789012:instance-profile/web\" has no associated IAM Roles",
            ),
            (
                "ValidationError",
                "You must use a valid fully-formed launch template. Value (shop-web) for parameter \
                 iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
            ),
            ("ValidationError", "Invalid IamInstanceProfile: shop-web"),
            ("MalformedPolicyDocument", &format!("Invalid principal in policy: \"AWS\":\"{arn}\"")),
        ] {
            assert!(fresh.explains(&refused(code, message), "", made), "{message}");
        }
        let other = refused("ValidationError", "Value (shop-api) for parameter iamInstanceProfile.name is invalid.");
        assert!(!fresh.explains(&other, "", made));
        let wrong = refused("ValidationError", "The tag value shop-web is too long");
        assert!(!fresh.explains(&wrong, "", made));
    }

    #[test]
    fn a_name_is_of_something() {
        let mut fresh = Fresh::default();
        let made = jiff::Timestamp::UNIX_EPOCH;
        fresh.remember(
            &serde_json::json!({ "target_group_name": "web-blue", "instance_profile_name": "web-blue" }),
            made,
        );
        let role = refused("NoSuchEntity", "The role with name web-blue cannot be found.");
        assert!(!fresh.explains(&role, "", made), "nobody made a role of that name");
        let profile = refused("NoSuchEntity", "Instance Profile web-blue cannot be found.");
        assert!(fresh.explains(&profile, "", made));
        let group = refused("TargetGroupNotFound", "One or more target groups not found");
        assert!(fresh.explains(&group, "web-blue", made));
    }

    #[test]
    fn the_reply_decides_what_kind_of_failure_it_is() {
        assert_eq!(of_reply(Some("RequestLimitExceeded"), 503), CallErrorKind::Throttled);
        assert_eq!(of_reply(Some("UnauthorizedOperation"), 403), CallErrorKind::Permission);
        assert_eq!(of_reply(Some("LimitExceededException"), 400), CallErrorKind::Refused);
        assert_eq!(of_reply(Some("InternalError"), 500), CallErrorKind::Unknown);
        assert_eq!(of_reply(None, 502), CallErrorKind::Unknown);
        assert_eq!(of_reply(Some("ConcurrentModification"), 409), CallErrorKind::Throttled);
    }

    #[test]
    fn delays_repeat_with_the_seed_and_stay_in_bounds() {
        let first: Vec<_> = delays(7).take(12).collect();
        assert_eq!(first, delays(7).take(12).collect::<Vec<_>>());
        assert!(first.iter().all(|delay| (500..=40_000).contains(&delay.as_millis())));
    }
}
