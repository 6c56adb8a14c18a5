//! Parameters with their versions, of which AWS keeps a hundred; and the public ones that name Amazon's newest images. A
//! fork has secure ones without their values: something else stands for them.

use sha2::{Digest, Sha256};

use super::*;
use crate::redact::placeholder;
use crate::run::hex;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "PutParameter",
        params: &["Name Value Type Description KeyId Overwrite Tier DataType Tags[].Key Tags[].Value"],
        run: put_parameter,
    },
    Action { name: "GetParameter", params: &["Name WithDecryption"], run: get_parameter },
    Action { name: "GetParameters", params: &["Names[] WithDecryption"], run: get_parameters },
    Action {
        name: "DescribeParameters",
        params: &["ParameterFilters[].Key ParameterFilters[].Option ParameterFilters[].Values[] MaxResults NextToken"],
        run: describe_parameters,
    },
    Action { name: "DeleteParameter", params: &["Name"], run: delete_parameter },
];

const PAGING: Paging =
    Paging { size: "MaxResults", token: "NextToken", default: 50, sizes: 1..=50, invalid_token: "InvalidNextToken" };

const SECURE: &str = "SecureString";

/// "Managing parameter tiers" in the Systems Manager guide.
const STANDARD: (&str, usize) = ("Standard", 4096);
const ADVANCED: (&str, usize) = ("Advanced", 8192);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parameter {
    pub name: String,
    pub description: Option<String>,
    /// Of secure ones.
    pub key_id: Option<String>,
    pub tier: String,
    pub data_type: String,
    #[serde(flatten)]
    pub content: Content,
    pub version: i64,
    pub modified: Timestamp,
    /// The versions before, oldest first.
    #[serde(default)]
    pub history: Vec<Older>,
    pub tags: Tags,
}

/// Type and value, under the names by which a snapshot knows secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    #[serde(rename = "Type")]
    pub kind: String,
    /// A snapshot has none of a secure one.
    #[serde(rename = "Value", default)]
    pub value: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Older {
    #[serde(flatten)]
    pub content: Content,
    pub version: i64,
    pub modified: Timestamp,
}

// AWS's message is empty: it does not say of what.
resource!(Parameter, name, region.ssm.parameters, Extent::Row, |_: &str| AwsError::new(
    "ParameterNotFound",
    "The parameter couldn't be found. Verify the name and try again."
));

impl Parameter {
    fn arn(&self, tx: &Tx) -> String {
        tx.arn("ssm", &format!("parameter/{}", self.name.trim_start_matches('/')))
    }

    fn is_secure(&self) -> bool {
        self.content.kind == SECURE
    }

    fn metadata(&self, tx: &Tx) -> Value {
        json!({
            "Name": self.name,
            "ARN": self.arn(tx),
            "Type": self.content.kind,
            "KeyId": self.key_id,
            "LastModifiedDate": epoch(self.modified),
            "LastModifiedUser": tx.global_arn("iam", "user/runner"),
            "Description": self.description,
            "Version": self.version,
            "Tier": self.tier,
            "Policies": [],
            "DataType": self.data_type,
        })
    }

    /// The version that `selector` names: a number; none: the newest.
    fn view(&self, tx: &Tx, selector: Option<&str>, decrypt: bool) -> Result<Value, AwsError> {
        let (content, version, modified) = match selector.map(str::parse::<i64>) {
            None => (&self.content, self.version, self.modified),
            Some(Ok(version)) if version == self.version => (&self.content, self.version, self.modified),
            Some(Ok(version)) => {
                let older = self.history.iter().find(|older| older.version == version);
                let older = older.ok_or_else(|| {
                    let message = format!(
                        "Systems Manager could not find version {version} of {}. Verify the version and try again.",
                        self.name
                    );
                    AwsError::new("ParameterVersionNotFound", message)
                })?;
                (&older.content, older.version, older.modified)
            }
            // A label; nobody has given one.
            Some(Err(_)) => {
                let message =
                    format!("Systems Manager could not find the label of {}. Verify it and try again.", self.name);
                return Err(AwsError::new("ParameterVersionNotFound", message));
            }
        };
        let hidden = content.kind == SECURE && !decrypt;
        let value = if hidden { encrypted(&self.name, version, &content.value) } else { content.value.clone() };
        Ok(json!({
            "Name": self.name,
            "Type": content.kind,
            "Value": value,
            "Version": version,
            "Selector": selector.map(|selector| format!(":{selector}")),
            "LastModifiedDate": epoch(modified),
            "ARN": self.arn(tx),
            "DataType": self.data_type,
        }))
    }
}

