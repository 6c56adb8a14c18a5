//! `ensure_dashboard`: what people look at. A dashboard is the stack's by its name: CloudWatch takes its tags only when it is new,
//! and not every endpoint keeps them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Dashboard, if_there, set};
use crate::{
    event::{Change, Event},
    ops::{
        Error, Operation, Tags, arguments,
        outcome::deleted,
        ownership::{Owned, changed, set as told},
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that the stack has a dashboard of this name that looks like this. Dashboards belong to the account, not to a region.
///
/// A dashboard called `<stack>-<name>` is the stack's: it is written over. What CloudWatch has to say about the body is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureDashboard {
    /// What the stack calls it; CloudWatch shows `<stack>-<name>`.
    name: String,
    /// The dashboard, as "Dashboard body structure and syntax" has it: `#{ widgets: [#{ type: "metric", … }] }`.
    body: Map<String, Value>,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

const GONE: &[&str] = &["ResourceNotFound", "DashboardNotFoundError"];

impl Operation for EnsureDashboard {
    const NAME: &'static str = "ensure_dashboard";
    const AREA: &'static str = "CloudWatch";
    const EXAMPLE: &'static str = r##"ensure_dashboard(#{
    name: "web",
    body: #{ widgets: [#{ type: "text", x: 0, y: 0, width: 6, height: 3, properties: #{ markdown: "# Shop" } }] },
})"##;

    type Options = Self;
    type Handle = Dashboard;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Dashboard, Error> {
        let owned = Owned::new(ctx, &options.name, &Tags::default())?;
        let name = owned.name_within(255);
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !name.chars().all(is_word) {
            let message =
                format!("expected letters, digits, `-` and `_`, found {name:?} with the stack's name before it");
            return Err(Error::option("name", message));
        }
        let wanted = Value::Object(options.body);
        match find(ctx, &name).await? {
            None => {
                put(ctx, &name, &wanted, Some(undo(&name, None, &wanted).keep(options.keep_on_rollback))).await?;
                ctx.did(Change::Created, [told("dashboard_name", name.clone())]);
            }
            Some(found) if is_same(&found, &wanted) => ctx.did(Change::Unchanged, []),
            Some(found) => {
                put(ctx, &name, &wanted, Some(undo(&name, Some(&found), &wanted))).await?;
                ctx.did(Change::Updated, [changed("body", found, wanted)]);
            }
        }
        Ok(Dashboard { dashboard_name: name })
    }
}

/// Whether two bodies mean the same: a number is a number, however it is written.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// The body of a dashboard, or none.
async fn find(ctx: &Ctx, name: &str) -> Result<Option<Value>, Error> {
    const CALL: &str = "cloudwatch:GetDashboard";
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Shown {
        dashboard_body: String,
    }
    let shown = ctx.fetch::<Shown>(CALL, &json!({ "DashboardName": name })).await;
    let Some(shown) = if_there(shown, GONE)? else { return Ok(None) };
    let body = serde_json::from_str(&shown.dashboard_body);
    body.map(Some).map_err(|_| Error::Reply { call: CALL, member: "readable DashboardBody" })
}

/// What CloudWatch says about a body that it takes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Put {
    dashboard_validation_messages: Vec<Message>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Message {
    data_path: String,
    message: String,
}

/// What is kept of it.
#[derive(Serialize, Deserialize)]
struct Warnings {
    warnings: Vec<String>,
}

async fn put(ctx: &Ctx, name: &str, body: &Value, undo: Option<Undo>) -> Result<(), Error> {
    const CALL: &str = "cloudwatch:PutDashboard";
    let input = json!({ "DashboardName": name, "DashboardBody": body.to_string() });
    let declared = Mutation::new(CALL, Class::Idempotent, format!("dashboard {name}")).undo(undo);
    let send = |permit| ctx.aws().call(CALL, &input).permit(permit).send::<Put>();
    let record = |put: &Put| {
        let messages = put.dashboard_validation_messages.iter();
        Ok(Warnings { warnings: messages.map(|it| format!("{}: {}", it.data_path, it.message)).collect() })
    };
    for warning in ctx.mutate(declared, send, record).await?.warnings {
        ctx.emit(Event::Warning { message: format!("dashboard {name}: {warning}") });
    }
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Replaced {
    dashboard_name: String,
    before: Option<Value>,
    ours: Value,
}

fn undo(name: &str, before: Option<&Value>, ours: &Value) -> Undo {
    let change = Replaced { dashboard_name: name.to_owned(), before: before.cloned(), ours: ours.clone() };
    let description = match before {
        Some(_) => format!("put dashboard {name} back"),
        None => format!("delete dashboard {name}"),
    };
    Undo::new(&RESTORE_DASHBOARD, description, json!(change)).key(format!("dashboard {name}"))
}

/// Puts the old body of a dashboard back, or deletes one this run made.
pub const RESTORE_DASHBOARD: UndoAction =
    UndoAction { name: "restore_dashboard", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let Replaced { dashboard_name: name, before, ours } = arguments(change)?;
    let found = find(ctx, &name).await?;
    let is = |body: &Value| found.as_ref().is_some_and(|found| is_same(found, body));
    match before {
        None if found.is_none() => Ok(Undone::Already),
        None => {
            let input = json!({ "DashboardNames": [name] });
            let gone = set(ctx, "cloudwatch:DeleteDashboards", format!("dashboard {name}"), &input, None).await;
            deleted(gone, GONE)
        }
        Some(before) if is(&before) => Ok(Undone::Already),
        Some(before) if is(&ours) => put(ctx, &name, &before, None).await.map(|()| Undone::Done),
        Some(_) => Ok(Undone::Foreign(match found {
            Some(_) => "the dashboard has another body by now".to_owned(),
            None => "the dashboard is gone".to_owned(),
        })),
    }
}
