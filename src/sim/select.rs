//! What describes and lists have in common: filters first, then pages.

use serde_json::Value;

use super::error::{AwsError, INVALID_VALUE};
use super::tags::Tags;
use super::tx::Tx;
use super::wire::Params;
use crate::wildcard;

/// What a describe can be filtered by: the filter's name, and the values a row has for it.
pub type Filters<T> = &'static [(&'static str, fn(&T, &Tx) -> Vec<String>)];

/// The one value of a filter.
pub fn one(value: impl ToString) -> Vec<String> {
    vec![value.to_string()]
}

/// Keeps the rows for which every filter has a value that matches one of its patterns. `tags` serves `tag:KEY` and
/// `tag-key`; kinds without tags have no such filters.
pub fn filter<'r, T>(
    tx: &Tx,
    params: &Params,
    known: Filters<T>,
    tags: Option<fn(&T) -> &Tags>,
    mut rows: Vec<&'r T>,
) -> Result<Vec<&'r T>, AwsError> {
    // EC2 sends `Filter.1.Value.1`, Auto Scaling `Filters.member.1.Values.member.1`.
    for wanted in params.list("Filter").into_iter().chain(params.list("Filters")) {
        let name = wanted.str("Name")?;
        let patterns = [wanted.strings("Value"), wanted.strings("Values")].concat();
        let matches = |value: &String| patterns.iter().any(|pattern| wildcard::matches(pattern, value));
        if let (Some(key), Some(tags)) = (name.strip_prefix("tag:"), tags) {
            rows.retain(|row| tags(row).get(key).is_some_and(matches));
        } else if let ("tag-key", Some(tags)) = (name, tags) {
            rows.retain(|row| tags(row).keys().any(matches));
        } else if name.starts_with("tag:") {
            return Err(AwsError::new(INVALID_VALUE, format!("The filter '{name}' is invalid")));
        } else if let Some((_, values)) = known.iter().find(|(known, _)| *known == name) {
            rows.retain(|row| values(row, tx).iter().any(matches));
        } else {
            let action = format!("{}:{}", tx.service, tx.action);
            return Err(AwsError::not_modelled(INVALID_VALUE, "filter", name, &action));
        }
    }
    Ok(rows)
}

/// How an API words its pages.
pub struct Paging {
    pub size: &'static str,
    pub token: &'static str,
    /// Rows of a page when the request does not say.
    pub default: usize,
    /// The sizes a request may ask for.
    pub sizes: std::ops::RangeInclusive<i64>,
    pub invalid_token: &'static str,
}

/// One page of `rows`, and the token of the next as JSON (null at the end). A token is the key of the last row given
/// out, so a row that goes away between two pages hides no other.
pub fn page<T>(
    paging: &Paging,
    params: &Params,
    mut rows: Vec<T>,
    key: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, Value), AwsError> {
    rows.sort_by(|a, b| key(a).cmp(key(b)));
    let size = match params.opt_int(paging.size)? {
        None => paging.default,
        Some(size) if paging.sizes.contains(&size) => size as usize,
        Some(size) => {
            let (low, high) = (paging.sizes.start(), paging.sizes.end());
            let why = format!("Expecting a value between {low} and {high}.");
            return Err(AwsError::invalid(paging.size, size, &why));
        }
    };
    if let Some(token) = params.opt_str(paging.token) {
        let last = token
            .strip_prefix("after:")
            .ok_or_else(|| AwsError::new(paging.invalid_token, format!("The token '{token}' is not valid")))?;
        rows.retain(|row| key(row) > last);
    }
    let more = rows.len() > size;
    rows.truncate(size);
    let next = rows.last().filter(|_| more).map(|row| Value::String(format!("after:{}", key(row))));
    Ok((rows, next.unwrap_or(Value::Null)))
}
