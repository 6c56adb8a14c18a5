//! What is wanted of a reply.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use serde_json::Value;

use super::Reply;

/// What is wanted of a reply. What is not said is not looked at, but for the status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    pub status: Statuses,
    /// Headers with their values; `*` and `?` in them stand for other text.
    pub headers: BTreeMap<String, String>,
    /// Text that stands in the body.
    pub body: Option<String>,
    /// Values of a JSON body, by their pointers (RFC 6901), as `/status`.
    pub json: BTreeMap<String, Value>,
    pub max_latency: Option<Duration>,
}

/// Statuses, as `200`, `2xx` or `200-299,301`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, u16)>);

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![(200, 299)])
    }
}

/// How much of a body is shown.
const SHOWN: usize = 120;

impl Expected {
    /// What is not as it is wanted; nothing if all is.
    pub fn faults(&self, reply: &Reply) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.status.have(reply.status) {
            faults.push(format!("wanted status {}, found {}", self.status, reply.status));
        }
        for (name, wanted) in &self.headers {
            match reply.headers.get(&name.to_lowercase()) {
                Some(found) if crate::wildcard::matches(wanted, found) => {}
                Some(found) => faults.push(format!("wanted {name}: {wanted}, found {found}")),
                None => faults.push(format!("wanted {name}: {wanted}, found no such header")),
            }
        }
        if let Some(wanted) = self.body.as_ref().filter(|wanted| !reply.body.contains(*wanted)) {
            faults.push(format!("wanted `{wanted}` in the body, found {}", beginning(&reply.body)));
        }
        faults.extend(self.json_faults(&reply.body));
        if let Some(most) = self.max_latency.filter(|most| reply.latency > *most) {
            faults.push(format!("wanted it within {most:?}, it took {:.1?}", reply.latency));
        }
        faults
    }

    fn json_faults(&self, body: &str) -> Vec<String> {
        if self.json.is_empty() {
            return Vec::new();
        }
        let Ok(found) = serde_json::from_str::<Value>(body) else {
            return vec![format!("wanted JSON, found {}", beginning(body))];
        };
        let fault = |(pointer, wanted): (&String, &Value)| match found.pointer(pointer) {
            Some(value) if value == wanted => None,
            Some(value) => Some(format!("wanted {wanted} at {pointer}, found {}", beginning(&value.to_string()))),
            None => Some(format!("wanted {wanted} at {pointer}, found nothing there")),
        };
        self.json.iter().filter_map(fault).collect()
    }
}

fn beginning(body: &str) -> String {
    let mut text: String = body.chars().take(SHOWN).collect();
    if text.len() < body.len() {
        text.push('…');
    }
    if text.is_empty() { "nothing".to_owned() } else { format!("`{}`", text.trim_end()) }
}

impl Statuses {
    fn have(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }
}

impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("expected statuses as `200`, `2xx` or `200-299,301`, found `{text}`");
        let one = |part: &str| -> Option<(u16, u16)> {
            let (low, high) = match (part.strip_suffix("xx"), part.split_once('-')) {
                (Some(class), _) => {
                    let class: u16 = class.parse().ok()?;
                    (class * 100, class * 100 + 99)
                }
                (None, Some((low, high))) => (low.trim().parse().ok()?, high.trim().parse().ok()?),
                (None, None) => (part.parse().ok()?, part.parse().ok()?),
            };
            (100 <= low && low <= high && high <= 599).then_some((low, high))
        };
        let all = text.split(',').map(|part| one(part.trim()).ok_or_else(form)).collect::<Result<_, _>>()?;
        Ok(Self(all))
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(low, high): &(u16, u16)| match (low, high) {
            (low, high) if low == high => low.to_string(),
            (low, high) if low % 100 == 0 && *high == low + 99 => format!("{}xx", low / 100),
            (low, high) => format!("{low}-{high}"),
        };
        f.write_str(&self.0.iter().map(one).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
        Reply { status, headers, body: body.to_owned(), latency: Duration::from_millis(80) }
    }

    #[test]
    fn statuses_are_read_and_written() {
        for text in ["200", "2xx", "200-204,301"] {
            assert_eq!(text.parse::<Statuses>().expect("statuses").to_string(), text);
        }
        for text in ["", "2x", "99", "600", "300-200", "6xx"] {
            assert!(text.parse::<Statuses>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_as_wanted_is_said() {
        let expected = Expected {
            headers: BTreeMap::from([("Content-Type".to_owned(), "application/*".to_owned())]),
            body: Some("ok".to_owned()),
            json: BTreeMap::from([("/status".to_owned(), json!("ok"))]),
            max_latency: Some(Duration::from_millis(100)),
            ..Expected::default()
        };
        assert_eq!(expected.faults(&reply(204, r#"{"status":"ok"}"#)), [""; 0]);
        assert_eq!(
            expected.faults(&reply(503, "sorry")),
            ["wanted status 2xx, found 503", "wanted `ok` in the body, found `sorry`", "wanted JSON, found `sorry`"]
        );
        let slow = Reply { latency: Duration::from_secs(2), ..reply(200, r#"{"status":"not ok"}"#) };
        let faults = expected.faults(&slow);
        assert_eq!(faults, [r#"wanted "ok" at /status, found `"not ok"`"#, "wanted it within 100ms, it took 2.0s"]);
    }
}
