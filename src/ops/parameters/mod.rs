//! Parameters of Systems Manager, and the outputs of stacks that are kept in them.

pub mod output_of;
pub mod publish_output;
pub mod put_ssm_parameter;
pub mod ssm_parameter;
pub mod store;
pub mod tags;

use aws_sdk_ssm::types as ssm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Kind;

/// A parameter, as it was when the operation ended.
#[derive(Debug, Serialize)]
pub struct Parameter {
    /// False if there is no such parameter; then only name and default value say something.
    pub exists: bool,
    pub name: String,
    pub arn: String,
    #[serde(rename = "type")]
    pub kind: Option<ParameterType>,
    pub version: i64,
    /// Text, a list of texts, or a secret.
    pub value: Value,
}

impl Kind for Parameter {
    const KIND: &'static str = "ssm_parameter";
    const ID: &'static str = "name";
}

/// A parameter that was written: what is in it is not told again.
#[derive(Debug, Serialize)]
pub struct WrittenParameter {
    pub name: String,
    pub arn: String,
    #[serde(rename = "type")]
    pub kind: ParameterType,
    pub version: i64,
}

impl Kind for WrittenParameter {
    const KIND: &'static str = "ssm_parameter";
    const ID: &'static str = "name";
}

/// What a runbook gets as it is, without a handle around it.
#[derive(Debug, Serialize)]
pub struct Plain {
    pub value: Value,
}

impl Kind for Plain {
    const KIND: &'static str = "value";
    const ID: &'static str = "value";
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ParameterType {
    String,
    StringList,
    SecureString,
}

impl ParameterType {
    fn to_ssm(self) -> ssm::ParameterType {
        match self {
            Self::String => ssm::ParameterType::String,
            Self::StringList => ssm::ParameterType::StringList,
            Self::SecureString => ssm::ParameterType::SecureString,
        }
    }

    fn of(kind: Option<&ssm::ParameterType>) -> Self {
        match kind {
            Some(ssm::ParameterType::SecureString) => Self::SecureString,
            Some(ssm::ParameterType::StringList) => Self::StringList,
            _ => Self::String,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::StringList => "StringList",
            Self::SecureString => "SecureString",
        }
    }
}
