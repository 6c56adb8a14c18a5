//! Images. No table holds those of others: they are the same for every account, and an id alone says how its instances behave.
//! Only a fork has rows: images of the account it was made from, whose service is taken to be well. What an account makes of
//! its own is in `own_image`.
//!
//! `ami-healthy-1` and its like are images of a service whose versions differ in what becomes of them; see [`Service`].
//! Beside them stand some of Amazon's own. Amazon's names are as the console shows them; the ids are made up.

use super::*;

pub const ACTIONS: &[Action] = &[Action {
    name: "DescribeImages",
    params: &["ImageId[] Owner[] IncludeDeprecated IncludeDisabled", FILTERS, PAGES],
    run: describe_images,
}];

const AMAZON: &str = "137112412989";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    pub id: String,
    pub name: String,
    pub description: String,
    /// `None`: the calling account.
    pub owner: Option<String>,
    pub architecture: String,
    pub state: String,
    pub created: String,
    pub root_device: String,
    /// GiB.
    pub root_size: i64,
    pub service: Service,
    pub tags: Tags,
}

resource!(Image, id, region.ec2.images, Extent::Row, |id: &str| AwsError::new(
    "InvalidAMIID.NotFound",
    format!("The image id '[{id}]' does not exist")
));

/// Reads one. Lists are answered by the account itself.
pub fn load(reader: &Reader, id: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(id) = id else { return Ok(()) };
    let params = json!({ "ImageId": [id], "IncludeDeprecated": true });
    let reply = reader.find("ec2", "DescribeImages", params, &["InvalidAMIID"])?;
    for shown in reply.into_iter().flat_map(|reply| reply.list("imagesSet")) {
        rows.whole(Read::of(of_shown(&shown, &reader.scope.account)));
    }
    Ok(())
}

/// An image as `account` sees it.
pub fn of_shown(shown: &Params, account: &str) -> Image {
    let root_device = shown.opt_str("rootDeviceName").unwrap_or("/dev/xvda").to_owned();
    let mappings = shown.list("blockDeviceMapping");
    let root = mappings.iter().find(|mapping| mapping.text("deviceName") == root_device);
    Image {
        id: shown.text("imageId"),
        name: shown.text("name"),
        description: shown.text("description"),
        owner: optional(shown, "imageOwnerId").filter(|owner| owner != account),
        architecture: shown.text("architecture"),
        state: shown.text("imageState"),
        created: shown.text("creationDate"),
        root_size: root.map_or(8, |root| root.number("ebs.volumeSize", 8)),
        root_device,
        service: Service::Healthy,
        tags: tags_of(shown),
    }
}

/// What becomes of the service on an instance of an image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Service {
    /// Answers well some 40 seconds after launch.
    Healthy,
    /// Takes some four minutes to start.
    Slow,
    /// Answers with errors.
    NeverHealthy,
    /// Starts well, answers with errors after three minutes, and after four the instance shuts down.
    Crashing,
    /// Well for a minute, then not for a minute, for ever.
    Flapping,
}

impl Image {
    pub fn owner<'t>(&'t self, tx: &'t Tx) -> &'t str {
        self.owner.as_ref().unwrap_or(&tx.scope.account)
    }

    pub fn view(&self, tx: &Tx) -> Value {
        let owner = self.owner(tx);
        json!({
            "imageId": self.id,
            "imageLocation": format!("{}/{}", self.owner.as_ref().map_or(owner, |_| "amazon"), self.name),
            "imageState": self.state,
            "imageOwnerId": owner,
            "imageOwnerAlias": self.owner.as_ref().map(|_| "amazon"),
            "creationDate": self.created,
            "isPublic": self.owner.is_some(),
            "architecture": self.architecture,
            "imageType": "machine",
            "name": self.name,
            "description": self.description,
            "rootDeviceType": "ebs",
            "rootDeviceName": self.root_device,
            "blockDeviceMapping": [{
                "deviceName": self.root_device,
                "ebs": {
                    "deleteOnTermination": true,
                    "encrypted": false,
                    "volumeSize": self.root_size,
                    "volumeType": "gp3",
                    "iops": 3000,
                    "throughput": 125,
                },
            }],
            "virtualizationType": "hvm",
            "hypervisor": "xen",
            "enaSupport": true,
            "platformDetails": "Linux/UNIX",
            "bootMode": "uefi-preferred",
            "imdsSupport": "v2.0",
            "tagSet": tag_set(&self.tags),
        })
    }
}

