//! An error as AWS reports it: a code, a message and an HTTP status. `wire` gives it the form of each protocol.

/// What a handler returns: the reply in AWS's wire names, or the error.
pub type Reply = Result<serde_json::Value, AwsError>;

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    pub code: String,
    pub message: String,
    pub status: u16,
    /// AWS would have an answer. This one has none: it does not model what was asked, or could not look at the account
    /// it is a fork of.
    pub unanswered: bool,
}

impl AwsError {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> AwsError {
        AwsError { code: code.into(), message: message.into(), status: 400, unanswered: false }
    }

    pub fn status(mut self, status: u16) -> AwsError {
        self.status = status;
        self
    }

    /// A required parameter is absent. `wire` renames it where a protocol has another word for it.
    pub fn missing(parameter: &str) -> AwsError {
        AwsError::new(MISSING_PARAMETER, format!("The request must contain the parameter {parameter}"))
    }

    /// A parameter has a value AWS refuses.
    pub fn invalid(parameter: &str, value: impl std::fmt::Display, why: &str) -> AwsError {
        AwsError::new(INVALID_VALUE, format!("Value ({value}) for parameter {parameter} is invalid. {why}").trim_end())
    }

    /// A parameter has a value that is none of its enumeration.
    pub fn outside_enum(code: &str, parameter: &str, value: &str, known: &[&str]) -> AwsError {
        let message = format!(
            "1 validation error detected: Value '{value}' at '{parameter}' failed to satisfy constraint: Member must satisfy \
             enum value set: [{}]",
            known.join(", ")
        );
        AwsError::new(code, message)
    }

    /// The simulator has no answer to this. `code` is what AWS would call something of the kind.
    pub fn unanswered(code: impl Into<String>, message: impl Into<String>) -> AwsError {
        AwsError { unanswered: true, ..AwsError::new(code, message) }
    }

    /// The simulator has no answer: it refuses, by name, what it does not model.
    pub fn not_modelled(code: &str, what: &str, name: &str, action: &str) -> AwsError {
        AwsError::unanswered(code, format!("the simulator does not model the {what} `{name}` of {action}"))
    }
}

pub(super) const MISSING_PARAMETER: &str = "MissingParameter";
pub(super) const INVALID_VALUE: &str = "InvalidParameterValue";
