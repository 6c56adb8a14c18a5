//! Images that an account has made of its instances, copied and shared. An instance of one behaves as one of its base image
//! does, whatever was done to the builder. A fork has those of its account as far as somebody changes them.

use std::collections::BTreeSet;

use super::instance::State;
use super::snapshot;
use super::volume::Volume;
use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "CreateImage", params: &["InstanceId Name Description NoReboot", TAGS], run: create_image },
    Action {
        name: "CopyImage",
        params: &["SourceRegion SourceImageId Name Description Encrypted KmsKeyId ClientToken CopyImageTags", TAGS],
        run: copy_image,
    },
    Action { name: "DeregisterImage", params: &["ImageId DeleteAssociatedSnapshots"], run: deregister_image },
    Action {
        name: "ModifyImageAttribute",
        params: &["ImageId LaunchPermission.Add[].UserId LaunchPermission.Remove[].UserId"],
        run: modify_image_attribute,
    },
    Action { name: "DescribeImageAttribute", params: &["ImageId Attribute"], run: describe_image_attribute },
];

const DEREGISTERED: &str = "deregistered";

/// An image of the account's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnImage {
    pub id: String,
    /// `pending`, `available`; `deregistered` ones are shown to nobody.
    pub state: String,
    image: Image,
    pub disks: Vec<Disk>,
    shared_with: BTreeSet<String>,
    pub tags: Tags,
}

/// A volume that instances of the image get.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Disk {
    device: String,
    pub snapshot: String,
    size: i64,
    encrypted: bool,
}

kind!(OwnImage, own_images, Extent::Row);

impl Kind for OwnImage {
    const NAMES: Names = Names {
        prefix: "ami",
        kind: "image",
        ids: "ImageId",
        set: "imagesSet",
        sizes: 1..=1000,
        absent: ("InvalidAMIID.NotFound", "The image id '[{}]' does not exist"),
    };
    const FILTERS: Filters<OwnImage> = &[];

    fn view(&self, tx: &Tx) -> Value {
        let disk = |disk: &Disk| {
            json!({
                "deviceName": disk.device,
                "ebs": {
                    "snapshotId": disk.snapshot,
                    "deleteOnTermination": true,
                    "encrypted": disk.encrypted,
                    "volumeSize": disk.size,
                    "volumeType": "gp3",
                },
            })
        };
        let mut view = self.as_image().view(tx);
        view["blockDeviceMapping"] = self.disks.iter().map(disk).collect();
        view
    }
}

impl OwnImage {
    /// As instances are launched from it.
    pub fn as_image(&self) -> Image {
        Image { state: self.state.clone(), tags: self.tags.clone(), ..self.image.clone() }
    }

    pub fn is_gone(&self) -> bool {
        self.state == DEREGISTERED
    }
}

/// The image of that id, if the account has made it here.
pub fn glance<'t>(tx: &'t Tx, id: &str) -> Option<&'t OwnImage> {
    tx.glance::<OwnImage>(id)
}

/// All of them that are shown, as far as they are known.
pub fn all<'t>(tx: &'t Tx) -> impl Iterator<Item = &'t OwnImage> {
    OwnImage::table(tx).all().filter(|image| !image.is_gone())
}

/// The account's own images, or one of them.
pub fn load(reader: &Reader, id: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let own = json!({ "Owner": ["self"] });
    let Some(id) = id else {
        let shown = reader.pages("ec2", "DescribeImages", own, "imagesSet", TOKEN)?;
        let own = shown.iter().map(|shown| read(shown, BTreeSet::new())).filter(|own| !own.disks.is_empty());
        own.for_each(|own| rows.listed(Read::of(own)));
        return Ok(());
    };
    let params = json!({ "ImageId": [id], "Owner": ["self"] });
    let reply = reader.find("ec2", "DescribeImages", params, &["InvalidAMIID"])?;
    let shown = reply.and_then(|reply| reply.list("imagesSet").into_iter().next());
    // Without snapshots it is none that was made of an instance.
    let is_own = |shown: &Params| {
        shown.text("imageOwnerId") == reader.scope.account && !read(shown, BTreeSet::new()).disks.is_empty()
    };
    let Some(shown) = shown.filter(is_own) else { return Ok(()) };
    let permission = json!({ "ImageId": id, "Attribute": "launchPermission" });
    let permission = reader.get("ec2", "DescribeImageAttribute", permission)?;
    let shared = ids(&permission, "launchPermission", "userId").into_iter().filter(|id| !id.is_empty()).collect();
    let row = read(&shown, shared);
    rows.whole(Read::of(row.clone()).shown(&shown));
    rows.then(move |tx| go_on(tx, &row));
    Ok(())
}

