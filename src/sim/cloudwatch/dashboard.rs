//! Dashboards: JSON under a name, checked before it is taken. "All dashboards in your account are global, not region-specific."
//! Their tags are not modelled.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "PutDashboard", params: &["DashboardName DashboardBody"], run: put_dashboard },
    Action { name: "GetDashboard", params: &["DashboardName"], run: get_dashboard },
    Action { name: "DeleteDashboards", params: &["DashboardNames[]"], run: delete_dashboards },
    Action { name: "ListDashboards", params: &["DashboardNamePrefix NextToken"], run: list_dashboards },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dashboard {
    pub name: String,
    pub body: String,
    pub modified: Timestamp,
}

resource!(Dashboard, name, global.cloudwatch.dashboards, Extent::Row, |name: &str| {
    AwsError::new("ResourceNotFound", format!("Dashboard {name} does not exist")).status(404)
});

pub const CALLS: &[&str] = &["cloudwatch:GetDashboard", "cloudwatch:ListDashboards"];

const TOKEN: Token = ("NextToken", "NextToken");
/// "ListDashboards returns up to 1000 results on one page."
const PAGING: Paging =
    Paging { size: "", token: "NextToken", default: 1000, sizes: 1..=1000, invalid_token: "InvalidParameterValue" };

/// A dashboard with its body, or all as a list shows them.
pub fn load(reader: &Reader, name: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(name) = name else {
        for shown in reader.pages("cloudwatch", "ListDashboards", json!({}), "DashboardEntries", TOKEN)? {
            let (name, modified) = (shown.text("DashboardName"), shown.time("LastModified"));
            rows.listed(Read::of(Dashboard { name, body: String::new(), modified }).shown(&shown));
        }
        return Ok(());
    };
    let named = json!({ "DashboardName": name });
    let Some(shown) = reader.find("cloudwatch", "GetDashboard", named, &["ResourceNotFound"])? else { return Ok(()) };
    let body = shown.text("DashboardBody");
    rows.whole(Read::of(Dashboard { name: name.to_owned(), body, modified: Timestamp::UNIX_EPOCH }));
    Ok(())
}

fn wrong(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterValue", message)
}

fn arn(tx: &Tx, name: &str) -> String {
    tx.global_arn("cloudwatch", &format!("dashboard/{name}"))
}

/// What is wrong with a body, and what of it may not be shown. Source: "Dashboard body structure and syntax".
#[derive(Default)]
struct Findings {
    errors: Vec<Value>,
    warnings: Vec<Value>,
}

impl Findings {
    fn error(&mut self, path: &str, message: impl Into<String>) {
        self.errors.push(json!({ "DataPath": path, "Message": message.into() }));
    }

    fn warning(&mut self, path: &str, message: impl Into<String>) {
        self.warnings.push(json!({ "DataPath": path, "Message": message.into() }));
    }

    fn of(body: &Value) -> Findings {
        let mut found = Findings::default();
        let Some(fields) = body.as_object() else {
            found.error("", "Should be object");
            return found;
        };
        const KNOWN: [&str; 5] = ["start", "end", "periodOverride", "widgets", "variables"];
        for name in fields.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
            found.warning(&format!("/{name}"), "Unknown property");
        }
        match fields.get("widgets") {
            Some(Value::Array(widgets)) => {
                // "A dashboard can have up to 500 widgets."
                if widgets.len() > 500 {
                    found.error("/widgets", "Should NOT have more than 500 items");
                }
                widgets.iter().enumerate().for_each(|(at, widget)| found.widget(&format!("/widgets/{at}"), widget));
            }
            Some(_) => found.error("/widgets", "Should be array"),
            None => found.error("", "Should have required property 'widgets'"),
        }
        found
    }

    fn widget(&mut self, path: &str, widget: &Value) {
        const TYPES: [&str; 6] = ["metric", "text", "log", "alarm", "explorer", "custom"];
        match widget.get("type").and_then(Value::as_str) {
            None => self.error(path, "Should have required property 'type'"),
            Some(kind) if !TYPES.contains(&kind) => {
                self.error(&format!("{path}/type"), "Should be equal to one of the allowed values");
            }
            Some(kind) => self.properties(path, kind, widget.get("properties")),
        }
        for (name, low, high) in [("x", 0, 23), ("y", 0, i64::MAX), ("width", 1, 24), ("height", 1, 1000)] {
            let Some(value) = widget.get(name) else { continue };
            if !value.as_i64().is_some_and(|value| (low..=high).contains(&value)) {
                self.error(&format!("{path}/{name}"), format!("Should be >= {low} and <= {high}"));
            }
        }
    }

    fn properties(&mut self, path: &str, kind: &str, properties: Option<&Value>) {
        let Some(properties) = properties.and_then(Value::as_object) else {
            return self.error(path, "Should have required property 'properties'");
        };
        let path = format!("{path}/properties");
        let has = |name: &str| properties.contains_key(name);
        match kind {
            "metric" => {
                if !has("region") {
                    self.error(&path, "Should have required property 'region'");
                }
                if !has("metrics") && !has("annotations") {
                    self.error(&path, "Should have required property 'metrics'");
                }
            }
            "text" if !has("markdown") => self.error(&path, "Should have required property 'markdown'"),
            "log" if !has("query") => self.error(&path, "Should have required property 'query'"),
            "alarm" if !has("alarms") => self.error(&path, "Should have required property 'alarms'"),
            _ => {}
        }
    }
}

