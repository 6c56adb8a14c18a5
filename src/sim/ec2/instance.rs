//! Instances: pending, running, shutting down, terminated, and shown for an hour after that. `launch` makes them.
//!
//! The service on an instance is part of it: what it answers, and when that changes, is said by its image.

use super::image::Service;
use super::volume::{self, Volume};
use super::*;
use crate::sim::elbv2::targets;
use crate::sim::error::INVALID_VALUE;
use crate::sim::wire::time;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "DescribeInstances",
        params: &["InstanceId[] maxResults nextToken MaxResults NextToken", FILTERS],
        run: describe_instances,
    },
    Action {
        name: "DescribeInstanceStatus",
        params: &["InstanceId[] IncludeAllInstances includeAllInstances", FILTERS, PAGES],
        run: describe_instance_status,
    },
    Action {
        name: "RunInstances",
        params: &[
            "ImageId InstanceType MinCount MaxCount SubnetId SecurityGroupId[] UserData ClientToken KeyName EbsOptimized",
            "IamInstanceProfile.Arn IamInstanceProfile.Name Monitoring.Enabled DisableApiTermination",
            "MetadataOptions.HttpTokens MetadataOptions.HttpEndpoint MetadataOptions.HttpPutResponseHopLimit",
            "MetadataOptions.HttpProtocolIpv6 MetadataOptions.InstanceMetadataTags",
            "BlockDeviceMapping[].DeviceName BlockDeviceMapping[].Ebs.VolumeSize BlockDeviceMapping[].Ebs.VolumeType",
            "BlockDeviceMapping[].Ebs.Encrypted BlockDeviceMapping[].Ebs.KmsKeyId BlockDeviceMapping[].Ebs.Iops",
            "BlockDeviceMapping[].Ebs.Throughput BlockDeviceMapping[].Ebs.DeleteOnTermination",
            TAGS,
        ],
        run: run_instances,
    },
    Action { name: "StopInstances", params: &["InstanceId[]"], run: stop_instances },
    Action { name: "TerminateInstances", params: &["InstanceId[]"], run: terminate_instances },
];

/// EC2 runs its status checks every minute; the first good ones take about two.
const CHECKED: Duration = Duration::from_secs(120);
const SHOWN_AFTERWARDS: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Instance {
    pub id: String,
    pub reservation: String,
    pub image: String,
    pub architecture: String,
    pub instance_type: String,
    pub zone: String,
    pub subnet: String,
    pub vpc: String,
    pub groups: Vec<String>,
    pub private_ip: String,
    pub public_ip: Option<String>,
    /// None once it is terminated.
    pub interface: Option<String>,
    pub volumes: Vec<String>,
    pub root_device: String,
    pub launched: jiff::Timestamp,
    pub state: State,
    /// Why it changed its state: code and message.
    pub reason: Option<(String, String)>,
    pub service: Service,
    pub app: App,
    /// ARN and id of the instance profile.
    pub profile: Option<(String, String)>,
    /// What is shown of the launch template data it was made of, see `instance_options`.
    pub data: Params,
    pub tags: Tags,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
    Stopping,
    Stopped,
}

/// What the service on an instance answers to a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum App {
    /// There is no running instance of that id: the connection fails.
    Absent,
    /// The service does not listen yet.
    Booting,
    /// The service answers well.
    Healthy,
    /// The service answers with errors.
    Unhealthy,
}