/// The image of that id, as instances are launched from it.
pub fn find(tx: &Tx, id: &str) -> Result<Image, AwsError> {
    // The name of a parameter that holds the id (RequestLaunchTemplateData, ImageId).
    if id.starts_with("resolve:ssm:") {
        return Err(AwsError::not_modelled("InvalidAMIID.Malformed", "image", id, "ImageId"));
    }
    // What was made here is known.
    if let Some(own) = own_image::glance(tx, id) {
        return if own.is_gone() { Err(Image::absent(id)) } else { Ok(own.as_image()) };
    }
    if tx.is_fork() && !tx.settings.assume_images {
        return tx.get::<Image>(id).cloned();
    }
    // In a world from a file some are known.
    if let Some(image) = Image::table(tx).peek(id) {
        return Ok(image.clone());
    }
    match of_id(id) {
        Err(error) if error.code == "InvalidAMIID.NotFound" && tx.settings.assume_images => Ok(assumed(id)),
        found => found,
    }
}

fn of_id(id: &str) -> Result<Image, AwsError> {
    let Some(name) = id.strip_prefix("ami-").filter(|name| !name.is_empty()) else {
        let message = format!("Invalid id: \"{id}\" (expecting \"ami-...\")");
        return Err(AwsError::new("InvalidAMIID.Malformed", message));
    };
    let of_a_service = fixture(id, name);
    of_a_service.or_else(|| amazons().into_iter().find(|image| image.id == id)).ok_or_else(|| Image::absent(id))
}

/// An image of which nothing is known but its id.
fn assumed(id: &str) -> Image {
    Image {
        id: id.to_owned(),
        name: id.to_owned(),
        description: String::new(),
        owner: None,
        architecture: "x86_64".to_owned(),
        state: "available".to_owned(),
        created: "2025-11-01T12:00:00.000Z".to_owned(),
        root_device: "/dev/xvda".to_owned(),
        root_size: 8,
        service: Service::Healthy,
        tags: Tags::new(),
    }
}

/// The images that a list shows.
fn listed() -> Vec<Image> {
    const SHOWN: [&str; 7] =
        ["healthy-1", "healthy-2", "healthy-3", "slow-1", "never-healthy-1", "crashing-1", "flapping-1"];
    let fixtures = SHOWN.iter().filter_map(|name| fixture(&format!("ami-{name}"), name));
    fixtures.chain(amazons()).collect()
}

fn fixture(id: &str, name: &str) -> Option<Image> {
    const KINDS: [(&str, Service); 6] = [
        ("healthy-", Service::Healthy),
        ("slow-", Service::Slow),
        ("never-healthy", Service::NeverHealthy),
        ("crashing-", Service::Crashing),
        ("flapping-", Service::Flapping),
        // Still being made: cannot be launched.
        ("pending-", Service::Healthy),
    ];
    let (kind, service) = KINDS.into_iter().find(|(kind, _)| name.starts_with(kind))?;
    // Versions are a day apart, so that "the newest" means something.
    let version = name.rsplit('-').next().and_then(|version| version.parse::<u32>().ok()).unwrap_or(1);
    let tags = [("Name", name.to_owned()), ("service", "shop".to_owned()), ("version", version.to_string())];
    Some(Image {
        id: id.to_owned(),
        name: format!("shop-{name}"),
        description: format!("The service, version {version}"),
        owner: None,
        architecture: if name.contains("arm64") { "arm64" } else { "x86_64" }.to_owned(),
        state: if kind == "pending-" { "pending" } else { "available" }.to_owned(),
        created: format!("2025-11-{:02}T12:00:00.000Z", version.clamp(1, 30)),
        root_device: "/dev/xvda".to_owned(),
        root_size: 8,
        service,
        tags: tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    })
}

fn amazons() -> Vec<Image> {
    const RELEASES: [(&str, &str, &str, &str); 5] = [
        ("ami-0a1b2c3d4e5f60001", "al2023-ami-2023.9.20251105.0-kernel-6.1", "x86_64", "2025-11-05T21:10:04.000Z"),
        ("ami-0a1b2c3d4e5f60002", "al2023-ami-2023.9.20251117.1-kernel-6.1", "x86_64", "2025-11-17T19:45:31.000Z"),
        ("ami-0a1b2c3d4e5f60003", "al2023-ami-2023.9.20251208.0-kernel-6.1", "x86_64", "2025-12-08T20:02:17.000Z"),
        ("ami-0a1b2c3d4e5f60004", "al2023-ami-2023.9.20251208.0-kernel-6.1", "arm64", "2025-12-08T20:02:22.000Z"),
        ("ami-0a1b2c3d4e5f60005", "amzn2-ami-hvm-2.0.20251201.0", "x86_64", "2025-12-01T18:30:00.000Z"),
    ];
    let image = |(id, release, architecture, created): (&str, &str, &str, &str)| {
        let suffix = if release.starts_with("amzn2") { "-gp2" } else { "" };
        Image {
            id: id.to_owned(),
            name: format!("{release}-{architecture}{suffix}"),
            description: format!("Amazon Linux {architecture} HVM"),
            owner: Some(AMAZON.to_owned()),
            architecture: architecture.to_owned(),
            state: "available".to_owned(),
            created: created.to_owned(),
            root_device: "/dev/xvda".to_owned(),
            root_size: 8,
            // The user data is what makes it a service.
            service: Service::Healthy,
            tags: Tags::new(),
        }
    };
    RELEASES.into_iter().map(image).collect()
}

