//! Names for what does not exist yet: an id that only the dry run gave out is shown as `vpc-new-1`.
//!
//! The world counts its ids, so those that were given out since a moment are known by their number. Tokens of requests
//! are left out: they are made of the run's id.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Plan;

/// The ids that a dry run gave out.
#[derive(Clone, Debug)]
pub struct NewIds {
    /// The fixed digits before the counter.
    pub family: String,
    /// The counter before the first, and at the last.
    pub after: u64,
    pub last: u64,
    /// What they are written as otherwise, and their number: certificates have UUIDs.
    pub other_forms: BTreeMap<String, u64>,
}

/// Where a new id is written in a text.
struct Found {
    at: usize,
    length: usize,
    number: u64,
}

/// Members of requests that only tell attempts apart.
const TOKENS: [&str; 4] = ["ClientToken", "CallerReference", "IdempotencyToken", "ClientRequestToken"];

/// Gives names to new ids. The order of first appearance numbers them, and what has a name keeps it.
pub struct Names<'a> {
    ids: &'a NewIds,
    known: BTreeMap<String, String>,
    counts: BTreeMap<String, u32>,
}

impl<'a> Names<'a> {
    pub fn new(ids: &'a NewIds) -> Self {
        Self { ids, known: BTreeMap::new(), counts: BTreeMap::new() }
    }
}

impl Names<'_> {
    /// The plan with names instead of new ids.
    pub fn plan(&mut self, plan: Plan) -> Plan {
        let renamed = serde_json::to_value(&plan).map(|plan| self.value(plan));
        renamed.and_then(serde_json::from_value).unwrap_or(plan)
    }

    fn value(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(key, value)| {
                    let value = if TOKENS.contains(&key.as_str()) { "(token)".into() } else { self.value(value) };
                    (self.text(&key), value)
                });
                Value::Object(fields.collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    /// `subnet-00000000000000012` becomes `subnet-new-1`; of ARNs, `/0000000000000012` becomes `/new-1`.
    pub fn text(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((found, prefix)) = self.find(rest) {
            out.push_str(&rest[..found.at]);
            out.push_str(&self.name(&prefix, found.number));
            rest = &rest[found.at + found.length..];
        }
        out + rest
    }

    /// The first new id, and what counts it: `subnet-`. All ends of ARNs are counted together.
    fn find(&self, text: &str) -> Option<(Found, String)> {
        let id = self.find_id(text).map(|found| {
            let is_prefix = |c: char| c.is_ascii_lowercase() || c == '-';
            let start = text[..found.at].trim_end_matches(is_prefix).len();
            let prefix = text[start..found.at].trim_start_matches('-').to_owned();
            (found, prefix)
        });
        let other = self.find_other_form(text).map(|found| (found, String::new()));
        id.into_iter().chain(other).min_by_key(|(found, _)| found.at)
    }

    /// `05406999-398e-400d-8694-ad56409ce079`, or the digits of `web-1577420103.eu-central-1.elb.amazonaws.com`.
    fn find_other_form(&self, text: &str) -> Option<Found> {
        let form = |at: usize, length: usize| {
            let number = *self.ids.other_forms.get(text.get(at..at + length)?)?;
            Some(Found { at, length, number })
        };
        text.match_indices('-').find_map(|(dash, _)| {
            let uuid = dash.checked_sub(8).and_then(|at| form(at, 36));
            let digits = || form(dash + 1, 10).filter(|found| text[found.at + found.length..].starts_with('.'));
            uuid.or_else(digits)
        })
    }

    /// The place and length of the first new id's digits.
    fn find_id(&self, text: &str) -> Option<Found> {
        // ARNs hold the last 16 digits.
        for family in [self.ids.family.as_str(), &self.ids.family[1..]] {
            for (at, _) in text.match_indices(family) {
                let number = text.get(at + family.len()..at + family.len() + 8);
                let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
                let starts = text[..at].ends_with(['-', '/', 'Z']);
                let ends = text[at + family.len()..].chars().nth(8).is_none_or(|next| !next.is_ascii_hexdigit());
                let number = number.filter(|number| *number > self.ids.after && *number <= self.ids.last);
                if let Some(number) = number.filter(|_| starts && ends) {
                    return Some(Found { at, length: family.len() + 8, number });
                }
            }
        }
        None
    }

    fn name(&mut self, prefix: &str, number: u64) -> String {
        // An id and the end of an ARN are one number.
        let key = format!("{prefix}{number:08x}");
        if let Some(name) = self.known.get(&key) {
            return name.clone();
        }
        let count = self.counts.entry(prefix.to_owned()).or_default();
        *count += 1;
        let name = format!("new-{count}");
        self.known.insert(key, name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn new_ids_have_names() {
        let uuid = "05406999-398e-400d-8694-ad56409ce079";
        let other_forms = BTreeMap::from([(uuid.to_owned(), 0x15), ("1577420103".to_owned(), 0x14)]);
        let ids = NewIds { family: "000000000".into(), after: 0x10, last: 0x20, other_forms };
        let mut names = Names::new(&ids);
        let value = names.value(json!({
            "a": "subnet-00000000000000012 in vpc-00000000000000011",
            "b": ["subnet-00000000000000013", "subnet-00000000000000012", "subnet-00000000000000009"],
            "arn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/web/0000000000000014",
            "dns": "web-1577420103.eu-central-1.elb.amazonaws.com and web-1577420104.eu-central-1.elb.amazonaws.com",
            "certificate": format!("arn:aws:acm:eu-central-1:123456789012:certificate/{uuid}"),
            "known": "arn:aws:acm:eu-central-1:123456789012:certificate/15406999-398e-400d-8694-ad56409ce079",
            "ClientToken": "abc",
        }));
        assert_eq!(
            value,
            json!({
                "a": "subnet-new-1 in vpc-new-1",
                "b": ["subnet-new-2", "subnet-new-1", "subnet-00000000000000009"],
                "arn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/web/new-1",
                "dns": "web-new-1.eu-central-1.elb.amazonaws.com and web-1577420104.eu-central-1.elb.amazonaws.com",
                "certificate": "arn:aws:acm:eu-central-1:123456789012:certificate/new-2",
                "known": "arn:aws:acm:eu-central-1:123456789012:certificate/15406999-398e-400d-8694-ad56409ce079",
                "ClientToken": "(token)",
            })
        );
    }
}
