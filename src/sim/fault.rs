//! Faults that can be asked for: what AWS, the network or the fleet does at a certain call.
//!
//! A fault is written `SERVICE:ACTION#N=KIND`: at the Nth call of that action; `#N+` from then on. Service and action may
//! be `*`. What is done to a request stands here; what happens to the world beside it is a [`Mishap`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::AwsError;
use super::service::{self, Service};
use super::table::mix;
use super::tx::Scope;
use super::wire::Protocol;
use super::world::World;
use super::{autoscaling, ec2, elbv2};
use crate::wildcard;

/// How long nothing comes: as long as a client waits for a reply at most.
pub const SILENCE: Duration = Duration::from_secs(30);
/// How long a slow reply takes. Clients wait for it.
pub const SLOW: Duration = Duration::from_secs(20);
/// How long capacity is short, when it is not for good.
const SHORTAGE: Duration = Duration::from_secs(120);

/// What goes wrong, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The name requests are signed with; may have a `*`.
    pub service: String,
    /// May have a `*`.
    pub action: String,
    /// At which of these calls; the first is 1.
    pub at: u32,
    /// Also at all later ones.
    pub lasting: bool,
    pub kind: FaultKind,
}

/// What can go wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// Too many requests: the call is refused.
    Throttle,
    /// An internal error of AWS, after the call was carried out.
    ErrorApplied,
    /// The same, and it was not carried out.
    ErrorNotApplied,
    /// No reply, and it was carried out.
    TimeoutApplied,
    /// No reply, and it was not carried out.
    TimeoutNotApplied,
    /// The connection breaks before AWS has read the request.
    Reset,
    /// The caller lacks the permission.
    Denied,
    /// The caller's credentials are over.
    ExpiredCredentials,
    /// From this call on there is no capacity for new instances: for two minutes, or for good.
    InsufficientCapacity,
    /// A quota of the account is reached.
    Quota,
    /// The reply takes 20 seconds.
    Slow,
    /// A read shows what was before the last change.
    StaleRead,
    /// An instance of a fleet dies.
    InstanceDeath,
    /// A healthy target fails its health checks for a while, though it answers.
    TargetFlap,
    /// The alarm of a scaling policy goes off: its group grows by one instance.
    Alarm,
    /// The caller's process ends as if by `kill -9`, before the call is carried out.
    CrashBefore,
    /// The same, once it was carried out: its reply is never seen.
    CrashAfter,
}

/// What happens in the world beside a call.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mishap {
    InstanceDies,
    TargetFlaps,
    AlarmGoesOff,
    CapacityIsShort { until: Timestamp },
}

/// What becomes of a request that a fault befalls.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Refused, or failed, without being carried out.
    Refused(AwsError),
    /// Carried out, and then this is the reply.
    Failed(AwsError),
    /// The caller is no more.
    Crash { applied: bool },
    /// No reply comes.
    Lost { applied: bool, after: Duration },
    /// The reply comes late.
    Late(Duration),
    /// The reply is of the world before the last change.
    Stale,
}

impl FaultKind {
    /// Ends of the caller, which are no faults of AWS.
    pub const CRASHES: [FaultKind; 2] = [FaultKind::CrashBefore, FaultKind::CrashAfter];

    /// What can go wrong at AWS, in the network or with a fleet.
    pub const ALL: [FaultKind; 15] = [
        FaultKind::Throttle,
        FaultKind::ErrorApplied,
        FaultKind::ErrorNotApplied,
        FaultKind::TimeoutApplied,
        FaultKind::TimeoutNotApplied,
        FaultKind::Reset,
        FaultKind::Denied,
        FaultKind::ExpiredCredentials,
        FaultKind::InsufficientCapacity,
        FaultKind::Quota,
        FaultKind::Slow,
        FaultKind::StaleRead,
        FaultKind::InstanceDeath,
        FaultKind::TargetFlap,
        FaultKind::Alarm,
    ];

