//! Route 53 and the names SSM gives to images.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use aws_sdk_route53::{
    Client,
    error::ProvideErrorMetadata,
    types::{
        AliasTarget, Change, ChangeAction, ChangeBatch, HealthCheckConfig, HealthCheckType, ResourceRecord,
        ResourceRecordSet, RrType, Tag, TagResourceType, Vpc, VpcRegion,
    },
};
use runner::{
    sim::{Settings, Simulator, Source},
    web::Request,
};

use super::sdk;

struct Zone {
    sim: Arc<Simulator>,
    r53: Client,
    id: String,
}

impl Zone {
    async fn new() -> Zone {
        let sim = Arc::new(Simulator::open(Source::Fresh, 1).unwrap());
        sim.configure(Settings { lag: false, ..Settings::default() }).unwrap();
        let r53 = Client::new(&sdk::config(&sim));
        let made = r53.create_hosted_zone().name("Example.com").caller_reference("1").send().await.unwrap();
        let id = made.hosted_zone().unwrap().id().to_owned();
        assert!(id.starts_with("/hostedzone/Z"), "{id}");
        assert_eq!(made.delegation_set().unwrap().name_servers().len(), 4);
        Zone { sim, r53, id }
    }

    /// Sends a batch; returns AWS's message if it is refused.
    async fn change(&self, changes: Vec<(ChangeAction, ResourceRecordSet)>) -> Result<String, String> {
        let change = |(action, set)| Change::builder().action(action).resource_record_set(set).build().unwrap();
        let batch =
            ChangeBatch::builder().set_changes(Some(changes.into_iter().map(change).collect())).build().unwrap();
        let sent = self.r53.change_resource_record_sets().hosted_zone_id(&self.id).change_batch(batch).send().await;
        match sent {
            Ok(reply) => Ok(reply.change_info().unwrap().id().to_owned()),
            Err(error) => {
                assert_eq!(error.code(), Some("InvalidChangeBatch"), "{error:?}");
                Err(error.message().unwrap_or_default().to_owned())
            }
        }
    }

