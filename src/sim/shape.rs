//! A world apart from the names AWS gives: two runs that made the same things in another order, or at another time, have
//! made the same world.
//!
//! Ids are replaced by what they stand for, so references count: an instance in the wrong subnet is another instance.
//! Each row's label is made of its content with the labels of what it names, and this some rounds over, so that what
//! is two references away counts as well. Times and addresses that AWS chooses do not count.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde_json::Value;

use super::observe::observe;
use super::world::World;

/// References are followed so far. The longest chain here is listener, target group, instance, subnet, VPC.
const ROUNDS: usize = 5;

/// Fields that tell who made a resource, or that AWS chooses anew for each: no properties of it.
const CHOSEN: &[&str] = &["runner:run", "caller_reference", "serial"];

/// How often there is which row.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape(BTreeMap<Row, usize>);

/// A kind of row that cannot be told from another one.
#[derive(Clone, Debug)]
struct Row {
    table: String,
    label: u64,
    /// One of them, for people.
    name: String,
}

/// Rows of one world that the other one has not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unlike {
    pub more: Vec<String>,
    pub fewer: Vec<String>,
}

/// Of a world whose fleets may have another size than in another one.
pub const SIZES: &[&str] = &["instances", "network_interfaces", "volumes", "auto_scaling_groups", "target_groups"];

impl Shape {
    pub fn of(world: &World, other_forms: &BTreeMap<String, u64>) -> Shape {
        let (family, last) = world.ids();
        let ids = Ids { family, last, other_forms };
        let mut observed = observe(world);
        count_revisions_anew(&mut observed);
        let mut rows = Vec::new();
        collect(&observed, &mut Vec::new(), &mut rows);
        let content: Vec<Content> = rows.iter().map(|row| ids.content(row)).collect();
        let mut labels = Labels::new();
        for _ in 1..ROUNDS {
            let of = |(row, content): (&Found, &Content)| Some((ids.number_in(row.id)?, content.label(&labels)));
            labels = rows.iter().zip(&content).filter_map(of).collect();
        }
        let mut shape = Shape::default();
        for (row, content) in rows.iter().zip(content) {
            let row = Row { table: row.table.to_owned(), label: content.label(&labels), name: row.name(&ids) };
            *shape.0.entry(row).or_default() += 1;
        }
        shape
    }

    /// Without the tables in which fleets of another size differ.
    pub fn without_sizes(&self) -> Shape {
        Shape(
            self.0
                .iter()
                .filter(|(row, _)| !SIZES.contains(&row.table.as_str()))
                .map(|(row, n)| (row.clone(), *n))
                .collect(),
        )
    }

    /// What is here beyond `other`, told apart by table and name alone: how it is there does not count.
    pub fn names_beyond(&self, other: &Shape) -> Vec<String> {
        let (ours, theirs) = (self.names(), other.names());
        let surplus = |((table, name), count): (&(&str, &str), &usize)| {
            let more = count.saturating_sub(theirs.get(&(*table, *name)).copied().unwrap_or_default());
            std::iter::repeat_n(format!("{table} {name}"), more)
        };
        ours.iter().flat_map(surplus).collect()
    }

    fn names(&self) -> BTreeMap<(&str, &str), usize> {
        let mut names = BTreeMap::new();
        for (Row { table, name, .. }, count) in &self.0 {
            *names.entry((table.as_str(), name.as_str())).or_default() += count;
        }
        names
    }

    /// How this world differs from `other`.
    pub fn unlike(&self, other: &Shape) -> Unlike {
        Unlike { more: self.minus(other), fewer: other.minus(self) }
    }

    fn minus(&self, other: &Shape) -> Vec<String> {
        let surplus = |(row, count): (&Row, &usize)| {
            let more = count.saturating_sub(other.0.get(row).copied().unwrap_or_default());
            std::iter::repeat_n(format!("{} {}", row.table, row.name), more)
        };
        self.0.iter().flat_map(surplus).collect()
    }
}

