//! `bake_image`: an image made of a base image and what is put into it.

use std::collections::BTreeMap;

use aws_sdk_ec2::types as ec2;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    BakedImage, CONTENT_TAG,
    builder::{self, Builder, Wanted},
    copies, own,
    register::{self, New},
};
use crate::{
    event::Change,
    ops::{
        Duration, Error, IdOf, IdsOf, Operation, Tags,
        commands::{
            faults,
            send::{self, Script},
        },
        compute::Image,
        identity::InstanceProfile,
        network::Subnets,
        ownership::{Owned, STACK_TAG, set},
        require,
    },
    run::{Class, Ctx, hex},
};

/// Makes sure that the stack has an image of a base image with these files and commands in it.
///
/// An instance is launched from the base image, in a security group of its own that lets nothing in; files are written and commands run on
/// it by Systems Manager, so its role needs the policy `AmazonSSMManagedInstanceCore`, and its subnet a way out. When `verify` has succeeded
/// it is stopped, and the image made. Instance and group are removed, also if something fails. An image of the same content is not made again:
/// its tag `runner:content` tells. What is in files and commands can be read in Systems Manager, so secrets do not belong into them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BakeImage {
    /// What the stack calls it; AWS shows `<stack>-<name>-<content>`.
    name: String,
    /// The base image.
    image_id: IdOf<Image>,
    /// What the instance is to be like.
    #[serde(default = "small")]
    instance_type: String,
    /// Where the instance is launched; of several subnets the first.
    subnet: IdsOf<Subnets>,
    /// Its role. Needed for files and commands.
    instance_profile: Option<IdOf<InstanceProfile>>,
    /// What the instance is launched with.
    user_data: Option<String>,
    /// Texts of files, by their paths.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Lines of a shell script, run as root when the files are there. It stops at the first that fails.
    #[serde(default)]
    commands: Vec<String>,
    /// Lines of a shell script that have to succeed before the image is made.
    #[serde(default)]
    verify: Vec<String>,
    /// How long the commands may take: up to 48 hours.
    #[serde(default = "half_an_hour")]
    timeout: Duration,
    /// Up to 255 characters.
    description: Option<String>,
    /// Further regions that get a copy.
    #[serde(default)]
    copy_to_regions: Vec<String>,
    /// Whether copies are encrypted.
    #[serde(default)]
    encrypted: bool,
    /// The key that copies are encrypted with, in their regions: an alias. Left out, AWS's own for volumes.
    kms_key_id: Option<String>,
    /// Accounts that may launch the image, and its copies.
    #[serde(default)]
    share_with: Vec<String>,
    /// More tags, of the image and its snapshots.
    #[serde(default)]
    tags: Tags,
    /// Leaves a new image in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

fn small() -> String {
    "t3.small".to_owned()
}

fn half_an_hour() -> Duration {
    Duration::from_secs(1800)
}

/// What an image is made of, and nothing else: its digest is the same for the same content.
#[derive(Serialize)]
struct Content<'a> {
    image_id: &'a str,
    user_data: &'a Option<String>,
    files: &'a BTreeMap<String, String>,
    commands: &'a [String],
    verify: &'a [String],
}

impl BakeImage {
    fn check(&self) -> Result<(), Error> {
        const LARGEST: usize = 40_000;
        if self.subnet.as_slice().is_empty() {
            return Err(Error::option("subnet", "expected a subnet, found none"));
        }
        if self.runs_commands() && self.instance_profile.is_none() {
            let message = "files and commands go by Systems Manager, which needs the role of an instance profile";
            return Err(Error::option("instance_profile", message));
        }
        if self.user_data.is_none() && !self.runs_commands() {
            return Err(Error::option("commands", "expected something that makes it another image than its base"));
        }
        if let Some(path) = self.files.keys().find(|path| !path.starts_with('/') || path.contains(['\'', '\n'])) {
            return Err(Error::option(format!("files.{path}"), "expected a whole path, `/etc/…`, without quotes"));
        }
        // SendCommand takes parameters of 64 KB.
        if self.files.values().map(String::len).sum::<usize>() > LARGEST {
            let message = format!("expected at most {LARGEST} bytes in all: fetch what is larger with a command");
            return Err(Error::option("files", message));
        }
        send::seconds(self.timeout)?;
        let is_account = |id: &&String| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(index) = self.share_with.iter().position(|id| !is_account(&id)) {
            return Err(Error::option(format!("share_with[{index}]"), "expected an account id of twelve digits"));
        }
        if self.encrypted && self.copy_to_regions.is_empty() {
            return Err(Error::option("encrypted", "only copies are encrypted: there are no `copy_to_regions`"));
        }
        // "You can't share an AMI with encrypted snapshots" under AWS's own key: its guide, "Share an AMI".
        if self.encrypted && self.kms_key_id.is_none() && !self.share_with.is_empty() {
            let message = "missing: what is encrypted with AWS's own key cannot be shared";
            return Err(Error::option("kms_key_id", message));
        }
        if self.kms_key_id.is_some() && !self.encrypted {
            return Err(Error::option("kms_key_id", "only what is `encrypted` has a key"));
        }
        Ok(())
    }

