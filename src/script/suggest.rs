//! "Did you mean": the nearest of some names, or none when nothing is near.

/// The candidate that `word` was probably meant to be.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word, candidate), candidate))
        .filter(|&(similarity, candidate)| {
            // Jaro-Winkler rewards a common prefix, and names here share many: the edits must be few
            // too. And it is blind to swapped first letters: one slip is always forgiven.
            let edits = strsim::osa_distance(&word, candidate);
            let slip = edits == 1 && word.len() > 2;
            slip || similarity >= 0.8 && edits <= 1 + word.len().max(candidate.len()) / 4
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `` did you mean `min_size`? ``
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: [&str; 14] = [
        "name",
        "vpc",
        "port",
        "protocol",
        "min_size",
        "max_size",
        "desired_capacity",
        "subnets",
        "subnet_ids",
        "health_check",
        "health_check_grace_period",
        "instance_type",
        "instance_profile",
        "image_id",
    ];

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let table = [
            ("min_siz", Some("min_size")),
            ("minsize", Some("min_size")),
            ("min-size", Some("min_size")),
            ("Min_Size", Some("min_size")),
            ("max_sise", Some("max_size")),
            ("nmae", Some("name")),
            ("subnet", Some("subnets")),
            ("subnet_id", Some("subnet_ids")),
            ("helth_check", Some("health_check")),
            ("health_check_period", Some("health_check_grace_period")),
            ("instance_typ", Some("instance_type")),
            ("instance_profle", Some("instance_profile")),
            ("image", Some("image_id")),
            ("desired_capcity", Some("desired_capacity")),
            ("prot", Some("port")),
            ("vcp", Some("vpc")),
            ("ports", Some("port")),
            ("tags", None),
            ("path", None),
            ("size", None),
            ("x", None),
            ("", None),
            ("listener", None),
            ("instances", None),
            ("security_groups", None),
        ];
        for (word, expected) in table {
            assert_eq!(closest(word, OPTIONS), expected, "for {word:?}");
        }
    }
}
