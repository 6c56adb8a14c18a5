//! Scheduled actions: a group gets other sizes at a time, once or again and again.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::fleet;
use super::group::{self, Group};
use super::*;
use crate::sim::wire::time;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "PutScheduledUpdateGroupAction",
        params: &["
            AutoScalingGroupName ScheduledActionName StartTime EndTime Recurrence TimeZone MinSize MaxSize DesiredCapacity
        "],
        run: put_scheduled_update_group_action,
    },
    Action {
        name: "DescribeScheduledActions",
        params: &["AutoScalingGroupName ScheduledActionNames[]", PAGES],
        run: describe_scheduled_actions,
    },
    Action {
        name: "DeleteScheduledAction",
        params: &["AutoScalingGroupName ScheduledActionName"],
        run: delete_scheduled_action,
    },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scheduled {
    /// `GROUP/NAME`
    pub key: String,
    pub group: String,
    pub name: String,
    pub arn: String,
    /// When it is to be carried out once, or for the first time.
    pub start: Option<Timestamp>,
    /// When it is carried out next: AWS shows it as the start.
    pub next: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub recurrence: Option<String>,
    pub time_zone: Option<String>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub desired: Option<i64>,
}

resource!(Scheduled, key, region.autoscaling.scheduled_actions, Extent::Kind, |_: &str| {
    invalid("Scheduled action name not found")
});

/// All actions of a region. In a fork they stand still: what they would change there has no part in a plan.
pub fn load(reader: &Reader, _: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let (action, list) = ("DescribeScheduledActions", "ScheduledUpdateGroupActions");
    let params = json!({ "MaxRecords": 100 });
    for shown in reader.pages("autoscaling", action, params, list, ("NextToken", "NextToken"))? {
        rows.whole(Read::of(Scheduled::shown(&shown)?).shown(&shown));
    }
    Ok(())
}

impl Scheduled {
    fn shown(shown: &Params) -> Result<Scheduled, AwsError> {
        let (group, name) = (shown.text("AutoScalingGroupName"), shown.text("ScheduledActionName"));
        let at = |name: &str| shown.has(name).then(|| shown.time(name));
        let optional = |name: &str| shown.opt_str(name).map(str::to_owned);
        Ok(Scheduled {
            key: key(&group, &name),
            arn: shown.text("ScheduledActionARN"),
            start: at("StartTime").filter(|_| !shown.has("Recurrence")),
            next: at("StartTime"),
            end: at("EndTime"),
            recurrence: optional("Recurrence"),
            time_zone: optional("TimeZone"),
            min: shown.opt_int("MinSize")?,
            max: shown.opt_int("MaxSize")?,
            desired: shown.opt_int("DesiredCapacity")?,
            group,
            name,
        })
    }

    fn view(&self) -> Value {
        json!({
            "AutoScalingGroupName": self.group,
            "ScheduledActionName": self.name,
            "ScheduledActionARN": self.arn,
            "Time": self.next.map(time),
            "StartTime": self.next.map(time),
            "EndTime": self.end.map(time),
            "Recurrence": self.recurrence,
            "TimeZone": self.time_zone,
            "MinSize": self.min,
            "MaxSize": self.max,
            "DesiredCapacity": self.desired,
        })
    }

    fn zone(&self) -> TimeZone {
        self.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
    }
}

fn key(group: &str, name: &str) -> String {
    format!("{group}/{name}")
}

/// A time of a request.
fn at(p: &Params, name: &str) -> Result<Option<Timestamp>, AwsError> {
    let Some(text) = p.opt_str(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| invalid(format!("{name} is not a time: {text}")))
}