    async fn names(&self) -> Vec<String> {
        let listed = self.r53.list_resource_record_sets().hosted_zone_id(&self.id).send().await.unwrap();
        listed.resource_record_sets().iter().map(|set| format!("{} {}", set.r#type(), set.name())).collect()
    }
}

fn set(kind: RrType, name: &str, value: &str) -> ResourceRecordSet {
    let record = ResourceRecord::builder().value(value).build().unwrap();
    ResourceRecordSet::builder().name(name).r#type(kind).ttl(60).resource_records(record).build().unwrap()
}

fn weighted(name: &str, value: &str, identifier: &str, weight: i64) -> ResourceRecordSet {
    let plain = set(RrType::A, name, value);
    let set = ResourceRecordSet::builder().name(plain.name()).r#type(RrType::A).ttl(60);
    let set = set.set_resource_records(plain.resource_records).set_identifier(identifier).weight(weight);
    set.build().unwrap()
}

#[tokio::test]
async fn all_of_a_batch_happens_or_nothing() {
    let zone = Zone::new().await;
    let www = || set(RrType::A, "www.example.com", "192.0.2.1");
    zone.change(vec![(ChangeAction::Create, www())]).await.unwrap();
    let refused = zone
        .change(vec![
            (ChangeAction::Create, set(RrType::A, "new.example.com", "192.0.2.1")),
            (ChangeAction::Create, www()),
            (ChangeAction::Delete, set(RrType::A, "old.example.com", "192.0.2.1")),
        ])
        .await;
    assert_eq!(
        refused.unwrap_err(),
        "[Tried to create resource record set [name='www.example.com.', type='A'] but it already exists, \
         Tried to delete resource record set [name='old.example.com.', type='A'] but it was not found]"
    );
    assert_eq!(zone.names().await, ["NS example.com.", "SOA example.com.", "A www.example.com."]);
    let other = set(RrType::A, "www.example.com", "192.0.2.2");
    let refused = zone.change(vec![(ChangeAction::Delete, other)]).await.unwrap_err();
    assert!(refused.ends_with("but the values provided do not match the current values]"), "{refused}");
    let swapped =
        vec![(ChangeAction::Delete, www()), (ChangeAction::Create, set(RrType::Cname, "www.example.com", "a"))];
    zone.change(swapped).await.unwrap();
}

#[tokio::test]
async fn what_does_not_belong_is_refused() {
    let zone = Zone::new().await;
    zone.change(vec![(ChangeAction::Create, set(RrType::A, "www.example.com", "192.0.2.1"))]).await.unwrap();
    let target = AliasTarget::builder().hosted_zone_id(zone.id.trim_start_matches("/hostedzone/"));
    let target = target.dns_name("nowhere.example.com").evaluate_target_health(false).build().unwrap();
    let alias = ResourceRecordSet::builder().name("a.example.com").r#type(RrType::A).alias_target(target);
    // The zone of load balancers in another region.
    let target = AliasTarget::builder().hosted_zone_id("Z35SXDOTRQ7X7K").evaluate_target_health(false);
    let target = target.dns_name("web-1.eu-west-1.elb.amazonaws.com").build().unwrap();
    let astray = ResourceRecordSet::builder().name("a.example.com").r#type(RrType::A).alias_target(target);
    for (set, part) in [
        (set(RrType::A, "example.org", "192.0.2.1"), "is not permitted in zone example.com."),
        (set(RrType::A, "a.example.com", "192.0.2"), "ARRDATAIllegalIPv4Address"),
        (set(RrType::Txt, "a.example.com", "hello"), "enclosed in quotation marks"),
        (set(RrType::Cname, "example.com", "a"), "is not permitted at apex"),
        (set(RrType::Cname, "www.example.com", "a"), "as it conflicts with other records"),
        (weighted("www.example.com", "192.0.2.1", "blue", 1), "cannot be created as a non-weighted set exists"),
        (alias.build().unwrap(), "but that target was not found"),
        (astray.build().unwrap(), "does not lie within the target zone"),
        (set(RrType::Mx, "a.example.com", "mail.example.com"), "MXRRDATANotTwoFields"),
        (set(RrType::A, "a b.example.com", "192.0.2.1"), "UnsupportedCharacter"),
    ] {
        let refused = zone.change(vec![(ChangeAction::Upsert, set)]).await.unwrap_err();
        assert!(refused.contains(part), "{refused}");
    }
    let soa = zone.r53.list_resource_record_sets().hosted_zone_id(&zone.id).send().await.unwrap();
    let soa = soa.resource_record_sets()[1].clone();
    let refused = zone.change(vec![(ChangeAction::Delete, soa)]).await.unwrap_err();
    assert_eq!(refused, "[A HostedZone must contain exactly one SOA record.]");
}

#[tokio::test]
async fn records_are_listed_in_pages_by_reversed_name() {
    let zone = Zone::new().await;
    let create = |set| (ChangeAction::Create, set);
    zone.change(vec![
        create(weighted("b.example.com", "192.0.2.1", "green", 0)),
        create(weighted("b.example.com", "192.0.2.2", "blue", 255)),
        create(set(RrType::A, "z.a.example.com", "192.0.2.3")),
        create(set(RrType::Cname, "*.example.com", "b.example.com")),
    ])
    .await
    .unwrap();
    let list = || zone.r53.list_resource_record_sets().hosted_zone_id(&zone.id).max_items(3);
    let first = list().send().await.unwrap();
    assert_eq!(first.resource_record_sets()[2].name(), r"\052.example.com.");
    assert_eq!((first.is_truncated(), first.next_record_name()), (true, Some("z.a.example.com.")));
    let second = list().set_start_record_name(first.next_record_name).set_start_record_type(first.next_record_type);
    let second = second.send().await.unwrap();
    let weights: Vec<_> = second.resource_record_sets().iter().filter_map(|set| set.set_identifier()).collect();
    assert_eq!((weights, second.is_truncated()), (vec!["blue", "green"], false));
}

#[tokio::test]
async fn a_change_takes_half_a_minute() {
    let zone = Zone::new().await;
    let id = zone.change(vec![(ChangeAction::Create, set(RrType::A, "www.example.com", "192.0.2.1"))]).await.unwrap();
    assert!(id.starts_with("/change/C"), "{id}");
    let status = async || {
        let shown = zone.r53.get_change().id(&id).send().await.unwrap();
        shown.change_info().unwrap().status().as_str().to_owned()
    };
    assert_eq!(status().await, "PENDING");
    zone.sim.advance(zone.sim.clock() + Duration::from_secs(30));
    assert_eq!(status().await, "INSYNC");
}

#[tokio::test]
async fn a_zone_with_records_in_it_is_not_deleted() {
    let zone = Zone::new().await;
    let again = zone.r53.create_hosted_zone().name("example.org").caller_reference("1").send().await.unwrap_err();
    assert_eq!(again.code(), Some("HostedZoneAlreadyExists"));
    let www = || set(RrType::A, "www.example.com", "192.0.2.1");
    zone.change(vec![(ChangeAction::Create, www())]).await.unwrap();
    let delete = || zone.r53.delete_hosted_zone().id(&zone.id).send();
    assert_eq!(delete().await.unwrap_err().code(), Some("HostedZoneNotEmpty"));
    zone.change(vec![(ChangeAction::Delete, www())]).await.unwrap();

    let id = zone.id.trim_start_matches("/hostedzone/");
    let tags = zone.r53.change_tags_for_resource().resource_type(TagResourceType::Hostedzone).resource_id(id);
    let tag = |key: &str| Tag::builder().key(key).value("x").build();
    tags.clone().add_tags(tag("a")).add_tags(tag("b")).send().await.unwrap();
    tags.remove_tag_keys("a").send().await.unwrap();
    let shown = zone.r53.list_tags_for_resource().resource_type(TagResourceType::Hostedzone).resource_id(id);
    let shown = shown.send().await.unwrap();
    assert_eq!(shown.resource_tag_set().unwrap().tags(), [tag("b")]);

    delete().await.unwrap();
    assert_eq!(delete().await.unwrap_err().code(), Some("NoSuchHostedZone"));
}

/// Route 53 is asked in one region, and their networks are in any.
#[tokio::test]
async fn private_zones_are_of_networks_that_are_there() {
    let zone = Zone::new().await;
    let ec2 = aws_sdk_ec2::Client::new(&sdk::config(&zone.sim));
    let made = ec2.create_vpc().cidr_block("10.0.0.0/16").send().await.unwrap();
    let id = made.vpc().unwrap().vpc_id().unwrap();
    let create = async |reference: &str, id: &str| {
        let vpc = Vpc::builder().vpc_region(VpcRegion::from("eu-west-1")).vpc_id(id).build();
        let request = zone.r53.create_hosted_zone().name("internal.example.com").caller_reference(reference);
        request.vpc(vpc).send().await
    };
    let absent = create("2", "vpc-0123456789abcdef0").await.unwrap_err();
    assert_eq!(absent.code(), Some("InvalidVPCId"));
    let made = create("3", id).await.unwrap();
    assert!(made.location().ends_with(made.hosted_zone().unwrap().id()), "{}", made.location());
    let again = create("4", id).await.unwrap_err();
    assert_eq!(again.code(), Some("ConflictingDomainExists"));
}

#[tokio::test]
async fn ssm_names_amazons_images() {
    let zone = Zone::new().await;
    let ssm = aws_sdk_ssm::Client::new(&sdk::config(&zone.sim));
    let name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
    let found = ssm.get_parameter().name(name).send().await.unwrap();
    let found = found.parameter().unwrap();
    assert!(found.value().unwrap().starts_with("ami-"), "{found:?}");
    let missing = ssm.get_parameter().name("/shop/colour").send().await.unwrap_err();
    assert_eq!(missing.code(), Some("ParameterNotFound"));
    let several = ssm.get_parameters().names(name).names("/shop/colour").send().await.unwrap();
    assert_eq!((several.parameters().len(), several.invalid_parameters()), (1, &["/shop/colour".to_owned()][..]));
}

/// A load balancer that answers by itself, saying where it is, and its name.
struct Endpoint {
    region: &'static str,
    elb: aws_sdk_elasticloadbalancingv2::Client,
    listener: String,
    dns_name: String,
}

impl Endpoint {
    async fn new(sim: &Arc<Simulator>, region: &'static str) -> Endpoint {
        let config = sdk::config(sim).to_builder().region(aws_types::region::Region::new(region)).build();
        let (ec2, elb) = (aws_sdk_ec2::Client::new(&config), aws_sdk_elasticloadbalancingv2::Client::new(&config));
        let subnets = ec2.describe_subnets().send().await.unwrap();
        let subnets = subnets.subnets().iter().take(2).filter_map(|subnet| subnet.subnet_id().map(str::to_owned));
        let groups = ec2.describe_security_groups().send().await.unwrap();
        let group = groups.security_groups()[0].group_id().unwrap();
        let anywhere = aws_sdk_ec2::types::IpRange::builder().cidr_ip("0.0.0.0/0").build();
        let http = aws_sdk_ec2::types::IpPermission::builder().ip_protocol("tcp").from_port(80).to_port(80);
        let http = http.ip_ranges(anywhere).build();
        ec2.authorize_security_group_ingress().group_id(group).ip_permissions(http).send().await.unwrap();
        let made = elb.create_load_balancer().name("web").set_subnets(Some(subnets.collect())).security_groups(group);
        let made = made.send().await.unwrap();
        let balancer = &made.load_balancers()[0];
        let listener = elb.create_listener().load_balancer_arn(balancer.load_balancer_arn().unwrap()).port(80);
        let listener = listener.protocol(aws_sdk_elasticloadbalancingv2::types::ProtocolEnum::Http);
        let listener = listener.default_actions(answer("200", region)).send().await.unwrap();
        let listener = listener.listeners()[0].listener_arn().unwrap().to_owned();
        Endpoint { region, elb, listener, dns_name: balancer.dns_name().unwrap().to_owned() }
    }

    async fn answers(&self, status: &str) {
        let request = self.elb.modify_listener().listener_arn(&self.listener);
        request.default_actions(answer(status, self.region)).send().await.unwrap();
    }
}

fn answer(status: &str, region: &str) -> aws_sdk_elasticloadbalancingv2::types::Action {
    use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, FixedResponseActionConfig};
    let fixed = FixedResponseActionConfig::builder()
        .status_code(status)
        .message_body(format!("all is well in {region}"))
        .build();
    Action::builder().r#type(ActionTypeEnum::FixedResponse).fixed_response_config(fixed).build()
}

impl Zone {
    /// A health check that looks every ten seconds, and believes the second look.
    async fn check(&self, reference: &str, name: &str) -> String {
        let config = HealthCheckConfig::builder().r#type(HealthCheckType::HttpStrMatch).search_string("is well");
        let config = config.fully_qualified_domain_name(name).request_interval(10).failure_threshold(2);
        let request = self.r53.create_health_check().caller_reference(reference);
        let made = request.health_check_config(config.build().unwrap()).send().await.unwrap();
        made.health_check().unwrap().id().to_owned()
    }