    /// The kind with that name.
    pub fn named(name: &str) -> Option<FaultKind> {
        FaultKind::ALL.into_iter().chain(FaultKind::CRASHES).find(|known| known.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Throttle => "throttle",
            FaultKind::ErrorApplied => "500-applied",
            FaultKind::ErrorNotApplied => "500-not-applied",
            FaultKind::TimeoutApplied => "timeout-applied",
            FaultKind::TimeoutNotApplied => "timeout-not-applied",
            FaultKind::Reset => "reset",
            FaultKind::Denied => "denied",
            FaultKind::ExpiredCredentials => "expired-credentials",
            FaultKind::InsufficientCapacity => "insufficient-capacity",
            FaultKind::Quota => "quota",
            FaultKind::Slow => "slow",
            FaultKind::StaleRead => "stale-read",
            FaultKind::InstanceDeath => "instance-death",
            FaultKind::TargetFlap => "target-flap",
            FaultKind::Alarm => "alarm",
            FaultKind::CrashBefore => "crash-before",
            FaultKind::CrashAfter => "crash-after",
        }
    }

    /// Whether it can befall such a call at all, and differs there from another kind: a read that is lost is lost, carried
    /// out or not.
    pub fn befalls(self, action: &str) -> bool {
        let reads = service::reads(action);
        match self {
            FaultKind::ErrorApplied | FaultKind::TimeoutApplied | FaultKind::CrashAfter => !reads,
            FaultKind::StaleRead => reads,
            FaultKind::Quota => quota(action).is_some(),
            FaultKind::InsufficientCapacity => {
                action.contains("AutoScalingGroup") && !reads
                    || action == "RunInstances"
                    || action == "SetDesiredCapacity"
            }
            FaultKind::Throttle
            | FaultKind::ErrorNotApplied
            | FaultKind::TimeoutNotApplied
            | FaultKind::Reset
            | FaultKind::Denied
            | FaultKind::ExpiredCredentials
            | FaultKind::Slow
            | FaultKind::InstanceDeath
            | FaultKind::TargetFlap
            | FaultKind::Alarm
            | FaultKind::CrashBefore => true,
        }
    }

    /// Whether it happens once beside a call, and not to it.
    pub fn is_mishap(self) -> bool {
        matches!(self, FaultKind::InstanceDeath | FaultKind::TargetFlap | FaultKind::Alarm)
    }

    /// What happens beside the call.
    pub fn mishap(self, now: Timestamp, lasting: bool) -> Option<Mishap> {
        match self {
            FaultKind::InstanceDeath => Some(Mishap::InstanceDies),
            FaultKind::TargetFlap => Some(Mishap::TargetFlaps),
            FaultKind::Alarm => Some(Mishap::AlarmGoesOff),
            FaultKind::InsufficientCapacity => {
                let until = if lasting { Timestamp::MAX } else { now + SHORTAGE };
                Some(Mishap::CapacityIsShort { until })
            }
            _ => None,
        }
    }

