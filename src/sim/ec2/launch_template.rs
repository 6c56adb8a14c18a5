//! Launch templates. Their versions, and what is in them, are in `launch_template_version`.

use std::collections::BTreeMap;

use super::launch_template_version::{self as versions, Version};
use super::*;
use crate::sim::wire::time;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateLaunchTemplate",
        params: &["LaunchTemplateName VersionDescription ClientToken", versions::DATA, TAGS],
        run: create_launch_template,
    },
    Action {
        name: "DescribeLaunchTemplates",
        params: &["LaunchTemplateId[] LaunchTemplateName[]", FILTERS, PAGES],
        run: describe_launch_templates,
    },
    Action {
        name: "ModifyLaunchTemplate",
        params: &["LaunchTemplateId LaunchTemplateName SetDefaultVersion ClientToken"],
        run: modify_launch_template,
    },
    Action {
        name: "DeleteLaunchTemplate",
        params: &["LaunchTemplateId LaunchTemplateName"],
        run: delete_launch_template,
    },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LaunchTemplate {
    pub id: String,
    pub name: String,
    pub created: jiff::Timestamp,
    pub default_version: u64,
    pub versions: BTreeMap<u64, Version>,
    /// The highest number ever given: numbers are not used again. Nothing shows it (`observe::TRACES`).
    pub numbered: u64,
    pub tags: Tags,
}

kind!(LaunchTemplate, launch_templates, Extent::Row);

impl Kind for LaunchTemplate {
    const NAMES: Names = Names {
        prefix: "lt",
        kind: "launch-template",
        ids: "LaunchTemplateId",
        set: "launchTemplates",
        sizes: 1..=200,
        absent: (
            "InvalidLaunchTemplateId.NotFound",
            "The specified launch template, with template ID {}, does not exist.",
        ),
    };
    const FILTERS: Filters<LaunchTemplate> = &[
        ("create-time", |template, _| one(time(template.created))),
        ("launch-template-name", |template, _| one(&template.name)),
    ];

    fn view(&self, tx: &Tx) -> Value {
        json!({
            "launchTemplateId": self.id,
            "launchTemplateName": self.name,
            "createTime": time(self.created),
            "createdBy": tx.global_arn("iam", "root"),
            "defaultVersionNumber": self.default_version,
            "latestVersionNumber": self.latest(),
            "tagSet": tag_set(&self.tags),
        })
    }
}

impl Shown for LaunchTemplate {
    const DESCRIBE: &'static str = "DescribeLaunchTemplates";

    /// Without its versions.
    fn read(shown: &Params) -> Option<LaunchTemplate> {
        let number = |name: &str| u64::try_from(shown.number(name, 1)).unwrap_or(1);
        Some(LaunchTemplate {
            id: shown.text("launchTemplateId"),
            name: shown.text("launchTemplateName"),
            created: shown.time("createTime"),
            default_version: number("defaultVersionNumber"),
            versions: BTreeMap::new(),
            numbered: number("latestVersionNumber"),
            tags: tags_of(shown),
        })
    }
}

/// All templates as a list shows them, or one with all its versions.
pub fn load(reader: &Reader, id: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    for shown in shown::<LaunchTemplate>(reader, id)? {
        let Some(mut template) = LaunchTemplate::read(&shown) else { continue };
        if id.is_none() {
            rows.listed(Read::of(template).shown(&shown));
            continue;
        }
        template.versions = versions::load(reader, &template.id)?;
        template.numbered = template.numbered.max(template.latest());
        rows.whole(Read::of(template).shown(&shown));
    }
    Ok(())
}

impl LaunchTemplate {
    pub fn latest(&self) -> u64 {
        self.versions.keys().next_back().copied().unwrap_or(self.numbered)
    }

    /// The version that `$Latest`, `$Default` or a number names.
    pub fn version(&self, wanted: &str) -> Result<&Version, AwsError> {
        let number = match wanted {
            "$Latest" => Some(self.latest()),
            "$Default" => Some(self.default_version),
            number => number.parse().ok(),
        };
        number.and_then(|number| self.versions.get(&number)).ok_or_else(|| {
            let message =
                format!("Could not find the specified version {wanted} for the launch template with ID {}.", self.id);
            AwsError::new("InvalidLaunchTemplateId.VersionNotFound", message)
        })
    }