    fn runs_commands(&self) -> bool {
        !(self.files.is_empty() && self.commands.is_empty() && self.verify.is_empty())
    }

    fn content(&self) -> String {
        let content = Content {
            image_id: self.image_id.as_str(),
            user_data: &self.user_data,
            files: &self.files,
            commands: &self.commands,
            verify: &self.verify,
        };
        hex(&Sha256::digest(serde_json::to_string(&content).unwrap_or_default()))[..32].to_owned()
    }

    /// Writes the files, then runs the commands.
    fn provisioning(&self) -> Vec<String> {
        // What the instance does at its first boot comes before it, where it has such a thing.
        let mut lines =
            vec!["set -e".to_owned(), "if command -v cloud-init; then cloud-init status --wait; fi".to_owned()];
        for (path, text) in &self.files {
            let folder = path.rsplit_once('/').map_or("/", |(folder, _)| if folder.is_empty() { "/" } else { folder });
            lines.push(format!("mkdir -p '{folder}'"));
            lines.push(format!("printf %s '{}' | base64 -d > '{path}'", STANDARD.encode(text)));
        }
        lines.extend(self.commands.iter().cloned());
        lines
    }

    fn script(&self, commands: Vec<String>) -> Script {
        let seconds = self.timeout.0.as_secs();
        Script {
            document_name: "AWS-RunShellScript".to_owned(),
            parameters: BTreeMap::from([
                ("commands".to_owned(), commands),
                ("executionTimeout".to_owned(), vec![seconds.to_string()]),
            ]),
            comment: String::new(),
            timeout: seconds,
            max_concurrency: None,
            max_errors: None,
        }
    }

    /// Prepares the builder and makes the image of it.
    async fn make(
        &self,
        ctx: &Ctx,
        builder: &mut Builder,
        wanted: &Wanted<'_>,
        new: &New<'_>,
    ) -> Result<String, Error> {
        let instance = builder.launch(ctx, wanted).await?;
        if self.runs_commands() {
            let verify = [vec!["set -e".to_owned()], self.verify.clone()].concat();
            let steps =
                [("provisioning", self.provisioning(), true), ("verification", verify, !self.verify.is_empty())];
            for (step, commands, _) in steps.into_iter().filter(|(.., needed)| *needed) {
                let what = format!("{step} of image {}", self.name);
                let (script, on) = (self.script(commands).called(ctx, step), [instance.clone()]);
                // An image is made of what has passed its verification, and of nothing else: once more does no harm.
                let command_id = script.send(ctx, Class::Unique, &what, &on, None).await?;
                let faults = faults(&script.ended(ctx, &command_id, &on).await?);
                if !faults.is_empty() {
                    return Err(Error::Failed { what, faults });
                }
            }
        } else {
            builder::checked(ctx, &instance).await?;
        }
        builder::stop(ctx, &instance).await?;
        let id = new.of_instance(ctx, &instance).await?;
        register::available(ctx, &id).await?;
        Ok(id)
    }

    async fn bake(&self, ctx: &Ctx, new: &New<'_>) -> Result<String, Error> {
        let owned = Owned::new(ctx, &format!("{}-builder", self.name), &self.tags)?;
        let wanted = Wanted {
            owned: &owned,
            image_id: self.image_id.as_str(),
            instance_type: &self.instance_type,
            subnet_id: self.subnet.as_slice().first().map(String::as_str).unwrap_or_default(),
            instance_profile: self.instance_profile.as_ref().map(IdOf::as_str),
            user_data: self.user_data.as_deref(),
        };
        let mut builder = Builder::begin(ctx, &wanted).await?;
        let made = self.make(ctx, &mut builder, &wanted, new).await;
        match made {
            // The run goes on another time, with this builder.
            Err(error) if error.suspends() => Err(error),
            // Whatever is left of it is removed when the run goes back.
            Err(error) => {
                let _ = builder.remove(ctx).await;
                Err(error)
            }
            Ok(id) => {
                builder.remove(ctx).await?;
                Ok(id)
            }
        }
    }
}