    /// What becomes of the call itself.
    pub fn effect(self, service: &Service, action: &str) -> Option<Effect> {
        let refused =
            |code: &str, message: &str, status| Some(Effect::Refused(AwsError::new(code, message).status(status)));
        match (self, service.protocol) {
            // "Error codes for the Amazon EC2 API"; "Common errors" of the query and JSON services.
            (FaultKind::Throttle, Protocol::Ec2) => refused("RequestLimitExceeded", "Request limit exceeded.", 503),
            (FaultKind::Throttle, Protocol::Query | Protocol::RestXml(_)) => {
                refused("Throttling", "Rate exceeded", 400)
            }
            (FaultKind::Throttle, Protocol::Json(_)) => refused("ThrottlingException", "Rate exceeded", 400),
            (FaultKind::ErrorApplied, protocol) => Some(Effect::Failed(internal(protocol))),
            (FaultKind::ErrorNotApplied, protocol) => Some(Effect::Refused(internal(protocol))),
            (FaultKind::TimeoutApplied, _) => Some(Effect::Lost { applied: true, after: SILENCE }),
            (FaultKind::TimeoutNotApplied, _) => Some(Effect::Lost { applied: false, after: SILENCE }),
            (FaultKind::Reset, _) => Some(Effect::Lost { applied: false, after: Duration::ZERO }),
            (FaultKind::Denied, protocol) => {
                let message = format!("User is not authorized to perform: {}:{action}", service.prefix());
                let code = match protocol {
                    Protocol::Ec2 => "UnauthorizedOperation",
                    Protocol::Query | Protocol::RestXml(_) => "AccessDenied",
                    Protocol::Json(_) => "AccessDeniedException",
                };
                refused(code, &message, if matches!(protocol, Protocol::Json(_)) { 400 } else { 403 })
            }
            (FaultKind::ExpiredCredentials, Protocol::Ec2) => refused("RequestExpired", "Request has expired.", 400),
            (FaultKind::ExpiredCredentials, Protocol::Query | Protocol::RestXml(_)) => {
                refused("ExpiredToken", "The security token included in the request is expired", 403)
            }
            (FaultKind::ExpiredCredentials, Protocol::Json(_)) => {
                refused("ExpiredTokenException", "The security token included in the request is expired", 400)
            }
            (FaultKind::Quota, _) => {
                let (code, status) = quota(action)?;
                refused(code, "The maximum number of these is reached in this account", status)
            }
            (FaultKind::CrashBefore, _) => Some(Effect::Crash { applied: false }),
            (FaultKind::CrashAfter, _) => Some(Effect::Crash { applied: true }),
            (FaultKind::Slow, _) => Some(Effect::Late(SLOW)),
            (FaultKind::StaleRead, _) => Some(Effect::Stale),
            (
                FaultKind::InsufficientCapacity | FaultKind::InstanceDeath | FaultKind::TargetFlap | FaultKind::Alarm,
                _,
            ) => None,
        }
    }
}

/// An error of AWS's own: `InternalError` is EC2's, `InternalFailure` that of all others ("Common errors").
fn internal(protocol: Protocol) -> AwsError {
    let code = if matches!(protocol, Protocol::Ec2) { "InternalError" } else { "InternalFailure" };
    AwsError::new(code, "An internal error has occurred").status(500)
}

/// The error, with its status, when there may be no more of what an action makes. Source: the service models, and "Error
/// codes for the Amazon EC2 API".
fn quota(action: &str) -> Option<(&'static str, u16)> {
    Some(match action {
        "CreateVpc" => ("VpcLimitExceeded", 400),
        "CreateSubnet" => ("SubnetLimitExceeded", 400),
        "CreateInternetGateway" => ("InternetGatewayLimitExceeded", 400),
        "AllocateAddress" => ("AddressLimitExceeded", 400),
        "CreateNatGateway" => ("NatGatewayLimitExceeded", 400),
        "CreateRouteTable" => ("RouteTableLimitExceeded", 400),
        "CreateRoute" => ("RouteLimitExceeded", 400),
        "CreateNetworkAcl" => ("NetworkAclLimitExceeded", 400),
        "CreateNetworkAclEntry" => ("NetworkAclEntryLimitExceeded", 400),
        "CreateSecurityGroup" => ("SecurityGroupLimitExceeded", 400),
        "AuthorizeSecurityGroupIngress" | "AuthorizeSecurityGroupEgress" => ("RulesPerSecurityGroupLimitExceeded", 400),
        "CreateLaunchTemplate" | "CreateLaunchTemplateVersion" => ("ResourceLimitExceeded", 400),
        "RunInstances" => ("InstanceLimitExceeded", 400),
        "CreateLoadBalancer" => ("TooManyLoadBalancers", 400),
        "CreateTargetGroup" => ("TooManyTargetGroups", 400),
        "CreateListener" => ("TooManyListeners", 400),
        "CreateRule" => ("TooManyRules", 400),
        "RegisterTargets" => ("TooManyTargets", 400),
        "CreateAutoScalingGroup" | "PutLifecycleHook" | "PutScalingPolicy" => ("LimitExceeded", 400),
        "CreateRole" | "CreateInstanceProfile" | "CreatePolicy" | "CreatePolicyVersion" | "PutRolePolicy" => {
            ("LimitExceeded", 409)
        }
        "CreateHostedZone" => ("TooManyHostedZones", 400),
        "RequestCertificate" | "ImportCertificate" => ("LimitExceededException", 400),
        "CreateTopic" => ("TopicLimitExceeded", 403),
        "Subscribe" => ("SubscriptionLimitExceeded", 403),
        "PutMetricAlarm" | "PutCompositeAlarm" | "PutScheduledUpdateGroupAction" => ("LimitExceeded", 400),
        "CreateLogGroup" => ("LimitExceededException", 400),
        _ => return None,
    })
}

