//! Conditions of rules: checked and kept in the form in which the API shows them. Matching requests is not modelled,
//! a rule has a load of its own (see `sim::traffic`).

use super::*;

pub const PARAMS: &str = "Conditions[].Field Conditions[].Values[] Conditions[].HostHeaderConfig.Values[] \
    Conditions[].PathPatternConfig.Values[] Conditions[].HttpHeaderConfig.HttpHeaderName \
    Conditions[].HttpHeaderConfig.Values[] Conditions[].HttpRequestMethodConfig.Values[] \
    Conditions[].QueryStringConfig.Values[].Key Conditions[].QueryStringConfig.Values[].Value \
    Conditions[].SourceIpConfig.Values[]";

/// Fields of which a rule may have only one.
const SINGLE: &[&str] = &["host-header", "http-request-method", "path-pattern", "source-ip"];

pub fn read(conditions: &[Params]) -> Result<Vec<Value>, AwsError> {
    let refuse = |message: &str| Err(AwsError::new("ValidationError", message));
    if conditions.is_empty() {
        return refuse("A condition must be specified");
    }
    let (mut fields, mut values, mut read) = (Vec::new(), 0, Vec::new());
    for condition in conditions {
        let field = condition.str("Field")?;
        if SINGLE.contains(&field) && fields.contains(&field) {
            return refuse(&format!("Rules cannot have more than one '{field}' condition"));
        }
        fields.push(field);
        let (count, view) = one(field, condition)?;
        if count == 0 {
            return refuse(&format!("A condition value must be specified for '{field}'"));
        }
        values += count;
        read.push(view);
    }
    // Quota "Condition values per rule": five.
    if values > 5 {
        return refuse("Rules have a maximum of '5' condition values");
    }
    Ok(read)
}

/// How many values a condition has, and how it is shown.
fn one(field: &str, p: &Params) -> Result<(usize, Value), AwsError> {
    let plain = |config: &str, longest: usize| {
        let values = p.strings(&format!("{config}.Values"));
        check_lengths(field, &values, longest)?;
        Ok((values.len(), json!({ "Field": field, (config): { "Values": values } })))
    };
    match field {
        "host-header" => pattern(field, "HostHeaderConfig", p),
        "path-pattern" => pattern(field, "PathPatternConfig", p),
        "http-request-method" => plain("HttpRequestMethodConfig", 40),
        "source-ip" => {
            for range in p.strings("SourceIpConfig.Values") {
                if range.parse::<ipnet::IpNet>().is_err() {
                    return Err(AwsError::new("ValidationError", format!("'{range}' is not a valid CIDR block")));
                }
            }
            plain("SourceIpConfig", 64)
        }
        "http-header" => {
            let name = p.str("HttpHeaderConfig.HttpHeaderName")?;
            check_lengths(field, &[name], 40)?;
            let (count, mut view) = plain("HttpHeaderConfig", 128)?;
            view["HttpHeaderConfig"]["HttpHeaderName"] = json!(name);
            Ok((count, view))
        }
        "query-string" => {
            let mut pairs = Vec::new();
            for pair in p.list("QueryStringConfig.Values") {
                let (key, value) = (pair.opt_str("Key"), pair.str("Value")?);
                check_lengths(field, &[key.unwrap_or_default(), value], 128)?;
                pairs.push(json!({ "Key": key, "Value": value }));
            }
            Ok((pairs.len(), json!({ "Field": field, "QueryStringConfig": { "Values": pairs } })))
        }
        other => Err(AwsError::new(
            "ValidationError",
            format!(
                "Condition field '{other}' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'"
            ),
        )),
    }
}

/// Hosts and paths can be given in two places, and are shown in both.
fn pattern(field: &str, config: &str, p: &Params) -> Result<(usize, Value), AwsError> {
    let (plain, configured) = (p.strings("Values"), p.strings(&format!("{config}.Values")));
    if !plain.is_empty() && !configured.is_empty() {
        let message = format!("You cannot specify both 'Values' and '{config}'");
        return Err(AwsError::new("ValidationError", message));
    }
    let values = if plain.is_empty() { configured } else { plain };
    check_lengths(field, &values, 128)?;
    Ok((values.len(), json!({ "Field": field, "Values": values, (config): { "Values": values } })))
}

fn check_lengths(field: &str, values: &[&str], longest: usize) -> Result<(), AwsError> {
    match values.iter().find(|value| value.len() > longest) {
        Some(value) => {
            let message = format!("Condition value '{value}' of '{field}' must be at most {longest} characters");
            Err(AwsError::new("ValidationError", message))
        }
        None => Ok(()),
    }
}
