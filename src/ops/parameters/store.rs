//! Parameters as they are and as they are to be: read, written where they differ, put back.
//!
//! What was in a parameter before is not written down: Parameter Store keeps a hundred versions, and an undo puts back what
//! is in the one that was current then.

use aws_sdk_ssm::types as ssm;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    ParameterType,
    tags::{ParameterTags, to_ssm},
};
use crate::{
    event::{Change, Field},
    ops::{
        Error, Tags, Together, arguments,
        outcome::deleted,
        ownership::{Owned, RUN_TAG, STACK_TAG, changed, set},
        require,
        tagged::{self, Tagged},
    },
    redact::{MASK, is_placeholder},
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

const GET: &str = "ssm:GetParameter";

/// What says that there is no such parameter, or no such version of it.
const GONE: &[&str] = &["ParameterNotFound", "ParameterVersionNotFound"];

/// Until a list shows what was just made.
const LISTED: std::time::Duration = std::time::Duration::from_secs(30);

/// A parameter as it is.
pub struct Found {
    pub kind: ParameterType,
    pub value: String,
    pub version: i64,
    pub arn: String,
}

/// What a list says of it beside that.
#[derive(Clone, Default)]
struct About {
    description: String,
    tier: String,
    key_id: Option<String>,
    /// Given again with each value, or it might be lost.
    allowed_pattern: Option<String>,
}

/// A parameter as it is to be.
pub struct Wanted<'a> {
    pub name: &'a str,
    pub kind: ParameterType,
    pub value: &'a str,
    /// Left alone where nothing is said of them.
    pub description: Option<&'a str>,
    pub tier: Option<ssm::ParameterTier>,
    pub key_id: Option<&'a str>,
    pub adopt: bool,
    pub keep_on_rollback: bool,
}

/// The ARN of the parameter of this account that is called so.
pub fn arn(ctx: &Ctx, name: &str) -> String {
    ctx.aws().arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))
}

/// Name and tags of a parameter: AWS knows it by the name that the runbook gives.
pub fn owned(ctx: &Ctx, name: &str, tags: &Tags) -> Result<Owned, Error> {
    let mut owned = Owned::new(ctx, name, tags)?;
    name.clone_into(&mut owned.name);
    owned.wanted.insert("Name".to_owned(), name.to_owned());
    Ok(owned)
}

/// What is wrong with a name, if something is.
pub fn check_name(option: &str, name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let bare = name.trim_start_matches('/').to_ascii_lowercase();
    let problem = if name.is_empty() || name.len() > 1011 || !name.chars().all(allowed) || name.contains("//") {
        "expected letters, digits, `.`, `_`, `-`, and `/` between the parts"
    } else if name.ends_with('/') {
        "expected a name that does not end in `/`"
    } else if name.contains('/') && !name.starts_with('/') {
        "expected a path that begins with `/`"
    } else if name.matches('/').count() > 15 {
        "expected at most 15 parts"
    } else if bare.starts_with("aws") || bare.starts_with("ssm") {
        "names that begin with `aws` or `ssm` are AWS's own"
    } else {
        return Ok(());
    };
    Err(Error::option(option, format!("{problem}, found {name:?}")))
}

