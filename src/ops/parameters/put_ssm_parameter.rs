//! `put_ssm_parameter`: a parameter of Systems Manager with this value.

use aws_sdk_ssm::types as ssm;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use super::{
    ParameterType, WrittenParameter,
    store::{self, Wanted},
};
use crate::{
    ops::{Error, Operation, Sensitive, Tags, describe},
    run::Ctx,
};

/// Makes sure that there is a parameter of Systems Manager of this name, with this value.
///
/// It is written only if its value or what is said of it differs. A rollback puts back what was in the version before. A
/// plan does not read what a `SecureString` of the account holds, so it cannot tell whether that differs: it shows the change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutSsmParameter {
    /// The name, as AWS knows it: `/shop/prod/url`. The stack's name is not put before it.
    name: String,
    /// Text, a list of texts for a `StringList`, or a secret for a `SecureString`.
    value: ParameterValue,
    /// `String`, `StringList` or `SecureString`. Left out, a secret is a `SecureString`, a list a `StringList`. It cannot be
    /// changed later.
    #[serde(rename = "type")]
    kind: Option<ParameterType>,
    /// Up to 1024 characters. Left out, it is left alone.
    description: Option<String>,
    /// `Standard`, `Advanced` or `Intelligent-Tiering`. Left out, it is left alone. AWS does not take `Advanced` back.
    tier: Option<Tier>,
    /// The key that a `SecureString` is encrypted with. Left out, AWS's own for parameters.
    key_id: Option<String>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a parameter of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves a new one in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
enum Tier {
    Standard,
    Advanced,
    #[serde(rename = "Intelligent-Tiering")]
    IntelligentTiering,
}

impl Tier {
    fn to_ssm(self) -> ssm::ParameterTier {
        match self {
            Self::Standard => ssm::ParameterTier::Standard,
            Self::Advanced => ssm::ParameterTier::Advanced,
            Self::IntelligentTiering => ssm::ParameterTier::IntelligentTiering,
        }
    }

    /// How long a value may be ("Managing parameter tiers").
    fn most(this: Option<Self>) -> usize {
        if this == Some(Self::Standard) { 4096 } else { 8192 }
    }
}

/// Text, secret or not, or several.
#[derive(Debug)]
enum ParameterValue {
    One(Sensitive),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for ParameterValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value {
            Value::Array(_) => serde_json::from_value(value).map(Self::List).map_err(D::Error::custom),
            Value::String(_) | Value::Object(_) => {
                serde_json::from_value(value).map(Self::One).map_err(D::Error::custom)
            }
            other => {
                let found = describe(&other);
                Err(D::Error::custom(format!("expected text, a list of texts or a secret, found {found}")))
            }
        }
    }
}

impl JsonSchema for ParameterValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "parameter value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "array", "object"], "x-type": "string, list or secret" })
    }
}

impl PutSsmParameter {
    fn kind(&self) -> ParameterType {
        self.kind.unwrap_or(match &self.value {
            ParameterValue::One(text) if text.is_secret() => ParameterType::SecureString,
            ParameterValue::One(_) => ParameterType::String,
            ParameterValue::List(_) => ParameterType::StringList,
        })
    }

    fn text(&self) -> String {
        match &self.value {
            ParameterValue::One(text) => text.expose().to_owned(),
            ParameterValue::List(items) => items.join(","),
        }
    }

    fn check(&self) -> Result<(), Error> {
        store::check_name("name", &self.name)?;
        let (kind, text) = (self.kind(), self.text());
        match &self.value {
            ParameterValue::One(text) if text.is_secret() && kind != ParameterType::SecureString => {
                let message = format!("a secret belongs into a SecureString: everybody can read a {}", kind.as_str());
                return Err(Error::option("type", message));
            }
            ParameterValue::List(_) if kind != ParameterType::StringList => {
                let message = format!("a list is a StringList, found the type {}", kind.as_str());
                return Err(Error::option("type", message));
            }
            ParameterValue::List(items) => {
                // They are kept with commas between them.
                let odd = items.iter().position(|item| item.is_empty() || item.contains(','));
                if let Some(index) = odd {
                    let message = "expected texts without commas, and none that is empty";
                    return Err(Error::option(format!("value[{index}]"), message));
                }
            }
            ParameterValue::One(_) => {}
        }
        let length = text.chars().count();
        let most = Tier::most(self.tier);
        if length == 0 || length > most {
            return Err(Error::option("value", format!("expected 1 to {most} characters, found {length}")));
        }
        if text.contains("{{") && text.contains("}}") {
            return Err(Error::option("value", "Parameter Store takes no value with `{{` and `}}` in it"));
        }
        if self.description.as_ref().is_some_and(|text| text.chars().count() > 1024) {
            return Err(Error::option("description", "expected at most 1024 characters"));
        }
        if self.key_id.is_some() && kind != ParameterType::SecureString {
            return Err(Error::option("key_id", "only a SecureString is encrypted"));
        }
        Ok(())
    }
}

impl Operation for PutSsmParameter {
    const NAME: &'static str = "put_ssm_parameter";
    const AREA: &'static str = "Systems Manager";
    const EXAMPLE: &'static str =
        r#"put_ssm_parameter(#{ name: "/shop/prod/url", value: "https://shop.example.com" })"#;

    type Options = Self;
    type Handle = WrittenParameter;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    fn secrets(options: &Self) -> Vec<String> {
        let is_secure = options.kind() == ParameterType::SecureString;
        is_secure.then(|| options.text()).into_iter().collect()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<WrittenParameter, Error> {
        options.check()?;
        let owned = store::owned(ctx, &options.name, &options.tags)?;
        let (kind, value) = (options.kind(), options.text());
        let wanted = Wanted {
            name: &options.name,
            kind,
            value: &value,
            description: options.description.as_deref(),
            tier: options.tier.map(Tier::to_ssm),
            key_id: options.key_id.as_deref(),
            adopt: options.adopt,
            keep_on_rollback: options.keep_on_rollback,
        };
        let version = store::ensure(ctx, &wanted, &owned).await?;
        Ok(WrittenParameter { arn: store::arn(ctx, &options.name), name: options.name, kind, version })
    }
}
