//! Repositories: made, changed, tagged, and deleted when they are empty or by force.

use jiff::Timestamp;

use super::image;
use super::*;
use crate::wildcard::matches;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateRepository",
        params: &["
            registryId repositoryName imageTagMutability imageTagMutabilityExclusionFilters[].filterType
            imageTagMutabilityExclusionFilters[].filter imageScanningConfiguration.scanOnPush
            encryptionConfiguration.encryptionType encryptionConfiguration.kmsKey tags[].Key tags[].Value
        "],
        run: create_repository,
    },
    Action {
        name: "DescribeRepositories",
        params: &["registryId repositoryNames[]", PAGES],
        run: describe_repositories,
    },
    Action { name: "DeleteRepository", params: &["registryId repositoryName force"], run: delete_repository },
    Action {
        name: "PutImageTagMutability",
        params: &["
            registryId repositoryName imageTagMutability imageTagMutabilityExclusionFilters[].filterType
            imageTagMutabilityExclusionFilters[].filter
            "],
        run: put_image_tag_mutability,
    },
    Action {
        name: "PutImageScanningConfiguration",
        params: &["registryId repositoryName imageScanningConfiguration.scanOnPush"],
        run: put_image_scanning_configuration,
    },
    Action { name: "TagResource", params: &["resourceArn tags[].Key tags[].Value"], run: tag_resource },
    Action { name: "UntagResource", params: &["resourceArn tagKeys[]"], run: untag_resource },
    Action { name: "ListTagsForResource", params: &["resourceArn"], run: list_tags_for_resource },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Repository {
    pub name: String,
    pub created: Timestamp,
    pub mutability: String,
    /// `imageTagMutabilityExclusionFilters`: for which tags it is the other way round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusions: Vec<Value>,
    pub scan_on_push: bool,
    /// `encryptionConfiguration`, as it is shown.
    pub encryption: Value,
    pub policy: Option<String>,
    pub lifecycle_policy: Option<String>,
    /// It was read from an account: its images are those of the account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read: bool,
    pub tags: Tags,
}

resource!(Repository, name, region.ecr.repositories, Extent::Row, |name: &str| AwsError::new(
    "RepositoryNotFoundException",
    format!("The repository with name '{name}' does not exist")
));

pub const CALLS: &[&str] =
    &["ecr:DescribeRepositories", "ecr:GetLifecyclePolicy", "ecr:GetRepositoryPolicy", "ecr:ListTagsForResource"];

/// The host of an account's registry in a region.
pub fn registry(tx: &Tx) -> String {
    let suffix = if tx.scope.region.starts_with("cn-") { ".cn" } else { "" };
    format!("{}.dkr.ecr.{}.amazonaws.com{suffix}", tx.scope.account, tx.scope.region)
}

impl Repository {
    fn arn(&self, tx: &Tx) -> String {
        tx.arn("ecr", &format!("repository/{}", self.name))
    }

    fn view(&self, tx: &Tx) -> Value {
        let mut view = json!({
            "repositoryArn": self.arn(tx),
            "registryId": tx.scope.account,
            "repositoryName": self.name,
            "repositoryUri": format!("{}/{}", registry(tx), self.name),
            "createdAt": epoch(self.created),
            "imageTagMutability": self.mutability,
            "imageScanningConfiguration": { "scanOnPush": self.scan_on_push },
            "encryptionConfiguration": self.encryption,
        });
        if !self.exclusions.is_empty() {
            view[EXCLUSIONS] = json!(self.exclusions);
        }
        view
    }

    /// Whether a tag that is there stays where it is.
    pub fn fixes(&self, tag: &str) -> bool {
        let filters = self.exclusions.iter().filter_map(|exclusion| exclusion["filter"].as_str());
        let is_excluded = filters.into_iter().any(|filter| matches(filter, tag));
        self.mutability.starts_with("IMMUTABLE") != is_excluded
    }
}

const EXCLUSIONS: &str = "imageTagMutabilityExclusionFilters";

/// One with its policies and tags, or all as a list shows them.
pub fn load(reader: &Reader, name: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(name) = name else {
        let all = reader.pages("ecr", "DescribeRepositories", json!({ "maxResults": 1000 }), "repositories", TOKEN)?;
        all.iter().for_each(|shown| rows.listed(Read::of(read(shown)).shown(shown)));
        return Ok(());
    };
    const ABSENT: &[&str] = &["RepositoryNotFoundException"];
    let one = json!({ "repositoryNames": [name] });
    let Some(reply) = reader.find("ecr", "DescribeRepositories", one, ABSENT)? else { return Ok(()) };
    for shown in reply.list("repositories") {
        let named = json!({ "repositoryName": name });
        let policy =
            reader.find("ecr", "GetRepositoryPolicy", named.clone(), &["RepositoryPolicyNotFoundException"])?;
        let lifecycle = reader.find("ecr", "GetLifecyclePolicy", named, &["LifecyclePolicyNotFoundException"])?;
        let arn = json!({ "resourceArn": shown.text("repositoryArn") });
        let tags = reader.get("ecr", "ListTagsForResource", arn)?.map("tags", "Key", "Value");
        let text = |reply: Option<Params>, member: &str| reply?.opt_str(member).map(str::to_owned);
        let repository = Repository {
            policy: text(policy, "policyText"),
            lifecycle_policy: text(lifecycle, "lifecyclePolicyText"),
            tags,
            ..read(&shown)
        };
        rows.whole(Read::of(repository).shown(&shown));
    }
    Ok(())
}

fn read(shown: &Params) -> Repository {
    Repository {
        name: shown.text("repositoryName"),
        created: shown.time("createdAt"),
        mutability: shown.text("imageTagMutability"),
        exclusions: exclusions(shown),
        scan_on_push: shown.flag("imageScanningConfiguration.scanOnPush"),
        encryption: shown.part("encryptionConfiguration").0,
        policy: None,
        lifecycle_policy: None,
        read: true,
        tags: Tags::new(),
    }
}

/// The pattern of the model, in words of Rust.
fn check_name(name: &str) -> Result<(), AwsError> {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_between = |text: &str| matches!(text, "." | "_" | "__") || text.chars().all(|c| c == '-');
    let is_part =
        |part: &str| part.starts_with(is_letter) && part.ends_with(is_letter) && part.split(is_letter).all(is_between);
    match (2..=256).contains(&name.len()) && name.split('/').all(is_part) {
        true => Ok(()),
        false => Err(constrained(
            "repositoryName",
            r"must satisfy regular expression '[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*'",
        )),
    }
}

/// The tags of a request.
fn given_tags(p: &Params) -> Result<Tags, AwsError> {
    let tags = tags::read(&p.list("tags"));
    tags.map_err(|error| AwsError::new("InvalidTagParameterException", error.message))
}

fn check_number(tags: &Tags) -> Result<(), AwsError> {
    match tags.len() > 50 {
        true => Err(AwsError::new("TooManyTagsException", "A repository can have at most 50 tags.")),
        false => Ok(()),
    }
}

fn exclusions(p: &Params) -> Vec<Value> {
    p.list(EXCLUSIONS).into_iter().map(|filter| filter.0).collect()
}

/// Whether tags stay where they are, and for which it is the other way round.
fn mutability(p: &Params) -> Result<Option<(String, Vec<Value>)>, AwsError> {
    let exclusions = exclusions(p);
    match p.opt_str("imageTagMutability") {
        Some("MUTABLE" | "IMMUTABLE") if !exclusions.is_empty() => {
            Err(invalid(format!("{EXCLUSIONS} can only be specified with a mutability with exclusion")))
        }
        Some("MUTABLE_WITH_EXCLUSION" | "IMMUTABLE_WITH_EXCLUSION") if !(1..=5).contains(&exclusions.len()) => {
            Err(invalid(format!("{EXCLUSIONS} must have between 1 and 5 filters")))
        }
        Some(value @ ("MUTABLE" | "IMMUTABLE" | "MUTABLE_WITH_EXCLUSION" | "IMMUTABLE_WITH_EXCLUSION")) => {
            Ok(Some((value.to_owned(), exclusions)))
        }
        Some(_) => Err(constrained(
            "imageTagMutability",
            "Member must satisfy enum value set: [IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, MUTABLE, MUTABLE_WITH_EXCLUSION]",
        )),
        None => Ok(None),
    }
}

/// "The alias, key ID, or full ARN of the KMS key can be specified": what is shown is the ARN.
fn key_arn(tx: &Tx, key: &str) -> Result<String, AwsError> {
    match key {
        arn if arn.starts_with("arn:") && arn.contains(":key/") => Ok(arn.to_owned()),
        alias if alias.contains("alias/") => {
            Err(AwsError::not_modelled("InvalidParameterException", "kmsKey", alias, tx.action))
        }
        id => Ok(tx.arn("kms", &format!("key/{id}"))),
    }
}

fn create_repository(tx: &mut Tx, p: &Params) -> Reply {
    let name = named(tx, p)?.to_owned();
    check_name(&name)?;
    if tx.peek::<Repository>(&name).is_some() {
        let message =
            format!("The repository with name '{name}' already exists in the registry with id '{}'", tx.scope.account);
        return Err(AwsError::new("RepositoryAlreadyExistsException", message));
    }
    let kind = p.opt_str("encryptionConfiguration.encryptionType").unwrap_or("AES256");
    let key = p.opt_str("encryptionConfiguration.kmsKey");
    let encryption = match (kind, key) {
        ("AES256", None) => json!({ "encryptionType": "AES256" }),
        ("AES256", Some(_)) => return Err(invalid("kmsKey can only be specified with the encryption type KMS")),
        ("KMS" | "KMS_DSSE", Some(key)) => json!({ "encryptionType": kind, "kmsKey": key_arn(tx, key)? }),
        // The key that AWS keeps for ECR ("EncryptionConfiguration", kmsKey).
        ("KMS" | "KMS_DSSE", None) => {
            json!({ "encryptionType": kind, "kmsKey": tx.arn("kms", "key/aws-managed-key-of-ecr") })
        }
        _ => {
            let why = "Member must satisfy enum value set: [AES256, KMS, KMS_DSSE]";
            return Err(constrained("encryptionConfiguration.encryptionType", why));
        }
    };
    let (mutability, exclusions) = mutability(p)?.unwrap_or_else(|| ("MUTABLE".to_owned(), Vec::new()));
    let repository = Repository {
        created: tx.now,
        mutability,
        exclusions,
        scan_on_push: p.opt_bool("imageScanningConfiguration.scanOnPush")?.unwrap_or(false),
        encryption,
        policy: None,
        lifecycle_policy: None,
        read: false,
        tags: given_tags(p)?,
        name,
    };
    check_number(&repository.tags)?;
    let view = repository.view(tx);
    tx.put(repository);
    Ok(json!({ "repository": view }))
}

fn describe_repositories(tx: &mut Tx, p: &Params) -> Reply {
    let names = p.strings("repositoryNames");
    let rows = tx.select::<Repository>(&names).map_err(|error| in_registry(tx, error))?;
    let (rows, next) = select::page(&PAGING, p, rows, |repository| &repository.name)?;
    let views: Vec<Value> = rows.into_iter().map(|repository| tx.shown(repository, Repository::view)).collect();
    Ok(json!({ "repositories": views, "nextToken": next }))
}

fn delete_repository(tx: &mut Tx, p: &Params) -> Reply {
    let repository = repository(tx, p)?.clone();
    if !p.opt_bool("force")?.unwrap_or(false) && image::holds_any(tx, &repository.name) {
        let message = format!(
            "The repository with name '{}' in registry with id '{}' cannot be deleted because it still contains images",
            repository.name, tx.scope.account
        );
        return Err(AwsError::new("RepositoryNotEmptyException", message));
    }
    image::forget_all(tx, &repository.name);
    let view = repository.view(tx);
    tx.delete::<Repository>(&repository.name);
    Ok(json!({ "repository": view }))
}

fn put_image_tag_mutability(tx: &mut Tx, p: &Params) -> Reply {
    let wanted = mutability(p)?.ok_or_else(|| AwsError::missing("imageTagMutability"))?;
    let account = tx.scope.account.clone();
    let repository = repository_mut(tx, p)?;
    (repository.mutability, repository.exclusions) = wanted;
    Ok(json!({
        "registryId": account, "repositoryName": repository.name, "imageTagMutability": repository.mutability,
        EXCLUSIONS: repository.exclusions,
    }))
}

fn put_image_scanning_configuration(tx: &mut Tx, p: &Params) -> Reply {
    let wanted = p.opt_bool("imageScanningConfiguration.scanOnPush")?.unwrap_or(false);
    let account = tx.scope.account.clone();
    let repository = repository_mut(tx, p)?;
    repository.scan_on_push = wanted;
    Ok(json!({
        "registryId": account,
        "repositoryName": repository.name,
        "imageScanningConfiguration": { "scanOnPush": wanted },
    }))
}

/// The name in the ARN of a repository.
fn name_in<'p>(tx: &Tx, p: &'p Params) -> Result<&'p str, AwsError> {
    let arn = p.str("resourceArn")?;
    let ours = tx.arn("ecr", "repository/");
    arn.strip_prefix(&ours).ok_or_else(|| constrained("resourceArn", "Invalid ARN"))
}

fn tag_resource(tx: &mut Tx, p: &Params) -> Reply {
    let (name, new, registry) = (name_in(tx, p)?.to_owned(), given_tags(p)?, tx.scope.account.clone());
    let repository = tx.get_mut::<Repository>(&name).map_err(|error| of_registry(&registry, error))?;
    repository.tags.extend(new);
    check_number(&repository.tags)?;
    Ok(json!({}))
}

fn untag_resource(tx: &mut Tx, p: &Params) -> Reply {
    let (name, registry) = (name_in(tx, p)?.to_owned(), tx.scope.account.clone());
    let repository = tx.get_mut::<Repository>(&name).map_err(|error| of_registry(&registry, error))?;
    repository.tags.retain(|key, _| !p.strings("tagKeys").contains(&key.as_str()));
    Ok(json!({}))
}

fn list_tags_for_resource(tx: &mut Tx, p: &Params) -> Reply {
    let name = name_in(tx, p)?;
    let repository = tx.get::<Repository>(name).map_err(|error| in_registry(tx, error))?;
    Ok(json!({ "tags": tags::write(&repository.tags, "Key", "Value") }))
}