    pub fn add(&mut self, now: jiff::Timestamp, description: Option<&str>, data: Params) -> Version {
        self.numbered += 1;
        let description = description.map(str::to_owned);
        let version = Version { number: self.numbered, description, created: now, data, shown: None };
        self.versions.insert(version.number, version.clone());
        version
    }
}

/// The template that a request names by id or by name.
pub fn named<'t>(tx: &'t Tx, p: &Params) -> Result<&'t LaunchTemplate, AwsError> {
    match (p.opt_str("LaunchTemplateId"), p.opt_str("LaunchTemplateName")) {
        (Some(id), None) => tx.get::<LaunchTemplate>(id),
        (None, Some(name)) => {
            let id =
                tx.all::<LaunchTemplate>().find(|template| template.name == name).map(|template| template.id.clone());
            let found = id.and_then(|id| tx.get::<LaunchTemplate>(&id).ok());
            found.ok_or_else(|| {
                let message = format!("The specified launch template, with template name {name}, does not exist.");
                AwsError::new("InvalidLaunchTemplateName.NotFoundException", message)
            })
        }
        _ => {
            let message = "Either the launch template ID or the launch template name must be specified, but not both.";
            Err(AwsError::new("InvalidParameterCombination", message))
        }
    }
}

fn create_launch_template(tx: &mut Tx, p: &Params) -> Reply {
    tx.once(p, "ClientToken", TOKEN_LIFE, |tx| {
        let name = p.str("LaunchTemplateName")?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "().-/_".contains(c);
        if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
            let message = "A launch template name must be between 3 and 128 characters, and may contain letters, \
                           numbers, and the following characters: - ( ) . / _.";
            return Err(AwsError::new("InvalidLaunchTemplateName.MalformedException", message));
        }
        if tx.all::<LaunchTemplate>().any(|template| template.name == name) {
            let message = "Launch template name already in use.";
            return Err(AwsError::new("InvalidLaunchTemplateName.AlreadyExistsException", message));
        }
        let mut template = LaunchTemplate {
            id: tx.new_id("lt"),
            name: name.to_owned(),
            created: tx.now,
            default_version: 1,
            versions: BTreeMap::new(),
            numbered: 0,
            tags: tags_for::<LaunchTemplate>(p)?,
        };
        template.add(tx.now, p.opt_str("VersionDescription"), versions::read(p)?);
        tx.put(template.clone());
        Ok(json!({ "launchTemplate": template.view(tx) }))
    })
}

fn describe_launch_templates(tx: &mut Tx, p: &Params) -> Reply {
    let names = p.strings("LaunchTemplateName");
    let mut rows = tx.select::<LaunchTemplate>(&p.strings("LaunchTemplateId"))?;
    if let Some(absent) = names.iter().find(|name| !rows.iter().any(|row| row.name == **name)) {
        let message =
            format!("At least one of the launch templates specified in the request does not exist, such as {absent}.");
        return Err(AwsError::new("InvalidLaunchTemplateName.NotFoundException", message));
    }
    rows.retain(|template| names.is_empty() || names.contains(&template.name.as_str()));
    list(tx, p, rows)
}

fn modify_launch_template(tx: &mut Tx, p: &Params) -> Reply {
    tx.once(p, "ClientToken", TOKEN_LIFE, |tx| {
        let template = named(tx, p)?;
        let (id, number) = (template.id.clone(), template.version(p.str("SetDefaultVersion")?)?.number);
        tx.get_mut::<LaunchTemplate>(&id)?.default_version = number;
        Ok(json!({ "launchTemplate": show(tx, tx.get::<LaunchTemplate>(&id)?) }))
    })
}

fn delete_launch_template(tx: &mut Tx, p: &Params) -> Reply {
    let template = named(tx, p)?.clone();
    tx.delete::<LaunchTemplate>(&template.id);
    Ok(json!({ "launchTemplate": template.view(tx) }))
}