/// The newest Amazon Linux of a kind and architecture, as SSM's public parameters name it.
pub fn newest(prefix: &str, architecture: &str) -> Option<Image> {
    let of_kind = |image: &Image| image.name.starts_with(prefix) && image.architecture == architecture;
    amazons().into_iter().filter(of_kind).max_by(|a, b| a.created.cmp(&b.created))
}

const KNOWN: Filters<Image> = &[
    ("architecture", |image, _| one(&image.architecture)),
    ("creation-date", |image, _| one(&image.created)),
    ("description", |image, _| one(&image.description)),
    ("hypervisor", |_, _| one("xen")),
    ("image-id", |image, _| one(&image.id)),
    ("image-type", |_, _| one("machine")),
    ("is-public", |image, _| one(image.owner.is_some())),
    ("name", |image, _| one(&image.name)),
    ("owner-alias", |image, _| image.owner.iter().map(|_| "amazon".to_owned()).collect()),
    ("owner-id", |image, tx| one(image.owner(tx))),
    ("root-device-name", |image, _| one(&image.root_device)),
    ("root-device-type", |_, _| one("ebs")),
    ("state", |image, _| one(&image.state)),
    ("virtualization-type", |_, _| one("hvm")),
];

fn describe_images(tx: &mut Tx, p: &Params) -> Reply {
    let ids = p.strings("ImageId");
    let mut images = if ids.is_empty() {
        listed()
            .into_iter()
            .chain(tx.select::<OwnImage>(&[])?.into_iter().filter(|own| !own.is_gone()).map(OwnImage::as_image))
            .collect()
    } else {
        ids.into_iter().map(|id| find(tx, id)).collect::<Result<Vec<_>, _>>()?
    };
    let owners = p.strings("Owner");
    let owned = |image: &Image| {
        let alias = if image.owner.is_some() { "amazon" } else { "self" };
        owners.iter().any(|owner| *owner == alias || *owner == image.owner(tx))
    };
    images.retain(|image| owners.is_empty() || owned(image));
    let images = select::filter(tx, p, KNOWN, Some(|image| &image.tags), images.iter().collect())?;
    let (images, next) = select::page(&PAGING, p, images, |image| &image.id)?;
    let view = |image: &Image| own_image::glance(tx, &image.id).map_or_else(|| image.view(tx), |own| own.view(tx));
    let set: Vec<Value> = images.into_iter().map(view).collect();
    Ok(json!({ "imagesSet": set, "nextToken": next }))
}

/// In a fork lists are answered by the account. `reply` is its answer; what was made here is put to it, as far as it is
/// asked for, and what was deregistered here is taken out.
pub fn with_own(tx: &mut Tx, p: &Params, mut reply: Value) -> Reply {
    let ids = p.strings("ImageId");
    let owners = p.strings("Owner");
    let of_ours = owners.is_empty() || owners.contains(&"self") || owners.contains(&tx.scope.account.as_str());
    let own: Vec<Image> = own_image::all(tx)
        .filter(|own| of_ours && (ids.is_empty() || ids.contains(&own.id.as_str())))
        .map(OwnImage::as_image)
        .collect();
    let own = select::filter(tx, p, KNOWN, Some(|image| &image.tags), own.iter().collect())?;
    let views: Vec<Value> =
        own.iter().filter_map(|image| own_image::glance(tx, &image.id)).map(|own| own.view(tx)).collect();
    let known = |shown: &Value| shown["imageId"].as_str().is_some_and(|id| own_image::glance(tx, id).is_some());
    let of_account = reply["imagesSet"].as_array().cloned().unwrap_or_default();
    let set: Vec<Value> = of_account.into_iter().filter(|shown| !known(shown)).chain(views).collect();
    reply["imagesSet"] = Value::Array(set);
    Ok(reply)
}

/// Whether all images that are asked for are known here.
pub fn are_own(tx: &Tx, p: &Params) -> bool {
    let ids = p.strings("ImageId");
    !ids.is_empty() && ids.iter().all(|id| own_image::glance(tx, id).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_becomes_of_the_service() {
        let service = |id| of_id(id).map(|image| image.service);
        assert_eq!(service("ami-healthy-17"), Ok(Service::Healthy));
        assert_eq!(service("ami-never-healthy"), Ok(Service::NeverHealthy));
        assert_eq!(service("ami-0a1b2c3d4e5f60003"), Ok(Service::Healthy));
        assert_eq!(service("ami-12345678").unwrap_err().code, "InvalidAMIID.NotFound");
        assert_eq!(service("image").unwrap_err().code, "InvalidAMIID.Malformed");
    }

    #[test]
    fn the_newest_amazon_linux() {
        let newest = newest("al2023-ami-2023", "x86_64").unwrap();
        assert_eq!(newest.name, "al2023-ami-2023.9.20251208.0-kernel-6.1-x86_64");
    }
}
