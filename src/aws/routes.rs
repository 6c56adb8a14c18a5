//! Where the actions of services are that are asked by method and path.
//!
//! `routes.txt` is generated from botocore's service models by `scripts/services.py`: a line for each service, with its actions.
//! Policy judges actions by their names, so a path has to be the one of its action, and of no other one.

use form_urlencoded::byte_serialize;
use http::Method;
use serde_json::{Map, Value};

use super::{AwsService, services};

/// Where an action is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub action: &'static str,
    pub method: Method,
    /// `/2015-03-31/functions/{FunctionName}`; a label that ends in `+` may hold slashes.
    pub path: &'static str,
    /// What is always in the query: `list-type=2`.
    fixed: &'static str,
    /// Where parameters go: see `scripts/services.py`.
    members: Vec<&'static str>,
}

/// Why a request cannot be made of parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// It is in the path.
    Missing(&'static str),
    /// A header, or a body that is no JSON object of parameters.
    Elsewhere(&'static str),
    /// In a path it would lead elsewhere.
    Dots(&'static str),
}

impl AwsService {
    /// Where its action of that name is, if it has one, and is asked in this way.
    pub fn route(&self, action: &str) -> Option<Route> {
        self.routes().find(|route| route.action == action)
    }

    fn routes(&self) -> impl Iterator<Item = Route> {
        let mut services = include_str!("routes.txt").lines().filter_map(|line| line.split_once('\t'));
        let actions = services.find(|(name, _)| *name == self.name).map(|(_, actions)| actions);
        actions.into_iter().flat_map(|actions| actions.split('\t')).filter_map(|line| {
            let mut words = line.split(' ');
            let (action, method, place) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
            let (path, fixed) = place.split_once('?').unwrap_or((place, ""));
            Some(Route { action, method, path, fixed, members: words.collect() })
        })
    }

    /// Another action that a request with this method and path could be: what it names is no less than what the route does.
    pub fn instead(&self, route: &Route, path: &str) -> Option<&'static str> {
        let is_no_less =
            |other: &Route| other.method == route.method && other.named() >= route.named() && other.fits(path);
        let mut others = self.routes().filter(|other| other.action != route.action);
        others.find(is_no_less).map(|other| other.action)
    }
}

impl Route {
    /// Whether a path, with its query, is one of this action.
    pub fn fits(&self, given: &str) -> bool {
        // Of RFC 3986, what stands in paths and queries: nothing that ends them, and no brace that was to be filled.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%:@!$&'()*+,;=/?".contains(&byte);
        let (path, query) = given.split_once('?').unwrap_or((given, ""));
        let is_fixed = |part: &str| part.is_empty() || query.split('&').any(|given| given == part);
        given.bytes().all(is_plain) && self.segments(path).is_some() && self.fixed.split('&').all(is_fixed)
    }

    /// How much of a path and its query it names.
    fn named(&self) -> usize {
        let is_named = |part: &&str| !part.is_empty() && !part.starts_with('{');
        self.path.split('/').chain(self.fixed.split('&')).filter(is_named).count()
    }

    /// The labels of a path with what stands in their places, if it is one of this action.
    fn labels(&self, path: &str) -> Option<Vec<(&'static str, String)>> {
        let path = path.split('?').next().unwrap_or_default();
        Some(self.segments(path)?.into_iter().map(|(label, text)| (label, decoded(&text))).collect())
    }

    fn segments(&self, path: &str) -> Option<Vec<(&'static str, String)>> {
        let (ours, given): (Vec<&str>, Vec<&str>) = (self.path.split('/').collect(), path.split('/').collect());
        // One label takes what the others leave.
        let more = given.len().checked_sub(ours.len())?;
        let is_long = |segment: &&str| segment.ends_with("+}");
        if more > 0 && !ours.iter().any(is_long) {
            return None;
        }
        let (mut found, mut at) = (Vec::new(), 0);
        for segment in ours {
            let length = if is_long(&segment) { more + 1 } else { 1 };
            let here = given.get(at..at + length)?;
            at += length;
            match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(label) if here.iter().all(|part| !part.is_empty() && !is_dots(part)) => {
                    found.push((label.trim_end_matches('+'), here.join("/")));
                }
                None if here == [segment] => {}
                _ => return None,
            }
        }
        Some(found)
    }

    /// The path for these parameters. Those that go into it, and into its query, are taken out.
    ///
    /// # Errors
    /// If one is missing there, or goes elsewhere.
    pub fn take(&self, input: &mut Map<String, Value>) -> Result<String, Misplaced> {
        if let Some(member) = self.elsewhere(input) {
            return Err(Misplaced::Elsewhere(member));
        }
        let mut segments = Vec::new();
        for segment in self.path.split('/') {
            let Some(label) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
                segments.push(segment.to_owned());
                continue;
            };
            let name = label.trim_end_matches('+');
            let value = self.taken(input, '/', name).filter(|value| *value != "").ok_or(Misplaced::Missing(name))?;
            let text = text(&value);
            if text.split('/').any(is_dots) {
                return Err(Misplaced::Dots(name));
            }
            segments.push(match label.ends_with('+') {
                true => text.split('/').map(encoded).collect::<Vec<_>>().join("/"),
                false => encoded(&text),
            });
        }
        let mut query: Vec<String> =
            Some(self.fixed.to_owned()).filter(|fixed| !fixed.is_empty()).into_iter().collect();
        for member in self.members.iter().filter_map(|word| word.strip_prefix('?')) {
            let name = member.split_once('=').map_or(member, |(_, name)| name);
            let values = match self.taken(input, '?', name) {
                Some(Value::Array(values)) => values,
                value => value.into_iter().collect(),
            };
            query.extend(values.iter().map(|value| format!("{name}={}", in_path(value))));
        }
        let mark = if query.is_empty() { "" } else { "?" };
        Ok(format!("{}{mark}{}", segments.join("/"), query.join("&")))
    }

    /// A parameter that goes neither into the path nor the query nor the body.
    pub fn elsewhere(&self, input: &Map<String, Value>) -> Option<&'static str> {
        let members = self.members.iter().filter_map(|word| word.strip_prefix('!'));
        members.into_iter().find(|member| input.contains_key(*member))
    }

    /// By the name that it has there, or by that of the API's member, as boto3 has it.
    fn taken(&self, input: &mut Map<String, Value>, place: char, name: &str) -> Option<Value> {
        let renamed = self.members.iter().filter_map(|word| word.strip_prefix(place)?.split_once('='));
        let member = renamed.into_iter().find(|(_, of)| *of == name).map(|(member, _)| member);
        input.remove(name).or_else(|| input.remove(member?))
    }
}

