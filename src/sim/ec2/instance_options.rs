//! What an instance keeps of the launch template data it was made of.

use super::*;

/// What EC2 shows of an instance of the launch template data it was made of, in the names of requests and with AWS's
/// defaults; and whether it may be terminated.
pub fn of_data(data: &Params) -> Params {
    let text = |path: &str, default: &str| data.opt_str(path).unwrap_or(default).to_owned();
    let option = |name: &str, default: &str| text(&format!("MetadataOptions.{name}"), default);
    Params(json!({
        "CpuOptions": {
            "CoreCount": data.opt_str("CpuOptions.CoreCount"),
            "ThreadsPerCore": data.opt_str("CpuOptions.ThreadsPerCore"),
        },
        "DisableApiTermination": data.opt_str("DisableApiTermination").filter(|on| *on == "true"),
        "EbsOptimized": text("EbsOptimized", "false"),
        "KeyName": data.opt_str("KeyName"),
        "MetadataOptions": {
            "HttpEndpoint": option("HttpEndpoint", "enabled"),
            "HttpProtocolIpv6": option("HttpProtocolIpv6", "disabled"),
            "HttpPutResponseHopLimit": option("HttpPutResponseHopLimit", "1"),
            "HttpTokens": option("HttpTokens", "optional"),
            "InstanceMetadataTags": option("InstanceMetadataTags", "disabled"),
        },
        "Monitoring": { "Enabled": text("Monitoring.Enabled", "false") },
        "Placement": {
            "GroupName": data.opt_str("Placement.GroupName").filter(|name| !name.is_empty()),
            "Tenancy": text("Placement.Tenancy", "default"),
        },
    }))
}

/// The same of an instance whose type has so many cores with so many threads, where the data says nothing else.
pub fn at_launch(data: &Params, (cores, threads): (u32, u32)) -> Params {
    let mut kept = of_data(data);
    for (name, number) in [("CoreCount", cores), ("ThreadsPerCore", threads)] {
        let option = &mut kept.0["CpuOptions"][name];
        if option.is_null() {
            *option = json!(number.to_string());
        }
    }
    kept
}

/// The same of an instance that is shown: the inverse of what its `view` makes of them.
pub fn of_shown(shown: &Params) -> Params {
    let options = shown.part("metadataOptions");
    of_data(&Params(json!({
        "CpuOptions": {
            "CoreCount": shown.get("cpuOptions.coreCount"),
            "ThreadsPerCore": shown.get("cpuOptions.threadsPerCore"),
        },
        "EbsOptimized": shown.get("ebsOptimized"),
        "KeyName": shown.get("keyName"),
        "MetadataOptions": {
            "HttpEndpoint": options.get("httpEndpoint"),
            "HttpProtocolIpv6": options.get("httpProtocolIpv6"),
            "HttpPutResponseHopLimit": options.get("httpPutResponseHopLimit"),
            "HttpTokens": options.get("httpTokens"),
            "InstanceMetadataTags": options.get("instanceMetadataTags"),
        },
        "Monitoring": { "Enabled": (shown.text("monitoring.state") == "enabled").to_string() },
        "Placement": { "GroupName": shown.get("placement.groupName"), "Tenancy": shown.get("placement.tenancy") },
    })))
}
