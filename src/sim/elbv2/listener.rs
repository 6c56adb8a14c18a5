//! Listeners: one per port of a load balancer. The default rule is the listener's own action under another ARN.

use super::action::{At, params_under};
use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateListener",
        params: &["LoadBalancerArn", FIELDS, params_under!("DefaultActions[]"), TAGS],
        run: create_listener,
    },
    Action { name: "DescribeListeners", params: &["LoadBalancerArn ListenerArns[]", PAGES], run: describe_listeners },
    Action {
        name: "ModifyListener",
        params: &["ListenerArn", FIELDS, params_under!("DefaultActions[]")],
        run: modify_listener,
    },
    Action { name: "DeleteListener", params: &["ListenerArn"], run: delete_listener },
];

const FIELDS: &str = "Protocol Port SslPolicy Certificates[].CertificateArn AlpnPolicy[]";

/// What the API takes when none is given; only the console proposes a newer one.
/// Source: "SSL certificates for your Application Load Balancer", security policies.
const SSL_POLICY: &str = "ELBSecurityPolicy-2016-08";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listener {
    pub arn: String,
    pub load_balancer: String,
    pub protocol: String,
    pub port: i64,
    pub ssl_policy: Option<String>,
    pub alpn_policy: Option<String>,
    pub certificate: Option<String>,
    pub more_certificates: Vec<String>,
    pub route: route::Route,
    pub default_rule: String,
    pub attributes: attributes::Attributes,
    pub tags: Tags,
}

resource!(
    Listener,
    arn,
    region.elbv2.listeners,
    Extent::With { kind: "LoadBalancer", of: fork::balancer_of },
    |arn: &str| absent("listener", arn, "ListenerNotFound")
);

impl Listener {
    pub fn is_secure(&self) -> bool {
        is_secure(&self.protocol)
    }

    pub fn view(&self, tx: &Tx) -> Value {
        let certificate: Vec<Value> = self.certificate.iter().map(|arn| json!({ "CertificateArn": arn })).collect();
        json!({
            "ListenerArn": self.arn,
            "LoadBalancerArn": self.load_balancer,
            "Protocol": self.protocol,
            "Port": self.port,
            "SslPolicy": self.ssl_policy,
            "AlpnPolicy": self.alpn_policy.iter().collect::<Vec<_>>(),
            "Certificates": (!certificate.is_empty()).then_some(certificate),
            "DefaultActions": self.route.shown(tx),
        })
    }
}

/// Reads the listeners of a load balancer; their tags come later.
pub fn load(reader: &Reader, balancer: &str) -> Result<Vec<(Params, Listener)>, AwsError> {
    let service = "elasticloadbalancing";
    let params = json!({ "LoadBalancerArn": balancer, "PageSize": 400 });
    let mut listeners = Vec::new();
    for shown in reader.pages(service, "DescribeListeners", params, "Listeners", TOKEN)? {
        let optional = |path: &str| shown.opt_str(path).map(str::to_owned);
        let mut listener = Listener {
            arn: shown.text("ListenerArn"),
            load_balancer: balancer.to_owned(),
            protocol: shown.text("Protocol"),
            port: shown.number("Port", 0),
            ssl_policy: optional("SslPolicy"),
            alpn_policy: shown.strings("AlpnPolicy").first().map(|policy| (*policy).to_owned()),
            certificate: shown.list("Certificates").first().map(|one| one.text("CertificateArn")),
            more_certificates: Vec::new(),
            route: route::Route::read(&shown.list("DefaultActions")),
            default_rule: String::new(),
            attributes: attributes::Attributes::new(),
            tags: Tags::new(),
        };
        let of = json!({ "ListenerArn": listener.arn });
        if !attributes::of_listener(&listener.protocol).is_empty() {
            listener.attributes = read_attributes(reader, "DescribeListenerAttributes", of.clone())?;
        }
        if listener.is_secure() {
            let all = reader.pages(service, "DescribeListenerCertificates", of, "Certificates", TOKEN)?;
            let more = all.iter().filter(|one| !one.flag("IsDefault")).map(|one| one.text("CertificateArn"));
            listener.more_certificates = more.collect();
        }
        listeners.push((shown, listener));
    }
    Ok(listeners)
}

