//! Domain names as Route 53 writes and sorts them.

use super::*;

/// Lower case, fully qualified, and with `*` for `\052`: how names are kept and compared.
pub fn normal(name: &str) -> String {
    let mut name = name.to_ascii_lowercase().replace(r"\052", "*");
    if !name.ends_with('.') {
        name.push('.');
    }
    name
}

/// As replies show it.
pub fn shown(name: &str) -> String {
    name.replace('*', r"\052")
}

/// Lists are in the order of the reversed labels: `com.example.www.`
pub fn reversed(name: &str) -> String {
    let mut labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    labels.reverse();
    labels.join(".") + "."
}

pub fn is_in(name: &str, zone: &str) -> bool {
    name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

/// What is wrong with the name of a record set, in Route 53's words. "DNS domain name format": letters, digits and these
/// signs stand for themselves, others are written as octal codes; labels have 1 to 63 characters.
pub fn fault(name: &str) -> Option<(&'static str, &'static str)> {
    let labels = || name.trim_end_matches('.').split('.');
    if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(("UnsupportedCharacter", "Value contains unsupported characters"));
    }
    if labels().any(str::is_empty) {
        return Some(("DomainLabelEmpty", "Domain label is empty"));
    }
    // An octal code is one character.
    let length = |label: &str| label.len().saturating_sub(3 * label.matches('\\').count());
    if labels().any(|label| length(label) > 63) {
        return Some(("DomainLabelTooLong", "Domain label is too long"));
    }
    let total: usize = labels().map(|label| length(label) + 1).sum();
    (total > 255).then_some(("DomainNameTooLong", "Domain name is too long"))
}

/// Refuses what is no domain name.
pub fn check(name: &str) -> Result<(), AwsError> {
    let ascii = |label: &str| label.bytes().all(|byte| byte.is_ascii_graphic());
    let labels = name.trim_end_matches('.').split('.');
    let well_formed = labels.clone().all(|label| (1..=63).contains(&label.len()) && ascii(label));
    match well_formed && name.len() <= 255 {
        true => Ok(()),
        false => Err(AwsError::new("InvalidDomainName", format!("{name} is not a valid domain name"))),
    }
}
