//! A plan as JSON: the struct itself, and the schema that says what is in it.

use schemars::schema_for;

use crate::plan::Plan;

pub fn write(plan: &Plan) -> String {
    let mut text = serde_json::to_string_pretty(plan).expect("a plan has string keys and derived serializers only");
    text.push('\n');
    text
}

/// The JSON Schema of a plan: `docs/plan.schema.json`.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&schema_for!(Plan)).expect("a schema is JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plan::sample;

    #[test]
    fn a_second_deploy() {
        insta::assert_snapshot!(write(&sample::second_deploy()));
    }

    #[test]
    fn every_plan_reads_back() {
        for (name, plan) in sample::all() {
            assert_eq!(serde_json::from_str::<Plan>(&write(&plan)).expect("a plan reads back"), plan, "{name}");
        }
    }

    #[test]
    fn a_reader_ignores_fields_it_does_not_know() {
        let newer = write(&sample::no_changes()).replacen('{', "{\n  \"invented_later\": 1,", 1);
        assert_eq!(serde_json::from_str::<Plan>(&newer).expect("it reads"), sample::no_changes());
    }
}
