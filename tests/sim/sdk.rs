//! The SDK itself as the caller: what it sends is understood, and what it gets back it understands.

use std::sync::Arc;

use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, ResourceType, Tag, TagSpecification};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use runner::sim::{Settings, Simulator, Source};

#[derive(Clone)]
struct Under(Arc<Simulator>);

impl std::fmt::Debug for Under {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Under")
    }
}

impl HttpConnector for Under {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = request.try_into_http1x().expect("an HTTP request");
        let request = request.map(|body| Bytes::copy_from_slice(body.bytes().unwrap_or_default()));
        let response = self.0.answer(&request, self.0.clock());
        let response = HttpResponse::try_from(response.map(|body| SdkBody::from(body.to_vec())));
        HttpConnectorFuture::ready(Ok(response.expect("an HTTP response")))
    }
}

/// How a client of any service reaches a simulator.
pub fn config(sim: &Arc<Simulator>) -> aws_types::SdkConfig {
    let under = Under(sim.clone());
    aws_types::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(Credentials::new(
            "111122223333",
            "secret",
            None,
            None,
            "test",
        )))
        .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(under.clone())))
        .build()
}

#[tokio::test]
async fn the_sdk_and_the_simulator_understand_each_other() {
    let sim = Arc::new(Simulator::open(Source::Fresh, 1).unwrap());
    sim.configure(Settings { lag: false, ..Settings::default() }).unwrap();
    let ec2 = aws_sdk_ec2::Client::new(&config(&sim));

    let name = Tag::builder().key("Name").value("shop & co").build();
    let tags = TagSpecification::builder().resource_type(ResourceType::Vpc).tags(name).build();
    let made = ec2.create_vpc().cidr_block("10.0.0.0/16").tag_specifications(tags).send().await.unwrap();
    let vpc = made.vpc().unwrap().vpc_id().unwrap();
    let named = Filter::builder().name("tag:Name").values("shop*").build();
    let shown = ec2.describe_vpcs().filters(named).send().await.unwrap();
    assert_eq!(shown.vpcs()[0].vpc_id(), Some(vpc));
    assert_eq!(shown.vpcs()[0].tags()[0].value(), Some("shop & co"));

    let table = ec2.create_route_table().vpc_id(vpc).send().await.unwrap();
    assert_eq!(table.route_table().unwrap().routes()[0].gateway_id(), Some("local"));
    let group = ec2.create_security_group().group_name("web").description("web").vpc_id(vpc).send().await.unwrap();
    let anywhere = IpRange::builder().cidr_ip("0.0.0.0/0").build();
    let https = IpPermission::builder().ip_protocol("tcp").from_port(443).to_port(443).ip_ranges(anywhere).build();
    let group = group.group_id().unwrap();
    ec2.authorize_security_group_ingress().group_id(group).ip_permissions(https).send().await.unwrap();
    let shown = ec2.describe_security_groups().group_ids(group).send().await.unwrap();
    assert_eq!(shown.security_groups()[0].ip_permissions()[0].to_port(), Some(443));

    let refused = ec2.delete_vpc().vpc_id(vpc).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("DependencyViolation"));
}
