//! The hardware profile: read, detect, check.