/// Stands for what KMS makes of a value.
fn encrypted(name: &str, version: i64, value: &str) -> String {
    format!("AQICAH{}", hex(&Sha256::digest(format!("{name}:{version}:{value}"))))
}

pub const CALLS: &[&str] = &["ssm:DescribeParameters", "ssm:GetParameter", "ssm:ListTagsForResource"];

/// One parameter, all as a list shows them, or those with a tag: no name is `tag:KEY=VALUE`. Of a secure one the value is not
/// asked for.
pub fn load(reader: &Reader, name: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let token = ("NextToken", "NextToken");
    let Some(name) = name else {
        let shown = reader.pages("ssm", "DescribeParameters", json!({ "MaxResults": 50 }), "Parameters", token)?;
        shown.iter().for_each(|shown| rows.listed(Read::of(read(shown, String::new(), Tags::new()))));
        return Ok(());
    };
    let listed = |key: &str, value: &str| {
        let only = json!({ "ParameterFilters": [{ "Key": key, "Option": "Equals", "Values": [value] }] });
        reader.pages("ssm", "DescribeParameters", only, "Parameters", token)
    };
    if let Some((key, value)) = name.split_once('=') {
        let (_, tag) = key.split_once(':').unwrap_or_default();
        let tags = Tags::from([(tag.to_owned(), value.to_owned())]);
        for shown in listed(key, value)? {
            rows.listed(Read::of(read(&shown, String::new(), tags.clone())));
        }
        return Ok(());
    }
    let shown = listed("Name", name)?;
    let Some(shown) = shown.into_iter().find(|shown| shown.opt_str("Name") == Some(name)) else { return Ok(()) };
    let value = match shown.opt_str("Type") {
        Some(SECURE) => placeholder(name),
        _ => {
            let reply = reader.find("ssm", "GetParameter", json!({ "Name": name }), &["ParameterNotFound"])?;
            let Some(reply) = reply else { return Ok(()) };
            reply.text("Parameter.Value")
        }
    };
    let of = json!({ "ResourceType": "Parameter", "ResourceId": name });
    let tags = reader.find("ssm", "ListTagsForResource", of, &["InvalidResourceId"])?.unwrap_or_default();
    let governed = shown.opt_str("AllowedPattern").is_some_and(|pattern| !pattern.is_empty());
    let unmodelled = (governed || !shown.list("Policies").is_empty())
        .then(|| "allowed patterns and policies of parameters".to_owned());
    let row = read(&shown, value, tags.map("TagList", "Key", "Value"));
    rows.whole(Read::of(row).shown(&shown).except(unmodelled));
    Ok(())
}

fn read(shown: &Params, value: String, tags: Tags) -> Parameter {
    let or = |name: &str, default: &str| shown.opt_str(name).unwrap_or(default).to_owned();
    Parameter {
        name: shown.text("Name"),
        description: shown.opt_str("Description").map(str::to_owned),
        key_id: shown.opt_str("KeyId").map(str::to_owned),
        tier: or("Tier", STANDARD.0),
        data_type: or("DataType", "text"),
        content: Content { kind: or("Type", "String"), value },
        version: shown.number("Version", 1),
        modified: shown.time("LastModifiedDate"),
        history: Vec::new(),
        tags,
    }
}

/// Name and selector of what a call asks for: `/shop/url:3`, or the same behind an ARN.
fn named(asked: &str) -> (String, Option<&str>) {
    let rest = match asked.strip_prefix("arn:") {
        Some(arn) => arn.splitn(5, ':').last().unwrap_or_default(),
        None => asked,
    };
    let (name, selector) = rest.split_once(':').map_or((rest, None), |(name, selector)| (name, Some(selector)));
    match (asked.starts_with("arn:"), name.strip_prefix("parameter/")) {
        // An ARN does not tell `/url` from `url`; one with further slashes begins with one.
        (true, Some(path)) if path.contains('/') => (format!("/{path}"), selector),
        (true, Some(path)) => (path.to_owned(), selector),
        _ => (name.to_owned(), selector),
    }
}

