//! What a rule is about: a protocol and its ports, as network ACLs and security groups both have them.

use serde::{Deserialize, Serialize};

use crate::ops::Error;

const TCP: i16 = 6;
const UDP: i16 = 17;
const ICMP: i16 = 1;
const ICMP_V6: i16 = 58;
const ALL: i16 = -1;

/// A protocol and what is chosen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Traffic {
    /// IANA's number, -1 for all.
    protocol: i16,
    /// Ports from and to, or type and code of ICMP, where -1 is all. Other protocols have neither.
    pub range: Option<(i32, i32)>,
}

/// The options of a rule that say it.
pub struct Said<'a> {
    pub protocol: &'a str,
    pub port: Option<i32>,
    pub from_port: Option<i32>,
    pub to_port: Option<i32>,
    pub icmp_type: Option<i32>,
    pub icmp_code: Option<i32>,
}

impl Traffic {
    /// Everything.
    pub const ALL: Self = Self { protocol: ALL, range: None };

    /// As options say it; `path` is where they are.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn read(said: &Said<'_>, path: &str) -> Result<Self, Error> {
        let wrong = |option: &str, message: String| Err(Error::option(format!("{path}.{option}"), message));
        let Some(protocol) = number(said.protocol) else {
            let message = format!("expected tcp, udp, icmp, icmpv6, all or a number, found {:?}", said.protocol);
            return wrong("protocol", message);
        };
        let (ports, icmp) =
            (said.port.or(said.from_port).or(said.to_port).is_some(), said.icmp_type.or(said.icmp_code).is_some());
        if ports && !matches!(protocol, TCP | UDP) {
            return wrong("protocol", format!("{} has no ports", said.protocol));
        }
        if icmp && !matches!(protocol, ICMP | ICMP_V6) {
            return wrong("protocol", format!("{} has no ICMP type and code", said.protocol));
        }
        let range = match protocol {
            TCP | UDP => {
                let (from, to) = match (said.port, said.from_port, said.to_port) {
                    (Some(port), None, None) => (port, port),
                    (None, Some(from), Some(to)) => (from, to),
                    _ => return Err(Error::option(path, "expected `port`, or `from_port` and `to_port`")),
                };
                if !(0..=65535).contains(&from) || !(from..=65535).contains(&to) {
                    return Err(Error::option(path, format!("ports {from} to {to} are no range within 0 to 65535")));
                }
                Some((from, to))
            }
            ICMP | ICMP_V6 => Some((said.icmp_type.unwrap_or(-1), said.icmp_code.unwrap_or(-1))),
            _ => None,
        };
        Ok(Self { protocol, range })
    }

    /// As EC2 shows it: a name or a number, and ports that mean something with few protocols only.
    pub fn from_ec2(protocol: &str, range: Option<(i32, i32)>) -> Self {
        let protocol = number(protocol).unwrap_or(ALL);
        let range = match protocol {
            TCP | UDP => range,
            ICMP | ICMP_V6 => Some(range.unwrap_or((-1, -1))),
            _ => None,
        };
        Self { protocol, range }
    }

    /// The protocol as network ACLs take it.
    pub fn number(&self) -> String {
        self.protocol.to_string()
    }

    /// The protocol as security groups show it.
    pub fn name(&self) -> String {
        match self.protocol {
            TCP => "tcp".to_owned(),
            UDP => "udp".to_owned(),
            ICMP => "icmp".to_owned(),
            ICMP_V6 => "icmpv6".to_owned(),
            other => other.to_string(),
        }
    }

    pub fn is_icmp(&self) -> bool {
        matches!(self.protocol, ICMP | ICMP_V6)
    }
}

fn number(protocol: &str) -> Option<i16> {
    match protocol.to_ascii_lowercase().as_str() {
        "all" => Some(ALL),
        "tcp" => Some(TCP),
        "udp" => Some(UDP),
        "icmp" => Some(ICMP),
        "icmpv6" => Some(ICMP_V6),
        other => other.parse().ok().filter(|number| (ALL..=255).contains(number)),
    }
}

impl std::fmt::Display for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.protocol, self.range) {
            (ALL, _) => f.write_str("all"),
            (ICMP | ICMP_V6, Some((-1, _))) | (_, None) => f.write_str(&self.name()),
            (ICMP | ICMP_V6, Some((kind, -1))) => write!(f, "{} {kind}", self.name()),
            (ICMP | ICMP_V6, Some((kind, code))) => write!(f, "{} {kind}/{code}", self.name()),
            (_, Some((from, to))) if from == to => write!(f, "{} {from}", self.name()),
            (_, Some((from, to))) => write!(f, "{} {from}-{to}", self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(protocol: &str) -> Said<'_> {
        Said { protocol, port: None, from_port: None, to_port: None, icmp_type: None, icmp_code: None }
    }

    #[test]
    fn what_is_the_same_to_aws_is_equal() {
        let https = Traffic::read(&Said { port: Some(443), ..said("tcp") }, "").expect("ports");
        assert_eq!(https, Traffic::from_ec2("6", Some((443, 443))));
        assert_eq!((https.name(), https.number()), ("tcp".into(), "6".into()));
        let all = Traffic::read(&said("all"), "").expect("no ports");
        assert_eq!(all, Traffic::from_ec2("-1", Some((0, 65535))));
        assert_eq!(Traffic::read(&said("icmp"), "").expect("any type"), Traffic::from_ec2("1", None));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let error = |said: Said<'_>| Traffic::read(&said, "ingress[0]").map_err(|error| error.to_string());
        assert_eq!(error(said("tcp")), Err("expected `port`, or `from_port` and `to_port`".into()));
        assert_eq!(error(Said { port: Some(1), ..said("all") }), Err("all has no ports".into()));
        assert!(error(said("ftp")).is_err_and(|error| error.contains("found \"ftp\"")));
        assert!(error(Said { from_port: Some(9), to_port: Some(1), ..said("udp") }).is_err());
    }
}