fn read(shown: &Params, shared_with: BTreeSet<String>) -> OwnImage {
    let disk = |mapping: &Params| Disk {
        device: mapping.text("deviceName"),
        snapshot: mapping.text("ebs.snapshotId"),
        size: mapping.number("ebs.volumeSize", 8),
        encrypted: mapping.flag("ebs.encrypted"),
    };
    OwnImage {
        id: shown.text("imageId"),
        state: shown.text("imageState"),
        image: Image { tags: Tags::new(), owner: None, ..image::of_shown(shown, "") },
        disks: shown.list("blockDeviceMapping").iter().filter(|it| it.has("ebs.snapshotId")).map(disk).collect(),
        shared_with,
        tags: tags_of(shown),
    }
}

/// Snapshots take minutes.
fn go_on(tx: &mut Tx, image: &OwnImage) {
    if image.state == "pending" {
        let after = tx.between(&image.id, Duration::from_secs(120), Duration::from_secs(240));
        tx.schedule(after, Event::Image(image.id.clone()));
    }
}

/// It can be launched from now on.
pub fn happen(tx: &mut Tx, id: &str) {
    let Some(image) = tx.peek_mut::<OwnImage>(id).filter(|image| image.state == "pending") else { return };
    image.state = "available".to_owned();
    for snapshot in image.disks.iter().map(|disk| disk.snapshot.clone()).collect::<Vec<_>>() {
        snapshot::complete(tx, &snapshot);
    }
}

/// Whether an image that can be launched has the snapshot.
pub fn uses(tx: &Tx, snapshot: &str) -> Option<String> {
    let mut images = tx.all::<OwnImage>().filter(|image| !image.is_gone());
    images.find(|image| image.disks.iter().any(|disk| disk.snapshot == snapshot)).map(|image| image.id.clone())
}

/// The tags of a request for one of the two kinds that it makes.
fn given(p: &Params, kind: &str) -> Result<Tags, AwsError> {
    let mut tags = Tags::new();
    for specification in p.list("TagSpecification") {
        match specification.str("ResourceType")? {
            of if of == kind => tags.extend(read_tags(&specification.list("Tag"))?),
            "image" | "snapshot" => {}
            other => {
                let why = format!("'{other}' is not a valid taggable resource type for this operation.");
                return Err(AwsError::new("InvalidParameterValue", why));
            }
        }
    }
    Ok(tags)
}

fn check_name(tx: &Tx, name: &str) -> Result<(), AwsError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
        let message = "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', \
                       '.', '-', '/' and '_'";
        return Err(AwsError::new("InvalidAMIName.Malformed", message));
    }
    match all(tx).find(|image| image.image.name == name) {
        None => Ok(()),
        Some(other) => {
            let message = format!("AMI name {name} is already in use by AMI {}", other.id);
            Err(AwsError::new("InvalidAMIName.Duplicate", message))
        }
    }
}