fn check_name(name: &str) -> Result<(), AwsError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    if name.is_empty() || name.len() > 1011 || !name.bytes().all(allowed) || name.contains("//") {
        return Err(invalid(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of \
             sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following \
             3 symbols .-_",
        ));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(invalid("Parameter name must be a fully qualified name."));
    }
    if name.matches('/').count() > 15 {
        let message = "The hierarchy level limit of 15 was exceeded.";
        return Err(AwsError::new("HierarchyLevelLimitExceededException", message));
    }
    let lower = name.trim_start_matches('/').to_ascii_lowercase();
    if lower.starts_with("aws") {
        return Err(AwsError::new("AccessDeniedException", format!("No access to reserved parameter name: {name}.")));
    }
    if lower.starts_with("ssm") {
        return Err(invalid("Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive)."));
    }
    Ok(())
}

/// The tier a parameter gets, and whether its value fits into that.
fn tier(asked: Option<&str>, now: Option<&str>, value: &str) -> Result<&'static str, AwsError> {
    const INTELLIGENT: &str = "Intelligent-Tiering";
    if let Some(asked) = asked {
        among("tier", asked, &[STANDARD.0, ADVANCED.0, INTELLIGENT])?;
    }
    let size = value.chars().count();
    let is_advanced = now == Some(ADVANCED.0);
    let (name, most) = match asked {
        Some(asked) if asked == STANDARD.0 && is_advanced => {
            return Err(invalid(
                "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the \
                 advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced \
                 parameter and recreate it as a standard parameter.",
            ));
        }
        Some(asked) if asked == ADVANCED.0 => ADVANCED,
        Some(INTELLIGENT) if size > STANDARD.1 => ADVANCED,
        _ if is_advanced => ADVANCED,
        _ => STANDARD,
    };
    if size > most {
        return Err(invalid(format!(
            "{name} tier parameters support a maximum parameter value of {most} characters. To create a larger parameter \
             value, upgrade the parameter to use the advanced-parameter tier. For more information, see \
             https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"
        )));
    }
    Ok(name)
}

fn put_parameter(tx: &mut Tx, p: &Params) -> Reply {
    let (name, value) = (p.str("Name")?, p.str("Value")?);
    check_name(name)?;
    if value.is_empty() {
        let message = "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have \
                       length greater than or equal to 1";
        return Err(invalid(message));
    }
    if value.contains("{{") && value.contains("}}") {
        return Err(invalid("Parameter value can't nest another parameter. Do not use \"{{}}\" in the value."));
    }
    let kind = p.opt_str("Type");
    if let Some(kind) = kind {
        among("type", kind, &[SECURE, "StringList", "String"])?;
    }
    let data_type = p.opt_str("DataType");
    if data_type.is_some_and(|data_type| data_type != "text") {
        return Err(AwsError::not_modelled("ValidationException", "data type", p.str("DataType")?, "ssm:PutParameter"));
    }
    let tags = tags::read(&p.list("Tags"))?;
    let overwrite = p.opt_bool("Overwrite")?.unwrap_or(false);
    if overwrite && !tags.is_empty() {
        return Err(invalid(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove \
             overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or \
             RemoveTagsFromResource.",
        ));
    }
    let now = tx.now;
    // An empty one takes away what was there.
    let description = p.opt_str("Description").map(str::to_owned);
    let key_id = p.opt_str("KeyId").map(str::to_owned);
    if tx.peek::<Parameter>(name).is_none() {
        let kind = kind.ok_or_else(|| invalid("A parameter type is required when you create a parameter."))?;
        let tier = tier(p.opt_str("Tier"), None, value)?;
        tag::check_count(&tags)?;
        tx.put(Parameter {
            name: name.to_owned(),
            description,
            key_id: (kind == SECURE).then(|| key_id.unwrap_or_else(|| "alias/aws/ssm".to_owned())),
            tier: tier.to_owned(),
            data_type: "text".to_owned(),
            content: Content { kind: kind.to_owned(), value: value.to_owned() },
            version: 1,
            modified: now,
            history: Vec::new(),
            tags,
        });
        return Ok(json!({ "Version": 1, "Tier": tier }));
    }
    if !overwrite {
        let message = "The parameter already exists. To overwrite this value, set the overwrite option in the request to \
                       true.";
        return Err(AwsError::new("ParameterAlreadyExists", message));
    }
    tx.check_modelled::<Parameter>(name)?;
    let found = tx.peek_mut::<Parameter>(name).ok_or_else(|| Parameter::absent(name))?;
    if kind.is_some_and(|kind| kind != found.content.kind) {
        let message = "Parameter Store doesn't support changing a parameter type in a hierarchy. For example, you can't \
                       change a parameter from a String type to a SecureString type. You must create a new, unique \
                       parameter.";
        return Err(AwsError::new("HierarchyTypeMismatchException", message));
    }
    let tier = tier(p.opt_str("Tier"), Some(&found.tier), value)?;
    let content = Content { kind: found.content.kind.clone(), value: value.to_owned() };
    let older = std::mem::replace(&mut found.content, content);
    found.history.push(Older { content: older, version: found.version, modified: found.modified });
    // "Parameter Store retains up to 100 versions": with the newest.
    if found.history.len() > 99 {
        found.history.remove(0);
    }
    found.version += 1;
    found.modified = now;
    found.tier = tier.to_owned();
    found.description = description.or(found.description.take()).filter(|text| !text.is_empty());
    if found.is_secure() {
        found.key_id = key_id.or(found.key_id.take());
    }
    Ok(json!({ "Version": found.version, "Tier": tier }))
}

