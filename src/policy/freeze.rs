//! `freeze`: windows of time in which nothing is changed. The clock of the machine decides, never a simulated one.

use std::fmt;

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time, Weekday},
    fmt::temporal::DateTimeParser,
    tz::TimeZone,
};
use serde::{Deserialize, Deserializer, de::Error as _};

/// A window in which nothing is changed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Window {
    span: Span,
    time_zone: TimeZone,
    reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Span {
    /// The end is the first moment after it.
    Once { from: DateTime, end: DateTime },
    /// On these days, from a time to the end of the minute `until`; past midnight, if that is earlier.
    Weekly { days: Vec<Weekday>, from: Time, until: Time },
}

/// As runner.toml has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    from: Option<Moment>,
    until: Option<Moment>,
    days: Option<Vec<Day>>,
    time_zone: Option<String>,
    reason: Option<String>,
}

enum Moment {
    Date(Date),
    DateTime(DateTime),
    Time(Time),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// What is said of the windows that `now` is in.
pub(super) fn check(windows: &[Window], now: Timestamp) -> Vec<String> {
    windows
        .iter()
        .filter(|window| window.contains(now))
        .map(|window| format!("nothing may be changed {window}"))
        .collect()
}

impl Window {
    fn contains(&self, now: Timestamp) -> bool {
        let now = self.time_zone.to_datetime(now);
        match &self.span {
            Span::Once { from, end } => (*from..*end).contains(&now),
            Span::Weekly { days, from, until } => {
                let today = days.contains(&now.weekday());
                let yesterday = days.contains(&now.weekday().previous());
                let (after, before) = (*from <= now.time(), now.time() <= end_of_minute(*until));
                if from <= until { today && after && before } else { today && after || yesterday && before }
            }
        }
    }
}

impl TryFrom<Written> for Window {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { from, until, days, time_zone, reason } = written;
        if days.as_ref().is_some_and(Vec::is_empty) {
            return Err("expected at least one day in `days`, found none".into());
        }
        let span = match (from, until, days) {
            (Some(Moment::Time(from)), Some(Moment::Time(until)), days) => {
                Span::Weekly { days: weekdays(days), from, until }
            }
            (None, None, Some(days)) => Span::Weekly { days: weekdays(Some(days)), from: Time::MIN, until: Time::MAX },
            (Some(from), Some(until), None) => once(&from, &until)?,
            (Some(_), Some(_), Some(_)) => {
                return Err("expected times such as \"16:00\" beside `days`, found dates".into());
            }
            (_, _, _) => return Err("expected `from` and `until`, or `days`".into()),
        };
        let time_zone = time_zone.map_or(Ok(TimeZone::UTC), |name| zone(&name))?;
        Ok(Self { span, time_zone, reason })
    }
}

fn once(from: &Moment, until: &Moment) -> Result<Span, String> {
    let from = match from {
        Moment::Date(date) => date.to_datetime(Time::midnight()),
        Moment::DateTime(moment) => *moment,
        Moment::Time(_) => return Err("expected two dates or two times, found a time and a date".into()),
    };
    // The last day belongs to the window.
    let end = match until {
        Moment::Date(date) => date.tomorrow().map_err(|error| error.to_string())?.to_datetime(Time::midnight()),
        Moment::DateTime(moment) => *moment,
        Moment::Time(_) => return Err("expected two dates or two times, found a date and a time".into()),
    };
    if from < end { Ok(Span::Once { from, end }) } else { Err("expected `until` to be after `from`".into()) }
}

fn weekdays(days: Option<Vec<Day>>) -> Vec<Weekday> {
    let all = || vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];
    let weekday = |day| match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    };
    days.unwrap_or_else(all).into_iter().map(weekday).collect()
}

/// A time zone by its name or as an offset. What cannot be found is an error: to guess would open a window.
fn zone(name: &str) -> Result<TimeZone, String> {
    DateTimeParser::new().parse_time_zone(name).map_err(|_| match jiff::tz::db().is_definitively_empty() {
        true => format!(
            "this machine has no time zones to find {name:?} in: install `tzdata`, or give an offset such as \"+01:00\""
        ),
        false => format!("expected a time zone such as \"Europe/Berlin\" or \"+01:00\", found {name:?}"),
    })
}

