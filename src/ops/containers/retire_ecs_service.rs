//! `retire_ecs_service`: a service that is not needed any more.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    EcsService,
    deploy_ecs_service::{DRAIN, count_field, delete, to_zero, undo},
    scaling, service,
};
use crate::{
    event::Change,
    ops::{Duration, Error, IdOf, Operation, compute::traffic_guard::check_idle, ownership::changed},
    run::{Ctx, Undo},
};

/// Takes a service out: its tasks are drained and ended, and it is left without tasks or deleted. One whose target groups still
/// get traffic is refused. A service that is gone, or without tasks, is fine as it is. What scales it is taken off first.
///
/// A service without tasks gets them back on rollback. A deleted one cannot come back: `commit` before that, or say with
/// `keep_on_rollback` that nobody will miss it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireEcsService {
    /// The service: what `deploy_ecs_service` or `find_ecs_service` returned, or its ARN.
    service: IdOf<EcsService>,
    /// `zero` leaves the service, without tasks. `delete` deletes it too.
    #[serde(default)]
    to: To,
    /// How long draining may take.
    #[serde(default = "an_hour_and_a_half")]
    timeout: Duration,
    /// Leaves the service retired when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum To {
    #[default]
    Zero,
    Delete,
}

fn an_hour_and_a_half() -> Duration {
    Duration(DRAIN)
}

impl Operation for RetireEcsService {
    const NAME: &'static str = "retire_ecs_service";
    const AREA: &'static str = "ECS";
    const EXAMPLE: &'static str =
        r#"retire_ecs_service(#{ service: find_ecs_service(#{ name: "web-blue", cluster: main }), to: "delete" })"#;

    type Options = Self;
    type Handle = EcsService;

    fn subject(options: &Self) -> String {
        super::ecs::name_in(options.service.as_str()).to_owned()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<EcsService, Error> {
        let arn = options.service.as_str();
        service::cluster_in(arn)?;
        let keep = options.keep_on_rollback;
        let Some(found) = service::find(ctx, arn).await? else {
            ctx.did(Change::Unchanged, []);
            return Ok(service::absent(arn));
        };
        service::check_owner(ctx, &found)?;
        check_idle(ctx, &found.service_name, &found.target_groups()).await?;
        // Or it would bring tasks back.
        let scaled = scaling::remove(ctx, arn, keep).await?;
        let empty = found.desired_count == 0 && found.running_count + found.pending_count == 0;
        if !empty {
            let count = |count: i64| [("desiredCount".to_owned(), json!(count))].into_iter().collect();
            let undo = undo(&found, count(found.desired_count), count(0)).keep(keep);
            to_zero(ctx, &found, Some(undo), options.timeout.0).await?;
        }
        if options.to == To::Delete {
            // One whose count was changed has the undo of that, which finds no service.
            let undo = Undo::impossible(format!("bring back service {}", found.service_name)).keep(keep);
            delete(ctx, arn, false, (found.desired_count == 0).then_some(undo), options.timeout.0).await?;
            ctx.did(Change::Deleted, [changed("desired_count", found.desired_count, 0)]);
            return Ok(service::absent(arn));
        }
        let change = if empty && !scaled { Change::Unchanged } else { Change::Updated };
        ctx.did(change, count_field(found.desired_count, 0));
        Ok(EcsService { desired_count: 0, running_count: 0, pending_count: 0, ..found.handle() })
    }
}
