//! A call that is about to be sent, as checks see it.

use serde_json::Value;

/// A call with its parameters as the bytes have them: under AWS's names, numbers as text where the protocol does so.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// As AWS names it: `ec2:CreateVpc`.
    pub action: &'a str,
    /// What it changes, in the user's words.
    pub resource: &'a str,
    pub parameters: &'a Value,
}

impl<'a> Call<'a> {
    /// `ec2`, of `ec2:CreateVpc`.
    pub fn service(&self) -> &'a str {
        self.action.split_once(':').map_or(self.action, |(service, _)| service)
    }

    /// `CreateVpc`, of `ec2:CreateVpc`.
    pub fn name(&self) -> &'a str {
        self.action.split_once(':').map_or(self.action, |(_, name)| name)
    }

    /// The values at a path such as `Tags.ResourceId`: of every element, where there is a list on the way.
    pub fn at(&self, path: &str) -> Vec<&'a Value> {
        path.split('.').fold(vec![self.parameters], |values, name| {
            values.into_iter().filter_map(|value| value.get(name)).flat_map(elements).collect()
        })
    }

    /// The texts at a path.
    pub fn texts(&self, path: &str) -> Vec<&'a str> {
        self.at(path).into_iter().filter_map(Value::as_str).collect()
    }

    /// The text at a path.
    pub fn text(&self, path: &str) -> Option<&'a str> {
        self.texts(path).first().copied()
    }

    /// The number at a path.
    pub fn number(&self, path: &str) -> Option<u32> {
        number(self.at(path).first()?)
    }

    /// `ec2:CreateVpc for vpc shop-prod-main`
    pub fn words(&self) -> String {
        match self.resource {
            "" => self.action.to_owned(),
            resource => format!("{} for {resource}", self.action),
        }
    }
}

/// The elements of a list; anything else is its own only element.
pub(super) fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        _ => std::slice::from_ref(value),
    }
}

/// A number, also one that is written as text.
pub(super) fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        _ => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Call;

    #[test]
    fn values_are_found_by_path() {
        let parameters = json!({
            "MaxSize": "3", "Count": 4, "Tags": [{ "Key": "a" }, { "Key": "b" }], "ResourceId": ["vpc-1", "vpc-2"], "Empty": "",
        });
        let call = Call { action: "ec2:CreateTags", resource: "", parameters: &parameters };
        assert_eq!((call.service(), call.name()), ("ec2", "CreateTags"));
        assert_eq!(call.texts("Tags.Key"), ["a", "b"]);
        assert_eq!(call.texts("ResourceId"), ["vpc-1", "vpc-2"]);
        assert_eq!((call.number("MaxSize"), call.number("Count"), call.number("MinSize")), (Some(3), Some(4), None));
        assert!(call.texts("Tags.Value").is_empty() && call.texts("Empty.Key").is_empty());
    }
}