fn end_of_minute(time: Time) -> Time {
    Time::constant(time.hour(), time.minute(), 59, 999_999_999)
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str =
            "expected a date (\"2026-12-20\"), a date with a time (\"2026-12-20T18:00\") or a time (\"16:00\")";
        let found = toml::Value::deserialize(deserializer)?;
        let text = match &found {
            toml::Value::String(text) => text.clone(),
            toml::Value::Datetime(moment) => moment.to_string(),
            _ => return Err(D::Error::custom(format!("{EXPECTED}, found {found}"))),
        };
        // jiff takes a date with a time for a date, too.
        let is_date = text.len() == "2026-12-20".len();
        let date = || text.parse().ok().filter(|_| is_date).map(Self::Date);
        let moment = || text.parse().ok().filter(|_| text.contains(['T', ' '])).map(Self::DateTime);
        let time = || text.parse().ok().filter(|_| text.contains(':') && !text.contains('-')).map(Self::Time);
        date().or_else(moment).or_else(time).ok_or_else(|| D::Error::custom(format!("{EXPECTED}, found {found}")))
    }
}

/// `until 2027-01-03 (UTC): holidays`
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.span {
            Span::Once { end, .. } => write!(f, "before {}", end.strftime("%Y-%m-%d %H:%M"))?,
            Span::Weekly { days, from, until } => {
                if days.len() == 7 {
                    f.write_str("on any day")?;
                } else {
                    let days: Vec<String> = days.iter().map(|day| format!("{day:?}")).collect();
                    write!(f, "on {}", days.join(", "))?;
                }
                if *from != Time::MIN || end_of_minute(*until) != Time::MAX {
                    write!(f, " from {} until {}", from.strftime("%H:%M"), until.strftime("%H:%M"))?;
                }
            }
        }
        let zone = self.time_zone.iana_name().map_or_else(
            || self.time_zone.to_fixed_offset().map(|offset| offset.to_string()).unwrap_or_default(),
            str::to_owned,
        );
        write!(f, " ({zone})")?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> Result<Window, String> {
        #[derive(Deserialize)]
        struct File {
            window: Window,
        }
        toml::from_str::<File>(&format!("window = {text}"))
            .map(|file| file.window)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn windows() {
        // 2026-12-18 is a Friday; Berlin is an hour ahead of UTC then, two in summer.
        let table = [
            (r#"{ from = "2026-12-20", until = "2027-01-03" }"#, "2026-12-19T23:59:59Z", false),
            (r#"{ from = "2026-12-20", until = "2027-01-03" }"#, "2026-12-20T00:00:00Z", true),
            (r#"{ from = "2026-12-20", until = "2027-01-03" }"#, "2027-01-03T23:59:59Z", true),
            (r#"{ from = "2026-12-20", until = "2027-01-03" }"#, "2027-01-04T00:00:00Z", false),
            (r#"{ from = 2026-12-20, until = 2027-01-03 }"#, "2027-01-03T12:00:00Z", true),
            (r#"{ from = "2026-12-20T18:00", until = "2026-12-21T06:00" }"#, "2026-12-20T17:59:59Z", false),
            (r#"{ from = "2026-12-20T18:00", until = 2026-12-21T06:00:00 }"#, "2026-12-21T05:59:59Z", true),
            (r#"{ from = "2026-12-20T18:00", until = "2026-12-21T06:00" }"#, "2026-12-21T06:00:00Z", false),
            (
                r#"{ from = "2026-12-20", until = "2026-12-20", time_zone = "Europe/Berlin" }"#,
                "2026-12-19T23:00:00Z",
                true,
            ),
            (r#"{ from = "2026-12-20", until = "2026-12-20", time_zone = "+01:00" }"#, "2026-12-20T23:00:00Z", false),
            (
                r#"{ days = ["fri"], from = "16:00", until = "23:59", time_zone = "Europe/Berlin" }"#,
                "2026-12-18T14:59:59Z",
                false,
            ),
            (
                r#"{ days = ["fri"], from = "16:00", until = "23:59", time_zone = "Europe/Berlin" }"#,
                "2026-12-18T15:00:00Z",
                true,
            ),
            (
                r#"{ days = ["fri"], from = "16:00", until = "23:59", time_zone = "Europe/Berlin" }"#,
                "2026-12-18T22:59:59.5Z",
                true,
            ),
            (
                r#"{ days = ["fri"], from = "16:00", until = "23:59", time_zone = "Europe/Berlin" }"#,
                "2026-12-18T23:00:00Z",
                false,
            ),
            (
                r#"{ days = ["fri"], from = "16:00", until = "23:59", time_zone = "Europe/Berlin" }"#,
                "2026-07-03T14:00:00Z",
                true,
            ),
            (r#"{ days = ["fri"], from = "22:00", until = "06:00" }"#, "2026-12-18T05:00:00Z", false),
            (r#"{ days = ["fri"], from = "22:00", until = "06:00" }"#, "2026-12-18T22:00:00Z", true),
            (r#"{ days = ["fri"], from = "22:00", until = "06:00" }"#, "2026-12-19T06:00:59Z", true),
            (r#"{ days = ["fri"], from = "22:00", until = "06:00" }"#, "2026-12-19T06:01:00Z", false),
            (r#"{ days = ["fri"], from = "22:00", until = "06:00" }"#, "2026-12-19T22:00:00Z", false),
            (r#"{ days = ["sat", "sun"] }"#, "2026-12-20T23:59:59.999Z", true),
            (r#"{ days = ["sat", "sun"] }"#, "2026-12-21T00:00:00Z", false),
            (r#"{ from = "12:00", until = "12:00" }"#, "2026-12-21T12:00:30Z", true),
        ];
        for (text, now, frozen) in table {
            let windows = [window(text).unwrap_or_else(|error| panic!("{text}: {error}"))];
            assert_eq!(!check(&windows, now.parse().expect("a time")).is_empty(), frozen, "{text} at {now}");
        }
    }

    #[test]
    fn windows_in_words() {
        let words = |text| window(text).expect("a window").to_string();
        assert_eq!(
            words(r#"{ from = "2026-12-20", until = "2027-01-03", reason = "holidays" }"#),
            "before 2027-01-04 00:00 (UTC): holidays"
        );
        assert_eq!(
            words(r#"{ days = ["fri"], from = "16:00", until = "23:59", time_zone = "Europe/Berlin" }"#),
            "on Friday from 16:00 until 23:59 (Europe/Berlin)"
        );
        assert_eq!(words(r#"{ days = ["sat", "sun"], time_zone = "-03:00" }"#), "on Saturday, Sunday (-03)");
        assert_eq!(words(r#"{ from = "22:00", until = "06:00" }"#), "on any day from 22:00 until 06:00 (UTC)");
    }

    #[test]
    fn what_is_no_window() {
        let table = [
            (r#"{ from = "2026-12-20" }"#, "expected `from` and `until`, or `days`"),
            ("{}", "expected `from` and `until`, or `days`"),
            (r#"{ from = "2026-12-20", until = "2026-12-19" }"#, "expected `until` to be after `from`"),
            (r#"{ from = "2026-12-20", until = "16:00" }"#, "expected two dates or two times, found a date and a time"),
            (r#"{ days = ["fri"], from = "2026-12-20", until = "2026-12-21" }"#, "found dates"),
            ("{ days = [] }", "expected at least one day"),
            (r#"{ days = ["friday"] }"#, "unknown variant `friday`"),
            (r#"{ days = ["fri"], time_zone = "Berlin" }"#, "expected a time zone such as"),
            (r#"{ from = "20.12.2026", until = "2026-12-21" }"#, "expected a date (\"2026-12-20\")"),
            (r#"{ from = "25:00", until = "26:00" }"#, "expected a date (\"2026-12-20\")"),
            (r#"{ form = "16:00" }"#, "unknown field `form`"),
        ];
        for (text, words) in table {
            let error = window(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
