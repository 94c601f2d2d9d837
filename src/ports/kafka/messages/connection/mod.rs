//! How a connection begins: which versions are spoken, and who the user is.

pub mod api_versions;
pub mod sasl_authenticate;
pub mod sasl_handshake;