fn find(tx: &Tx, asked: &str, decrypt: bool) -> Result<Value, AwsError> {
    let (name, selector) = named(asked);
    match public::parameter(tx, &name) {
        Some(public) => Ok(public),
        None => tx.get::<Parameter>(&name)?.view(tx, selector, decrypt),
    }
}

fn get_parameter(tx: &mut Tx, p: &Params) -> Reply {
    let decrypt = p.opt_bool("WithDecryption")?.unwrap_or(false);
    Ok(json!({ "Parameter": find(tx, p.str("Name")?, decrypt)? }))
}

fn get_parameters(tx: &mut Tx, p: &Params) -> Reply {
    let decrypt = p.opt_bool("WithDecryption")?.unwrap_or(false);
    let names = p.strings("Names");
    if names.len() > 10 {
        let message = "1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length \
                       less than or equal to 10";
        return Err(invalid(message));
    }
    let (found, missing): (Vec<_>, Vec<_>) =
        names.into_iter().map(|name| (name, find(tx, name, decrypt).ok())).partition(|(_, found)| found.is_some());
    Ok(json!({
        "Parameters": found.into_iter().map(|(_, parameter)| parameter).collect::<Vec<_>>(),
        "InvalidParameters": missing.into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
    }))
}

fn describe_parameters(tx: &mut Tx, p: &Params) -> Reply {
    let filters = p.list("ParameterFilters");
    let option = |filter: &Params| filter.opt_str("Option").unwrap_or("Equals").to_owned();
    // Who asks for names looks at these rows alone.
    let by_name = filters.iter().find(|filter| filter.text("Key") == "Name" && option(filter) == "Equals");
    let mut rows = match by_name {
        Some(filter) => tx.select_some::<Parameter>(&filter.strings("Values")),
        None => tx.select::<Parameter>(&[])?,
    };
    for filter in &filters {
        let values = filter.strings("Values");
        match (filter.str("Key")?, option(filter).as_str()) {
            (key, "Equals") if key.starts_with("tag:") => {
                // Lists do not show tags: in a fork those that have this one are asked for.
                values.iter().for_each(|value| drop(tx.select_some::<Parameter>(&[&format!("{key}={value}")])));
                let has =
                    |row: &&Parameter| row.tags.get(&key[4..]).is_some_and(|value| values.contains(&value.as_str()));
                rows.retain(has);
            }
            ("Name", "Equals") => rows.retain(|row| values.contains(&row.name.as_str())),
            ("Name", "BeginsWith") => {
                rows.retain(|row| values.iter().any(|value| row.name.starts_with(value)));
            }
            ("Type", "Equals") => rows.retain(|row| values.contains(&row.content.kind.as_str())),
            (key, option) => {
                let filter = format!("{key} {option}");
                return Err(AwsError::not_modelled("InvalidFilterKey", "filter", &filter, "ssm:DescribeParameters"));
            }
        }
    }
    let (rows, next) = select::page(&PAGING, p, rows, |row| &row.name)?;
    let rows: Vec<Value> = rows.into_iter().map(|row| tx.shown(row, Parameter::metadata)).collect();
    Ok(json!({ "Parameters": rows, "NextToken": next }))
}

fn delete_parameter(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("Name")?;
    tx.get::<Parameter>(name)?;
    tx.delete::<Parameter>(name);
    Ok(json!({}))
}