fn is_secure(protocol: &str) -> bool {
    ["HTTPS", "TLS"].contains(&protocol)
}

fn create_listener(tx: &mut Tx, p: &Params) -> Reply {
    let balancer = tx.get::<LoadBalancer>(p.str("LoadBalancerArn")?)?.clone();
    p.int("Port")?;
    p.str("Protocol")?;
    let port = number(p, "Port", 1..=65_535, 0)?;
    let protocol = protocol(tx, p, &balancer, "")?;
    let action = action::read(tx, &At { balancer: &balancer, protocol: &protocol, port }, &p.list("DefaultActions"))?;
    let id = arn_id(tx);
    let default_rule = arn_id(tx);
    let mut made = Listener {
        arn: tx.arn("elasticloadbalancing", &format!("listener/{}/{id}", balancer.path)),
        load_balancer: balancer.arn.clone(),
        port,
        ssl_policy: None,
        alpn_policy: p.strings("AlpnPolicy").first().map(|policy| (*policy).to_owned()),
        certificate: None,
        more_certificates: Vec::new(),
        route: route::Route::new(action),
        default_rule: tx.arn("elasticloadbalancing", &format!("listener-rule/{}/{id}/{default_rule}", balancer.path)),
        attributes: attributes::of_listener(&protocol),
        tags: tag::given(p)?,
        protocol,
    };
    secure(tx, p, &mut made)?;
    if let Some(known) = on_port(tx, &balancer.arn, port) {
        let same = known.protocol == made.protocol
            && known.ssl_policy == made.ssl_policy
            && known.certificate == made.certificate
            && known.alpn_policy == made.alpn_policy
            && known.route.action == made.route.action
            && known.tags == made.tags;
        if same {
            return Ok(json!({ "Listeners": [known.view(tx)] }));
        }
        return Err(duplicate(&balancer.arn));
    }
    let (arn, view) = (made.arn.clone(), made.view(tx));
    tx.put(made);
    route::announce(tx, &arn, balancer.network);
    Ok(json!({ "Listeners": [view] }))
}

fn on_port<'t>(tx: &'t Tx, balancer: &str, port: i64) -> Option<&'t Listener> {
    tx.all::<Listener>().find(|listener| listener.load_balancer == balancer && listener.port == port)
}

fn duplicate(balancer: &str) -> AwsError {
    let message = format!("A listener already exists on this port for this load balancer '{balancer}'");
    AwsError::new("DuplicateListener", message)
}

fn protocol(tx: &Tx, p: &Params, balancer: &LoadBalancer, default: &str) -> Result<String, AwsError> {
    let all = ["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"];
    let protocol = choice(p, "Protocol", &all, default)?;
    let fits: &[&str] = if balancer.network { &["TCP", "TLS", "UDP", "TCP_UDP"] } else { &["HTTP", "HTTPS"] };
    if fits.contains(&protocol) {
        return Ok(protocol.to_owned());
    }
    if balancer.network {
        modelled(tx, "Protocol", protocol, &["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE"])?;
    }
    let message = format!("Listener protocol '{protocol}' must be one of '{}'", fits.join(", "));
    Err(AwsError::new("ValidationError", message))
}

