//! The command line.

pub mod rules;
pub mod scan;
