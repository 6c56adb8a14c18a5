//! Snapshots of volumes: made with an image, and not deleted while it is registered.

use super::*;
use crate::sim::wire::time;

pub const ACTIONS: &[Action] = &[
    Action { name: "DescribeSnapshots", params: &["SnapshotId[] Owner[]", FILTERS, PAGES], run: describe::<Snapshot> },
    Action { name: "DeleteSnapshot", params: &["SnapshotId"], run: delete_snapshot },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    pub id: String,
    volume: String,
    size: i64,
    encrypted: bool,
    kms_key: Option<String>,
    description: String,
    started: jiff::Timestamp,
    status: String,
    pub tags: Tags,
}

kind!(Snapshot, snapshots);

impl Kind for Snapshot {
    const NAMES: Names = Names {
        prefix: "snap",
        kind: "snapshot",
        ids: "SnapshotId",
        set: "snapshotSet",
        sizes: 5..=1000,
        absent: ("InvalidSnapshot.NotFound", "The snapshot '{}' does not exist."),
    };
    const FILTERS: Filters<Snapshot> = &[
        ("encrypted", |snapshot, _| one(snapshot.encrypted)),
        ("owner-id", |_, tx| one(&tx.scope.account)),
        ("snapshot-id", |snapshot, _| one(&snapshot.id)),
        ("status", |snapshot, _| one(&snapshot.status)),
        ("volume-id", |snapshot, _| one(&snapshot.volume)),
    ];

    fn view(&self, tx: &Tx) -> Value {
        json!({
            "snapshotId": self.id,
            "volumeId": self.volume,
            "status": self.status,
            "startTime": time(self.started),
            "progress": if self.status == "completed" { "100%" } else { "0%" },
            "ownerId": tx.scope.account,
            "volumeSize": self.size,
            "description": self.description,
            "encrypted": self.encrypted,
            "kmsKeyId": self.kms_key,
            "storageTier": "standard",
            "tagSet": tag_set(&self.tags),
        })
    }
}

/// The account's own: without that, all that are public would be listed.
pub fn load(reader: &Reader, _: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let own = json!({ "Owner": ["self"], "MaxResults": Snapshot::NAMES.sizes.end() });
    for shown in reader.pages("ec2", "DescribeSnapshots", own, Snapshot::NAMES.set, TOKEN)? {
        let row = Snapshot {
            id: shown.text("snapshotId"),
            volume: shown.text("volumeId"),
            size: shown.number("volumeSize", 0),
            encrypted: shown.flag("encrypted"),
            kms_key: optional(&shown, "kmsKeyId"),
            description: shown.text("description"),
            started: shown.time("startTime"),
            status: shown.text("status"),
            tags: tags_of(&shown),
        };
        rows.whole(Read::of(row).shown(&shown));
    }
    Ok(())
}

/// A snapshot of a volume with this size, encryption and key. Returns its id.
pub fn make(
    tx: &mut Tx,
    (volume, size, encrypted, kms_key): (&str, i64, bool, Option<String>),
    description: &str,
    tags: Tags,
) -> String {
    let id = tx.new_id("snap");
    tx.put(Snapshot {
        id: id.clone(),
        volume: volume.to_owned(),
        size,
        encrypted,
        kms_key,
        description: description.to_owned(),
        started: tx.now,
        status: "pending".to_owned(),
        tags,
    });
    id
}

pub fn complete(tx: &mut Tx, id: &str) {
    if let Some(snapshot) = tx.peek_mut::<Snapshot>(id) {
        "completed".clone_into(&mut snapshot.status);
    }
}

fn delete_snapshot(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("SnapshotId")?;
    tx.get::<Snapshot>(id)?;
    if let Some(image) = own_image::uses(tx, id) {
        let message = format!("The snapshot {id} is currently in use by {image}");
        return Err(AwsError::new("InvalidSnapshot.InUse", message));
    }
    tx.delete::<Snapshot>(id);
    done()
}
