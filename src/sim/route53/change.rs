//! Changes: pending until every name server has them, which takes about half a minute.

use jiff::Timestamp;

use super::*;

pub const ACTIONS: &[Action] = &[Action { name: "GetChange", params: &["Id"], run: get_change }];

/// "Generally within 60 seconds" (Route 53 developer guide).
const PROPAGATION: Duration = Duration::from_secs(30);
const SHOWN: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    id: String,
    status: String,
    submitted: Timestamp,
    comment: Option<String>,
}

resource!(Change, id, global.route53.changes, Extent::Nothing, |id| AwsError::new(
    "NoSuchChange",
    format!("A change with the specified change ID was not found: {id}")
)
.status(404));

impl Change {
    fn view(&self) -> Value {
        json!({
            "Id": format!("/change/{}", self.id),
            "Status": self.status,
            "SubmittedAt": time(self.submitted),
            "Comment": self.comment,
        })
    }
}

/// Has a change begin. Returns how it is shown.
pub fn submit(tx: &mut Tx, comment: Option<&str>) -> Value {
    let id = new_id(tx, "C");
    let change = Change {
        id: id.clone(),
        status: "PENDING".to_owned(),
        submitted: tx.now,
        comment: comment.filter(|comment| !comment.is_empty()).map(str::to_owned),
    };
    let view = change.view();
    tx.put(change);
    tx.schedule(PROPAGATION, Event::Propagated(id));
    view
}

pub fn propagated(tx: &mut Tx, id: &str) {
    if let Some(change) = tx.peek_mut::<Change>(id) {
        change.status = "INSYNC".to_owned();
        tx.schedule(SHOWN, Event::Forgotten(id.to_owned()));
    }
}

fn get_change(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("Id")?.trim_start_matches("/change/");
    Ok(json!({ "ChangeInfo": tx.get::<Change>(id)?.view() }))
}