fn put_scheduled_update_group_action(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("ScheduledActionName")?.to_owned();
    let group = group::to_change(tx, p)?.name.clone();
    let known = tx.peek::<Scheduled>(&key(&group, &name)).cloned();
    let (start, recurrence) = (at(p, "StartTime")?, p.opt_str("Recurrence").map(str::to_owned));
    if start.is_some_and(|start| start < tx.now) {
        return Err(invalid("Given start time is in the past"));
    }
    let id = uuid(tx);
    let new = || Scheduled {
        key: key(&group, &name),
        arn: tx.arn(
            "autoscaling",
            &format!("scheduledUpdateGroupAction:{id}:autoScalingGroupName/{group}:scheduledActionName/{name}"),
        ),
        group: group.clone(),
        name: name.clone(),
        start: None,
        next: None,
        end: None,
        recurrence: None,
        time_zone: None,
        min: None,
        max: None,
        desired: None,
    };
    let is_new = known.is_none();
    let mut action = known.unwrap_or_else(new);
    // "If you leave a parameter unspecified when updating a scheduled scaling action, the corresponding value remains
    // unchanged", as the API reference had it for long.
    action.recurrence = recurrence.or(action.recurrence);
    action.time_zone = p.opt_str("TimeZone").map(str::to_owned).or(action.time_zone);
    action.end = at(p, "EndTime")?.or(action.end);
    action.min = p.opt_int("MinSize")?.or(action.min);
    action.max = p.opt_int("MaxSize")?.or(action.max);
    action.desired = p.opt_int("DesiredCapacity")?.or(action.desired);
    if action.min.is_none() && action.max.is_none() && action.desired.is_none() {
        return Err(invalid("At least one of MinSize, MaxSize or DesiredCapacity must be specified"));
    }
    if let (Some(min), Some(max)) = (action.min, action.max)
        && min > max
    {
        return Err(invalid("Min bound is greater than max bound"));
    }
    if action.time_zone.as_deref().is_some_and(|name| TimeZone::get(name).is_err()) {
        return Err(invalid("Invalid time zone"));
    }
    let cron = action.recurrence.as_deref().map(Cron::read).transpose()?;
    let next = cron.as_ref().and_then(|cron| cron.after(tx.now, &action.zone()));
    // When the recurrence begins anyway is shown as the start, and may be put back as such: that says nothing.
    action.start = start.or(action.start).filter(|start| *start >= tx.now && next != Some(*start));
    action.next = action.start.or(next);
    let Some(start) = action.next else { return Err(invalid("Either StartTime or Recurrence must be specified")) };
    if action.end.is_some_and(|end| end <= start) {
        return Err(invalid("End time must be after start time"));
    }
    match is_new {
        true => tx.put_at_once(action),
        false => *tx.get_mut::<Scheduled>(&key(&group, &name))? = action,
    }
    await_start(tx, &group, &name, start);
    done()
}

fn await_start(tx: &mut Tx, group: &str, name: &str, start: Timestamp) {
    let after = Duration::try_from(start.duration_since(tx.now)).unwrap_or_default();
    fleet::soon(tx, group, Step::Scheduled { name: name.to_owned(), at: start }, after);
}

/// The time of an action has come.
pub fn act(tx: &mut Tx, group: &str, name: &str, at: Timestamp) {
    let key = key(group, name);
    let Some(action) = tx.peek::<Scheduled>(&key).filter(|action| action.next == Some(at)).cloned() else { return };
    let Some(row) = tx.peek_mut::<Group>(group).filter(|group| !group.deleting) else { return };
    if row.runs("ScheduledActions") {
        let (was, had) = (row.desired, (row.min, row.max));
        (row.min, row.max) = (action.min.unwrap_or(row.min), action.max.unwrap_or(row.max));
        row.max = row.max.max(row.min);
        row.desired = action.desired.unwrap_or(was).clamp(row.min, row.max);
        let (min, max, now) = (row.min, row.max, row.desired);
        if now != was || had != (min, max) {
            let cause = format!(
                "a scheduled action update of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {now} changing \
                 the desired capacity from {was} to {now}."
            );
            fleet::because(tx, group, &cause);
        }
    }
    let cron = action.recurrence.as_deref().and_then(|text| Cron::read(text).ok());
    let next = cron.and_then(|cron| cron.after(at, &action.zone()));
    match next.filter(|next| action.end.is_none_or(|end| *next <= end)) {
        Some(next) => {
            if let Some(action) = tx.peek_mut::<Scheduled>(&key) {
                action.next = Some(next);
            }
            await_start(tx, group, name, next);
        }
        // What is not carried out again is deleted.
        None => tx.delete_at_once::<Scheduled>(&key),
    }
}

/// The group is gone, and its actions with it. Nothing is read for that.
pub fn forget(tx: &mut Tx, group: &str) {
    let of_it = Scheduled::table(tx).all().filter(|action| action.group == group);
    for key in of_it.map(|action| action.key.clone()).collect::<Vec<_>>() {
        tx.delete_at_once::<Scheduled>(&key);
    }
}

fn describe_scheduled_actions(tx: &mut Tx, p: &Params) -> Reply {
    let (group, names) = (p.opt_str("AutoScalingGroupName"), p.strings("ScheduledActionNames"));
    if let Some(group) = group {
        tx.get::<Group>(group)?;
    }
    let mut rows: Vec<&Scheduled> = tx.all::<Scheduled>().collect();
    rows.retain(|action| group.is_none_or(|group| action.group == group));
    rows.retain(|action| names.is_empty() || names.contains(&action.name.as_str()));
    let (page, next) = select::page(&PAGING, p, rows, |action| &action.key)?;
    let page: Vec<Value> = page.into_iter().map(Scheduled::view).collect();
    Ok(json!({ "ScheduledUpdateGroupActions": page, "NextToken": next }))
}

