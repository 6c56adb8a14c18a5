//! Instance types: families by their processor and size, not each with all its numbers. In a fork, those of the region.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "DescribeInstanceTypes", params: &["InstanceType[]", FILTERS, PAGES], run: describe_instance_types },
    Action {
        name: "DescribeInstanceTypeOfferings",
        params: &["LocationType", FILTERS, PAGES],
        run: describe_instance_type_offerings,
    },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceType {
    pub name: String,
    pub architectures: Vec<String>,
    pub vcpus: u32,
    pub memory_mib: u64,
    pub burstable: bool,
    /// There is none to be had: launches fail.
    pub exhausted: bool,
}

impl InstanceType {
    /// Cores, and threads of each: two on Intel's processors and AMD's older ones, but for T2.
    pub fn cores(&self) -> (u32, u32) {
        let family = self.name.split('.').next().unwrap_or_default();
        let single = !self.architectures.iter().any(|it| it == "x86_64") || family == "t2" || family.ends_with("7a");
        let threads = if single || self.vcpus < 2 { 1 } else { 2 };
        (self.vcpus / threads, threads)
    }
}

resource!(InstanceType, name, region.ec2.instance_types, Extent::Row, |name: &str| AwsError::new(
    "InvalidParameterValue",
    format!("Invalid value '{name}' for InstanceType.")
));

/// Reads one. Lists are answered by the account itself.
pub fn load(reader: &Reader, name: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(name) = name else { return Ok(()) };
    let params = json!({ "InstanceType": [name] });
    let absent = ["InvalidInstanceType", "InvalidParameterValue"];
    let Some(reply) = reader.find("ec2", "DescribeInstanceTypes", params, &absent)? else { return Ok(()) };
    for shown in reply.list("instanceTypeSet") {
        let architectures = shown.strings("processorInfo.supportedArchitectures").into_iter();
        rows.whole(Read::of(InstanceType {
            name: shown.text("instanceType"),
            architectures: architectures.map(str::to_owned).collect(),
            vcpus: u32::try_from(shown.number("vCpuInfo.defaultVCpus", 0)).unwrap_or_default(),
            memory_mib: u64::try_from(shown.number("memoryInfo.sizeInMiB", 0)).unwrap_or_default(),
            burstable: shown.flag("burstablePerformanceSupported"),
            exhausted: false,
        }));
    }
    Ok(())
}

/// Family, processor, GiB of memory for each vCPU, and the smallest and largest size that are modelled.
const FAMILIES: &[(&str, &str, f64, &str, &str)] = &[
    ("t2", "x86_64", 4.0, "micro", "2xlarge"),
    ("t3", "x86_64", 4.0, "nano", "2xlarge"),
    ("t3a", "x86_64", 4.0, "nano", "2xlarge"),
    ("t4g", "arm64", 4.0, "nano", "2xlarge"),
    ("m5", "x86_64", 4.0, "large", "8xlarge"),
    ("m6g", "arm64", 4.0, "medium", "8xlarge"),
    ("m6i", "x86_64", 4.0, "large", "8xlarge"),
    ("m7a", "x86_64", 4.0, "medium", "8xlarge"),
    ("m7g", "arm64", 4.0, "medium", "8xlarge"),
    ("m7i", "x86_64", 4.0, "large", "8xlarge"),
    ("m8g", "arm64", 4.0, "medium", "8xlarge"),
    ("c5", "x86_64", 2.0, "large", "4xlarge"),
    ("c6g", "arm64", 2.0, "medium", "8xlarge"),
    ("c6i", "x86_64", 2.0, "large", "8xlarge"),
    ("c7g", "arm64", 2.0, "medium", "8xlarge"),
    ("c7i", "x86_64", 2.0, "large", "8xlarge"),
    ("r5", "x86_64", 8.0, "large", "8xlarge"),
    ("r6g", "arm64", 8.0, "medium", "8xlarge"),
    ("r7g", "arm64", 8.0, "medium", "8xlarge"),
    ("r7i", "x86_64", 8.0, "large", "8xlarge"),
    // A whole accelerated machine: in the simulated AWS there is never one left.
    ("p5", "x86_64", 10.67, "48xlarge", "48xlarge"),
];

/// Sizes, and the vCPUs of each. Burstable types have two up to `large`, and less memory in the small ones.
const SIZES: &[(&str, u32)] = &[
    ("nano", 2),
    ("micro", 2),
    ("small", 2),
    ("medium", 1),
    ("large", 2),
    ("xlarge", 4),
    ("2xlarge", 8),
    ("4xlarge", 16),
    ("8xlarge", 32),
    ("48xlarge", 192),
];

fn all() -> Vec<InstanceType> {
    let place = |size: &str| SIZES.iter().position(|(name, _)| *name == size).unwrap_or(0);
    let of = |&(family, architecture, per_vcpu, first, last): &(&str, &'static str, f64, &str, &str)| {
        let burstable = family.starts_with('t');
        let sizes = SIZES[place(first)..=place(last)].iter().filter(move |(size, _)| !burstable || *size != "4xlarge");
        sizes
            .map(move |&(size, vcpus)| {
                let vcpus = if burstable { vcpus.max(2) } else { vcpus };
                let gib = match size {
                    "nano" => 0.5,
                    "micro" => 1.0,
                    "small" => 2.0,
                    "medium" if burstable => 4.0,
                    _ => f64::from(vcpus) * per_vcpu,
                };
                let (name, memory_mib) = (format!("{family}.{size}"), (gib * 1024.0) as u64);
                let architectures = vec![architecture.to_owned()];
                InstanceType { name, architectures, vcpus, memory_mib, burstable, exhausted: family == "p5" }
            })
            .collect::<Vec<_>>()
    };
    FAMILIES.iter().flat_map(of).collect()
}