/// The parameter of that name, or one version of it, `name:3`. The value of a secure one is hidden from then on.
pub async fn read(ctx: &Ctx, name: &str) -> Result<Option<Found>, Error> {
    let bare = if name.starts_with("arn:") { name } else { name.split(':').next().unwrap_or(name) };
    let get = async |decrypt: bool| {
        let request = || ctx.aws().ssm.get_parameter().name(name).set_with_decryption(decrypt.then_some(true)).send();
        match ctx.read_of(GET, bare, request).await {
            Ok(reply) => Ok(Some(require::<_, ssm::Parameter>(GET, "Parameter", reply.parameter)?)),
            Err(error) if error.is(GONE) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let mut found = get(false).await?;
    if found.as_ref().is_some_and(|found| found.r#type() == Some(&ssm::ParameterType::SecureString)) {
        found = ctx.unremembered(get(true)).await?;
        if let Some(value) = found.as_ref().and_then(ssm::Parameter::value) {
            ctx.hide(value);
        }
    }
    let Some(found) = found else { return Ok(None) };
    Ok(Some(Found {
        kind: ParameterType::of(found.r#type()),
        value: require(GET, "Parameter.Value", found.value())?,
        version: found.version(),
        arn: found.arn().unwrap_or_default().to_owned(),
    }))
}

/// What lists say of the parameters that a filter lets through. A page may be empty and not be the last.
pub async fn described(ctx: &Ctx, key: &str, value: &str) -> Result<Vec<ssm::ParameterMetadata>, Error> {
    let only = ssm::ParameterStringFilter::builder().key(key).option("Equals").values(value).build();
    let only = only.map_err(|error| Error::option("name", error.to_string()))?;
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let request = || {
            let request = ctx.aws().ssm.describe_parameters().parameter_filters(only.clone());
            request.set_next_token(next.clone()).send()
        };
        let reply = ctx.read("ssm:DescribeParameters", request).await?;
        all.extend(reply.parameters.unwrap_or_default());
        next = reply.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(all);
        }
    }
}

async fn about(ctx: &Ctx, name: &str) -> Result<Option<About>, Error> {
    let found = described(ctx, "Name", name).await?.into_iter().find(|found| found.name() == Some(name));
    Ok(found.map(|found| About {
        description: found.description().unwrap_or_default().to_owned(),
        tier: found.tier().map_or("Standard", ssm::ParameterTier::as_str).to_owned(),
        key_id: found.key_id().map(str::to_owned),
        allowed_pattern: found.allowed_pattern().filter(|pattern| !pattern.is_empty()).map(str::to_owned),
    }))
}

async fn tags_of(ctx: &Ctx, name: &str) -> Result<std::collections::BTreeMap<String, String>, Error> {
    match ParameterTags::read(ctx, name).await {
        Err(error) if error.is(ParameterTags::GONE) => Ok(Default::default()),
        read => read,
    }
}

/// Makes sure that the parameter is as wanted. Returns its version.
pub async fn ensure(ctx: &Ctx, wanted: &Wanted<'_>, owned: &Owned) -> Result<i64, Error> {
    let name = wanted.name;
    let (found, about_it, tags) = futures::join!(read(ctx, name), about(ctx, name), tags_of(ctx, name)).together()?;
    let Some(found) = found else { return create(ctx, wanted, owned).await };
    let about_it = match about_it {
        Some(about) => about,
        None => listed(ctx, name).await?,
    };
    converge(ctx, wanted, owned, &found, &about_it, &tags).await
}

/// The same of one that is there, and that lists do not show yet.
async fn listed(ctx: &Ctx, name: &str) -> Result<About, Error> {
    use crate::run::{Seen, Wait};
    let wait = Wait { what: format!("parameter {name} to be listed"), timeout: LISTED, every: LISTED / 30 };
    let look = async || Ok(about(ctx, name).await?.map_or_else(|| Seen::Pending("not yet".into()), Seen::Ready));
    ctx.wait(wait, look).await
}

/// What is kept of a parameter that was made.
#[derive(Serialize, Deserialize)]
struct Made {
    name: String,
    version: i64,
}

async fn create(ctx: &Ctx, wanted: &Wanted<'_>, owned: &Owned) -> Result<i64, Error> {
    let name = wanted.name;
    let mut declared = Mutation::new("ssm:PutParameter", Class::Unique, format!("parameter {name}"))
        .look_up(&PARAMETER_BY_RUN, json!({ "name": name, "run": ctx.run_id() }))
        .undo(
            Undo::new(&DELETE_PARAMETER, format!("delete parameter {name}"), json!({})).keep(wanted.keep_on_rollback),
        );
    if wanted.kind == ParameterType::SecureString {
        declared = declared.varies();
    }
    let tags = to_ssm(&owned.tags())?;
    let made = ctx.mutate(
        declared,
        |permit| {
            let request = ctx.aws().ssm.put_parameter().name(name).value(wanted.value).r#type(wanted.kind.to_ssm());
            request
                .set_description(wanted.description.filter(|text| !text.is_empty()).map(str::to_owned))
                .set_tier(wanted.tier.clone())
                .set_key_id(wanted.key_id.map(str::to_owned))
                .set_tags(Some(tags.clone()))
                .customize()
                .interceptor(permit)
                .send()
        },
        |reply| Ok(Made { name: name.to_owned(), version: reply.version() }),
    );
    let Made { version, .. } = made.await?;
    let value = match wanted.kind {
        ParameterType::SecureString => MASK,
        ParameterType::String | ParameterType::StringList => wanted.value,
    };
    ctx.did(Change::Created, [set("name", name), set("type", wanted.kind.as_str()), set("value", value)]);
    Ok(version)
}

async fn converge(
    ctx: &Ctx,
    wanted: &Wanted<'_>,
    owned: &Owned,
    found: &Found,
    about: &About,
    tags: &std::collections::BTreeMap<String, String>,
) -> Result<i64, Error> {
    let name = wanted.name;
    let resource = format!("parameter {name}");
    owned.check(&resource, tags, wanted.adopt)?;
    let fixed = |field, found: &str, wanted: &str| Error::NeedsReplacement {
        resource: resource.clone(),
        field,
        found: found.to_owned(),
        wanted: wanted.to_owned(),
    };
    if found.kind != wanted.kind {
        return Err(fixed("type", found.kind.as_str(), wanted.kind.as_str()));
    }
    let raises = wanted.tier == Some(ssm::ParameterTier::Advanced) && about.tier != "Advanced";
    if wanted.tier == Some(ssm::ParameterTier::Standard) && about.tier == "Advanced" {
        return Err(fixed("tier", &about.tier, "Standard"));
    }
    let mut fields = tagged::converge::<ParameterTags>(ctx, name, owned, tags).await?;
    let differing = differences(wanted, found, about, raises);
    let mut version = found.version;
    if !differing.is_empty() {
        version = overwrite(ctx, wanted, found, about, raises).await?;
        fields.extend(differing);
    }
    ctx.did(if fields.is_empty() { Change::Unchanged } else { Change::Updated }, fields);
    Ok(version)
}

fn differences(wanted: &Wanted<'_>, found: &Found, about: &About, raises: bool) -> Vec<Field> {
    let mut fields = Vec::new();
    if found.value != wanted.value {
        fields.push(match found.kind {
            ParameterType::SecureString if is_placeholder(&found.value) => {
                changed("value", "(secret, which a dry run does not compare)", MASK)
            }
            ParameterType::SecureString => changed("value", MASK, "(another secret)"),
            ParameterType::String | ParameterType::StringList => changed("value", found.value.as_str(), wanted.value),
        });
    }
    if let Some(description) = wanted.description.filter(|text| *text != about.description) {
        fields.push(changed("description", about.description.as_str(), description));
    }
    if raises {
        fields.push(changed("tier", about.tier.as_str(), "Advanced"));
    }
    if let Some(key_id) = wanted.key_id.filter(|key| about.key_id.as_deref() != Some(*key)) {
        fields.push(changed("key_id", about.key_id.as_deref().unwrap_or_default(), key_id));
    }
    fields
}

/// What an overwritten parameter was like: its value is in the version of that number.
#[derive(Serialize, Deserialize)]
struct Before {
    name: String,
    before: i64,
    description: String,
    key_id: Option<String>,
    allowed_pattern: Option<String>,
    /// Whether the run has raised its tier, which AWS does not take back.
    raised: bool,
    /// The version that the run has made.
    #[serde(default)]
    ours: Option<i64>,
}

/// What is kept of an overwritten parameter.
#[derive(Serialize, Deserialize)]
struct Overwritten {
    ours: i64,
}

async fn overwrite(ctx: &Ctx, wanted: &Wanted<'_>, found: &Found, about: &About, raises: bool) -> Result<i64, Error> {
    let name = wanted.name;
    let before = Before {
        name: name.to_owned(),
        before: found.version,
        description: about.description.clone(),
        key_id: about.key_id.clone(),
        allowed_pattern: about.allowed_pattern.clone(),
        raised: raises,
        ours: None,
    };
    let mut before = serde_json::to_value(before).unwrap_or_default();
    if let Some(before) = before.as_object_mut() {
        // The call's own result says it.
        before.remove("ours");
    }
    let undo = Undo::new(&RESTORE_PARAMETER, format!("put version {} of parameter {name} back", found.version), before)
        .key(format!("parameter {name}"));
    let declared = Mutation::new("ssm:PutParameter", Class::Idempotent, format!("parameter {name}"))
        .look_up(&PARAMETER_NEWER_THAN, json!({ "name": name, "version": found.version }))
        .undo(undo);
    let key_id = wanted.key_id.map(str::to_owned).or_else(|| about.key_id.clone());
    let put = Put {
        name,
        value: wanted.value,
        kind: wanted.kind,
        description: wanted.description.map(str::to_owned),
        tier: wanted.tier.clone(),
        key_id,
        allowed_pattern: about.allowed_pattern.clone(),
    };
    put.send(ctx, declared).await
}

/// A value that takes the place of another one.
struct Put<'a> {
    name: &'a str,
    value: &'a str,
    kind: ParameterType,
    description: Option<String>,
    tier: Option<ssm::ParameterTier>,
    key_id: Option<String>,
    allowed_pattern: Option<String>,
}

