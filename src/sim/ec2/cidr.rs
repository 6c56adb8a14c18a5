//! An IPv4 block as EC2 takes it: host bits are cleared, not refused.

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::super::error::AwsError;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr(pub Ipv4Net);

impl Cidr {
    /// Reads the value of a parameter.
    pub fn read(parameter: &str, text: &str) -> Result<Cidr, AwsError> {
        Cidr::try_from(text.to_owned())
            .map_err(|_| AwsError::invalid(parameter, text, "This is not a valid CIDR block."))
    }

    pub fn overlaps(self, other: Cidr) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }

    pub fn contains(self, other: Cidr) -> bool {
        self.0.contains(&other.0)
    }

    /// VPCs and subnets have 16 to 65,536 addresses.
    pub fn is_network(self) -> bool {
        (16..=28).contains(&self.0.prefix_len())
    }
}

impl TryFrom<String> for Cidr {
    type Error = ipnet::AddrParseError;

    fn try_from(text: String) -> Result<Cidr, Self::Error> {
        text.parse::<Ipv4Net>().map(|net| Cidr(net.trunc()))
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> String {
        cidr.to_string()
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
