//! Volumes: made with an instance, and gone with it unless they are to stay.

use super::*;
use crate::sim::wire::time;

pub const ACTIONS: &[Action] =
    &[Action { name: "DescribeVolumes", params: &["VolumeId[]", FILTERS, PAGES], run: describe::<Volume> }];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Volume {
    pub id: String,
    pub zone: String,
    pub created: jiff::Timestamp,
    /// GiB.
    pub size: i64,
    pub volume_type: String,
    pub iops: Option<i64>,
    pub throughput: Option<i64>,
    pub encrypted: bool,
    pub kms_key: Option<String>,
    pub instance: Option<String>,
    pub device: String,
    pub delete_on_termination: bool,
    pub tags: Tags,
}

kind!(Volume, volumes);

impl Kind for Volume {
    const NAMES: Names = Names {
        prefix: "vol",
        kind: "volume",
        ids: "VolumeId",
        set: "volumeSet",
        sizes: 5..=1000,
        absent: ("InvalidVolume.NotFound", "The volume '{}' does not exist."),
    };
    const FILTERS: Filters<Volume> = &[
        ("attachment.instance-id", |volume, _| volume.instance.iter().cloned().collect()),
        ("availability-zone", |volume, _| one(&volume.zone)),
        ("encrypted", |volume, _| one(volume.encrypted)),
        ("status", |volume, _| one(volume.status())),
        ("volume-id", |volume, _| one(&volume.id)),
        ("volume-type", |volume, _| one(&volume.volume_type)),
    ];

    fn view(&self, _: &Tx) -> Value {
        let attachment = self.instance.as_ref().map(|instance| {
            json!({
                "volumeId": self.id,
                "instanceId": instance,
                "device": self.device,
                "status": "attached",
                "attachTime": time(self.created),
                "deleteOnTermination": self.delete_on_termination,
            })
        });
        json!({
            "volumeId": self.id,
            "size": self.size,
            "availabilityZone": self.zone,
            "status": self.status(),
            "createTime": time(self.created),
            "attachmentSet": attachment.into_iter().collect::<Vec<_>>(),
            "volumeType": self.volume_type,
            "iops": self.iops.or_else(|| (self.volume_type == "gp2").then(|| baseline(self.size))),
            "throughput": self.throughput,
            "encrypted": self.encrypted,
            "kmsKeyId": self.kms_key,
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for Volume {
    const DESCRIBE: &'static str = "DescribeVolumes";

    fn read(shown: &Params) -> Option<Volume> {
        let attachment = shown.list("attachmentSet").into_iter().next().unwrap_or_default();
        Some(Volume {
            id: shown.text("volumeId"),
            zone: shown.text("availabilityZone"),
            created: shown.time("createTime"),
            size: shown.number("size", 0),
            volume_type: shown.text("volumeType"),
            iops: shown.opt_int("iops").ok()?,
            throughput: shown.opt_int("throughput").ok()?,
            encrypted: shown.flag("encrypted"),
            kms_key: optional(shown, "kmsKeyId"),
            instance: optional(&attachment, "instanceId"),
            device: attachment.text("device"),
            delete_on_termination: attachment.flag("deleteOnTermination"),
            tags: tags_of(shown),
        })
    }
}

impl Volume {
    fn status(&self) -> &'static str {
        if self.instance.is_some() { "in-use" } else { "available" }
    }

    /// As its instance shows it.
    pub fn on_instance(&self) -> Value {
        json!({
            "deviceName": self.device,
            "ebs": {
                "volumeId": self.id,
                "status": "attached",
                "attachTime": time(self.created),
                "deleteOnTermination": self.delete_on_termination,
            },
        })
    }
}

/// What a gp2 volume of so many GiB performs: "3 IOPS per GiB", 100 to 16,000.
pub fn baseline(size: i64) -> i64 {
    (3 * size).clamp(100, 16_000)
}

/// The volumes of a terminated instance go, or are free.
pub fn release(tx: &mut Tx, ids: &[String]) {
    for id in ids {
        match tx.peek_mut::<Volume>(id) {
            Some(volume) if volume.delete_on_termination => tx.delete::<Volume>(id),
            Some(volume) => volume.instance = None,
            None => {}
        }
    }
}