    async fn put(&self, id: &str, to: &str, weight: i64, check: Option<&str>) {
        let plain = set(RrType::Cname, "www.example.com", to);
        let set = ResourceRecordSet::builder().name(plain.name()).r#type(RrType::Cname).ttl(60).set_identifier(id);
        let set = set.set_resource_records(plain.resource_records).weight(weight);
        let set = set.set_health_check_id(check.map(str::to_owned));
        self.change(vec![(ChangeAction::Upsert, set.build().unwrap())]).await.unwrap();
    }

    fn pass(&self, seconds: u64) {
        self.sim.advance(self.sim.clock() + Duration::from_secs(seconds));
    }

    /// Where users are led in the next seconds: home, or to anybody else.
    fn led_to(&self) -> BTreeSet<&'static str> {
        let once = |_| {
            self.sim.advance(self.sim.clock() + Duration::from_millis(50));
            let request = Request::new("GET", "http://www.example.com/".parse().unwrap(), Duration::from_secs(5));
            let reply = self.sim.visit("111122223333", "eu-west-1", &request);
            if reply.is_ok_and(|reply| reply.body.contains("eu-west-1")) { "home" } else { "away" }
        };
        (0..40).map(once).collect()
    }

    async fn statuses(&self, check: &str) -> BTreeSet<String> {
        let reply = self.r53.get_health_check_status().health_check_id(check).send().await.unwrap();
        let all = reply.health_check_observations().iter();
        all.map(|one| one.status_report().unwrap().status().unwrap().to_owned()).collect()
    }
}

