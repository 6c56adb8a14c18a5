//! The JSON 1.1 protocol: the action is the end of `X-Amz-Target`, parameters and replies are JSON.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Params;
use super::params::without_nulls;
use crate::sim::error::AwsError;

pub fn read(request: &http::Request<Bytes>) -> Result<(String, Params), AwsError> {
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let action = target.rsplit('.').next().unwrap_or_default();
    let body = if request.body().is_empty() { b"{}" } else { request.body().as_ref() };
    Ok((action.to_owned(), Params(self::body(body)?)))
}

pub fn body(body: &[u8]) -> Result<Value, AwsError> {
    serde_json::from_slice(body)
        .map_err(|error| AwsError::new("SerializationException", format!("the body is not JSON: {error}")))
}

pub fn reply(value: &Value) -> String {
    // Where XML has no result at all, JSON has an empty one.
    if value.is_null() { "{}".to_owned() } else { without_nulls(value).to_string() }
}

/// The reply of a service that writes XML too, as it says it in JSON: times are seconds since 1970.
pub fn of_xml(value: &Value) -> Value {
    let member = |(name, value): (&String, &Value)| {
        let time = || value.as_str()?.parse().ok().map(super::epoch);
        let is_time = name.ends_with("Timestamp") || name == "LastModified";
        let value = time().filter(|_| is_time).map_or_else(|| of_xml(value), |seconds| json!(seconds));
        (name.clone(), value)
    };
    match value {
        Value::Object(fields) => Value::Object(fields.iter().map(member).collect()),
        Value::Array(elements) => elements.iter().map(of_xml).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

pub fn error(error: &AwsError) -> String {
    json!({ "__type": error.code, "message": error.message }).to_string()
}
