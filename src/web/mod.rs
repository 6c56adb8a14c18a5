//! Requests to a service as its users send them, and what is wanted of the replies. Knows no AWS.

mod expected;
mod network;

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use thiserror::Error;

pub use expected::{Expected, Statuses};
pub use network::send;

/// No more of a body is read than this, in bytes: what is looked for stands at the beginning.
pub const LONGEST_BODY: usize = 1 << 20;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub url: Url,
    pub method: String,
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    /// The host that is connected to instead of the one in the URL: a name or an address, as with curl's `--connect-to`.
    pub connect_to: Option<String>,
    /// Certificates to trust beside those of the system, as PEM.
    pub ca: Option<String>,
    /// For all of it, from the name to the last byte.
    pub timeout: Duration,
}

/// An `http://` or `https://` URL, in the parts that decide where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub secure: bool,
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
    /// With the query.
    pub path: String,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    /// At most [`LONGEST_BODY`] of it, read as UTF-8.
    pub body: String,
    /// From the beginning of the request to the last byte.
    pub latency: Duration,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Trouble {
    #[error("the name {0} leads to nobody (DNS)")]
    NoName(String),
    #[error("the connection was refused")]
    Refused,
    #[error("there was no reply within {0:?}")]
    TimedOut(Duration),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("{0}")]
    Other(String),
}

/// Whether the internet leads to an address: what is private, local, shared by carriers or multicast it does not reach.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && (64..128).contains(&second);
            let local = v4.is_private() || v4.is_loopback() || v4.is_link_local() || first == 0;
            !(shared || local || v4.is_multicast() || first >= 240)
        }
        IpAddr::V6(v6) => {
            let local = v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback() || v6.is_unspecified();
            !(local || v6.is_multicast())
        }
    }
}

impl Request {
    /// One without headers and body.
    pub fn new(method: &str, url: Url, timeout: Duration) -> Self {
        let (method, headers) = (method.to_owned(), BTreeMap::new());
        Self { url, method, headers, body: None, connect_to: None, ca: None, timeout }
    }
}

impl Trouble {
    /// Whether it is what a port that is closed to its users looks like.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Refused | Self::TimedOut(_))
    }
}

impl std::str::FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("expected a URL as `https://example.com/health`, found `{text}`");
        let uri: http::Uri = text.parse().map_err(|_| form())?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(form()),
        };
        let authority = uri.authority().ok_or_else(form)?;
        if authority.as_str().contains('@') {
            return Err("a URL with a name and a password would be written down; use a header".to_owned());
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { secure, host, port, path })
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scheme, usual) = if self.secure { ("https", 443) } else { ("http", 80) };
        let host = match self.host.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => self.host.clone(),
        };
        let port = if self.port == usual { String::new() } else { format!(":{}", self.port) };
        write!(f, "{scheme}://{host}{port}{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::{Url, is_public};

    #[test]
    fn public_addresses() {
        let public = |text: &str| is_public(text.parse().expect("an address"));
        assert!(["192.0.2.44", "52.1.2.3", "172.32.0.1", "100.128.0.1", "2001:db8::1"].into_iter().all(public));
        let others = ["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "224.0.0.1"];
        assert!(!others.into_iter().any(public));
        assert!(!["0.0.0.0", "255.255.255.255", "::1", "fe80::1", "fd00::1", "ff02::1", "::"].into_iter().any(public));
    }

    #[test]
    fn urls_are_read_and_written() {
        for text in ["https://example.com/health?full=1", "http://[::1]:8080/", "http://127.0.0.1/"] {
            assert_eq!(text.parse::<Url>().expect("a URL").to_string(), text);
        }
        assert_eq!("https://example.com".parse::<Url>().expect("a URL").to_string(), "https://example.com/");
        assert_eq!("https://example.com:443/a".parse::<Url>().expect("a URL").port, 443);
        for text in ["example.com", "ftp://example.com/", "https://", "https://user:secret@example.com/"] {
            let error = text.parse::<Url>().expect_err(text);
            assert!(!error.contains("secret") || !text.contains('@'), "{error}");
        }
    }
}