fn put_dashboard(tx: &mut Tx, p: &Params) -> Reply {
    let (name, body) = (p.str("DashboardName")?.to_owned(), p.str("DashboardBody")?.to_owned());
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 255 || !name.chars().all(is_word) {
        return Err(AwsError::new(
            "InvalidParameterInput",
            format!(
                "The value {name} for field DashboardName contains invalid characters. It can only contain alphanumerics, dash (-) and underscore (_)."
            ),
        ));
    }
    let parsed: Value = serde_json::from_str(&body)
        .map_err(|_| AwsError::new("InvalidParameterInput", "The field DashboardBody must be a valid JSON object"))?;
    let found = Findings::of(&parsed);
    if !found.errors.is_empty() {
        let (count, list) = (found.errors.len(), Value::from(found.errors));
        let message = format!("The dashboard body is invalid, there are {count} validation errors: {list}");
        return Err(AwsError::new("InvalidParameterInput", message));
    }
    let now = tx.now;
    match tx.peek::<Dashboard>(&name) {
        Some(_) => {
            let dashboard = tx.get_mut::<Dashboard>(&name)?;
            (dashboard.body, dashboard.modified) = (body, now);
        }
        None => tx.put_at_once(Dashboard { name, body, modified: now }),
    }
    Ok(json!({ "DashboardValidationMessages": found.warnings }))
}

fn get_dashboard(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("DashboardName")?;
    let dashboard = tx.peek::<Dashboard>(name).ok_or_else(|| Dashboard::absent(name))?;
    Ok(json!({ "DashboardArn": arn(tx, name), "DashboardBody": dashboard.body, "DashboardName": name }))
}

fn delete_dashboards(tx: &mut Tx, p: &Params) -> Reply {
    let names = p.strings("DashboardNames");
    if names.is_empty() || names.len() > 100 {
        return Err(wrong("DashboardNames must have 1 to 100 names."));
    }
    let absent: Vec<&str> = names.iter().copied().filter(|name| tx.peek::<Dashboard>(name).is_none()).collect();
    if !absent.is_empty() {
        let message = format!("Dashboard {} does not exist", absent.join(", "));
        return Err(AwsError::new("ResourceNotFound", message).status(404));
    }
    names.iter().for_each(|name| tx.delete_at_once::<Dashboard>(name));
    Ok(json!({}))
}

fn list_dashboards(tx: &mut Tx, p: &Params) -> Reply {
    let prefix = p.opt_str("DashboardNamePrefix").unwrap_or_default();
    let all = tx.all::<Dashboard>().filter(|dashboard| dashboard.name.starts_with(prefix)).collect();
    let (page, next) = select::page(&PAGING, p, all, |dashboard| &dashboard.name)?;
    let view = |dashboard: &&Dashboard| {
        json!({
            "DashboardName": dashboard.name,
            "DashboardArn": arn(tx, &dashboard.name),
            "LastModified": time(dashboard.modified),
            "Size": dashboard.body.len(),
        })
    };
    Ok(json!({ "DashboardEntries": page.iter().map(view).collect::<Vec<_>>(), "NextToken": next }))
}
