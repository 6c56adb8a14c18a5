//! Managed prefix lists: those of AWS that rules and routes refer to. In a fork, all that the account sees.

use super::*;
use crate::sim::table::mix;

pub const ACTIONS: &[Action] = &[Action {
    name: "DescribeManagedPrefixLists",
    params: &["PrefixListId[]", FILTERS, PAGES],
    run: describe_managed_prefix_lists,
}];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PrefixList {
    pub id: String,
    pub name: String,
}

resource!(PrefixList, id, region.ec2.prefix_lists, Extent::Kind, |id: &str| AwsError::new(
    "InvalidPrefixListID.NotFound",
    format!("The prefix list ID '{id}' does not exist")
));

/// Reads the account's own and AWS's.
pub fn load(reader: &Reader, _: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let pages = json!({ "MaxResults": 100 });
    for shown in reader.pages("ec2", "DescribeManagedPrefixLists", pages, "prefixListSet", TOKEN)? {
        rows.whole(Read::of(PrefixList { id: shown.text("prefixListId"), name: shown.text("prefixListName") }));
    }
    Ok(())
}

/// Every region has its own ids for them.
fn all(region: &str) -> Vec<PrefixList> {
    let names = [format!("com.amazonaws.{region}.s3"), "com.amazonaws.global.cloudfront.origin-facing".to_owned()];
    let list = |name: String| {
        let hash = region.bytes().chain(name.bytes()).fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
        PrefixList { id: format!("pl-{:08x}", hash as u32), name }
    };
    names.into_iter().map(list).collect()
}

pub fn check(tx: &Tx, id: &str) -> Result<(), AwsError> {
    if tx.is_fork() {
        return tx.get::<PrefixList>(id).map(|_| ());
    }
    let known = all(&tx.scope.region).iter().any(|list| list.id == id);
    known.then_some(()).ok_or_else(|| PrefixList::absent(id))
}

fn describe_managed_prefix_lists(tx: &mut Tx, p: &Params) -> Reply {
    const KNOWN: Filters<PrefixList> = &[
        ("owner-id", |_, _| one("AWS")),
        ("prefix-list-id", |list, _| one(&list.id)),
        ("prefix-list-name", |list, _| one(&list.name)),
    ];
    let ids = p.strings("PrefixListId");
    ids.iter().try_for_each(|id| check(tx, id))?;
    let lists = all(&tx.scope.region);
    let rows = lists.iter().filter(|list| ids.is_empty() || ids.contains(&&*list.id)).collect();
    let rows = select::filter(tx, p, KNOWN, None, rows)?;
    let paging = Paging { sizes: 1..=100, ..PAGING };
    let (rows, next) = select::page(&paging, p, rows, |list| &list.id)?;
    let view = |list: &PrefixList| {
        let region = &tx.scope.region;
        json!({
            "prefixListId": list.id,
            "prefixListName": list.name,
            "prefixListArn": format!("arn:aws:ec2:{region}:aws:prefix-list/{}", list.id),
            "addressFamily": "IPv4",
            "state": "create-complete",
            "version": 1,
            "ownerId": "AWS",
            "tagSet": [],
        })
    };
    Ok(json!({ "prefixListSet": rows.into_iter().map(view).collect::<Vec<_>>(), "nextToken": next }))
}
