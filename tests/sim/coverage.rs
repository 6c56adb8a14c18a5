//! The table of what is modelled, in docs/simulator.md: it says what the source says.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use runner::sim::{Protocol, SERVICES, Service};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const BEGIN: &str = "<!-- coverage: generated -->\n";
const END: &str = "<!-- /coverage -->\n";

#[test]
fn the_table_of_what_is_modelled_is_fresh() {
    let file = Path::new(ROOT).join("docs/simulator.md");
    let text = fs::read_to_string(&file).expect("docs/simulator.md");
    let (before, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (_, after) = rest.split_once(END).expect("where it ends");
    let wanted = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, wanted).expect("docs/ is writable");
    } else {
        assert!(text == wanted, "docs/simulator.md is stale: run `UPDATE_DOCS=1 cargo test --test sim coverage`");
    }
}

fn table() -> String {
    let mut out = String::new();
    for service in SERVICES {
        let handlers = handlers(service);
        let calls = service.actions.iter().map(|list| list.len()).sum::<usize>();
        let _ = writeln!(out, "\n### {}: {calls} calls\n", service.prefix());
        let _ = writeln!(out, "| call | parameters | behaviour |\n|---|---|---|");
        let mut told = "";
        for action in service.actions.iter().copied().flatten() {
            let behaviour = handlers.get(action.name).unwrap_or_else(|| panic!("{} has no handler", action.name));
            // Said once for all calls of a file.
            let behaviour = if std::mem::replace(&mut told, behaviour) == behaviour { "″" } else { behaviour };
            let source = source(service, action.name);
            let params = params(action.params);
            let _ = writeln!(out, "| [{}]({source}) | {params} | {behaviour} |", action.name);
        }
    }
    out
}

/// The first paragraph of the file that handles it, by action.
fn handlers(service: &Service) -> BTreeMap<String, String> {
    let name = if service.name == "elasticloadbalancing" { "elbv2" } else { service.prefix() };
    let folder = Path::new(ROOT).join("src/sim").join(name.replace('-', "_"));
    let single = folder.with_extension("rs");
    let files = fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let mut handlers = BTreeMap::new();
    for file in files.chain(single.is_file().then_some(single)) {
        let text = fs::read_to_string(&file).expect("a source file");
        let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//! ")).collect();
        let head = head.join(" ").replace('|', "\\|");
        for rest in text.split("name: \"").skip(1) {
            let action = rest.split('"').next().unwrap_or_default();
            handlers.insert(action.to_owned(), head.clone());
        }
    }
    handlers
}

/// Where AWS says what the call does.
fn source(service: &Service, action: &str) -> String {
    const DOCS: &str = "https://docs.aws.amazon.com";
    let reference = match service.name {
        "ec2" => "AWSEC2/latest/APIReference",
        "elasticloadbalancing" => "elasticloadbalancing/latest/APIReference",
        "autoscaling" => "autoscaling/ec2/APIReference",
        "iam" => "IAM/latest/APIReference",
        "route53" => "Route53/latest/APIReference",
        "acm" => "acm/latest/APIReference",
        "secretsmanager" => "secretsmanager/latest/apireference",
        "ssm" => "systems-manager/latest/APIReference",
        "sts" => "STS/latest/APIReference",
        "application-autoscaling" => "autoscaling/application/APIReference",
        "ecr" => "AmazonECR/latest/APIReference",
        "ecs" => "AmazonECS/latest/APIReference",
        "monitoring" => "AmazonCloudWatch/latest/APIReference",
        "logs" => "AmazonCloudWatchLogs/latest/APIReference",
        "sns" => "sns/latest/api",
        other => panic!("where is the API reference of {other}?"),
    };
    format!("{DOCS}/{reference}/API_{action}.html")
}

/// The parameters, without repeating what they have in common: `Filter[].Name Filter[].Value[]` is `Filter[]`.
fn params(lists: &[&str]) -> String {
    let all = lists.iter().flat_map(|list| list.split_whitespace());
    let mut tops: Vec<&str> = all.map(|path| path.split(['.', '[']).next().unwrap_or(path)).collect();
    tops.sort_unstable();
    tops.dedup();
    tops.join(", ")
}

#[test]
fn every_protocol_is_there() {
    let query = SERVICES.iter().any(|service| matches!(service.protocol, Protocol::Query));
    assert!(
        query
            && table()
                .contains("[CreateVpc](https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpc.html)")
    );
}
