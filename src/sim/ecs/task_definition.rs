//! Task definitions: revisions of families. A number is never used twice; a deregistered revision stays, inactive, and what
//! runs of it goes on.

use jiff::Timestamp;

use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "RegisterTaskDefinition",
        params: &[
            "
            family taskRoleArn executionRoleArn networkMode cpu memory requiresCompatibilities[]
            ephemeralStorage.sizeInGiB runtimePlatform.cpuArchitecture runtimePlatform.operatingSystemFamily
            volumes[].name volumes[].host.sourcePath volumes[].efsVolumeConfiguration.fileSystemId
            volumes[].efsVolumeConfiguration.rootDirectory volumes[].efsVolumeConfiguration.transitEncryption
            volumes[].efsVolumeConfiguration.authorizationConfig.accessPointId
            volumes[].efsVolumeConfiguration.authorizationConfig.iam
            placementConstraints[].type placementConstraints[].expression
            ",
            CONTAINER,
            TAGS,
        ],
        run: register_task_definition,
    },
    Action { name: "DescribeTaskDefinition", params: &["taskDefinition include[]"], run: describe_task_definition },
    Action { name: "ListTaskDefinitionFamilies", params: &["familyPrefix status", PAGES], run: list_families },
    Action { name: "ListTaskDefinitions", params: &["familyPrefix status sort", PAGES], run: list_task_definitions },
    Action { name: "DeregisterTaskDefinition", params: &["taskDefinition"], run: deregister_task_definition },
];

const CONTAINER: &str = "
    containerDefinitions[].name containerDefinitions[].image containerDefinitions[].cpu containerDefinitions[].memory
    containerDefinitions[].memoryReservation containerDefinitions[].essential containerDefinitions[].command[]
    containerDefinitions[].entryPoint[] containerDefinitions[].environment[].name
    containerDefinitions[].environment[].value containerDefinitions[].secrets[].name
    containerDefinitions[].secrets[].valueFrom containerDefinitions[].environmentFiles[].type
    containerDefinitions[].environmentFiles[].value
    containerDefinitions[].portMappings[].containerPort containerDefinitions[].portMappings[].hostPort
    containerDefinitions[].portMappings[].protocol containerDefinitions[].portMappings[].name
    containerDefinitions[].portMappings[].appProtocol containerDefinitions[].logConfiguration.logDriver
    containerDefinitions[].logConfiguration.options.** containerDefinitions[].logConfiguration.secretOptions[].name
    containerDefinitions[].logConfiguration.secretOptions[].valueFrom containerDefinitions[].healthCheck.command[]
    containerDefinitions[].healthCheck.interval containerDefinitions[].healthCheck.timeout
    containerDefinitions[].healthCheck.retries containerDefinitions[].healthCheck.startPeriod
    containerDefinitions[].dependsOn[].containerName containerDefinitions[].dependsOn[].condition
    containerDefinitions[].mountPoints[].sourceVolume containerDefinitions[].mountPoints[].containerPath
    containerDefinitions[].mountPoints[].readOnly containerDefinitions[].volumesFrom[].sourceContainer
    containerDefinitions[].volumesFrom[].readOnly containerDefinitions[].ulimits[].name
    containerDefinitions[].ulimits[].softLimit containerDefinitions[].ulimits[].hardLimit
    containerDefinitions[].user containerDefinitions[].workingDirectory containerDefinitions[].privileged
    containerDefinitions[].readonlyRootFilesystem containerDefinitions[].dockerLabels.**
    containerDefinitions[].linuxParameters.initProcessEnabled
    containerDefinitions[].linuxParameters.capabilities.add[] containerDefinitions[].linuxParameters.capabilities.drop[]
    containerDefinitions[].startTimeout containerDefinitions[].stopTimeout
    containerDefinitions[].repositoryCredentials.credentialsParameter containerDefinitions[].systemControls[].namespace
    containerDefinitions[].systemControls[].value containerDefinitions[].hostname
    containerDefinitions[].interactive containerDefinitions[].pseudoTerminal
    containerDefinitions[].restartPolicy.enabled containerDefinitions[].restartPolicy.ignoredExitCodes[]
    containerDefinitions[].restartPolicy.restartAttemptPeriod
";

/// A family: which of its revisions can be used, and the last number that was given out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Family {
    pub name: String,
    /// `ACTIVE` if it has a revision that can be used.
    pub status: String,
    pub active: Vec<i64>,
    pub last: i64,
}

resource!(Family, name, region.ecs.task_definition_families, Extent::Row, |_: &str| unable());

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskDefinition {
    /// `family:revision`
    pub id: String,
    pub family: String,
    pub revision: i64,
    /// `ACTIVE` or `INACTIVE`.
    pub status: String,
    /// As it is shown, without what says which revision it is.
    pub content: Value,
    pub registered: Timestamp,
    pub deregistered: Option<Timestamp>,
    pub tags: Tags,
}

resource!(TaskDefinition, id, region.ecs.task_definitions, Extent::Row, |_: &str| unable());

