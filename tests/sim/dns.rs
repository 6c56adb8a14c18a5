//! Route 53 and the names SSM gives to images.

use std::{sync::Arc, time::Duration};

use aws_sdk_route53::{
    Client,
    error::ProvideErrorMetadata,
    types::{
        AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType, Tag,
        TagResourceType, Vpc, VpcRegion,
    },
};
use runner::sim::{Settings, Simulator, Source};

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
