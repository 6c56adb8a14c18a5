//! The kinds of rows that a fork can read from an account, and how.
//!
//! Beside each kind's `view`, which writes it as AWS shows it, stands its inverse. What reads them here is given `None` for
//! all rows of a region and an id for one.

use super::error::AwsError;
use super::fork::{Reader, Rows};
use super::{ec2, iam};

type Load = fn(&Reader, Option<&str>, &mut Rows) -> Result<(), AwsError>;

const KINDS: &[(&str, Load)] = &[("Vpc", ec2::vpc::load_vpc), ("Role", iam::role::load)];

/// Reads the rows of a kind from an account.
pub fn read(reader: &Reader, kind: &str, id: Option<&str>) -> Result<Rows, AwsError> {
    let Some((_, load)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        let message = format!("the simulator cannot read rows of the kind `{kind}` from an account");
        return Err(AwsError::new("UnknownKind", message));
    };
    let mut rows = Rows::default();
    load(reader, id, &mut rows)?;
    Ok(rows)
}
