//! A sweep in figures.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Baseline, Swept, Tried};
use crate::report::{Ink, Look};

/// The table; under it each failed case with the command that replays it.
pub fn text<C: Tried>(baseline: &Baseline, swept: &Swept<C>, look: &Look, replay: impl Fn(&str) -> String) -> String {
    let heads = C::ENDINGS.map(|(_, head)| head);
    let mut rows: BTreeMap<C::Kind, [usize; 6]> = BTreeMap::new();
    let mut total = [0; 6];
    for (case, judged) in &swept.judged {
        let Some(kind) = case.kind() else { continue };
        let column = C::ENDINGS.iter().position(|(ending, _)| *ending == judged.ending).unwrap_or_default();
        rows.entry(kind).or_default()[column] += 1;
        total[column] += 1;
    }
    // Columns nobody needs are left out.
    let shown: Vec<usize> =
        (0..heads.len()).filter(|column| total[*column] > 0 || *column == heads.len() - 1).collect();
    let rows = rows.iter().map(|(kind, counts)| (kind.to_string(), counts)).collect::<Vec<_>>();
    let names = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default().max(C::HEAD.len());
    let line = |out: &mut String, name: &str, cells: &dyn Fn(usize) -> String, cases: &str| {
        let _ = write!(out, "  {name:<names$}{cases:>8}");
        for column in &shown {
            let width = heads[*column].len() + 2;
            let _ = write!(out, "{:>width$}", cells(*column));
        }
        out.push('\n');
    };
    let mut out = String::new();
    line(&mut out, C::HEAD, &|column| heads[column].to_owned(), "cases");
    for (kind, counts) in rows.into_iter().chain([("all".to_owned(), &total)]) {
        let cases = counts.iter().sum::<usize>().to_string();
        line(&mut out, &kind, &|column| counts[column].to_string(), &cases);
    }
    let (served, lost): (u64, u64) =
        swept.judged.iter().fold((0, 0), |(served, lost), (_, judged)| (served + judged.served, lost + judged.lost));
    let runs: u32 = swept.judged.iter().map(|(_, judged)| judged.runs).sum();
    let seconds = swept.took.as_secs_f64();
    let _ = writeln!(
        out,
        "\n  {} of {} cases over {} calls, {runs} runs in {seconds:.1} s: {:.1} a second; {lost} requests failed of {}",
        swept.judged.len(),
        swept.all,
        baseline.calls.len(),
        f64::from(runs) / seconds.max(0.001),
        served + lost,
    );
    for (case, judged) in swept.judged.iter().filter(|(_, judged)| judged.ending == C::FAILED) {
        let _ = writeln!(out, "\n{} {case}", look.paint(Ink::Red, look.failed()));
        for fault in &judged.faults {
            let _ = writeln!(out, "    {fault}");
        }
        let _ = writeln!(out, "    {}", replay(&case.to_string()));
    }
    out
}

/// How many cases failed.
pub fn failures<C: Tried>(swept: &Swept<C>) -> usize {
    swept.judged.iter().filter(|(_, judged)| judged.ending == C::FAILED).count()
}