fn delete_scheduled_action(tx: &mut Tx, p: &Params) -> Reply {
    let key = key(p.str("AutoScalingGroupName")?, p.str("ScheduledActionName")?);
    group::to_change(tx, p)?;
    tx.get_mut::<Scheduled>(&key)?;
    tx.delete_at_once::<Scheduled>(&key);
    done()
}

/// `[Minute] [Hour] [Day_of_Month] [Month_of_Year] [Day_of_Week]`
struct Cron {
    minutes: Vec<i8>,
    hours: Vec<i8>,
    days: Vec<i8>,
    months: Vec<i8>,
    weekdays: Vec<i8>,
    /// Whether days are named both ways: then either counts, as crontab has it.
    either: bool,
}

impl Cron {
    fn read(text: &str) -> Result<Cron, AwsError> {
        let wrong = || {
            invalid(
                "Invalid recurrence string. Please use the format [Minute] [Hour] [Day_of_Month] [Month_of_Year] [Day_of_Week]",
            )
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else { return Err(wrong()) };
        let field = |text: &str, low: i8, high: i8, names: &[&str]| numbers(text, low, high, names).ok_or_else(wrong);
        const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
        const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
        let mut weekdays = field(weekday, 0, 7, WEEKDAYS)?;
        weekdays.iter_mut().for_each(|day| *day %= 7);
        Ok(Cron {
            minutes: field(minute, 0, 59, &[])?,
            hours: field(hour, 0, 23, &[])?,
            days: field(day, 1, 31, &[])?,
            months: field(month, 1, 12, MONTHS)?,
            weekdays,
            either: day != "*" && weekday != "*",
        })
    }

    /// The first time after `now`; `None` if there is none in four years.
    fn after(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut day = now.to_zoned(zone.clone()).date();
        for _ in 0..4 * 366 {
            let (by_day, by_weekday) =
                (self.days.contains(&day.day()), self.weekdays.contains(&day.weekday().to_sunday_zero_offset()));
            let fits = if self.either { by_day || by_weekday } else { by_day && by_weekday };
            if fits && self.months.contains(&day.month()) {
                let times = self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
                let mut times: Vec<Timestamp> = times
                    .filter_map(|(hour, minute)| day.at(hour, minute, 0, 0).to_zoned(zone.clone()).ok())
                    .map(|at| at.timestamp())
                    .filter(|at| *at > now)
                    .collect();
                times.sort();
                if let Some(first) = times.first() {
                    return Some(*first);
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }
}

/// `*`, `5`, `1-5`, `*/15`, `1,15`, and names. `None`: it is none of these.
fn numbers(text: &str, low: i8, high: i8, names: &[&str]) -> Option<Vec<i8>> {
    let number = |text: &str| {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|at| i8::try_from(at).ok()).map(|at| at + low);
        named.or_else(|| text.parse().ok()).filter(|number| (low..=high).contains(number))
    };
    let mut all = Vec::new();
    for part in text.split(',') {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let step: usize = step.parse().ok().filter(|step| *step > 0)?;
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return None;
        }
        all.extend((from..=to).step_by(step));
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recurrences() {
        let next = |cron: &str, zone: &str| {
            let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            let zone = TimeZone::get(zone).unwrap();
            Cron::read(cron).unwrap().after(now, &zone).unwrap().to_string()
        };
        assert_eq!(next("0 6 * * MON-FRI", "UTC"), "2026-01-01T06:00:00Z");
        assert_eq!(next("0 6 * * 1-5", "Europe/Berlin"), "2026-01-01T05:00:00Z");
        assert_eq!(next("30 0 1 1,6,12 *", "UTC"), "2026-01-01T00:30:00Z");
        assert_eq!(next("*/20 * * * *", "UTC"), "2026-01-01T00:20:00Z");
        assert_eq!(next("0 0 * * 0", "UTC"), "2026-01-04T00:00:00Z");
        assert_eq!(next("0 0 * * 7", "UTC"), "2026-01-04T00:00:00Z");
        assert_eq!(next("0 0 2 * 0", "UTC"), "2026-01-02T00:00:00Z", "either of the days");
        for wrong in ["", "0 6 * *", "60 * * * *", "* * * * MON-", "5-1 * * * *", "a * * * *"] {
            assert!(Cron::read(wrong).is_err(), "{wrong}");
        }
    }
}
