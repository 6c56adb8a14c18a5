//! Tags of any EC2 resource, by its id.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "CreateTags", params: &["ResourceId[]", "Tag[].Key", "Tag[].Value"], run: create_tags },
    Action { name: "DeleteTags", params: &["ResourceId[]", "Tag[].Key", "Tag[].Value"], run: delete_tags },
    Action { name: "DescribeTags", params: &[FILTERS, PAGES], run: describe_tags },
];

/// The kinds whose tags these actions reach.
const KINDS: &[AnyKind] = &[
    AnyKind::of::<Address>(),
    AnyKind::of::<Instance>(),
    AnyKind::of::<InternetGateway>(),
    AnyKind::of::<LaunchTemplate>(),
    AnyKind::of::<NatGateway>(),
    AnyKind::of::<NetworkAcl>(),
    AnyKind::of::<NetworkInterface>(),
    AnyKind::of::<OwnImage>(),
    AnyKind::of::<RouteTable>(),
    AnyKind::of::<SecurityGroup>(),
    AnyKind::of::<SecurityGroupRule>(),
    AnyKind::of::<Snapshot>(),
    AnyKind::of::<Subnet>(),
    AnyKind::of::<Volume>(),
    AnyKind::of::<Vpc>(),
];

/// A kind, seen only by its tags.
struct AnyKind {
    prefix: &'static str,
    find: for<'t> fn(&'t mut Tx, &str) -> Result<&'t mut Tags, AwsError>,
    list: fn(&Tx) -> Vec<Tag>,
}

/// One tag of one resource.
#[derive(Clone)]
struct Tag {
    resource: String,
    kind: &'static str,
    key: String,
    value: String,
    /// The same as a map, for `tag:KEY`.
    itself: Tags,
}

impl AnyKind {
    const fn of<T: Kind>() -> AnyKind {
        AnyKind {
            prefix: T::NAMES.prefix,
            find: |tx, id| tx.get_mut::<T>(id).map(T::tags_mut),
            list: |tx| {
                let rows = tx.select::<T>(&[]).unwrap_or_default().into_iter();
                let tag = |row: &T, (key, value): (&String, &String)| Tag {
                    resource: row.id().to_owned(),
                    kind: T::NAMES.kind,
                    key: key.clone(),
                    value: value.clone(),
                    itself: Tags::from([(key.clone(), value.clone())]),
                };
                rows.flat_map(|row| row.tags().iter().map(move |pair| tag(row, pair))).collect()
            },
        }
    }
}

fn find<'t>(tx: &'t mut Tx, id: &str) -> Result<&'t mut Tags, AwsError> {
    let prefix = id.rsplit_once('-').map_or("", |(prefix, _)| prefix);
    let kind = KINDS.iter().find(|kind| kind.prefix == prefix);
    let unknown = || AwsError::new("InvalidID", format!("The ID '{id}' is not valid"));
    (kind.ok_or_else(unknown)?.find)(tx, id)
}

/// The ids a request names; none is not enough.
fn resources(p: &Params) -> Result<Vec<&str>, AwsError> {
    match p.strings("ResourceId") {
        ids if ids.is_empty() => Err(AwsError::missing("resourceIdSet")),
        ids => Ok(ids),
    }
}

fn create_tags(tx: &mut Tx, p: &Params) -> Reply {
    let tags = read_tags(&p.list("Tag"))?;
    if tags.is_empty() {
        return Err(AwsError::missing("tagSet"));
    }
    for id in resources(p)? {
        let of = find(tx, id)?;
        of.extend(tags.clone());
        // AWS's limit, its own tags aside.
        if of.keys().filter(|key| !key.starts_with("aws:")).count() > 50 {
            let message = "The maximum number of Tags for a resource has been reached.";
            return Err(AwsError::new("TagLimitExceeded", message));
        }
    }
    done()
}

/// A value must match to be deleted, if one is given; without any tag, all go but AWS's own.
fn delete_tags(tx: &mut Tx, p: &Params) -> Reply {
    let tags = p.list("Tag");
    for id in resources(p)? {
        let of = find(tx, id)?;
        of.retain(|key, value| {
            let named = |tag: &Params| {
                tag.opt_str("Key") == Some(key) && tag.opt_str("Value").is_none_or(|wanted| wanted == value)
            };
            key.starts_with("aws:") || !(tags.is_empty() || tags.iter().any(named))
        });
    }
    done()
}

fn describe_tags(tx: &mut Tx, p: &Params) -> Reply {
    const KNOWN: Filters<Tag> = &[
        ("key", |tag, _| one(&tag.key)),
        ("resource-id", |tag, _| one(&tag.resource)),
        ("resource-type", |tag, _| one(tag.kind)),
        ("value", |tag, _| one(&tag.value)),
    ];
    let tags: Vec<Tag> = KINDS.iter().flat_map(|kind| (kind.list)(tx)).collect();
    // A filter of other describes, not of this one.
    if p.list("Filter").iter().any(|filter| filter.opt_str("Name") == Some("tag-key")) {
        return Err(AwsError::new("InvalidParameterValue", "The filter 'tag-key' is invalid"));
    }
    let tags = select::filter(tx, p, KNOWN, Some(|tag| &tag.itself), tags.iter().collect())?;
    let keyed: Vec<(String, &Tag)> =
        tags.into_iter().map(|tag| (format!("{}/{}", tag.resource, tag.key), tag)).collect();
    let (tags, next) = select::page(&PAGING, p, keyed, |(key, _)| key)?;
    let view = |(_, tag): (String, &Tag)| json!({ "resourceId": tag.resource, "resourceType": tag.kind, "key": tag.key, "value": tag.value });
    Ok(json!({ "tagSet": tags.into_iter().map(view).collect::<Vec<_>>(), "nextToken": next }))
}