impl Mishap {
    /// Has it happen. Whether there was anything it could happen to.
    pub fn happen(self, world: &mut World) -> bool {
        let salt = mix(world.seed ^ world.requests);
        let chosen = |mut candidates: Vec<(Scope, String)>| {
            let count = candidates.len() as u64;
            (count > 0).then(|| candidates.swap_remove((salt % count.max(1)) as usize))
        };
        if let Mishap::CapacityIsShort { until } = self {
            world.settings.short_of_capacity_until = Some(until);
            return true;
        }
        let Some((scope, id)) = chosen(self.candidates(world)) else { return false };
        match self {
            Mishap::InstanceDies => {
                world.load.died(&id);
                ec2::instance::die(&mut world.tx(&scope, "", ""), &id);
            }
            Mishap::TargetFlaps => elbv2::targets::flap(&mut world.tx(&scope, "", ""), &id),
            Mishap::AlarmGoesOff => autoscaling::alarm(&mut world.tx(&scope, "", ""), &id),
            Mishap::CapacityIsShort { .. } => {}
        }
        true
    }

    /// Whether there is anything it could happen to.
    pub fn could_happen(self, world: &mut World) -> bool {
        matches!(self, Mishap::CapacityIsShort { .. }) || !self.candidates(world).is_empty()
    }

    fn candidates(self, world: &mut World) -> Vec<(Scope, String)> {
        let mut found = Vec::new();
        for scope in world.scopes() {
            let tx = world.tx(&scope, "", "");
            let ids = match self {
                Mishap::InstanceDies => autoscaling::alive(&tx),
                Mishap::TargetFlaps => elbv2::targets::flappable(&tx),
                Mishap::AlarmGoesOff => autoscaling::can_grow(&tx),
                Mishap::CapacityIsShort { .. } => Vec::new(),
            };
            found.extend(ids.into_iter().map(|id| (scope.clone(), id)));
        }
        if let Some(fork) = &world.fork {
            // Nothing is read only to choose among it.
            fork.take_missing();
        }
        found
    }
}

/// The faults that were asked for, and how far they have come.
#[derive(Clone, Debug, Default)]
pub struct Faults(Vec<Armed>);

#[derive(Clone, Debug)]
struct Armed {
    fault: Fault,
    /// Calls of this kind so far.
    calls: u32,
    happened: bool,
}

impl Faults {
    pub fn new(faults: impl IntoIterator<Item = Fault>) -> Faults {
        Faults(faults.into_iter().map(|fault| Armed { fault, calls: 0, happened: false }).collect())
    }

    /// Whether reads may be asked to be stale: then the world before each change has to be kept.
    pub fn need_past(&self) -> bool {
        self.0.iter().any(|armed| armed.fault.kind == FaultKind::StaleRead)
    }

    /// The faults that befall this call, with their places.
    pub fn befall(&mut self, service: &str, action: &str) -> Vec<(usize, FaultKind, bool)> {
        let mut due = Vec::new();
        for (place, armed) in self.0.iter_mut().enumerate() {
            let Fault { service: of, action: what, at, lasting, kind } = &armed.fault;
            if wildcard::matches(of, service) && wildcard::matches(what, action) {
                armed.calls += 1;
                if armed.calls == *at || (*lasting && armed.calls > *at) {
                    due.push((place, *kind, *lasting));
                }
            }
        }
        due
    }

    pub fn happened(&mut self, place: usize) {
        if let Some(armed) = self.0.get_mut(place) {
            armed.happened = true;
        }
    }

    /// Those that never happened.
    pub fn unused(&self) -> Vec<Fault> {
        self.0.iter().filter(|armed| !armed.happened).map(|armed| armed.fault.clone()).collect()
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { service, action, at, lasting, kind } = self;
        write!(f, "{service}:{action}#{at}{}={kind}", if *lasting { "+" } else { "" })
    }
}

