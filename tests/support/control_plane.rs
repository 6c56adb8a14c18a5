//! A client of the AWS query API at an address, with what the tests read of it; and the HTTP/1.1 messages it is made of.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// For each part of a reply: a small machine is slow when it builds at the same time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What serves AWS's API, asked as one account in one region.
#[derive(Clone)]
pub struct ControlPlane {
    address: SocketAddr,
    region: String,
}

/// A machine, running or not.
pub struct Instance {
    pub id: String,
    pub image: String,
    /// `pending`, `running`, `shutting-down`, `terminated`.
    pub state: String,
}

/// A listener, with the target groups of its default action.
pub struct Listener {
    pub port: u16,
    /// ARN and weight of each.
    pub groups: Vec<(String, i64)>,
}

/// A target of a group.
#[derive(Clone)]
pub struct Target {
    pub id: String,
    pub port: u16,
    /// `healthy`, `unhealthy`, `initial`, `draining`, `unused`.
    pub state: String,
}

impl ControlPlane {
    /// The one at a URL, as `runner sim` prints it.
    pub fn at(url: &str, region: &str) -> Self {
        let address = url.trim().trim_start_matches("http://").parse().expect("the URL is http://IP:PORT");
        Self { address, region: region.to_owned() }
    }

    /// All instances, also those that were terminated a while ago.
    pub fn instances(&self) -> io::Result<Vec<Instance>> {
        let reply = self.call("ec2", "DescribeInstances", &[])?;
        let instance = |shown: &Element| Instance {
            id: shown.text("instanceId").to_owned(),
            image: shown.text("imageId").to_owned(),
            state: shown.text("instanceState/name").to_owned(),
        };
        let reservations = reply.list("reservationSet").iter();
        Ok(reservations.flat_map(|reservation| reservation.list("instancesSet")).map(instance).collect())
    }

    /// The listeners of all load balancers.
    pub fn listeners(&self) -> io::Result<Vec<Listener>> {
        let group =
            |shown: &Element| (shown.text("TargetGroupArn").to_owned(), shown.text("Weight").parse().unwrap_or(1));
        let groups = "DefaultActions/member/ForwardConfig/TargetGroups";
        let listener = |shown: &Element| Listener {
            port: number(shown.text("Port")),
            groups: shown.list(groups).iter().map(group).collect(),
        };
        let mut listeners = Vec::new();
        for balancer in self.call(BALANCING, "DescribeLoadBalancers", &[])?.list("LoadBalancers") {
            let of_it = [("LoadBalancerArn", balancer.text("LoadBalancerArn"))];
            let reply = self.call(BALANCING, "DescribeListeners", &of_it)?;
            listeners.extend(reply.list("Listeners").iter().map(listener));
        }
        Ok(listeners)
    }

    /// The targets of a group, also those that drain.
    pub fn targets(&self, group: &str) -> io::Result<Vec<Target>> {
        let reply = self.call(BALANCING, "DescribeTargetHealth", &[("TargetGroupArn", group)])?;
        let target = |shown: &Element| Target {
            id: shown.text("Target/Id").to_owned(),
            port: number(shown.text("Target/Port")),
            state: shown.text("TargetHealth/State").to_owned(),
        };
        Ok(reply.list("TargetHealthDescriptions").iter().map(target).collect())
    }

    /// Any call, and what it returns. A refusal is an error that says what was said.
    pub fn call(&self, service: &str, action: &str, params: &[(&str, &str)]) -> io::Result<Element> {
        let version = if service == "ec2" { "2016-11-15" } else { "2015-12-01" };
        let params: String = params.iter().map(|(name, value)| format!("&{name}={}", encoded(value))).collect();
        let form = format!("Action={action}&Version={version}{params}");
        // Nobody checks the signature; who asks which service where is read from it.
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=123456789012/20260101/{}/{service}\
             /aws4_request, SignedHeaders=host, Signature=x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            self.region,
            form.len(),
        );
        let request = Message { head, body: form.into_bytes() };
        let reply = request.exchange(&mut connect(self.address, PATIENCE)?)?;
        let text = String::from_utf8_lossy(&reply.body);
        if reply.status() != 200 {
            return Err(io::Error::other(format!("{action} was answered with {}: {text}", reply.status())));
        }
        let mut root = Element::read(&text);
        // EC2 has its results in the root, the others one below it.
        let below = root.children.iter().position(|child| child.name == format!("{action}Result"));
        Ok(below.map(|at| root.children.swap_remove(at)).unwrap_or(root))
    }
}

