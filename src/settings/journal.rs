//! Where journals are kept: a folder, or a bucket.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// A place for journals and locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalPlace {
    Folder(PathBuf),
    /// `prefix` has no slash at its ends; it may be empty.
    Bucket {
        bucket: String,
        prefix: String,
    },
}

impl JournalPlace {
    /// The same, where a relative folder is one beside `folder`.
    pub fn beside(self, folder: &Path) -> Self {
        match self {
            Self::Folder(path) => Self::Folder(folder.join(path)),
            bucket @ Self::Bucket { .. } => bucket,
        }
    }
}

impl FromStr for JournalPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text {
                "" => Err("expected a folder or s3://BUCKET/PREFIX, found nothing".to_owned()),
                folder => Ok(Self::Folder(folder.into())),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if scheme != "s3" || bucket.is_empty() {
            return Err(format!("expected a folder or s3://BUCKET/PREFIX, found `{text}`"));
        }
        Ok(Self::Bucket { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
    }
}

impl fmt::Display for JournalPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_buckets() {
        let place = |text: &str| text.parse::<JournalPlace>();
        assert_eq!(place("a/b"), Ok(JournalPlace::Folder("a/b".into())));
        let bucket = |prefix: &str| JournalPlace::Bucket { bucket: "deploys".into(), prefix: prefix.into() };
        assert_eq!(place("s3://deploys"), Ok(bucket("")));
        assert_eq!(place("s3://deploys/runner/prod/"), Ok(bucket("runner/prod")));
        assert_eq!(place("s3://deploys/x").map(|place| place.to_string()), Ok("s3://deploys/x".to_owned()));
        for wrong in ["", "s3://", "gs://deploys"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