/// "How Amazon Route 53 chooses records when health checking is configured".
#[tokio::test]
async fn names_lead_to_what_is_healthy() {
    let zone = Zone::new().await;
    let (home, away) = (Endpoint::new(&zone.sim, "eu-west-1").await, Endpoint::new(&zone.sim, "us-west-2").await);
    zone.pass(200);
    let [of_home, of_away] = [zone.check("1", &home.dns_name).await, zone.check("2", &away.dns_name).await];
    zone.put("home", &home.dns_name, 1, Some(&of_home)).await;
    zone.put("away", &away.dns_name, 1, Some(&of_away)).await;
    let both = BTreeSet::from(["away", "home"]);
    assert_eq!(zone.statuses(&of_away).await, BTreeSet::new());
    // "Route 53 considers a new health check to be healthy until there's enough data".
    away.answers("503").await;
    assert_eq!(zone.led_to(), both);
    zone.pass(8);
    assert_eq!(zone.statuses(&of_away).await, BTreeSet::from(["Failure: HTTP Status Code 503".to_owned()]));
    assert_eq!(zone.statuses(&of_home).await, BTreeSet::from(["Success: HTTP Status Code 200".to_owned()]));
    assert_eq!(zone.led_to(), both, "one failure is not believed");
    zone.pass(20);
    assert_eq!(zone.led_to(), BTreeSet::from(["home"]));
    // Those without weight are for when no other is healthy.
    zone.put("home", &home.dns_name, 0, Some(&of_home)).await;
    assert_eq!(zone.led_to(), BTreeSet::from(["home"]));
    away.answers("200").await;
    zone.pass(30);
    assert_eq!(zone.led_to(), BTreeSet::from(["away"]));
    // If none is healthy, all are taken to be.
    home.answers("500").await;
    away.answers("404").await;
    zone.pass(30);
    assert_eq!(zone.led_to(), BTreeSet::from(["away"]));
    zone.put("home", &home.dns_name, 1, Some(&of_home)).await;
    assert_eq!(zone.led_to(), both);
    // Without a health check, one is always healthy.
    zone.put("home", &home.dns_name, 1, None).await;
    assert_eq!(zone.led_to(), BTreeSet::from(["home"]));
    // Inverted, what fails is well; disabled, nobody looks, and it counts as well.
    let update = |id: &str| zone.r53.update_health_check().health_check_id(id);
    update(&of_away).inverted(true).send().await.unwrap();
    assert_eq!(zone.led_to(), both);
    update(&of_away).disabled(true).send().await.unwrap();
    assert_eq!(zone.led_to(), BTreeSet::from(["home"]));
    update(&of_away).inverted(false).send().await.unwrap();
    assert_eq!(zone.led_to(), both);
    // A record may go on having one that is gone.
    zone.r53.delete_health_check().health_check_id(&of_away).send().await.unwrap();
    assert_eq!(zone.led_to(), both);
}