impl Put<'_> {
    async fn send(&self, ctx: &Ctx, declared: Mutation) -> Result<i64, Error> {
        let is_secure = self.kind == ParameterType::SecureString;
        let declared = if is_secure { declared.varies() } else { declared };
        let overwritten = ctx.mutate(
            declared,
            |permit| {
                let request = ctx.aws().ssm.put_parameter().name(self.name).value(self.value).overwrite(true);
                request
                    .r#type(self.kind.to_ssm())
                    .set_description(self.description.clone())
                    .set_tier(self.tier.clone())
                    .set_key_id(self.key_id.clone().filter(|_| is_secure))
                    .set_allowed_pattern(self.allowed_pattern.clone())
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| Ok(Overwritten { ours: reply.version() }),
        );
        Ok(overwritten.await?.ours)
    }
}

/// Finds a parameter that this run has made.
pub const PARAMETER_BY_RUN: LookUp =
    LookUp { name: "parameter_by_run", run: |ctx, arguments| Box::pin(parameter_by_run(ctx, arguments)) };

#[derive(Deserialize)]
struct ByRun {
    name: String,
    run: String,
}

async fn parameter_by_run(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByRun { name, run } = arguments(wanted)?;
    if tags_of(ctx, &name).await?.get(RUN_TAG) != Some(&run) {
        return Ok(None);
    }
    // It was made as the first version, and is not looked into.
    Ok(Some(json!(Made { name, version: 1 })))
}

