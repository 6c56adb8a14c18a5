//! When a rule takes a request: as an option, as AWS has it, and as data that can be compared.

use aws_sdk_elasticloadbalancingv2::types::{
    HostHeaderConditionConfig, HttpHeaderConditionConfig, HttpRequestMethodConditionConfig, PathPatternConditionConfig,
    QueryStringConditionConfig, QueryStringKeyValuePair, RuleCondition, SourceIpConditionConfig,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// One condition. Any of its values is enough; a rule takes a request if all its conditions are met.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "When")]
pub enum Condition {
    HostHeader(Vec<String>),
    PathPattern(Vec<String>),
    HttpHeader(HttpHeader),
    HttpRequestMethod(Vec<String>),
    QueryString(Vec<Pair>),
    SourceIp(Vec<String>),
}

/// A condition as a runbook writes it: exactly one of these.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct When {
    /// Host names; `*` is any text, `?` any character.
    host_header: Option<Vec<String>>,
    /// Paths, with `*` and `?`.
    path_pattern: Option<Vec<String>>,
    /// A header.
    http_header: Option<HttpHeader>,
    /// Methods: `GET`, …
    http_request_method: Option<Vec<String>>,
    /// Parameters of the query.
    query_string: Option<Vec<Pair>>,
    /// Where the request comes from, as CIDR ranges.
    source_ip: Option<Vec<String>>,
}

impl TryFrom<When> for Condition {
    type Error = &'static str;

    fn try_from(when: When) -> Result<Self, Self::Error> {
        let When { host_header, path_pattern, http_header, http_request_method, query_string, source_ip } = when;
        let given = [
            host_header.map(Self::HostHeader),
            path_pattern.map(Self::PathPattern),
            http_header.map(Self::HttpHeader),
            http_request_method.map(Self::HttpRequestMethod),
            query_string.map(Self::QueryString),
            source_ip.map(Self::SourceIp),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(condition), None) => Ok(condition),
            _ => Err("expected exactly one of `host_header`, `path_pattern`, `http_header`, `http_request_method`, \
                      `query_string` and `source_ip`"),
        }
    }
}

impl JsonSchema for Condition {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "condition".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        When::json_schema(generator)
    }
}

/// A header with one of these values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpHeader {
    /// The header's name.
    name: String,
    /// Its values, with `*` and `?`.
    values: Vec<String>,
}

/// A parameter of the query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Its name; without one, any parameter.
    key: Option<String>,
    /// Its value, with `*` and `?`.
    value: String,
}

impl Condition {
    /// How many values it has; AWS allows a rule five.
    pub fn len(&self) -> usize {
        match self {
            Self::HostHeader(values)
            | Self::PathPattern(values)
            | Self::HttpRequestMethod(values)
            | Self::SourceIp(values) => values.len(),
            Self::HttpHeader(header) => header.values.len(),
            Self::QueryString(pairs) => pairs.len(),
        }
    }

    fn sorted(mut self) -> Self {
        match &mut self {
            Self::HostHeader(values)
            | Self::PathPattern(values)
            | Self::HttpRequestMethod(values)
            | Self::SourceIp(values) => values.sort(),
            Self::HttpHeader(header) => header.values.sort(),
            Self::QueryString(pairs) => pairs.sort(),
        }
        self
    }

    pub fn to_elb(&self) -> RuleCondition {
        let condition = RuleCondition::builder();
        match self.clone() {
            Self::HostHeader(values) => condition
                .field("host-header")
                .host_header_config(HostHeaderConditionConfig::builder().set_values(Some(values)).build()),
            Self::PathPattern(values) => condition
                .field("path-pattern")
                .path_pattern_config(PathPatternConditionConfig::builder().set_values(Some(values)).build()),
            Self::HttpRequestMethod(values) => condition.field("http-request-method").http_request_method_config(
                HttpRequestMethodConditionConfig::builder().set_values(Some(values)).build(),
            ),
            Self::SourceIp(values) => condition
                .field("source-ip")
                .source_ip_config(SourceIpConditionConfig::builder().set_values(Some(values)).build()),
            Self::HttpHeader(HttpHeader { name, values }) => condition.field("http-header").http_header_config(
                HttpHeaderConditionConfig::builder().http_header_name(name).set_values(Some(values)).build(),
            ),
            Self::QueryString(pairs) => {
                let pair = |Pair { key, value }| QueryStringKeyValuePair::builder().set_key(key).value(value).build();
                let pairs = pairs.into_iter().map(pair).collect();
                condition
                    .field("query-string")
                    .query_string_config(QueryStringConditionConfig::builder().set_values(Some(pairs)).build())
            }
        }
        .build()
    }

    /// `None` for what is not known here, like regular expressions.
    fn of(live: &RuleCondition) -> Option<Self> {
        let plain = || (!live.values().is_empty()).then(|| live.values().to_vec());
        let some = |values: &[String]| (!values.is_empty()).then(|| values.to_vec());
        match live.field()? {
            "host-header" => {
                let values = live.host_header_config().and_then(|config| some(config.values()));
                values.or_else(plain).map(Self::HostHeader)
            }
            "path-pattern" => {
                let values = live.path_pattern_config().and_then(|config| some(config.values()));
                values.or_else(plain).map(Self::PathPattern)
            }
            "http-request-method" => {
                live.http_request_method_config().and_then(|config| some(config.values())).map(Self::HttpRequestMethod)
            }
            "source-ip" => live.source_ip_config().and_then(|config| some(config.values())).map(Self::SourceIp),
            "http-header" => {
                let config = live.http_header_config()?;
                let name = config.http_header_name()?.to_owned();
                some(config.values()).map(|values| Self::HttpHeader(HttpHeader { name, values }))
            }
            "query-string" => {
                let pairs = live.query_string_config()?.values().iter();
                let pair = |pair: &QueryStringKeyValuePair| Pair {
                    key: pair.key().map(str::to_owned),
                    value: pair.value().unwrap_or_default().to_owned(),
                };
                Some(Self::QueryString(pairs.map(pair).collect()))
            }
            _ => None,
        }
    }
}

/// In one order, to be compared.
pub fn sorted(conditions: Vec<Condition>) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = conditions.into_iter().map(Condition::sorted).collect();
    conditions.sort();
    conditions
}

/// The conditions of a live rule, in one order. `None` if one of them is not known here.
pub fn of(live: &[RuleCondition]) -> Option<Vec<Condition>> {
    live.iter().map(Condition::of).collect::<Option<Vec<_>>>().map(sorted)
}