/// Children that are counted, and the text that is looked for.
#[tokio::test]
async fn health_checks_of_health_checks() {
    let zone = Zone::new().await;
    let home = Endpoint::new(&zone.sim, "eu-west-1").await;
    zone.pass(200);
    let nowhere = zone.check("1", "nowhere.example.com").await;
    let well = zone.check("2", &home.dns_name).await;
    let config = HealthCheckConfig::builder().r#type(HealthCheckType::Calculated).health_threshold(2);
    let config = config.child_health_checks(&nowhere).child_health_checks(&well).build().unwrap();
    let made = zone.r53.create_health_check().caller_reference("3").health_check_config(config).send().await.unwrap();
    let both = made.health_check().unwrap().id();
    zone.put("away", "web-1.us-west-2.elb.amazonaws.com", 1, Some(both)).await;
    zone.put("home", &home.dns_name, 1, Some(&well)).await;
    zone.pass(25);
    let unknown = "Failure: DNS resolution failed: DNS response error code NXDOMAIN";
    assert_eq!(zone.statuses(&nowhere).await, BTreeSet::from([unknown.to_owned()]));
    assert_eq!(zone.led_to(), BTreeSet::from(["home"]));
    zone.r53.update_health_check().health_check_id(both).health_threshold(1).send().await.unwrap();
    assert_eq!(zone.led_to(), BTreeSet::from(["away", "home"]));
    zone.r53.update_health_check().health_check_id(&well).search_string("is ill").send().await.unwrap();
    zone.pass(25);
    let lacks = "Failure: The string was not found in the first 5,120 bytes of the response body";
    assert_eq!(zone.statuses(&well).await, BTreeSet::from([lacks.to_owned()]));
    let refused = zone.r53.get_health_check_status().health_check_id(both).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidInput"));
}
