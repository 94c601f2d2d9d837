//! The machine as its callers see it: rules as scripts, then random histories.

mod history;
mod rules;
mod script;
