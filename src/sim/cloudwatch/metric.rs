//! What is measured of what is simulated: the last period's datapoint of a metric. Metrics of anything else have none, and nor
//! have those that are computed.

use super::*;
use crate::sim::{autoscaling, elbv2};

/// One datapoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point {
    /// Something that has this value all the time.
    Level(f64),
    /// So many things happened.
    Count(f64),
}

impl Point {
    fn as_statistic(self, statistic: &str, period: i64) -> f64 {
        // A level is sampled once a minute.
        let samples = (period / 60).max(1) as f64;
        match (self, statistic) {
            (Point::Level(level), "Sum") => level * samples,
            (Point::Level(_), "SampleCount") => samples,
            (Point::Level(level), _) => level,
            (Point::Count(count), "Sum" | "SampleCount") => count,
            (Point::Count(_), _) => 1.0,
        }
    }
}

/// The datapoint of the metric that an alarm watches.
pub fn watched(tx: &Tx, alarm: &Alarm) -> Option<f64> {
    let definition = &alarm.definition;
    let (namespace, name) = (definition.opt_str("Namespace")?, definition.opt_str("MetricName")?);
    let dimensions = definition.map("Dimensions", "Name", "Value");
    let statistic = definition.opt_str("Statistic").or(definition.opt_str("ExtendedStatistic"))?;
    let period = alarm.period();
    Some(point(tx, namespace, name, &dimensions, period)?.as_statistic(statistic, period))
}

fn point(tx: &Tx, namespace: &str, name: &str, dimensions: &Tags, period: i64) -> Option<Point> {
    let of = |name: &str| dimensions.get(name).map(String::as_str);
    let only = |names: &[&str]| dimensions.keys().all(|name| names.contains(&name.as_str()));
    match namespace {
        "AWS/EC2" if name == "CPUUtilization" && only(&["AutoScalingGroupName"]) => {
            let instances = autoscaling::in_service(tx, of("AutoScalingGroupName")?)?;
            average(instances.iter().map(|id| busy(tx, id))).map(Point::Level)
        }
        "AWS/EC2" if name == "CPUUtilization" && only(&["InstanceId"]) => {
            let id = of("InstanceId")?;
            tx.peek::<crate::sim::ec2::Instance>(id).filter(|instance| instance.state.lives())?;
            Some(Point::Level(busy(tx, id)))
        }
        "AWS/AutoScaling" if only(&["AutoScalingGroupName"]) => {
            autoscaling::metric(tx, of("AutoScalingGroupName")?, name).map(|count| Point::Level(count as f64))
        }
        "AWS/ApplicationELB" if only(&["LoadBalancer", "TargetGroup"]) => {
            elbv2_point(tx, name, of("LoadBalancer"), of("TargetGroup"), period)
        }
        _ => None,
    }
}

/// How busy an instance is: one that answers all requests of a route has nothing to spare, one that answers none idles.
fn busy(tx: &Tx, instance: &str) -> f64 {
    const IDLE: f64 = 2.0;
    (IDLE + 100.0 * elbv2::metric::share_of(tx, instance)).min(100.0)
}

fn average(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// "CloudWatch metrics for your Application Load Balancer": counts are reported when there is something to count, the numbers of
/// hosts when there are targets.
fn elbv2_point(tx: &Tx, name: &str, balancer: Option<&str>, group: Option<&str>, period: i64) -> Option<Point> {
    let (seconds, healthy) = (period as f64, || elbv2::metric::hosts(tx, group?));
    let count = |rate: f64| (rate > 0.0).then_some(Point::Count(rate * seconds));
    let requests = elbv2::metric::requests(tx, balancer, group);
    match name {
        "HealthyHostCount" => Some(Point::Level(healthy()?.0 as f64)),
        "UnHealthyHostCount" => Some(Point::Level(healthy()?.1 as f64)),
        "RequestCount" => count(requests.all),
        "RequestCountPerTarget" => {
            let (healthy, _) = healthy()?;
            (healthy > 0).then(|| count(requests.all / healthy as f64)).flatten()
        }
        "HTTPCode_Target_5XX_Count" => count(requests.failed_by_targets),
        "HTTPCode_ELB_5XX_Count" => count(requests.failed_by_balancer),
        _ => None,
    }
}
