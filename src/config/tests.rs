//! The configuration as users write it.