/// The name that the load balancers' API signs with.
const BALANCING: &str = "elasticloadbalancing";

fn number(text: &str) -> u16 {
    text.parse().unwrap_or_default()
}

fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    value.bytes().map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") }).collect()
}

/// An element of XML. Attributes and namespaces are left out: AWS says nothing with them.
#[derive(Default)]
pub struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The root of a document. What is not well-formed is read as far as it goes.
    fn read(xml: &str) -> Element {
        let mut open = vec![Element::default()];
        for part in xml.split('<') {
            let Some((tag, text)) = part.split_once('>') else { continue };
            if !tag.starts_with(['/', '?', '!']) {
                let name = tag.split([' ', '/']).next().unwrap_or_default().to_owned();
                open.push(Element { name, text: plain(text), children: Vec::new() });
            }
            let ends = tag.starts_with('/') || tag.ends_with('/');
            if let Some(element) = open.pop_if(|_| ends)
                && let Some(parent) = open.last_mut()
            {
                parent.children.push(element);
            }
        }
        open.into_iter().next().and_then(|mut document| document.children.pop()).unwrap_or_default()
    }

    /// The text at a path like `Target/Id`, empty if there is none.
    pub fn text(&self, path: &str) -> &str {
        self.at(path).map_or("", |element| element.text.trim())
    }

    /// What is in the list at a path.
    pub fn list(&self, path: &str) -> &[Element] {
        self.at(path).map_or(&[], |element| &element.children)
    }

    fn at(&self, path: &str) -> Option<&Element> {
        path.split('/').try_fold(self, |at, name| at.children.iter().find(|child| child.name == name))
    }
}

fn plain(text: &str) -> String {
    let marks = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    marks.iter().fold(text.to_owned(), |text, (mark, meant)| text.replace(mark, meant))
}

/// A request or a reply of HTTP/1.1. Its body is as long as its `Content-Length` says: nobody here sends chunks.
pub struct Message {
    /// All before the body, with the empty line.
    pub head: String,
    pub body: Vec<u8>,
}

impl Message {
    /// A reply with a line of text.
    pub fn reply(status: u16, body: &str) -> Message {
        let head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n\r\n", body.len());
        Message { head, body: body.as_bytes().to_vec() }
    }

    /// Reads the next one; `None` if the connection was closed before it began.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Message>> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if from.read_line(&mut head)? == 0 {
                return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
        let mut message = Message { head, body: Vec::new() };
        let length = message.header("content-length").and_then(|length| length.parse().ok());
        message.body.resize(length.unwrap_or(0), 0);
        from.read_exact(&mut message.body)?;
        Ok(Some(message))
    }

    /// Writes it in one piece.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&[self.head.as_bytes(), &self.body].concat())
    }

    /// Sends it, and returns the reply.
    pub fn exchange(&self, connection: &mut BufReader<TcpStream>) -> io::Result<Message> {
        self.write(connection.get_mut())?;
        Message::read(connection)?.ok_or_else(|| io::Error::other("the connection was closed without a reply"))
    }

    /// Of a request.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Of a reply; 0 if it has none.
    pub fn status(&self) -> u16 {
        number(self.path())
    }

    /// Whether its connection is not to be kept.
    pub fn is_last(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// A new connection, which waits so long to be made and so long for each part of a reply.
pub fn connect(to: SocketAddr, patience: Duration) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&to, patience)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    Ok(BufReader::new(stream))
}
