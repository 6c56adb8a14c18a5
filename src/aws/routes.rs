//! Where the actions of services are that are asked by method and path.
//!
//! `routes.txt` is generated from botocore's service models by `scripts/services.py`: a line for each service, with its actions.

use form_urlencoded::byte_serialize;
use http::Method;
use serde_json::{Map, Value};

use super::AwsService;

/// Where an action is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub method: Method,
    /// `/2015-03-31/functions/{FunctionName}`; a label that ends in `+` may hold slashes.
    pub path: &'static str,
    /// What is always in the query: `list-type=2`.
    fixed: &'static str,
    /// The parameters that go into the query.
    query: Vec<&'static str>,
}

impl AwsService {
    /// Where its action of that name is, if it has one, and is asked in this way.
    pub fn route(&self, action: &str) -> Option<Route> {
        let mut services = include_str!("routes.txt").lines().filter_map(|line| line.split_once('\t'));
        let (_, actions) = services.find(|(name, _)| *name == self.name)?;
        let mut words = actions.split('\t').find_map(|one| one.strip_prefix(action)?.strip_prefix(' '))?.split(' ');
        let (method, place) = (words.next()?.parse().ok()?, words.next()?);
        let (path, fixed) = place.split_once('?').unwrap_or((place, ""));
        Some(Route { method, path, fixed, query: words.collect() })
    }
}

impl Route {
    /// Whether a path, with its query, is one of this action.
    pub fn fits(&self, given: &str) -> bool {
        let (path, query) = given.split_once('?').unwrap_or((given, ""));
        let is_fixed = |part: &&str| part.is_empty() || query.split('&').any(|given| given == *part);
        let (mut given, mut ours) = (path.split('/'), self.path.split('/'));
        let fits = loop {
            match (ours.next(), given.next()) {
                (None, None) => break true,
                // It is the last one wherever there is one.
                (Some(label), Some(first)) if label.ends_with("+}") => break !first.is_empty(),
                (Some(label), Some(segment)) if label.starts_with('{') && !segment.is_empty() => {}
                (Some(ours), Some(segment)) if ours == segment => {}
                _ => break false,
            }
        };
        fits && self.fixed.split('&').all(|part| is_fixed(&part))
    }

    /// The path for these parameters. Those that go into it, and into its query, are taken out.
    ///
    /// # Errors
    /// The parameter that is missing.
    pub fn take(&self, input: &mut Map<String, Value>) -> Result<String, &'static str> {
        let mut segments = Vec::new();
        for segment in self.path.split('/') {
            let Some(label) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
                segments.push(segment.to_owned());
                continue;
            };
            let name = label.trim_end_matches('+');
            let value = input.remove(name).filter(|value| *value != "").ok_or(name)?;
            segments.push(match label.ends_with('+') {
                true => text(&value).split('/').map(encoded).collect::<Vec<_>>().join("/"),
                false => in_path(&value),
            });
        }
        let mut query: Vec<String> =
            Some(self.fixed.to_owned()).filter(|fixed| !fixed.is_empty()).into_iter().collect();
        for name in &self.query {
            let values = match input.remove(*name) {
                Some(Value::Array(values)) => values,
                value => value.into_iter().collect(),
            };
            query.extend(values.iter().map(|value| format!("{name}={}", in_path(value))));
        }
        let mark = if query.is_empty() { "" } else { "?" };
        Ok(format!("{}{mark}{}", segments.join("/"), query.join("&")))
    }
}

/// A value as a part of a path or a query.
pub fn in_path(value: &Value) -> String {
    encoded(&text(value))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn route(service: &str, action: &str) -> Route {
        AwsService::find(service).expect("a service").route(action).expect("an action")
    }

    #[test]
    fn every_action_has_a_method_and_a_path() {
        for (service, actions) in include_str!("routes.txt").lines().filter_map(|line| line.split_once('\t')) {
            for action in actions.split('\t') {
                let name = action.split(' ').next().expect("a name");
                assert!(route(service, name).path.starts_with('/'), "{service} {action}");
            }
        }
    }

    #[test]
    fn paths_fit_their_actions() {
        let function = route("lambda", "GetFunction");
        assert_eq!((function.method.as_str(), function.path), ("GET", "/2015-03-31/functions/{FunctionName}"));
        assert!(function.fits("/2015-03-31/functions/web") && function.fits("/2015-03-31/functions/web?Qualifier=1"));
        for other in ["/2015-03-31/functions", "/2015-03-31/functions/", "/2015-03-31/functions/web/code", "/web"] {
            assert!(!function.fits(other), "{other}");
        }
        assert!(AwsService::find("lambda").expect("a service").route("GetFunct").is_none());
        assert!(AwsService::find("sqs").expect("a service").route("ListQueues").is_none());
    }

    #[test]
    fn parameters_go_where_they_belong() {
        let take = |service, action, input: Value| {
            let mut input = input.as_object().expect("an object").clone();
            route(service, action).take(&mut input).map(|path| (path, Value::Object(input)))
        };
        let of_web = json!({ "FunctionName": "a b/c", "Qualifier": "live" });
        let path = "/2015-03-31/functions/a%20b%2Fc?Qualifier=live".to_owned();
        assert_eq!(take("lambda", "GetFunction", of_web), Ok((path, json!({}))));
        let update = json!({ "FunctionName": "web", "Timeout": 3 });
        let path = "/2015-03-31/functions/web/configuration".to_owned();
        assert_eq!(take("lambda", "UpdateFunctionConfiguration", update), Ok((path, json!({ "Timeout": 3 }))));
        let tags = json!({ "resourceArn": "arn:aws:eks:x", "tagKeys": ["a", "b"] });
        let path = "/tags/arn%3Aaws%3Aeks%3Ax?tagKeys=a&tagKeys=b".to_owned();
        assert_eq!(take("eks", "UntagResource", tags), Ok((path, json!({}))));
        assert_eq!(take("lambda", "GetFunction", json!({})), Err("FunctionName"));
    }
}