/// What ECS says of a task definition that it does not have.
fn unable() -> AwsError {
    client("Unable to describe task definition.")
}

pub const FAMILY_CALLS: &[&str] = &["ecs:ListTaskDefinitionFamilies", "ecs:ListTaskDefinitions"];
pub const CALLS: &[&str] = &["ecs:DescribeTaskDefinition"];

/// The numbers of a family, or of all that have active revisions.
pub fn load_family(reader: &Reader, name: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(name) = name else {
        let mut families = Vec::new();
        let params = json!({ "status": "ACTIVE", "maxResults": 100 });
        reader.each_page("ecs", "ListTaskDefinitionFamilies", params, TOKEN, |page| {
            families.extend(page.strings("families").into_iter().map(str::to_owned));
        })?;
        return families.iter().try_for_each(|family| load_family(reader, Some(family), rows));
    };
    let mut active = Vec::new();
    let params = json!({ "familyPrefix": name, "status": "ACTIVE", "sort": "ASC", "maxResults": 100 });
    reader.each_page("ecs", "ListTaskDefinitions", params, TOKEN, |page| {
        active.extend(page.strings("taskDefinitionArns").into_iter().filter_map(revision_in));
    })?;
    let params = json!({ "familyPrefix": name, "status": "INACTIVE", "sort": "DESC", "maxResults": 1 });
    let gone = reader.get("ecs", "ListTaskDefinitions", params)?;
    let last =
        gone.strings("taskDefinitionArns").into_iter().filter_map(revision_in).chain(active.iter().copied()).max();
    if let Some(last) = last {
        let status = if active.is_empty() { "INACTIVE" } else { "ACTIVE" }.to_owned();
        rows.whole(Read::of(Family { name: name.to_owned(), status, active, last }));
    }
    Ok(())
}

fn revision_in(arn: &str) -> Option<i64> {
    arn.rsplit(':').next()?.parse().ok()
}

/// One revision.
pub fn load(reader: &Reader, id: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(id) = id else { return Ok(()) };
    let params = json!({ "taskDefinition": id, "include": ["TAGS"] });
    let Some(reply) = reader.find("ecs", "DescribeTaskDefinition", params, &["ClientException"])? else {
        return Ok(());
    };
    let shown = reply.part("taskDefinition");
    let mut content = shown.0.clone();
    if let Some(content) = content.as_object_mut() {
        content.retain(|name, _| !OF_REVISION.contains(&name.as_str()));
    }
    rows.whole(Read::of(TaskDefinition {
        id: format!("{}:{}", shown.text("family"), shown.number("revision", 0)),
        family: shown.text("family"),
        revision: shown.number("revision", 0),
        status: shown.text("status"),
        content,
        registered: shown.time("registeredAt"),
        deregistered: shown.has("deregisteredAt").then(|| shown.time("deregisteredAt")),
        tags: reply.map("tags", "key", "value"),
    }));
    Ok(())
}

/// What of a description says which revision it is, not what is in it.
const OF_REVISION: &[&str] =
    &["taskDefinitionArn", "family", "revision", "status", "registeredAt", "deregisteredAt", "registeredBy"];

impl TaskDefinition {
    pub fn arn(&self, tx: &Tx) -> String {
        tx.arn("ecs", &format!("task-definition/{}", self.id))
    }

    pub fn is_active(&self) -> bool {
        self.status == "ACTIVE"
    }

    pub fn containers(&self) -> Vec<Params> {
        Params(self.content.clone()).list("containerDefinitions")
    }

    pub fn text(&self, member: &str) -> &str {
        self.content[member].as_str().unwrap_or_default()
    }

    pub fn is_awsvpc(&self) -> bool {
        self.text("networkMode") == "awsvpc"
    }

    pub fn is_of_windows(&self) -> bool {
        let family = self.content["runtimePlatform"]["operatingSystemFamily"].as_str();
        family.is_some_and(|family| family.starts_with("WINDOWS"))
    }

    fn view(&self, tx: &Tx) -> Value {
        let mut view = self.content.clone();
        view["taskDefinitionArn"] = json!(self.arn(tx));
        view["family"] = json!(self.family);
        view["revision"] = json!(self.revision);
        view["status"] = json!(self.status);
        view["registeredAt"] = json!(epoch(self.registered));
        view["deregisteredAt"] = json!(self.deregistered.map(epoch));
        view["registeredBy"] = json!(format!("arn:aws:iam::{}:root", tx.scope.account));
        view
    }
}

/// The revision that a request means: `family` is the newest active one, `family:revision` or an ARN that one.
pub fn find<'t>(tx: &'t Tx, given: &str) -> Option<&'t TaskDefinition> {
    let name = name_of(given);
    match name.rsplit_once(':') {
        Some(_) => tx.peek::<TaskDefinition>(name),
        None => {
            let newest = *tx.peek::<Family>(name)?.active.last()?;
            tx.peek::<TaskDefinition>(&format!("{name}:{newest}"))
        }
    }
}