/// The type of that name, as instances are launched with it.
pub fn find(tx: &Tx, name: &str) -> Result<InstanceType, AwsError> {
    if tx.is_fork() {
        return tx.get::<InstanceType>(name).cloned();
    }
    modelled(name).ok_or_else(|| InstanceType::absent(name))
}

fn modelled(name: &str) -> Option<InstanceType> {
    all().into_iter().find(|kind| kind.name == name)
}

fn describe_instance_types(tx: &mut Tx, p: &Params) -> Reply {
    const KNOWN: Filters<InstanceType> = &[
        ("burstable-performance-supported", |kind, _| one(kind.burstable)),
        ("current-generation", |_, _| one(true)),
        ("instance-type", |kind, _| one(&kind.name)),
        ("processor-info.supported-architecture", |kind, _| kind.architectures.clone()),
    ];
    let named = p.strings("InstanceType");
    let mut types = all();
    if let Some(unknown) = named.iter().find(|name| types.iter().all(|kind| kind.name != **name)) {
        let message = format!("The following supplied instance types do not exist: [{unknown}]");
        return Err(AwsError::new("InvalidInstanceType", message));
    }
    types.retain(|kind| named.is_empty() || named.contains(&kind.name.as_str()));
    let types = select::filter(tx, p, KNOWN, None, types.iter().collect())?;
    let (types, next) = select::page(&Paging { default: 100, sizes: 5..=100, ..PAGING }, p, types, |kind| &kind.name)?;
    let view = |kind: &InstanceType| {
        json!({
            "instanceType": kind.name,
            "currentGeneration": true,
            "bareMetal": false,
            "hypervisor": "nitro",
            "supportedUsageClasses": ["on-demand", "spot"],
            "supportedRootDeviceTypes": ["ebs"],
            "supportedVirtualizationTypes": ["hvm"],
            "burstablePerformanceSupported": kind.burstable,
            "processorInfo": { "supportedArchitectures": kind.architectures },
            "vCpuInfo": { "defaultVCpus": kind.vcpus },
            "memoryInfo": { "sizeInMiB": kind.memory_mib },
        })
    };
    Ok(json!({ "instanceTypeSet": types.into_iter().map(view).collect::<Vec<_>>(), "nextToken": next }))
}

/// One type in one place.
struct Offering {
    key: String,
    kind: String,
    location: String,
}

fn describe_instance_type_offerings(tx: &mut Tx, p: &Params) -> Reply {
    const KNOWN: Filters<Offering> =
        &[("instance-type", |offering, _| one(&offering.kind)), ("location", |offering, _| one(&offering.location))];
    let location_type = p.opt_str("LocationType").unwrap_or("region");
    let region = &tx.scope.region;
    let places: Vec<String> = match location_type {
        "region" => vec![region.clone()],
        "availability-zone" => zone::all(tx).into_iter().map(|zone| zone.name).collect(),
        "availability-zone-id" => zone::all(tx).into_iter().map(|zone| zone.id).collect(),
        other => return Err(AwsError::invalid("LocationType", other, "")),
    };
    let offering = |kind: &InstanceType, place: &String| Offering {
        key: format!("{}/{place}", kind.name),
        kind: kind.name.clone(),
        location: place.clone(),
    };
    let types = all();
    let all: Vec<Offering> =
        types.iter().flat_map(|kind| places.iter().map(move |place| offering(kind, place))).collect();
    let offerings = select::filter(tx, p, KNOWN, None, all.iter().collect())?;
    let (offerings, next) = select::page(&PAGING, p, offerings, |offering| &offering.key)?;
    let view = |offering: &Offering| json!({ "instanceType": offering.kind, "locationType": location_type, "location": offering.location });
    Ok(json!({ "instanceTypeOfferingSet": offerings.into_iter().map(view).collect::<Vec<_>>(), "nextToken": next }))
}

#[cfg(test)]
mod tests {
    use super::modelled;

    #[test]
    fn sizes() {
        let of = |name| modelled(name).map(|kind| (kind.vcpus, kind.memory_mib));
        assert_eq!(of("t3.small"), Some((2, 2048)));
        assert_eq!(of("t4g.medium"), Some((2, 4096)));
        assert_eq!(of("m7g.medium"), Some((1, 4096)));
        assert_eq!(of("c6i.2xlarge"), Some((8, 16384)));
        assert_eq!(of("t3.4xlarge"), None);
        assert_eq!(of("m5.medium"), None);
        let cores = |name| modelled(name).map(|kind| kind.cores());
        assert_eq!(
            (cores("t3.small"), cores("m7g.large"), cores("m7a.large")),
            (Some((1, 2)), Some((2, 1)), Some((2, 1)))
        );
    }
}