impl Unlike {
    pub fn is_nothing(&self) -> bool {
        self.more.is_empty() && self.fewer.is_empty()
    }
}

impl fmt::Display for Unlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        let list = |sign: &str, rows: &[String]| {
            let mut shown: Vec<String> = rows.iter().take(SHOWN).map(|row| format!("{sign}{row}")).collect();
            if rows.len() > SHOWN {
                shown.push(format!("{sign}{} more", rows.len() - SHOWN));
            }
            shown
        };
        f.write_str(&[list("+", &self.more), list("-", &self.fewer)].concat().join(", "))
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Row) -> bool {
        (&self.table, self.label) == (&other.table, other.label)
    }
}

impl Eq for Row {}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Row) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Row) -> std::cmp::Ordering {
        (&self.table, self.label).cmp(&(&other.table, other.label))
    }
}

/// A row where it was found.
struct Found<'w> {
    table: &'w str,
    id: &'w str,
    value: &'w Value,
}

impl Found<'_> {
    /// What people call it; empty if it has only an id.
    fn name(&self, ids: &Ids<'_>) -> String {
        let tag = || self.value.pointer("/tags/Name").and_then(Value::as_str);
        let own = || self.value.get("name").and_then(Value::as_str);
        // A zone is tagged only after it is made.
        let name = if self.table == "hosted_zones" { own().or_else(tag) } else { tag().or_else(own) };
        name.or_else(|| ids.number_in(self.id).is_none().then_some(self.id)).unwrap_or_default().to_owned()
    }
}

/// The rows of `{ account: { global: { service: { table: { id: row } } }, regions: { region: … } } }`.
fn collect<'w>(value: &'w Value, path: &mut Vec<&'w str>, rows: &mut Vec<Found<'w>>) {
    let Value::Object(fields) = value else { return };
    // account/global/service/table/row, account/regions/region/service/table/row
    let depth = if path.get(1) == Some(&"regions") { 5 } else { 4 };
    for (name, value) in fields {
        if path.len() == depth {
            rows.push(Found { table: path[depth - 1], id: name, value });
        } else {
            path.push(name);
            collect(value, path, rows);
            path.pop();
        }
    }
}

/// Revisions of task definitions, from 1 on: which numbers they have says only how many there were before.
fn count_revisions_anew(observed: &mut Value) {
    let regions = observed.as_object_mut().into_iter().flatten();
    let regions = regions.filter_map(|(_, account)| account.get_mut("regions")?.as_object_mut());
    for region in regions.flat_map(|regions| regions.values_mut()) {
        let Some(Value::Object(definitions)) = region.pointer_mut("/ecs/task_definitions") else { continue };
        let mut families = BTreeMap::<String, Vec<i64>>::new();
        for (family, revision) in definitions.keys().filter_map(|id| id.rsplit_once(':')) {
            families.entry(family.to_owned()).or_default().extend(revision.parse::<i64>());
        }
        let mut renamed = BTreeMap::new();
        for (family, revisions) in &mut families {
            revisions.sort_unstable();
            renamed.extend((1..).zip(revisions).map(|(now, before)| (format!("{family}:{before}"), (family, now))));
        }
        *definitions = std::mem::take(definitions)
            .into_iter()
            .map(|(id, mut row)| match renamed.get(&id) {
                Some((family, revision)) => {
                    row["revision"] = (*revision).into();
                    (format!("{family}:{revision}"), row)
                }
                None => (id, row),
            })
            .collect();
        let families = region.pointer_mut("/ecs/task_definition_families").and_then(Value::as_object_mut);
        for (name, family) in families.into_iter().flatten() {
            let count = renamed.values().filter(|(of, _)| *of == name).count();
            family["active"] = (1..=count).collect();
        }
        rename(region, &renamed);
    }
}

