//! `ensure_launch_template`: what instances are made of; `compare_launch_template`: whether it is there.

use std::time::Duration;

use aws_sdk_ec2::types::{self as ec2, ResourceType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    LaunchTemplate, LaunchTemplateComparison, find_image,
    template_content::{Content, Root, of_version},
    template_options::{CompareLaunchTemplate, EnsureLaunchTemplate},
};
use crate::{
    event::{Change, Field},
    ops::{
        Error, Operation, Sensitive, arguments, ec2_tags,
        network::common::{filter, has_tags, tag_filters},
        outcome::{deleted, nothing_to_undo, report},
        ownership::{MadeBy, Owned, STACK_TAG, changed, set},
        require,
    },
    redact::looks,
    run::{Class, Ctx, LookUp, Mutation, Reading, Seen, Undo, UndoAction, Undone, Wait},
};

/// EC2's limit of a template's name.
const NAME_LIMIT: usize = 128;
const GONE: &[&str] = &[
    "InvalidLaunchTemplateId.NotFound",
    "InvalidLaunchTemplateId.VersionNotFound",
    "InvalidLaunchTemplateName.NotFoundException",
];

/// What is kept of a created template.
#[derive(Serialize, Deserialize)]
struct Made {
    launch_template_id: String,
}

/// What is kept of a created version.
#[derive(Serialize, Deserialize)]
struct MadeVersion {
    launch_template_id: String,
    version: i64,
}

impl Operation for EnsureLaunchTemplate {
    const NAME: &'static str = "ensure_launch_template";
    const AREA: &'static str = "EC2";
    const EXAMPLE: &'static str =
        r#"ensure_launch_template(#{ name: "web", image_id: "ami-0abc", instance_type: "t3.small" })"#;

    type Options = Self;
    type Handle = LaunchTemplate;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<LaunchTemplate, Error> {
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        options.check()?;
        let name = owned.name_within(NAME_LIMIT);
        if let Some(template) = seen(ctx, &name).await? {
            return converge(ctx, &options, &owned, template).await;
        }
        let wanted = wanted(ctx, &options, &owned).await?;
        match create(ctx, &options, &owned, &wanted).await {
            Err(error) if error.is(&["InvalidLaunchTemplateName.AlreadyExistsException"]) => {
                converge(ctx, &options, &owned, late(ctx, &name).await?).await
            }
            created => created,
        }
    }
}

impl Operation for CompareLaunchTemplate {
    const NAME: &'static str = "compare_launch_template";
    const AREA: &'static str = "EC2";
    const EXAMPLE: &'static str =
        r#"compare_launch_template(#{ name: "web", image_id: "ami-0abc", instance_type: "t3.small" })"#;

    type Options = Self;
    type Handle = LaunchTemplateComparison;

    fn subject(options: &Self) -> String {
        options.0.name.clone()
    }

    async fn run(ctx: &Ctx, Self(options): Self) -> Result<LaunchTemplateComparison, Error> {
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        options.check()?;
        let launch_template_name = owned.name_within(NAME_LIMIT);
        let Some(template) = seen(ctx, &launch_template_name).await? else {
            return Ok(LaunchTemplateComparison { launch_template_name, ..LaunchTemplateComparison::default() });
        };
        let id = id_of(&template)?;
        let version = same(&versions(ctx, &id).await?, &options, &owned)?;
        Ok(LaunchTemplateComparison {
            launch_template_id: id,
            launch_template_name,
            matches: version.is_some(),
            version,
        })
    }
}

/// What the options ask for. The image has to be there: from what it says of its volumes the content is made.
async fn wanted(ctx: &Ctx, options: &EnsureLaunchTemplate, owned: &Owned) -> Result<Content, Error> {
    let image = find_image::by_id(ctx, options.image_id.as_str()).await?;
    Ok(Content::wanted(options, owned, &Root::of(&image)))
}

const TEMPLATES: Reading = Reading::new("ec2:DescribeLaunchTemplates", &["LaunchTemplate", "Tags"]);
const VERSIONS: Reading = Reading::new("ec2:DescribeLaunchTemplateVersions", &["LaunchTemplate"]);

