//! What a comment looks like, and that nothing in a plan can change how it reads: judged by a parser of GitHub's Markdown.

use comrak::{
    Arena, Options,
    nodes::{AstNode, NodeValue},
    parse_document,
};
use proptest::prelude::*;

use super::*;
use crate::report::plan::{random, sample};

#[test]
fn a_first_deploy() {
    insta::assert_snapshot!(write(&sample::first_deploy(), Detail::Changes));
}

#[test]
fn a_second_deploy() {
    insta::assert_snapshot!(write(&sample::second_deploy(), Detail::Changes));
}

#[test]
fn a_second_deploy_in_short() {
    insta::assert_snapshot!(write(&sample::second_deploy(), Detail::Summary));
}

#[test]
fn a_second_deploy_in_full() {
    insta::assert_snapshot!(write(&sample::second_deploy(), Detail::Full));
}

#[test]
fn no_changes() {
    insta::assert_snapshot!(write(&sample::no_changes(), Detail::Changes));
}

#[test]
fn a_runbook_that_fails() {
    insta::assert_snapshot!(write(&sample::failing(), Detail::Changes));
}

#[test]
fn refused_by_policy() {
    insta::assert_snapshot!(write(&sample::refused(), Detail::Summary));
}

#[test]
fn a_replacement() {
    insta::assert_snapshot!(write(&sample::replacement(), Detail::Changes));
}

#[test]
fn all_samples_read_as_they_are_meant() {
    for (name, plan) in sample::all() {
        for detail in [Detail::Summary, Detail::Changes, Detail::Full] {
            let text = write(&plan, detail);
            assert!(judge(&text).is_ok(), "{name}: {:?}\n{text}", judge(&text));
        }
    }
}

/// What goes first when there is more and more to say.
#[test]
fn it_gets_shorter_in_the_stated_order() {
    let lefts = |operations: usize| {
        let text = write(&sample::many(operations), Detail::Full);
        assert!(judge(&text).is_ok(), "{operations}: {:?}", judge(&text));
        let note = text.lines().find(|line| line.contains("Shortened")).unwrap_or_default();
        let left = note.split(". When").next().unwrap_or_default();
        format!("{operations}: {}\n", left.trim_start_matches("> Shortened to fit into a comment, without "))
    };
    let lefts: String = [20, 90, 120, 150, 250, 400, 450, 500, 700, 1_000, 5_000].into_iter().map(lefts).collect();
    insta::assert_snapshot!(lefts);
}

#[test]
fn the_ends_of_a_long_table_stay() {
    let text = write(&sample::many(5_000), Detail::Changes);
    assert!(text.contains("`service-0001`") && text.contains("`service-4999`"), "{text}");
    assert!(text.chars().count() > 55_000, "it uses the room it has: {}", text.chars().count());
}

/// What makes it a comment that can be found again, and does not harm.
fn judge(text: &str) -> Result<(), String> {
    let check = |good: bool, what: String| if good { Ok(()) } else { Err(what) };
    check(text.chars().count() <= MAX_CHARS, format!("{} characters", text.chars().count()))?;
    check(text.len() <= MAX_BYTES, format!("{} bytes", text.len()))?;
    let marker = |start: &&str| text.starts_with(&format!("<!-- runner:plan {start}="));
    check(["env", "runbook"].iter().any(marker), "no marker".into())?;
    check(text.matches("<!--").count() == 1, "a second comment".into())?;
    check(text.lines().next().is_some_and(|line| line.matches("-->").count() == 1), "the marker is broken".into())?;
    check(!text.contains('\r') && !text.contains('\0'), "control characters".into())?;

    let mut options = Options::default();
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.extension.footnotes = true;
    options.extension.math_dollars = true;
    options.extension.tasklist = true;
    options.extension.alerts = true;
    let arena = Arena::new();
    let root = parse_document(&arena, text, &options);
    let mut open = 0_i32;
    for node in root.descendants() {
        judge_node(node, &mut open)?;
        check((0..=1).contains(&open), "details are nested or closed twice".into())?;
    }
    check(open == 0, "details are left open".into())?;
    let last = root.last_child().map(words).unwrap_or_default();
    check(last.starts_with("runner "), format!("the footer is swallowed: {last}"))?;

    let rows = |columns: usize| move |line: &&str| line.starts_with("| ") && cells(line) != columns;
    let mut columns = 0;
    for (line, next) in text.lines().zip(text.lines().skip(1)) {
        if next.starts_with("| -") || next.starts_with("| :") {
            columns = cells(line);
        }
        check(!rows(columns)(&line), format!("{} cells instead of {columns}: {line}", cells(line)))?;
    }
    Ok(())
}