/// Why a text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error(
        "expected SERVICE:ACTION#N=KIND, as in `ec2:CreateVpc#1=throttle`, or `#1+` for that call and all later ones"
    )]
    Form,
    #[error("`{0}` is no kind of fault; there are {kinds}", kinds = kinds())]
    Kind(String),
    #[error("the simulated AWS has no service `{0}`; there are {services}", services = services())]
    Service(String),
    #[error("the simulated AWS has no action `{service}:{action}`{hint}")]
    Action { service: String, action: String, hint: String },
    #[error("{kind} does not befall {service}:{action}")]
    Impossible { kind: FaultKind, service: String, action: String },
}

fn kinds() -> String {
    FaultKind::ALL.iter().chain(&FaultKind::CRASHES).map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

fn services() -> String {
    service::SERVICES.iter().map(|service| service.prefix()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Fault, FaultError> {
        let (call, kind) = text.rsplit_once('=').ok_or(FaultError::Form)?;
        let (call, at) = call.split_once('#').ok_or(FaultError::Form)?;
        let (service, action) =
            call.split_once(':').filter(|(_, action)| !action.is_empty()).ok_or(FaultError::Form)?;
        let lasting = at.ends_with('+');
        let at = at.strip_suffix('+').unwrap_or(at).parse().ok().filter(|at| *at > 0).ok_or(FaultError::Form)?;
        let kind = FaultKind::named(kind).ok_or_else(|| FaultError::Kind(kind.to_owned()))?;
        let (service, action) = (service.to_owned(), action.to_owned());
        let of: Vec<&Service> =
            service::SERVICES.iter().copied().filter(|known| wildcard::matches(&service, known.prefix())).collect();
        if of.is_empty() {
            return Err(FaultError::Service(service));
        }
        let names: Vec<&str> = of.iter().flat_map(|known| known.action_names()).collect();
        let mut meant = names.iter().filter(|name| wildcard::matches(&action, name)).peekable();
        if meant.peek().is_none() {
            let nearest = crate::script::suggest::closest(&action, names.iter().copied());
            let hint = nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            return Err(FaultError::Action { service, action, hint });
        }
        if !meant.any(|name| kind.befalls(name)) {
            return Err(FaultError::Impossible { kind, service, action });
        }
        Ok(Fault { service, action, at, lasting, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in ["ec2:CreateVpc#1=throttle", "*:*#12+=500-not-applied", "route53:*#3=timeout-applied"] {
            assert_eq!(text.parse::<Fault>().map(|fault| fault.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_fault_is_told_why() {
        let told = |text: &str| text.parse::<Fault>().map_err(|error| error.to_string()).expect_err("no fault");
        for form in
            ["", "ec2", "ec2:CreateVpc=throttle", "ec2:CreateVpc#0=throttle", "ec2:CreateVpc#x=throttle", "ec2:#1=slow"]
        {
            assert!(told(form).starts_with("expected SERVICE:ACTION#N=KIND"), "{form}");
        }
        assert!(told("ec2:CreateVpc#1=broken").starts_with("`broken` is no kind of fault; there are throttle, "));
        assert!(told("s3:PutObject#1=slow").starts_with("the simulated AWS has no service `s3`"));
        assert!(told("ec2:CreateVpcs#1=slow").ends_with("; did you mean `CreateVpc`?"));
        assert_eq!(told("ec2:DescribeVpcs#1=quota"), "quota does not befall ec2:DescribeVpcs");
    }

    #[test]
    fn a_fault_befalls_one_call_or_all_from_it_on() {
        let mut faults = Faults::new(["ec2:CreateVpc#2=throttle", "*:*#2+=slow"].map(|text| text.parse().unwrap()));
        let mut befall = |action| faults.befall("ec2", action).into_iter().map(|(_, kind, _)| kind).collect::<Vec<_>>();
        assert_eq!(befall("CreateVpc"), []);
        assert_eq!(befall("CreateSubnet"), [FaultKind::Slow]);
        assert_eq!(befall("CreateVpc"), [FaultKind::Throttle, FaultKind::Slow]);
        assert_eq!(befall("CreateVpc"), [FaultKind::Slow]);
    }
}