/// What the service on the instance answers at `tx.now`. It changes at events only.
pub fn app(tx: &Tx, instance_id: &str) -> App {
    tx.peek::<Instance>(instance_id).map_or(App::Absent, |instance| instance.app)
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Step {
    Run,
    Answer(App),
    ShutDown,
    Terminate,
    Forget,
    Stop,
}

kind!(Instance, instances);

impl Kind for Instance {
    const NAMES: Names = Names {
        prefix: "i",
        kind: "instance",
        ids: "InstanceId",
        set: "instancesSet",
        sizes: 5..=1000,
        absent: ("InvalidInstanceID.NotFound", "The instance ID '{}' does not exist"),
    };
    const FILTERS: Filters<Instance> = &[
        ("architecture", |instance, _| one(&instance.architecture)),
        ("availability-zone", |instance, _| one(&instance.zone)),
        ("image-id", |instance, _| one(&instance.image)),
        ("instance-id", |instance, _| one(&instance.id)),
        ("instance-state-code", |instance, _| one(instance.state.code())),
        ("instance-state-name", |instance, _| one(instance.state)),
        ("instance-type", |instance, _| one(&instance.instance_type)),
        ("instance.group-id", |instance, _| instance.groups.clone()),
        ("private-ip-address", |instance, _| one(&instance.private_ip)),
        ("reservation-id", |instance, _| one(&instance.reservation)),
        ("subnet-id", |instance, _| one(&instance.subnet)),
        ("vpc-id", |instance, _| one(&instance.vpc)),
    ];

    fn view(&self, tx: &Tx) -> Value {
        let gone = self.state == State::Terminated;
        let there = |value: &str| (!gone).then(|| value.to_owned());
        let group = |id: &String| {
            let name = tx.peek::<SecurityGroup>(id).map(|group| &group.name);
            json!({ "groupId": id, "groupName": name })
        };
        let groups: Vec<Value> = self.groups.iter().filter(|_| !gone).map(group).collect();
        let option = |name: &str, default: &str| {
            self.data.opt_str(&format!("MetadataOptions.{name}")).unwrap_or(default).to_owned()
        };
        let flag = |path: &str| self.data.opt_str(path) == Some("true");
        let volumes = self.volumes.iter().filter_map(|id| tx.peek::<Volume>(id));
        let cpu = self.data.part("CpuOptions");
        json!({
            "instanceId": self.id,
            "imageId": self.image,
            "instanceState": self.state.view(),
            "privateDnsName": there(&format!("ip-{}.{}.compute.internal", self.private_ip.replace('.', "-"), tx.scope.region)),
            "privateIpAddress": there(&self.private_ip),
            "ipAddress": self.public_ip.as_deref().and_then(there),
            "stateReason": self.reason.as_ref().map(|(code, message)| json!({ "code": code, "message": message })),
            "reason": self.reason.as_ref().map(|(_, message)| message),
            "keyName": self.data.opt_str("KeyName"),
            "amiLaunchIndex": 0,
            "clientToken": client_token(&self.id),
            "instanceType": self.instance_type,
            "launchTime": time(self.launched),
            "placement": {
                "availabilityZone": self.zone,
                "groupName": self.data.opt_str("Placement.GroupName"),
                "tenancy": self.data.opt_str("Placement.Tenancy").unwrap_or("default"),
            },
            "monitoring": { "state": if flag("Monitoring.Enabled") { "enabled" } else { "disabled" } },
            "subnetId": there(&self.subnet),
            "vpcId": there(&self.vpc),
            "architecture": self.architecture,
            "rootDeviceType": "ebs",
            "rootDeviceName": self.root_device,
            "blockDeviceMapping": volumes.map(Volume::on_instance).collect::<Vec<_>>(),
            "virtualizationType": "hvm",
            "hypervisor": "xen",
            "cpuOptions": cpu.has("CoreCount").then(|| json!({
                "coreCount": cpu.get("CoreCount"),
                "threadsPerCore": cpu.get("ThreadsPerCore"),
            })),
            "platformDetails": "Linux/UNIX",
            "usageOperation": "RunInstances",
            "sourceDestCheck": (!gone).then_some(true),
            "ebsOptimized": flag("EbsOptimized"),
            "enaSupport": true,
            "iamInstanceProfile": self.profile.as_ref().map(|(arn, id)| json!({ "arn": arn, "id": id })),
            "groupSet": groups,
            "networkInterfaceSet": self.interface.as_ref().filter(|_| !gone).map(|id| [self.interface(tx, id, &groups)]),
            "metadataOptions": {
                "state": "applied",
                "httpTokens": option("HttpTokens", "optional"),
                "httpPutResponseHopLimit": option("HttpPutResponseHopLimit", "1"),
                "httpEndpoint": option("HttpEndpoint", "enabled"),
                "httpProtocolIpv6": option("HttpProtocolIpv6", "disabled"),
                "instanceMetadataTags": option("InstanceMetadataTags", "disabled"),
            },
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for Instance {
    const DESCRIBE: &'static str = "DescribeInstances";

    /// What its service answers is not shown: it is well on an instance that runs. Where a target group says otherwise,
    /// that is kept with the target (`elbv2::targets::Target::answers`).
    fn read(shown: &Params) -> Option<Instance> {
        let state = match shown.opt_str("instanceState.name")? {
            "pending" => State::Pending,
            "shutting-down" => State::ShuttingDown,
            "terminated" => State::Terminated,
            "stopping" => State::Stopping,
            "stopped" => State::Stopped,
            _ => State::Running,
        };
        let interfaces = shown.list("networkInterfaceSet");
        let primary = interfaces.iter().find(|interface| interface.number("attachment.deviceIndex", 0) == 0);
        let volumes = shown.list("blockDeviceMapping");
        Some(Instance {
            id: shown.text("instanceId"),
            reservation: shown.text("reservationId"),
            image: shown.text("imageId"),
            architecture: shown.text("architecture"),
            instance_type: shown.text("instanceType"),
            zone: shown.text("placement.availabilityZone"),
            subnet: shown.text("subnetId"),
            vpc: shown.text("vpcId"),
            groups: super::ids(shown, "groupSet", "groupId"),
            private_ip: shown.text("privateIpAddress"),
            public_ip: optional(shown, "ipAddress"),
            interface: primary.map(|interface| interface.text("networkInterfaceId")),
            volumes: volumes.iter().filter_map(|mapping| optional(mapping, "ebs.volumeId")).collect(),
            root_device: shown.text("rootDeviceName"),
            launched: shown.time("launchTime"),
            state,
            reason: optional(shown, "stateReason.code").map(|code| (code, shown.text("stateReason.message"))),
            service: Service::Healthy,
            app: match state {
                State::Pending => App::Booting,
                State::Running => App::Healthy,
                State::ShuttingDown | State::Terminated | State::Stopping | State::Stopped => App::Absent,
            },
            profile: optional(shown, "iamInstanceProfile.arn").map(|arn| (arn, shown.text("iamInstanceProfile.id"))),
            data: instance_options::of_shown(shown),
            tags: tags_of(shown),
        })
    }

    fn go_on(&self, tx: &mut Tx) {
        let (step, after) = match self.state {
            State::Pending => return super::launch::schedule(tx, self),
            State::ShuttingDown => (Step::Terminate, going_down(tx, &self.id)),
            State::Stopping => (Step::Stop, going_down(tx, &self.id)),
            State::Terminated => (Step::Forget, SHOWN_AFTERWARDS),
            State::Running | State::Stopped => return,
        };
        tx.schedule(after, Event::Instance(self.id.clone(), step));
    }
}

/// Reads all instances: EC2 groups them by the request that launched them.
pub fn load(reader: &Reader, _: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let pages = json!({ "MaxResults": Instance::NAMES.sizes.end() });
    for reservation in reader.pages("ec2", Instance::DESCRIBE, pages, "reservationSet", TOKEN)? {
        for shown in reservation.list(Instance::NAMES.set) {
            let Some(row) = Instance::read(&shown) else { continue };
            let row = Instance { reservation: reservation.text("reservationId"), ..row };
            rows.whole(Read::of(row.clone()).shown(&shown));
            rows.then(move |tx| row.go_on(tx));
        }
    }
    Ok(())
}

impl State {
    fn code(self) -> u8 {
        match self {
            State::Pending => 0,
            State::Running => 16,
            State::ShuttingDown => 32,
            State::Terminated => 48,
            State::Stopping => 64,
            State::Stopped => 80,
        }
    }

    fn view(self) -> Value {
        json!({ "code": self.code(), "name": self })
    }

    /// Neither going nor gone.
    pub fn lives(self) -> bool {
        matches!(self, State::Pending | State::Running)
    }

    fn is_ending(self) -> bool {
        matches!(self, State::ShuttingDown | State::Terminated)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        self.serialize(f)
    }
}

impl Instance {
    /// Its network interface, as the instance shows it.
    fn interface(&self, tx: &Tx, id: &str, groups: &[Value]) -> Value {
        let association = self.public_ip.as_ref().map(|ip| json!({ "publicIp": ip }));
        json!({
            "networkInterfaceId": id,
            "subnetId": self.subnet,
            "vpcId": self.vpc,
            "ownerId": tx.scope.account,
            "status": "in-use",
            "macAddress": network_interface::mac_address(id),
            "privateIpAddress": self.private_ip,
            "privateIpAddressesSet": [
                { "privateIpAddress": self.private_ip, "primary": true, "association": association }
            ],
            "sourceDestCheck": true,
            "groupSet": groups,
            "attachment": {
                "attachmentId": network_interface::attachment_id(id, true),
                "deviceIndex": 0,
                "networkCardIndex": 0,
                "status": "attached",
                "attachTime": time(self.launched),
                "deleteOnTermination": true,
            },
            "association": association,
            "interfaceType": "interface",
        })
    }

    /// What its status checks say: the status, and of its reachability.
    fn checked(&self, tx: &Tx) -> (&'static str, &'static str) {
        match self.state {
            State::Running if tx.now.duration_since(self.launched).unsigned_abs() >= CHECKED => ("ok", "passed"),
            State::Running => ("initializing", "initializing"),
            State::Pending | State::ShuttingDown | State::Terminated | State::Stopping | State::Stopped => {
                ("not-applicable", "not-applicable")
            }
        }
    }
}

pub fn happen(tx: &mut Tx, id: &str, step: Step) {
    let Some(instance) = tx.peek_mut::<Instance>(id) else { return };
    match (step, instance.state) {
        (Step::Run, State::Pending) => instance.state = State::Running,
        (Step::Answer(app), State::Pending | State::Running) => {
            instance.app = app;
            if let (Service::Flapping, App::Healthy | App::Unhealthy) = (instance.service, app) {
                let other = if app == App::Healthy { App::Unhealthy } else { App::Healthy };
                tx.schedule(Duration::from_secs(60), Event::Instance(id.to_owned(), Step::Answer(other)));
            }
        }
        (Step::ShutDown, State::Pending | State::Running) => {
            let message = "Client.InstanceInitiatedShutdown: Instance initiated shutdown";
            stop(tx, id, ("Client.InstanceInitiatedShutdown", message));
        }
        (Step::Terminate, State::ShuttingDown) => {
            instance.state = State::Terminated;
            let (interface, volumes) = (instance.interface.take(), std::mem::take(&mut instance.volumes));
            if let Some(interface) = interface {
                network_interface::detach(tx, &interface);
            }
            volume::release(tx, &volumes);
            targets::gone(tx, id);
            tx.schedule(SHOWN_AFTERWARDS, Event::Instance(id.to_owned(), Step::Forget));
        }
        (Step::Forget, State::Terminated) => tx.delete::<Instance>(id),
        (Step::Stop, State::Stopping) => instance.state = State::Stopped,
        _ => {}
    }
}

/// Begins to terminate an instance. Its service stops answering at once.
pub fn terminate(tx: &mut Tx, id: &str) {
    stop(tx, id, ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"));
}

/// The host below an instance fails: its service is gone at once, the instance follows.
pub fn die(tx: &mut Tx, id: &str) {
    stop(tx, id, ("Server.InternalError", "Server.InternalError: Internal error"));
}

fn stop(tx: &mut Tx, id: &str, (code, message): (&str, &str)) {
    let after = going_down(tx, id);
    let Some(instance) = tx.peek_mut::<Instance>(id).filter(|instance| !instance.state.is_ending()) else { return };
    instance.state = State::ShuttingDown;
    instance.app = App::Absent;
    instance.reason = Some((code.to_owned(), message.to_owned()));
    tx.schedule(after, Event::Instance(id.to_owned(), Step::Terminate));
}

fn going_down(tx: &Tx, id: &str) -> Duration {
    tx.between(id, Duration::from_secs(20), Duration::from_secs(40))
}

/// The account from which Auto Scaling launches for others.
const AUTO_SCALING: &str = "940372691376";

/// Like the one that Auto Scaling gives with each launch.
fn client_token(id: &str) -> String {
    let (high, low) = (digest(id), digest(&format!("{id}/token")));
    let hex = format!("{high:016x}{low:016x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// EC2 groups instances by the request that launched them.
fn describe_instances(tx: &mut Tx, p: &Params) -> Reply {
    // The model spells the paging parameters of this call small.
    let mut p = p.clone();
    for (small, large) in [("maxResults", "MaxResults"), ("nextToken", "NextToken")] {
        if let Some(value) = p.get(small).cloned() {
            p.0[large] = value;
        }
    }
    check_not_paged_by_id::<Instance>(&p)?;
    let rows = tx.select::<Instance>(&p.strings("InstanceId"))?;
    let rows = select::filter(tx, &p, Instance::FILTERS, Some(Instance::tags), rows)?;
    let (rows, next) = select::page(&PAGING, &p, rows, |row| row.id())?;
    let view = |instance: &Instance| {
        json!({
            "reservationId": instance.reservation,
            "ownerId": tx.scope.account,
            "requesterId": instance.tags.contains_key("aws:autoscaling:groupName").then_some(AUTO_SCALING),
            "groupSet": [],
            "instancesSet": [show(tx, instance)],
        })
    };
    Ok(json!({ "reservationSet": rows.into_iter().map(view).collect::<Vec<_>>(), "nextToken": next }))
}

fn describe_instance_status(tx: &mut Tx, p: &Params) -> Reply {
    const KNOWN: Filters<Instance> = &[
        ("availability-zone", |instance, _| one(&instance.zone)),
        ("instance-state-code", |instance, _| one(instance.state.code())),
        ("instance-state-name", |instance, _| one(instance.state)),
        ("instance-status.reachability", |instance, tx| one(instance.checked(tx).1)),
        ("instance-status.status", |instance, tx| one(instance.checked(tx).0)),
        ("system-status.reachability", |instance, tx| one(instance.checked(tx).1)),
        ("system-status.status", |instance, tx| one(instance.checked(tx).0)),
    ];
    check_not_paged_by_id::<Instance>(p)?;
    let all = [p.opt_bool("IncludeAllInstances")?, p.opt_bool("includeAllInstances")?].contains(&Some(true));
    let mut rows = tx.select::<Instance>(&p.strings("InstanceId"))?;
    rows.retain(|instance| all || instance.state == State::Running);
    let rows = select::filter(tx, p, KNOWN, None, rows)?;
    let (rows, next) = select::page(&PAGING, p, rows, |row| row.id())?;
    let view = |instance: &Instance| {
        let (status, reachability) = instance.checked(tx);
        let checks = json!({ "status": status, "details": [{ "name": "reachability", "status": reachability }] });
        json!({
            "instanceId": instance.id,
            "availabilityZone": instance.zone,
            "instanceState": instance.state.view(),
            "systemStatus": checks,
            "instanceStatus": checks,
        })
    };
    Ok(json!({ "instanceStatusSet": rows.into_iter().map(view).collect::<Vec<_>>(), "nextToken": next }))
}

/// Launches as many as it may at once, or none.
fn run_instances(tx: &mut Tx, p: &Params) -> Reply {
    tx.once(p, "ClientToken", TOKEN_LIFE, |tx| {
        let (least, most) = (p.int("MinCount")?, p.int("MaxCount")?);
        for (count, of) in [(least, "Minimum"), (most, "Maximum")] {
            if count < 1 {
                let message = format!("{of} instance count must be greater than zero");
                return Err(AwsError::new(INVALID_VALUE, message));
            }
        }
        if most < least {
            let why = format!("It must be equal to or greater than minCount, which is {least}.");
            return Err(AwsError::invalid("maxCount", most, &why));
        }
        let subnet = p.opt_str("SubnetId").map(str::to_owned).or_else(|| default_subnet(tx));
        let subnet = subnet.ok_or_else(|| {
            let message = "No default subnet was found. Specify a subnet in the request.";
            AwsError::new("MissingInput", message)
        })?;
        let reservation = tx.new_id("r");
        let mut launched = Vec::new();
        for _ in 0..most {
            let wanted = super::launch::Launch { data: p, subnet: &subnet, tags: Tags::new() };
            let id = super::launch::launch(tx, wanted)?.id;
            if let Some(instance) = tx.peek_mut::<Instance>(&id) {
                instance.reservation.clone_from(&reservation);
                launched.push(instance.clone());
            }
        }
        let set: Vec<Value> = launched.iter().map(|instance| instance.view(tx)).collect();
        Ok(json!({
            "reservationId": reservation,
            "ownerId": tx.scope.account,
            "groupSet": [],
            "instancesSet": set,
        }))
    })
}

fn default_subnet(tx: &Tx) -> Option<String> {
    let vpc = tx.all::<Vpc>().find(|vpc| vpc.is_default)?.id.clone();
    tx.all::<Subnet>().find(|subnet| subnet.vpc == vpc).map(|subnet| subnet.id.clone())
}

/// The service stops at once, the instance a while later. One that is stopped stays so.
fn stop_instances(tx: &mut Tx, p: &Params) -> Reply {
    let mut changes = Vec::new();
    for id in p.strings("InstanceId") {
        let before = tx.get::<Instance>(id)?.state;
        if before.is_ending() || before == State::Pending {
            let message = format!("This instance '{id}' is not in a state from which it can be stopped.");
            return Err(AwsError::new("IncorrectInstanceState", message));
        }
        let after = going_down(tx, id);
        if let Some(instance) = tx.peek_mut::<Instance>(id).filter(|instance| instance.state == State::Running) {
            (instance.state, instance.app) = (State::Stopping, App::Absent);
            instance.reason = Some((
                "Client.UserInitiatedShutdown".into(),
                "Client.UserInitiatedShutdown: User initiated shutdown".into(),
            ));
            tx.schedule(after, Event::Instance(id.to_owned(), Step::Stop));
        }
        let now = tx.peek::<Instance>(id).map_or(before, |instance| instance.state);
        changes.push(json!({ "instanceId": id, "currentState": now.view(), "previousState": before.view() }));
    }
    Ok(json!({ "instancesSet": changes }))
}

fn terminate_instances(tx: &mut Tx, p: &Params) -> Reply {
    let ids = p.strings("InstanceId");
    if ids.is_empty() {
        return Err(AwsError::new("InvalidParameterCombination", "No instances specified"));
    }
    let mut changes = Vec::new();
    for id in ids {
        let instance = tx.get::<Instance>(id)?;
        if instance.data.opt_str("DisableApiTermination") == Some("true") && instance.state.lives() {
            let message = format!(
                "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
            );
            return Err(AwsError::new("OperationNotPermitted", message));
        }
        let before = instance.state;
        terminate(tx, id);
        let now = tx.peek::<Instance>(id).map_or(before, |instance| instance.state);
        changes.push(json!({ "instanceId": id, "currentState": now.view(), "previousState": before.view() }));
    }
    Ok(json!({ "instancesSet": changes }))
}