/// The image of this content, wherever its making stands.
async fn find(ctx: &Ctx, owned: &Owned, content: &str) -> Result<Option<ec2::Image>, Error> {
    let tags = [(CONTENT_TAG, content), (STACK_TAG, owned.stack.as_str()), ("Name", owned.name.as_str())];
    let usable =
        |image: &ec2::Image| matches!(image.state(), Some(ec2::ImageState::Available | ec2::ImageState::Pending));
    Ok(own(ctx, &tags).await?.into_iter().find(usable))
}

impl Operation for BakeImage {
    const NAME: &'static str = "bake_image";
    const AREA: &'static str = "EC2";
    const EXAMPLE: &'static str = r#"bake_image(#{
    name: "web", image_id: base, subnet: subnet, instance_profile: profile,
    commands: ["dnf install -y nginx"], verify: ["nginx -t"],
})"#;

    type Options = Self;
    type Handle = BakedImage;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<BakedImage, Error> {
        options.check()?;
        let content = options.content();
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let name = format!("{}-{}", owned.name_within(115), &content[..12]);
        let mut tags = owned.tags();
        tags.insert(CONTENT_TAG.to_owned(), content.clone());
        let description = options.description.clone().unwrap_or_else(|| format!("Of {}", options.image_id));
        let new =
            New { name: &name, description: &description, tags: &tags, keep_on_rollback: options.keep_on_rollback };
        let (image_id, mut change, mut updates) = match find(ctx, &owned, &content).await? {
            Some(image) => {
                let id: String = require("ec2:DescribeImages", "imageId", image.image_id())?;
                register::available(ctx, &id).await?;
                (id, Change::Unchanged, register::retag(ctx, &owned, &image).await?)
            }
            None => (options.bake(ctx, &new).await?, Change::Created, Vec::new()),
        };
        let mut fields = Vec::new();
        if change == Change::Created {
            fields.extend([set("image_id", image_id.clone()), set("name", name.clone())]);
        }
        updates.extend(copies::share(ctx, &image_id, &options.share_with).await?);
        let mut all = BTreeMap::new();
        for region in options.copy_to_regions.iter().filter(|region| **region != ctx.aws().region) {
            let there = ctx.in_region(region).await?;
            let known = find(&there, &owned, &content).await?;
            if let Some(image) = &known {
                copies::check_encryption(image, region, options.encrypted)?;
                updates.extend(register::retag(&there, &owned, image).await?);
            }
            let known = known.and_then(|image| image.image_id);
            let source = (ctx.aws().region.as_str(), image_id.as_str());
            let encryption = (options.encrypted, options.kms_key_id.as_deref());
            let (id, is_new) = copies::copy(&there, &new, source, known, encryption).await?;
            updates.extend(is_new.then(|| set(&format!("copies.{region}"), id.clone())));
            updates.extend(copies::share(&there, &id, &options.share_with).await?);
            all.insert(region.clone(), id);
        }
        if !updates.is_empty() && change == Change::Unchanged {
            change = Change::Updated;
        }
        fields.extend(updates);
        ctx.did(change, fields);
        Ok(BakedImage { image_id, name, content, copies: all })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(more: serde_json::Value) -> BakeImage {
        let mut options = json!({ "name": "web", "image_id": "ami-1", "subnet": "subnet-1", "commands": ["true"] });
        options.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        serde_json::from_value(options).expect("options")
    }

    #[test]
    fn only_what_is_in_an_image_is_its_content() {
        let plain = options(json!({})).content();
        assert_eq!(options(json!({ "instance_type": "m7i.large", "share_with": ["123456789012"] })).content(), plain);
        for other in
            [json!({ "commands": ["false"] }), json!({ "image_id": "ami-2" }), json!({ "files": { "/a": "b" } })]
        {
            assert_ne!(options(other).content(), plain);
        }
    }
}