/// The same for what is about to run: it must be active.
pub fn to_run<'t>(tx: &'t Tx, given: &str) -> Result<&'t TaskDefinition, AwsError> {
    let found = find(tx, given).ok_or_else(|| client("TaskDefinition not found."))?;
    match found.is_active() {
        true => Ok(found),
        false => Err(client("TaskDefinition is inactive")),
    }
}

fn register_task_definition(tx: &mut Tx, p: &Params) -> Reply {
    let family = p.str("family")?.to_owned();
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if family.is_empty() || family.len() > 255 || !family.chars().all(is_word) {
        return Err(client("Family contains invalid characters."));
    }
    let content = content::of(p)?;
    let tags = own_tags(p)?;
    let last = tx.peek::<Family>(&family).map_or(0, |family| family.last);
    let revision = last + 1;
    match tx.peek_mut::<Family>(&family) {
        Some(row) => {
            row.last = revision;
            row.active.push(revision);
            row.status = "ACTIVE".to_owned();
        }
        None => {
            let status = "ACTIVE".to_owned();
            tx.put(Family { name: family.clone(), status, active: vec![revision], last: revision });
        }
    }
    let id = format!("{family}:{revision}");
    let definition = TaskDefinition {
        id,
        family,
        revision,
        status: "ACTIVE".to_owned(),
        content,
        registered: tx.now,
        deregistered: None,
        tags,
    };
    let view = definition.view(tx);
    let tags = show_tags(&definition.tags);
    tx.put(definition);
    Ok(json!({ "taskDefinition": view, "tags": tags }))
}

fn describe_task_definition(tx: &mut Tx, p: &Params) -> Reply {
    let definition = find(tx, p.str("taskDefinition")?).ok_or_else(unable)?;
    let tags = includes(p, "TAGS").then(|| show_tags(&definition.tags));
    Ok(json!({ "taskDefinition": definition.view(tx), "tags": tags }))
}

fn list_families(tx: &mut Tx, p: &Params) -> Reply {
    let prefix = p.opt_str("familyPrefix").unwrap_or_default();
    let status = p.opt_str("status").unwrap_or("ALL");
    let is_it = |row: &&Family| row.name.starts_with(prefix) && (status == "ALL" || row.status == status);
    let names: Vec<String> = tx.all::<Family>().filter(is_it).map(|row| row.name.clone()).collect();
    let (page, next) = select::page(&PAGING, p, names, |name| name)?;
    Ok(json!({ "families": page, "nextToken": next }))
}

fn list_task_definitions(tx: &mut Tx, p: &Params) -> Reply {
    let family = p.opt_str("familyPrefix").map(str::to_owned);
    let status = among(p, "status", &["ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS"])?.unwrap_or("ACTIVE");
    let Some(family) = family else {
        return Err(AwsError::not_modelled(
            "InvalidParameterException",
            "list",
            "of all families",
            "ecs:ListTaskDefinitions",
        ));
    };
    let row = tx.peek::<Family>(&family);
    let (active, last) = row.map(|row| (row.active.clone(), row.last)).unwrap_or_default();
    let mut numbers: Vec<i64> = match status {
        "ACTIVE" => active,
        // Those that DeleteTaskDefinitions was asked for, which is not modelled.
        "DELETE_IN_PROGRESS" => Vec::new(),
        _ => (1..=last).filter(|number| !active.contains(number)).collect(),
    };
    if p.opt_str("sort") == Some("DESC") {
        numbers.reverse();
    }
    // By their place: a page's token is the number of the last one.
    let keyed: Vec<(String, i64)> =
        numbers.into_iter().enumerate().map(|(place, number)| (format!("{place:09}"), number)).collect();
    let (page, next) = select::page(&PAGING, p, keyed, |(place, _)| place)?;
    let arn = |(_, number): &(String, i64)| tx.arn("ecs", &format!("task-definition/{family}:{number}"));
    Ok(json!({ "taskDefinitionArns": page.iter().map(arn).collect::<Vec<_>>(), "nextToken": next }))
}

fn deregister_task_definition(tx: &mut Tx, p: &Params) -> Reply {
    let id = name_of(p.str("taskDefinition")?).to_owned();
    if !id.contains(':') {
        return Err(client("Invalid revision number. Number: null"));
    }
    let now = tx.now;
    let definition =
        tx.get_mut::<TaskDefinition>(&id).map_err(|_| client("The specified task definition does not exist."))?;
    if definition.status == "INACTIVE" {
        return Err(client(
            "The specified task definition is inactive. Specify an active task definition and try again.",
        ));
    }
    definition.status = "INACTIVE".to_owned();
    definition.deregistered = Some(now);
    let definition = definition.clone();
    if let Some(family) = tx.peek_mut::<Family>(&definition.family) {
        family.active.retain(|number| *number != definition.revision);
        if family.active.is_empty() {
            family.status = "INACTIVE".to_owned();
        }
    }
    Ok(json!({ "taskDefinition": definition.view(tx) }))
}