/// The templates of the stack, as they were a moment ago.
///
/// # Errors
/// If the call fails.
pub async fn of_stack(ctx: &Ctx) -> Result<Vec<ec2::LaunchTemplate>, Error> {
    let stack = ctx.stack()?;
    let ours = filter(format!("tag:{STACK_TAG}"), &stack);
    let read = async || {
        ctx.read("ec2:DescribeLaunchTemplates", || {
            let pages = ctx.aws().ec2.describe_launch_templates().filters(ours.clone()).into_paginator();
            pages.items().send().collect::<Result<Vec<_>, _>>()
        })
        .await
    };
    ctx.shared(TEMPLATES, &stack, read).await
}

/// The template of that name as it was a moment ago. One without the stack's tag may not be seen: to make another one is
/// refused by AWS.
async fn seen(ctx: &Ctx, name: &str) -> Result<Option<ec2::LaunchTemplate>, Error> {
    match ctx.known::<Vec<ec2::LaunchTemplate>>(TEMPLATES, &ctx.stack()?).await {
        Some(all) => Ok(all.into_iter().find(|template| template.launch_template_name() == Some(name))),
        None => ctx.shared(TEMPLATES, name, async || by_name(ctx, name).await).await,
    }
}

/// The template of that id, if there is one.
///
/// # Errors
/// If the call fails.
pub async fn by_id(ctx: &Ctx, id: &str) -> Result<Option<ec2::LaunchTemplate>, Error> {
    let reply = ctx
        .read("ec2:DescribeLaunchTemplates", || {
            ctx.aws().ec2.describe_launch_templates().launch_template_ids(id).send()
        })
        .await;
    match reply {
        Err(error) if error.is(&["InvalidLaunchTemplateId.NotFound"]) => Ok(None),
        reply => Ok(reply?.launch_templates.unwrap_or_default().into_iter().next()),
    }
}

async fn by_name(ctx: &Ctx, name: &str) -> Result<Option<ec2::LaunchTemplate>, Error> {
    // By filter: named directly, a template that is not there is an error.
    let named = filter("launch-template-name", name);
    let reply = ctx
        .read("ec2:DescribeLaunchTemplates", || ctx.aws().ec2.describe_launch_templates().filters(named.clone()).send())
        .await?;
    Ok(reply.launch_templates().iter().find(|template| template.launch_template_name() == Some(name)).cloned())
}

/// A template that was made just now, and that the list did not show yet.
async fn late(ctx: &Ctx, name: &str) -> Result<ec2::LaunchTemplate, Error> {
    let (timeout, every) = (Duration::from_secs(60), Duration::from_secs(2));
    ctx.wait(Wait { what: format!("launch template {name} to be listed"), timeout, every }, async || {
        Ok(by_name(ctx, name).await?.map_or(Seen::Pending("not listed yet".to_owned()), Seen::Ready))
    })
    .await
}

/// The versions, newest first. One page holds the newest 200: what is older is not looked for.
async fn versions(ctx: &Ctx, id: &str) -> Result<Vec<ec2::LaunchTemplateVersion>, Error> {
    let read = async || {
        let call = "ec2:DescribeLaunchTemplateVersions";
        ctx.read(call, || {
            ctx.aws().ec2.describe_launch_template_versions().launch_template_id(id).max_results(200).send()
        })
        .await
    };
    let reply = ctx.shared(VERSIONS, id, read).await?;
    let mut versions = reply.launch_template_versions.unwrap_or_default();
    versions.sort_by_key(|version| std::cmp::Reverse(version.version_number()));
    Ok(versions)
}

/// The newest version that has what the options ask for. Of an image it is known what its volumes are like from the version
/// that was made of it: images do not change.
fn same(
    versions: &[ec2::LaunchTemplateVersion],
    options: &EnsureLaunchTemplate,
    owned: &Owned,
) -> Result<Option<i64>, Error> {
    for version in versions {
        let Some(content) = of_version(version)?.filter(|content| content.is_of(options.image_id.as_str())) else {
            continue;
        };
        if content.roots().any(|root| Content::wanted(options, owned, &root) == content) {
            return Ok(version.version_number());
        }
    }
    Ok(None)
}

