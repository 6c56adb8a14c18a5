//! What is found in runbooks. With those of any script, the whole list.

use crate::script::check::{Lint, error, lints, warning};

pub const UNKNOWN_OPTION: Lint =
    error("unknown-option", "an operation, a control word or a function has no option of that name");
pub const MISSING_OPTION: Lint = error("missing-option", "an option that is required is left out");
pub const WRONG_OPTION: Lint = error("wrong-option", "an option has the wrong type, or a value it cannot have");
pub const WRONG_ARGUMENT: Lint =
    error("wrong-argument", "an argument is something else than what the operation or control word takes");
pub const UNKNOWN_ENVIRONMENT: Lint = error("unknown-environment", "runner.toml has no environment of that name");
pub const OTHER_ENVIRONMENT: Lint =
    error("other-environment", "a runbook names two environments, or another one than `--env`");
pub const UNKNOWN_VAR: Lint = error("unknown-var", "the environment has no variable of that name in runner.toml");
pub const WRONG_CONFIG: Lint = error("wrong-config", "a file that `config` reads is not there, or is no data");
pub const WRONG_SETTINGS: Lint = error(
    "wrong-settings",
    "runner.toml, or a file of parameters, says what cannot be meant; nothing else is checked then",
);
pub const UNDECLARED_PARAM: Lint = error("undeclared-param", "a parameter is given that the runbook does not ask for");
pub const MISSING_PARAM: Lint = error("missing-param", "a parameter that is required is not given");
pub const WRONG_PARAM: Lint = error("wrong-param", "a parameter has the wrong type, or a value it cannot have");
pub const UNUSED_PARAM: Lint = warning("unused-param", "the value of a parameter is never used");
pub const PARAM_DESCRIBED_TWICE: Lint =
    warning("param-described-twice", "one parameter is described in two different ways");
pub const USELESS_HOOK: Lint = warning(
    "useless-hook",
    "an `on_rollback` comes too late: after `commit`, or when no operation follows that could fail",
);

/// All of them, those of any script first.
pub fn all() -> impl Iterator<Item = Lint> {
    let own = [
        UNKNOWN_OPTION,
        MISSING_OPTION,
        WRONG_OPTION,
        WRONG_ARGUMENT,
        UNKNOWN_ENVIRONMENT,
        OTHER_ENVIRONMENT,
        UNKNOWN_VAR,
        WRONG_CONFIG,
        WRONG_SETTINGS,
        UNDECLARED_PARAM,
        MISSING_PARAM,
        WRONG_PARAM,
        UNUSED_PARAM,
        PARAM_DESCRIBED_TWICE,
        USELESS_HOOK,
    ];
    lints::ALL.iter().copied().chain(own)
}
