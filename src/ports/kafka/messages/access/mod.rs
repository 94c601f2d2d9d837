//! Who may do what, and how much of it.

pub mod alter_client_quotas;
pub mod alter_user_scram_credentials;
pub mod create_acls;
pub mod delete_acls;
pub mod describe_acls;
pub mod describe_client_quotas;
pub mod describe_user_scram_credentials;