fn id_of(template: &ec2::LaunchTemplate) -> Result<String, Error> {
    require("ec2:DescribeLaunchTemplates", "launchTemplateId", template.launch_template_id())
}

async fn create(
    ctx: &Ctx,
    options: &EnsureLaunchTemplate,
    owned: &Owned,
    wanted: &Content,
) -> Result<LaunchTemplate, Error> {
    let name = owned.name_within(NAME_LIMIT);
    let undo = Undo::new(&DELETE_LAUNCH_TEMPLATE, format!("delete launch template {name}"), json!({}));
    let declared = Mutation::new("ec2:CreateLaunchTemplate", Class::Token, format!("launch template {name}"))
        .look_up(&LAUNCH_TEMPLATE_BY_TAGS, json!(owned.made()))
        .undo(undo.keep(options.keep_on_rollback));
    let Made { launch_template_id } = ctx
        .mutate(
            declared,
            |permit| {
                ctx.aws()
                    .ec2
                    .create_launch_template()
                    .launch_template_name(&name)
                    .set_version_description(options.version_description.clone())
                    .launch_template_data(wanted.request())
                    .tag_specifications(ec2_tags::specification(ResourceType::LaunchTemplate, owned))
                    .client_token(permit.token())
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| {
                let id = reply.launch_template().and_then(|template| template.launch_template_id());
                let call = "ec2:CreateLaunchTemplate";
                Ok(Made { launch_template_id: require(call, "launchTemplate.launchTemplateId", id)? })
            },
        )
        .await?;
    let handle = LaunchTemplate { launch_template_id, launch_template_name: name, version: 1 };
    let fields = [
        set("launch_template_id", handle.launch_template_id.clone()),
        set("version", 1),
        set("image_id", options.image_id.as_str()),
    ];
    ctx.did(Change::Created, fields.into_iter().chain(options.user_data.as_ref().map(shown)));
    Ok(handle)
}

/// User data as the field of a new template.
fn shown(user_data: &Sensitive) -> Field {
    let text = if user_data.is_secret() { "(not shown)".into() } else { looks::without_secrets(user_data.expose()) };
    set("user_data", text)
}

async fn converge(
    ctx: &Ctx,
    options: &EnsureLaunchTemplate,
    owned: &Owned,
    template: ec2::LaunchTemplate,
) -> Result<LaunchTemplate, Error> {
    let (id, name) = (id_of(&template)?, owned.name_within(NAME_LIMIT));
    let tags = ec2_tags::from_ec2(template.tags());
    owned.check(&format!("launch template {name} ({id})"), &tags, options.adopt)?;
    let known = versions(ctx, &id).await?;
    let mut fields = Vec::new();
    let version = match same(&known, options, owned)? {
        Some(version) => version,
        None => {
            let wanted = wanted(ctx, options, owned).await?;
            let before = known.first().map(of_version).transpose()?.flatten();
            let latest = template.latest_version_number().unwrap_or_default();
            let version = create_version(ctx, options, &name, &id, latest, &wanted).await?;
            fields.push(changed("version", latest, version));
            let secret = options.user_data.as_ref().is_some_and(Sensitive::is_secret);
            fields.extend(wanted.differences(before.as_ref(), secret));
            version
        }
    };
    fields.extend(ec2_tags::converge(ctx, &id, owned, &tags).await?);
    let default = template.default_version_number().unwrap_or_default();
    if options.set_default_version && default != version {
        let change = DefaultVersion { launch_template_id: id.clone(), before: default, ours: version };
        let undo =
            Undo::new(&RESTORE_DEFAULT_VERSION, format!("make version {default} of {name} the default"), json!(change));
        set_default(ctx, &id, version, Some(undo)).await?;
        fields.push(changed("default_version", default, version));
    }
    report(ctx, fields);
    Ok(LaunchTemplate { launch_template_id: id, launch_template_name: name, version })
}

async fn create_version(
    ctx: &Ctx,
    options: &EnsureLaunchTemplate,
    name: &str,
    id: &str,
    latest: i64,
    wanted: &Content,
) -> Result<i64, Error> {
    let undo = Undo::new(
        &DELETE_LAUNCH_TEMPLATE_VERSION,
        format!("delete the new version of launch template {name}"),
        json!({}),
    );
    let subject = format!("version of launch template {name}");
    let newer = NewerThan { launch_template_id: id.to_owned(), latest };
    let declared = Mutation::new("ec2:CreateLaunchTemplateVersion", Class::Token, subject)
        .look_up(&LAUNCH_TEMPLATE_VERSION_NEWER_THAN, json!(newer))
        .undo(undo.keep(options.keep_on_rollback));
    let made = ctx
        .mutate(
            declared,
            |permit| {
                ctx.aws()
                    .ec2
                    .create_launch_template_version()
                    .launch_template_id(id)
                    .set_version_description(options.version_description.clone())
                    .launch_template_data(wanted.request())
                    .client_token(permit.token())
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| {
                let number = reply.launch_template_version().and_then(|version| version.version_number());
                let call = "ec2:CreateLaunchTemplateVersion";
                let version = require(call, "launchTemplateVersion.versionNumber", number)?;
                Ok(MadeVersion { launch_template_id: id.to_owned(), version })
            },
        )
        .await?;
    Ok(made.version)
}

async fn set_default(ctx: &Ctx, id: &str, version: i64, undo: Option<Undo>) -> Result<(), Error> {
    let mut declared = Mutation::new("ec2:ModifyLaunchTemplate", Class::Idempotent, format!("default version of {id}"));
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    ctx.change(declared, |permit| {
        let request = ctx.aws().ec2.modify_launch_template().launch_template_id(id);
        let request = request.default_version(version.to_string()).client_token(permit.token());
        request.customize().interceptor(permit).send()
    })
    .await
}

/// Finds a launch template by the tags it was created with.
pub const LAUNCH_TEMPLATE_BY_TAGS: LookUp =
    LookUp { name: "launch_template_by_tags", run: |ctx, arguments| Box::pin(launch_template_by_tags(ctx, arguments)) };

async fn launch_template_by_tags(ctx: &Ctx, made: Value) -> Result<Option<Value>, Error> {
    let MadeBy(tags) = arguments(made)?;
    let filters = tag_filters(&tags);
    let reply = ctx
        .read("ec2:DescribeLaunchTemplates", || {
            ctx.aws().ec2.describe_launch_templates().set_filters(Some(filters.clone())).send()
        })
        .await?;
    let found = reply.launch_templates().iter().find(|template| has_tags(template.tags(), &tags));
    found.map(|template| Ok(json!(Made { launch_template_id: id_of(template)? }))).transpose()
}

/// Which version a lost reply spoke of.
#[derive(Serialize, Deserialize)]
struct NewerThan {
    launch_template_id: String,
    /// The newest that was there before.
    latest: i64,
}

/// Finds the version that was made after those that were known. Versions have no tags: where somebody else makes one in the
/// same moments, theirs cannot be told apart, and none is found.
pub const LAUNCH_TEMPLATE_VERSION_NEWER_THAN: LookUp = LookUp {
    name: "launch_template_version_newer_than",
    run: |ctx, arguments| Box::pin(launch_template_version_newer_than(ctx, arguments)),
};

async fn launch_template_version_newer_than(ctx: &Ctx, known: Value) -> Result<Option<Value>, Error> {
    let NewerThan { launch_template_id, latest } = arguments(known)?;
    let versions = versions(ctx, &launch_template_id).await?;
    let newer: Vec<i64> =
        versions.iter().filter_map(|version| version.version_number()).filter(|number| *number > latest).collect();
    let [version] = newer[..] else { return Ok(None) };
    Ok(Some(json!(MadeVersion { launch_template_id, version })))
}

/// Deletes a launch template this run made, with all its versions.
pub const DELETE_LAUNCH_TEMPLATE: UndoAction = UndoAction {
    name: "delete_launch_template",
    run: |ctx, arguments| Box::pin(delete_launch_template(ctx, arguments)),
};

async fn delete_launch_template(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { launch_template_id: id } = arguments(made)?;
    if let Some(undone) = in_use(ctx, &id, None).await? {
        return Ok(undone);
    }
    let declared = Mutation::new("ec2:DeleteLaunchTemplate", Class::Idempotent, &id);
    let outcome = ctx.change(declared, |permit| {
        ctx.aws().ec2.delete_launch_template().launch_template_id(&id).customize().interceptor(permit).send()
    });
    deleted(outcome.await, GONE)
}

/// How long a list may show a group that is gone.
const LISTED: Duration = Duration::from_secs(30);

/// What this run made its groups from is not in use any more, or it is by somebody else.
async fn in_use(ctx: &Ctx, id: &str, version: Option<i64>) -> Result<Option<Undone>, Error> {
    let what = format!("no group to be listed that launches its instances from {id}");
    let wait = Wait { what, timeout: LISTED, every: Duration::from_secs(5) };
    let look = ctx.wait(wait, async || {
        let group = super::asg::launched_from(ctx, id, version).await?;
        Ok(group.map_or(Seen::Ready(()), Seen::Pending))
    });
    match look.await {
        Ok(()) => Ok(None),
        Err(Error::TimedOut { seen, .. }) => {
            Ok(Some(Undone::Foreign(format!("Auto Scaling group {seen} launches its instances from it"))))
        }
        Err(error) => Err(error),
    }
}

/// Deletes a version this run made. Groups that were launched from it are gone or restored by then.
pub const DELETE_LAUNCH_TEMPLATE_VERSION: UndoAction = UndoAction {
    name: "delete_launch_template_version",
    run: |ctx, arguments| Box::pin(delete_launch_template_version(ctx, arguments)),
};

async fn delete_launch_template_version(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let MadeVersion { launch_template_id: id, version } = arguments(made)?;
    let subject = format!("version {version} of {id}");
    if let Some(undone) = in_use(ctx, &id, Some(version)).await? {
        return Ok(undone);
    }
    let declared = Mutation::new("ec2:DeleteLaunchTemplateVersions", Class::Idempotent, subject);
    // This call succeeds also when nothing was deleted, and says so inside.
    let refused: Result<Option<(String, String)>, Error> = ctx
        .mutate(
            declared,
            |permit| {
                let request = ctx.aws().ec2.delete_launch_template_versions().launch_template_id(&id);
                request.versions(version.to_string()).customize().interceptor(permit).send()
            },
            |reply| {
                let item = reply.unsuccessfully_deleted_launch_template_versions().first();
                let error = item.and_then(|item| item.response_error());
                Ok(error.map(|error| {
                    let code = error.code().map(|code| code.as_str()).unwrap_or_default();
                    (code.to_owned(), error.message().unwrap_or_default().to_owned())
                }))
            },
        )
        .await;
    match refused {
        Ok(None) => Ok(Undone::Done),
        Ok(Some((code, _))) if code == "launchTemplateVersionDoesNotExist" => Ok(Undone::Already),
        Ok(Some((_, message))) => Ok(Undone::Foreign(message)),
        Err(error) => deleted(Err(error), GONE),
    }
}

/// A change of the default version.
#[derive(Serialize, Deserialize)]
struct DefaultVersion {
    launch_template_id: String,
    before: i64,
    ours: i64,
}

/// Makes another version the default again.
pub const RESTORE_DEFAULT_VERSION: UndoAction = UndoAction {
    name: "restore_default_version",
    run: |ctx, arguments| Box::pin(restore_default_version(ctx, arguments)),
};

async fn restore_default_version(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let DefaultVersion { launch_template_id: id, before, ours } = arguments(change)?;
    let call = "ec2:DescribeLaunchTemplates";
    let reply = ctx.read(call, || ctx.aws().ec2.describe_launch_templates().launch_template_ids(&id).send()).await;
    let reply = match reply {
        Err(error) if error.is(GONE) => return Ok(Undone::Already),
        reply => reply?,
    };
    let found = reply.launch_templates().first().and_then(|template| template.default_version_number());
    let found: i64 = require(call, "defaultVersionNumber", found)?;
    if let Some(outcome) = nothing_to_undo(&found, &before, &ours) {
        return Ok(outcome);
    }
    set_default(ctx, &id, before, None).await?;
    Ok(Undone::Done)
}