/// What a connection on the way may take for "here" or "one up".
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    [".", ".."].contains(&plain.as_str())
}

/// What stands in a path, without its escapes.
fn decoded(text: &str) -> String {
    // Signs that mean something in forms, and nothing in paths.
    let form = [('+', "%2B"), ('&', "%26"), ('=', "%3D")]
        .into_iter()
        .fold(text.to_owned(), |text, (c, code)| text.replace(c, code));
    form_urlencoded::parse(form.as_bytes()).next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

/// What stands in the path of a call that IAM names so, `eks:DeleteCluster`, if it is asked by method and path.
pub fn labels_of(call: &str, path: &str) -> Option<Value> {
    let (prefix, action) = call.split_once(':')?;
    let route = services::of_prefix(prefix).find_map(|service| service.route(action))?;
    Some(route.labels(path)?.into_iter().collect())
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
    use crate::aws::Speaks;

    fn route(service: &str, action: &str) -> Route {
        AwsService::find(service).expect("a service").route(action).expect("an action")
    }

    #[test]
    fn every_action_has_a_method_and_a_path() {
        for (name, actions) in include_str!("routes.txt").lines().filter_map(|line| line.split_once('\t')) {
            let service = AwsService::find(name).expect("a service");
            let routes: Vec<Route> = service.routes().collect();
            assert_eq!(routes.len(), actions.split('\t').count(), "{name}");
            assert!(routes.iter().all(|route| route.path.starts_with('/')), "{name}");
        }
    }

    #[test]
    fn paths_fit_their_actions() {
        let function = route("lambda", "GetFunction");
        assert_eq!((function.method.as_str(), function.path), ("GET", "/2015-03-31/functions/{FunctionName}"));
        assert!(function.fits("/2015-03-31/functions/web") && function.fits("/2015-03-31/functions/web?Qualifier=1"));
        for other in [
            "/2015-03-31/functions",
            "/2015-03-31/functions/",
            "/2015-03-31/functions/web/code",
            "/2015-03-31/functions/web#x",
            "/2015-03-31/functions/{FunctionName}",
            "/2015-03-31/functions/..",
            "/2015-03-31/functions/%2E%2e",
            "/web",
        ] {
            assert!(!function.fits(other), "{other}");
        }
        let labels = function.labels("/2015-03-31/functions/a%20b?Qualifier=1");
        assert_eq!(labels, Some(vec![("FunctionName", "a b".to_owned())]));
        assert!(AwsService::find("lambda").expect("a service").route("GetFunct").is_none());
        assert!(AwsService::find("sqs").expect("a service").route("ListQueues").is_none());
    }

    /// What is cut off, or comes after a label that may be long, is another action.
    #[test]
    fn no_path_is_that_of_another_action() {
        assert!(!route("guardduty", "DescribeMalwareScans").fits("/detector/ID#/malware-scans"));
        assert!(!route("eks", "DeleteNodegroup").fits("/clusters/prod#/node-groups/x"));
        let off = route("workspaces-web", "DisassociateBrowserSettings");
        assert!(!off.fits("/portals/arn:aws:x:portal/1") && off.fits("/portals/arn:aws:x:portal/1/browserSettings"));
        let mut fit = 0;
        for service in services::all().filter(|service| service.speaks == Speaks::RestJson) {
            let routes: Vec<Route> = service.routes().collect();
            let pairs = routes.iter().flat_map(|route| routes.iter().map(move |other| (route, other)));
            for (route, other) in
                pairs.filter(|(route, other)| route.method == other.method && route.action != other.action)
            {
                // A path of the other one, with what could be a name in each label's place.
                let path = format!("{}?{}", other.path.replace(['{', '}', '+'], ""), other.fixed);
                if route.fits(&path) {
                    fit += 1;
                    let taken = format!("{}: {} could be {}", service.name, route.action, other.action);
                    assert!(service.instead(route, &path).is_some(), "{taken}");
                }
            }
        }
        assert!(fit > 50, "there are such paths: {fit}");
        let import = "/apikeys?mode=import";
        let gateway = AwsService::find("apigateway").expect("a service");
        assert_eq!(gateway.instead(&route("apigateway", "CreateApiKey"), import), Some("ImportApiKeys"));
        assert_eq!(gateway.instead(&route("apigateway", "ImportApiKeys"), import), None);
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
        // By the API's name and by that of the path.
        for name in ["restApiId", "restapi_id"] {
            assert_eq!(take("apigateway", "GetRestApi", json!({ name: "a" })), Ok(("/restapis/a".into(), json!({}))));
        }
        assert_eq!(take("lambda", "GetFunction", json!({})), Err(Misplaced::Missing("FunctionName")));
        assert_eq!(
            take("lambda", "GetFunction", json!({ "FunctionName": ".." })),
            Err(Misplaced::Dots("FunctionName"))
        );
        let invoke = json!({ "FunctionName": "web", "InvocationType": "DryRun" });
        assert_eq!(take("lambda", "Invoke", invoke), Err(Misplaced::Elsewhere("InvocationType")));
    }
}