/// Finds the version that an overwritten parameter has.
pub const PARAMETER_NEWER_THAN: LookUp =
    LookUp { name: "parameter_newer_than", run: |ctx, arguments| Box::pin(parameter_newer_than(ctx, arguments)) };

#[derive(Deserialize)]
struct NewerThan {
    name: String,
    version: i64,
}

async fn parameter_newer_than(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let NewerThan { name, version } = arguments(wanted)?;
    let request = || ctx.aws().ssm.get_parameter().name(&name).send();
    let reply = match ctx.read_of(GET, &name, request).await {
        Err(error) if error.is(GONE) => return Ok(None),
        reply => reply?,
    };
    let now = reply.parameter().map(ssm::Parameter::version).filter(|now| *now > version);
    Ok(now.map(|ours| json!(Overwritten { ours })))
}

/// Deletes a parameter that this run made.
pub const DELETE_PARAMETER: UndoAction =
    UndoAction { name: "delete_parameter", run: |ctx, arguments| Box::pin(delete_parameter(ctx, arguments)) };

async fn delete_parameter(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { name, .. } = arguments(made)?;
    let tags = match ParameterTags::read(ctx, &name).await {
        Err(error) if error.is(ParameterTags::GONE) => return Ok(Undone::Already),
        tags => tags?,
    };
    if tags.get(RUN_TAG).is_none_or(|run| run != ctx.run_id()) {
        let owner = tags.get(STACK_TAG).map_or("nobody", String::as_str);
        return Ok(Undone::Foreign(format!("it was made again since, by another run: it is {owner}'s")));
    }
    let declared = Mutation::new("ssm:DeleteParameter", Class::Idempotent, format!("parameter {name}"));
    let gone = ctx
        .change(declared, |permit| ctx.aws().ssm.delete_parameter().name(&name).customize().interceptor(permit).send());
    deleted(gone.await, GONE)
}

/// Puts the version of before back, as a new one: what it says is read from it.
pub const RESTORE_PARAMETER: UndoAction =
    UndoAction { name: "restore_parameter", run: |ctx, arguments| Box::pin(restore_parameter(ctx, arguments)) };

async fn restore_parameter(ctx: &Ctx, arguments_: Value) -> Result<Undone, Error> {
    let Before { name, before, description, key_id, allowed_pattern, raised, ours } = arguments(arguments_)?;
    let (now, about_it) = futures::join!(read(ctx, &name), about(ctx, &name)).together()?;
    let Some(now) = now else { return Ok(Undone::Already) };
    if now.version == before {
        return Ok(Undone::Already);
    }
    // Of a call whose reply was lost, the next version is what it would have made.
    let ours = ours.unwrap_or(before + 1);
    if now.version != ours {
        return Ok(Undone::Foreign(format!("version: expected {ours}, found {}", now.version)));
    }
    let Some(old) = read(ctx, &format!("{name}:{before}")).await? else {
        return Ok(Undone::Foreign(format!("version {before} is no longer kept")));
    };
    let described = about_it.is_none_or(|now| now.description != description);
    let put = Put {
        name: &name,
        value: &old.value,
        kind: old.kind,
        description: described.then_some(description),
        tier: None,
        key_id,
        allowed_pattern,
    };
    put.send(ctx, Mutation::new("ssm:PutParameter", Class::Idempotent, format!("parameter {name}"))).await?;
    // "You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier."
    Ok(if raised { Undone::Impossible } else { Undone::Done })
}
