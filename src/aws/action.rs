//! Which AWS action a request is: told by the SDK's operation metadata, checked against the wire.

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextMut, dyn_dispatch_hint},
        orchestrator::{HttpRequest, Metadata},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;

use super::services::AwsService;

/// An action as IAM and AWS's documentation name it: `ec2:CreateVpc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action(pub String);

/// Puts the [`Action`] into each request, for the transport to see.
#[derive(Debug)]
pub struct NameAction;

#[dyn_dispatch_hint]
impl Intercept for NameAction {
    fn name(&self) -> &'static str {
        "NameAction"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let metadata = config.load::<Metadata>().ok_or("a request without operation metadata")?;
        let service = service_of(metadata.service())
            .ok_or_else(|| format!("the service {} has no known action prefix", metadata.service()))?;
        let action = Action(format!("{service}:{}", metadata.name()));
        context.request_mut().add_extension(action);
        Ok(())
    }
}

/// The action prefix of a service, from its SDK id. Source: the `endpointPrefix` and IAM prefixes
/// of the Service Authorization Reference.
pub fn service_of(sdk_id: &str) -> Option<&'static str> {
    Some(match sdk_id {
        "ACM" => "acm",
        "Auto Scaling" => "autoscaling",
        "EC2" => "ec2",
        "Elastic Load Balancing v2" => "elasticloadbalancing",
        "IAM" => "iam",
        "Route 53" => "route53",
        "SSM" => "ssm",
        "STS" => "sts",
        // Those without a crate go by their own names.
        name => AwsService::find(name)?.prefix,
    })
}

/// The action the bytes of a request ask for, where the protocol says it: `Action=` in a query body,
/// `X-Amz-Target` with JSON. REST protocols say it by method and path only.
pub fn on_the_wire(request: &HttpRequest) -> Option<String> {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.rsplit('.').next().map(str::to_owned);
    }
    let body = request.body().bytes()?;
    form_urlencoded::parse(body).find(|(key, _)| key == "Action").map(|(_, action)| action.into_owned())
}