fn judge_node<'a>(node: &'a AstNode<'a>, open: &mut i32) -> Result<(), String> {
    match &node.data.borrow().value {
        NodeValue::HtmlBlock(block) => match block.literal.trim() {
            "</details>" => *open -= 1,
            comment if comment.starts_with("<!-- runner:plan ") => {}
            details => {
                let ours = details.strip_prefix("<details><summary>").and_then(|rest| rest.strip_suffix("</summary>"));
                let inside = ours.ok_or(format!("HTML: {details}"))?;
                let words = inside.replacen("<code>", "", 1).replacen("</code>", "", 1);
                if words.contains(['<', '>']) {
                    return Err(format!("HTML in a summary: {details}"));
                }
                *open += 1;
            }
        },
        NodeValue::Text(text) => {
            let refers = |from: char, to: fn(char) -> bool| {
                text.match_indices(from).any(|(at, _)| text[at + from.len_utf8()..].starts_with(to))
            };
            if refers('@', char::is_alphanumeric) || refers('#', |c| c.is_ascii_digit()) || text.contains("GH-1") {
                return Err(format!("a mention: {text}"));
            }
        }
        NodeValue::HtmlInline(html) => return Err(format!("HTML: {html}")),
        NodeValue::Link(link) | NodeValue::Image(link) => return Err(format!("a link: {}", link.url)),
        NodeValue::FootnoteReference(_) | NodeValue::FootnoteDefinition(_) | NodeValue::Math(_) => {
            return Err("a footnote or a formula".into());
        }
        NodeValue::Emph | NodeValue::Strikethrough | NodeValue::TaskItem(_) => return Err("somebody's markup".into()),
        NodeValue::Heading(heading) if !matches!(heading.level, 2 | 3) => return Err("somebody's heading".into()),
        NodeValue::CodeBlock(block) if !block.fenced || block.info != "diff" => {
            return Err(format!("a block of code: {}", block.literal));
        }
        _ => {}
    }
    Ok(())
}

fn words<'a>(node: &'a AstNode<'a>) -> String {
    let word = |node: &'a AstNode<'a>| match &node.data.borrow().value {
        NodeValue::Text(text) => text.to_string(),
        NodeValue::Code(code) => code.literal.clone(),
        _ => String::new(),
    };
    node.descendants().map(word).collect()
}

/// As GitHub's parser counts them: a backslash takes the next character with it.
fn cells(row: &str) -> usize {
    let mut bars = 0;
    let mut chars = row.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '|' => bars += 1,
            _ => {}
        }
    }
    usize::saturating_sub(bars, 1)
}

/// The judge can say no.
#[test]
fn the_judge_finds_what_is_wrong() {
    let good = write(&sample::second_deploy(), Detail::Changes);
    let put = |what: &str| good.replacen("### Rollback", &format!("{what}\n\n### Rollback"), 1);
    for bad in [
        "<b>bold</b>",
        "@octocat",
        "see #12",
        "https://example.com",
        "[a](b)",
        "</details>",
        "<details><summary>a</summary>",
        "```",
        "<!-- x -->",
        "# heading",
        "| a | b |\n| - | - |\n| a | b | c |",
        "$x$",
    ] {
        assert!(judge(&put(bad)).is_err(), "{bad} is let through");
    }
    assert!(judge(&good.repeat(20)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_in_a_plan_stays_text(plan in random::plan(0..60)) {
        for detail in [Detail::Summary, Detail::Changes, Detail::Full] {
            let text = write(&plan, detail);
            prop_assert_eq!(judge(&text), Ok(()), "{}", text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_long_a_plan_is_the_comment_is_not(plan in random::plan(500..5_000)) {
        for detail in [Detail::Summary, Detail::Changes, Detail::Full] {
            let text = write(&plan, detail);
            prop_assert_eq!(judge(&text), Ok(()));
        }
    }
}
