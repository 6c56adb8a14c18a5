//! What is found in any script, whatever its host offers.

use super::{
    Lint,
    finding::{error, warning},
};

pub const UNREADABLE_FILE: Lint = error("unreadable-file", "a file cannot be read, or is not text");
pub const SYNTAX: Lint = error("syntax", "the text is no script, or a variable is declared nowhere");
pub const UNRESOLVED_IMPORT: Lint =
    error("unresolved-import", "an imported module is not there, or not below the project's folder");
pub const CIRCULAR_IMPORT: Lint = error("circular-import", "modules import each other in a circle");
pub const COMPUTED_IMPORT: Lint =
    warning("computed-import", "the path of an import is computed, so it cannot be checked");
pub const RESERVED_NAME: Lint =
    error("reserved-name", "a function or an import has the name of an operation or a control word");
pub const ACTION_ON_IMPORT: Lint = error("action-on-import", "a module would call an operation when it is imported");
pub const AMBIGUOUS_FUNCTION: Lint =
    error("ambiguous-function", "a closure calls a function that a module it is passed to has as well");
pub const UNKNOWN_FUNCTION: Lint =
    error("unknown-function", "a function, a method or a function of a module is not there");
pub const UNKNOWN_MODULE: Lint = error("unknown-module", "a name before `::` is not the name of an import");
pub const WRONG_ARITY: Lint = error("wrong-arity", "a function is called with too few or too many arguments");
pub const CAPTURED_LOOP_VARIABLE: Lint = warning(
    "captured-loop-variable",
    "closures made in a loop are collected for later: all of them will see the last value of its variable",
);

/// All of them.
pub const ALL: &[Lint] = &[
    UNREADABLE_FILE,
    SYNTAX,
    UNRESOLVED_IMPORT,
    CIRCULAR_IMPORT,
    COMPUTED_IMPORT,
    RESERVED_NAME,
    ACTION_ON_IMPORT,
    AMBIGUOUS_FUNCTION,
    UNKNOWN_FUNCTION,
    UNKNOWN_MODULE,
    WRONG_ARITY,
    CAPTURED_LOOP_VARIABLE,
];
