pub mod clock;
pub mod script;