/// Dates of images are text.
fn date(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

fn create_image(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("Name")?.to_owned();
    check_name(tx, &name)?;
    let instance = tx.get::<Instance>(p.str("InstanceId")?)?.clone();
    if !matches!(instance.state, State::Running | State::Stopped) {
        let message = format!("The instance '{}' is not in a state from which an image can be created.", instance.id);
        return Err(AwsError::new("IncorrectState", message));
    }
    let (tags, of_snapshots) = (given(p, "image")?, given(p, "snapshot")?);
    let id = tx.new_id("ami");
    let volumes: Vec<Volume> = instance.volumes.iter().filter_map(|id| tx.peek::<Volume>(id).cloned()).collect();
    let description = format!("Created by CreateImage({}) for {id}", instance.id);
    let mut disks = Vec::new();
    for volume in &volumes {
        let new = (volume.id.as_str(), volume.size, volume.encrypted, volume.kms_key.clone());
        let snapshot = snapshot::make(tx, new, &description, of_snapshots.clone());
        disks.push(Disk { device: volume.device.clone(), snapshot, size: volume.size, encrypted: volume.encrypted });
    }
    let root = volumes.iter().find(|volume| volume.device == instance.root_device);
    let image = Image {
        id: id.clone(),
        name,
        description: p.text("Description"),
        owner: None,
        architecture: instance.architecture,
        state: String::new(),
        created: date(tx.now),
        root_device: instance.root_device,
        root_size: root.map_or(8, |root| root.size),
        service: instance.service,
        tags: Tags::new(),
    };
    put(tx, OwnImage { id: id.clone(), state: "pending".into(), image, disks, shared_with: BTreeSet::new(), tags });
    Ok(json!({ "imageId": id }))
}

fn put(tx: &mut Tx, row: OwnImage) {
    go_on(tx, &row);
    tx.put(row);
}

fn copy_image(tx: &mut Tx, p: &Params) -> Reply {
    tx.once(p, "ClientToken", TOKEN_LIFE, |tx| {
        let (region, source, name) = (p.str("SourceRegion")?, p.str("SourceImageId")?, p.str("Name")?.to_owned());
        check_name(tx, &name)?;
        let encrypts = p.opt_bool("Encrypted")?.unwrap_or(false);
        if p.has("KmsKeyId") && !encrypts {
            let message = "The parameter KmsKeyId requires the parameter Encrypted to be set.";
            return Err(AwsError::new("InvalidParameterDependency", message));
        }
        let source = tx.own_image_in(region, source).cloned().ok_or_else(|| OwnImage::absent(source))?;
        if source.state != "available" {
            let message = format!("The image ID '{}' is not available", source.id);
            return Err(AwsError::new("InvalidAMIID.Unavailable", message));
        }
        let (mut tags, of_snapshots) = (given(p, "image")?, given(p, "snapshot")?);
        if p.opt_bool("CopyImageTags")?.unwrap_or(false) {
            tags = source.tags.clone().into_iter().chain(tags).collect();
        }
        let id = tx.new_id("ami");
        let description = format!("Copied for DestinationAmi {id} from SourceAmi {}", source.id);
        let mut disks = Vec::new();
        for disk in &source.disks {
            let encrypted = disk.encrypted || encrypts;
            let new = ("vol-ffffffff", disk.size, encrypted, p.opt_str("KmsKeyId").map(str::to_owned));
            let snapshot = snapshot::make(tx, new, &description, of_snapshots.clone());
            disks.push(Disk { snapshot, encrypted, ..disk.clone() });
        }
        let description = p.text("Description");
        let image = Image { id: id.clone(), name, description, created: date(tx.now), ..source.image };
        put(tx, OwnImage { id: id.clone(), state: "pending".into(), image, disks, shared_with: BTreeSet::new(), tags });
        Ok(json!({ "imageId": id }))
    })
}

/// One that can be looked at: not one that is deregistered.
fn own<'t>(tx: &'t mut Tx, id: &str) -> Result<&'t mut OwnImage, AwsError> {
    let image = tx.get_mut::<OwnImage>(id)?;
    match image.is_gone() {
        false => Ok(image),
        true => {
            let message = format!("The image ID '{id}' is no longer available");
            Err(AwsError::new("InvalidAMIID.Unavailable", message))
        }
    }
}

fn deregister_image(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("ImageId")?;
    // Its row is kept, so that what the account itself shows of it is known to be over.
    let image = own(tx, id)?;
    image.state = DEREGISTERED.to_owned();
    image.tags = Tags::new();
    let snapshots: Vec<String> = image.disks.iter().map(|disk| disk.snapshot.clone()).collect();
    let mut results = Vec::new();
    if p.opt_bool("DeleteAssociatedSnapshots")?.unwrap_or(false) {
        for id in snapshots {
            // "If a snapshot is associated with multiple AMIs, it is not deleted".
            let code = if uses(tx, &id).is_some() { "skipped" } else { "success" };
            if code == "success" {
                tx.delete::<snapshot::Snapshot>(&id);
            }
            results.push(json!({ "snapshotId": id, "returnCode": code }));
        }
    }
    Ok(json!({ "return": true, "deleteSnapshotResultSet": results }))
}

fn modify_image_attribute(tx: &mut Tx, p: &Params) -> Reply {
    let accounts = |list: &str| -> Result<Vec<String>, AwsError> {
        let ids: Vec<String> = p.list(list).iter().map(|entry| entry.text("UserId")).collect();
        match ids.iter().find(|id| id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit())) {
            Some(odd) => Err(AwsError::new(
                "InvalidAMIAttributeItemValue",
                format!("Invalid attribute item value \"{odd}\" for userId item type."),
            )),
            None => Ok(ids),
        }
    };
    let (add, remove) = (accounts("LaunchPermission.Add")?, accounts("LaunchPermission.Remove")?);
    let image = own(tx, p.str("ImageId")?)?;
    image.shared_with.extend(add);
    image.shared_with.retain(|account| !remove.contains(account));
    done()
}

fn describe_image_attribute(tx: &mut Tx, p: &Params) -> Reply {
    let attribute = p.str("Attribute")?;
    if attribute != "launchPermission" {
        return Err(AwsError::not_modelled(
            "InvalidParameterValue",
            "attribute",
            attribute,
            "ec2:DescribeImageAttribute",
        ));
    }
    let id = p.str("ImageId")?;
    let image = tx.get::<OwnImage>(id)?;
    let shared: Vec<Value> = image.shared_with.iter().map(|account| json!({ "userId": account })).collect();
    Ok(json!({ "imageId": id, "launchPermission": shared }))
}