/// Certificate and policy: given where the protocol needs them, refused where it has none.
fn secure(tx: &Tx, p: &Params, listener: &mut Listener) -> Result<(), AwsError> {
    let (certificate, policy) = (certificate::only(tx, p)?, p.opt_str("SslPolicy"));
    if !listener.is_secure() {
        if certificate.is_some() || policy.is_some() {
            let message =
                format!("A certificate or security policy cannot be specified for {} listeners", listener.protocol);
            return Err(AwsError::new("ValidationError", message));
        }
        (listener.certificate, listener.ssl_policy) = (None, None);
        listener.more_certificates.clear();
        return Ok(());
    }
    if let Some(certificate) = certificate {
        // The default certificate moves out of the list, if it was there.
        listener.more_certificates.retain(|more| *more != certificate);
        listener.certificate = Some(certificate);
    }
    if listener.certificate.is_none() {
        let message = format!("A certificate must be specified for {} listeners", listener.protocol);
        return Err(AwsError::new("ValidationError", message));
    }
    if let Some(policy) = policy {
        if !policy.starts_with("ELBSecurityPolicy-") {
            return Err(AwsError::new("SSLPolicyNotFound", format!("SSL policy '{policy}' not found")));
        }
        listener.ssl_policy = Some(policy.to_owned());
    }
    listener.ssl_policy.get_or_insert_with(|| SSL_POLICY.to_owned());
    Ok(())
}

fn describe_listeners(tx: &mut Tx, p: &Params) -> Reply {
    let arns = p.strings("ListenerArns");
    let mut rows = tx.select::<Listener>(&arns).map_err(|error| among_several(error, "listeners"))?;
    match p.opt_str("LoadBalancerArn") {
        Some(balancer) => {
            tx.get::<LoadBalancer>(balancer)?;
            rows.retain(|row| row.load_balancer == balancer);
        }
        None if arns.is_empty() => {
            let message = "You must specify either listener ARNs or a load balancer ARN";
            return Err(AwsError::new("ValidationError", message));
        }
        None => {}
    }
    pages(p, "Listeners", rows.into_iter().map(|row| (row.arn.clone(), row)).collect(), |row| {
        tx.shown(row, Listener::view)
    })
}

fn modify_listener(tx: &mut Tx, p: &Params) -> Reply {
    let mut listener = tx.get::<Listener>(p.str("ListenerArn")?)?.clone();
    let balancer = tx.get::<LoadBalancer>(&listener.load_balancer)?.clone();
    let port = number(p, "Port", 1..=65_535, listener.port)?;
    if port != listener.port && on_port(tx, &balancer.arn, port).is_some() {
        return Err(duplicate(&balancer.arn));
    }
    listener.port = port;
    let protocol = protocol(tx, p, &balancer, &listener.protocol)?;
    if protocol != listener.protocol {
        listener.attributes = attributes::of_listener(&protocol);
        listener.protocol = protocol;
    }
    if p.has("AlpnPolicy") {
        listener.alpn_policy = p.strings("AlpnPolicy").first().map(|policy| (*policy).to_owned());
    }
    secure(tx, p, &mut listener)?;
    if p.has("DefaultActions") {
        let at = At { balancer: &balancer, protocol: &listener.protocol, port };
        let action = action::read(tx, &at, &p.list("DefaultActions"))?;
        listener.route.set(action);
    }
    let (arn, mut view) = (listener.arn.clone(), listener.view(tx));
    view["DefaultActions"] = listener.route.action.view();
    *tx.get_mut::<Listener>(&arn)? = listener;
    route::announce(tx, &arn, balancer.network);
    Ok(json!({ "Listeners": [view] }))
}

fn delete_listener(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("ListenerArn")?;
    tx.get::<Listener>(arn)?;
    remove(tx, arn);
    Ok(json!({}))
}

/// Takes a listener away with its rules.
pub fn remove(tx: &mut Tx, arn: &str) {
    let rules: Vec<String> =
        tx.all::<Rule>().filter(|rule| rule.listener == arn).map(|rule| rule.arn.clone()).collect();
    rules.iter().for_each(|rule| tx.delete::<Rule>(rule));
    tx.delete::<Listener>(arn);
    targets::uses_changed(tx);
}
