//! The cluster, its brokers and their settings.

pub mod alter_configs;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_log_dirs;
pub mod incremental_alter_configs;