/// In each text that is such a name, or an ARN that ends in one.
fn rename(value: &mut Value, renamed: &BTreeMap<String, (&String, i64)>) {
    match value {
        Value::String(text) => {
            let begin = text.rfind('/').map_or(0, |at| at + 1);
            if let Some((family, revision)) = renamed.get(&text[begin..]) {
                text.replace_range(begin.., &format!("{family}:{revision}"));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rename(field, renamed)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Which ids a world has given out.
struct Ids<'w> {
    family: String,
    last: u64,
    other_forms: &'w BTreeMap<String, u64>,
}

/// The labels of rows so far, by the number in their id.
type Labels = BTreeMap<u64, u64>;

/// What a row says, read once: in each round a label is made of it.
enum Content {
    /// Nothing in it is named by an id.
    Fixed(u64),
    /// The row with this number in its id.
    Named(u64),
    InOrder(Vec<Content>),
    InAnyOrder(Vec<Content>),
}

impl Content {
    fn of(value: impl Hash) -> Content {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Content::Fixed(hasher.finish())
    }

    /// As one number, if it is the same in all rounds.
    fn fixed(self) -> Content {
        match &self {
            Content::InOrder(parts) | Content::InAnyOrder(parts)
                if parts.iter().all(|part| matches!(part, Content::Fixed(_))) =>
            {
                Content::Fixed(self.label(&Labels::new()))
            }
            _ => self,
        }
    }

    fn label(&self, labels: &Labels) -> u64 {
        let hash = |labels: Vec<u64>| {
            let mut hasher = DefaultHasher::new();
            labels.hash(&mut hasher);
            hasher.finish()
        };
        let each = |parts: &[Content]| parts.iter().map(|part| part.label(labels)).collect::<Vec<u64>>();
        match self {
            Content::Fixed(label) => *label,
            Content::Named(number) => labels.get(number).copied().unwrap_or_default(),
            Content::InOrder(parts) => hash(each(parts)),
            Content::InAnyOrder(parts) => {
                let mut labels = each(parts);
                labels.sort_unstable();
                hash(labels)
            }
        }
    }
}

impl Ids<'_> {
    fn content(&self, row: &Found<'_>) -> Content {
        // Where it is named by something else than an id, that is a property of it.
        let parts = [Content::of(row.table), self.text(row.id, None), self.value(row.value, self.number_in(row.id))];
        Content::InOrder(parts.into()).fixed()
    }

    /// `own` is the number of the row that says it.
    fn value(&self, value: &Value, own: Option<u64>) -> Content {
        match value {
            Value::String(text) => self.text(text, own),
            // Lists of ids are in the order of the ids.
            Value::Array(items) => {
                Content::InAnyOrder(items.iter().map(|item| self.value(item, own)).collect()).fixed()
            }
            Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| {
                    let name_and_value = match CHOSEN.contains(&name.as_str()) {
                        true => vec![self.text(name, own)],
                        false => vec![self.text(name, own), self.value(value, own)],
                    };
                    Content::InOrder(name_and_value).fixed()
                };
                Content::InAnyOrder(fields.iter().map(field).collect()).fixed()
            }
            Value::Number(_) | Value::Bool(_) | Value::Null => Content::of(value.to_string()),
        }
    }

    /// A text, with what its ids stand for in their place.
    fn text(&self, text: &str, own: Option<u64>) -> Content {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            if text.parse::<Timestamp>().is_ok() {
                return Content::of("time");
            }
            if text.parse::<Ipv4Addr>().is_ok() {
                return Content::of("address");
            }
        }
        // A self-signed one has another key each time; what it is for stands beside it.
        if text.starts_with("-----BEGIN CERTIFICATE-----") {
            return Content::of("certificate");
        }
        // The name servers of a zone, and the run in an owner's record.
        if text.contains(".awsdns-") || text.contains("runner/run=") {
            return Content::of("chosen");
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, number, after)) = self.next_id(rest) {
            let named = if Some(number) == own { Content::of("itself") } else { Content::Named(number) };
            parts.extend([Content::of(before), named]);
            rest = after;
        }
        if parts.is_empty() {
            return Content::of(text);
        }
        parts.push(Content::of(rest));
        Content::InOrder(parts).fixed()
    }

    fn number_in(&self, text: &str) -> Option<u64> {
        self.next_id(text).map(|(_, number, _)| number)
    }

    /// The first id in a text, with what is before it (its prefix too) and after it.
    fn next_id<'t>(&self, text: &'t str) -> Option<(&'t str, u64, &'t str)> {
        let is_word = |c: char| c.is_ascii_alphanumeric();
        let mut from = 0;
        while let Some(begin) = text[from..].find(is_word).map(|at| from + at) {
            let end = text[begin..].find(|c| !is_word(c)).map_or(text.len(), |at| begin + at);
            if let Some((digits, number)) = self.counted(&text[begin..end]) {
                return Some((&text[..end - digits], number, &text[end..]));
            }
            // A UUID is five words, the digits of a DNS name are one.
            for until in [text.get(begin..begin + 36).map(|_| begin + 36), Some(end)].into_iter().flatten() {
                if let Some(number) = self.other_forms.get(&text[begin..until]) {
                    return Some((&text[..begin], *number, &text[until..]));
                }
            }
            from = end;
        }
        None
    }

    /// Whether a word ends in the family and a number that was given out: how many characters that are, and the number.
    fn counted(&self, word: &str) -> Option<(usize, u64)> {
        let family = &self.family[self.family.len() - 8..];
        let digits = word.get(word.len().checked_sub(16)?..)?;
        let number = u64::from_str_radix(&digits[8..], 16).ok()?;
        let ours = digits[..8].eq_ignore_ascii_case(family) && (1..=self.last).contains(&number);
        // EC2's ids have 17 digits, the end of an ARN 16.
        let longer = word.len() > 16 && word.get(word.len() - 17..).is_some_and(|all| all.starts_with('0'));
        ours.then_some((if longer { 17 } else { 16 }, number))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids(other_forms: &BTreeMap<String, u64>) -> Ids<'_> {
        Ids { family: "000000000".to_owned(), last: 40, other_forms }
    }

    #[test]
    fn revisions_are_counted_anew() {
        let world = |first: i64, second: i64| {
            let id = |revision| format!("web:{revision}");
            json!({ "1": { "regions": { "eu": { "ecs": {
                "task_definitions": { id(first): { "id": id(first), "revision": first }, id(second): { "id": id(second), "revision": second } },
                "task_definition_families": { "web": { "active": [first, second] } },
                "services": { "web": { "task_definition": format!("arn:x:task-definition/web:{second}") } },
            } } } } })
        };
        let mut later = world(9, 10);
        count_revisions_anew(&mut later);
        assert_eq!(later, world(1, 2));
    }

    #[test]
    fn ids_are_found_in_texts() {
        let uuid = "0f0e0d0c-0000-4000-8000-000000000000";
        let forms = BTreeMap::from([(uuid.to_owned(), 9), ("1234567890".to_owned(), 8)]);
        let ids = ids(&forms);
        let found = |text| ids.next_id(text);
        assert_eq!(found("vpc-00000000000000003"), Some(("vpc-", 3, "")));
        assert_eq!(found("AROA0000000000000001F"), Some(("AROA", 31, "")));
        assert_eq!(found("arn:x:loadbalancer/app/web/0000000000000004"), Some(("arn:x:loadbalancer/app/web/", 4, "")));
        let arn = format!("arn:x:certificate/{uuid}/y");
        assert_eq!(found(&arn), Some(("arn:x:certificate/", 9, "/y")));
        assert_eq!(found("web-1234567890.eu.elb"), Some(("web-", 8, ".eu.elb")));
        assert_eq!(found("vpc-00000000000000099"), None, "it was not given out");
        assert_eq!(found("shop-prod"), None);
    }
}
