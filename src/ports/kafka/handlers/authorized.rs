//! What a client may do with something, as a bit for each operation: told to who
//! asks for it (KIP-430).

use super::Call;
use crate::ports::kafka::access::{Operation, Resource};

/// Nobody asked.
pub const NOT_ASKED: i32 = i32::MIN;

impl Call {
    /// Of the operations that there are for such a thing, those that are allowed.
    pub fn authorized(&self, on: Resource) -> i32 {
        let may = of(on).iter().filter(|&&operation| self.may(operation, on));
        may.fold(0, |bits, &operation| bits | 1 << number(operation))
    }

    /// Told where it was asked for.
    pub fn authorized_if(&self, is_asked: bool, on: Resource) -> i32 {
        match is_asked {
            true => self.authorized(on),
            false => NOT_ASKED,
        }
    }

    /// Of the cluster, which who may not look at is told nothing of.
    pub fn authorized_on_cluster_if(&self, is_asked: bool) -> i32 {
        let cluster = Resource::Cluster;
        match is_asked && !self.may(Operation::Describe, cluster) {
            true => 0,
            false => self.authorized_if(is_asked, cluster),
        }
    }
}

fn of(resource: Resource) -> &'static [Operation] {
    use Operation::*;
    match resource {
        Resource::Topic(_) => &[
            Read,
            Write,
            Create,
            Delete,
            Alter,
            Describe,
            DescribeConfigs,
            AlterConfigs,
        ],
        Resource::Group(_) => &[Read, Delete, Describe, DescribeConfigs, AlterConfigs],
        Resource::Cluster => &[
            Create,
            Alter,
            Describe,
            ClusterAction,
            DescribeConfigs,
            AlterConfigs,
            IdempotentWrite,
        ],
        Resource::TransactionalId(_) => &[Write, Describe, TwoPhaseCommit],
        Resource::User(_) => &[CreateTokens, DescribeTokens],
    }
}

/// Kafka's.
fn number(operation: Operation) -> u32 {
    match operation {
        Operation::Read => 3,
        Operation::Write => 4,
        Operation::Create => 5,
        Operation::Delete => 6,
        Operation::Alter => 7,
        Operation::Describe => 8,
        Operation::ClusterAction => 9,
        Operation::DescribeConfigs => 10,
        Operation::AlterConfigs => 11,
        Operation::IdempotentWrite => 12,
        Operation::CreateTokens => 13,
        Operation::DescribeTokens => 14,
        Operation::TwoPhaseCommit => 15,
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;

    /// The figures that Kafka's own brokers answer where everything is allowed.
    #[test]
    fn what_is_allowed_is_told_in_kafkas_bits() {
        let call = Stage::new(1).call(13);
        for (resource, bits) in [
            (Resource::Topic("orders"), 3576),
            (Resource::Group("readers"), 3400),
            (Resource::Cluster, 8096),
            (Resource::TransactionalId("till"), 33_040),
        ] {
            assert_eq!(call.authorized(resource), bits, "{resource:?}");
        }
        assert_eq!(call.authorized_if(false, Resource::Cluster), NOT_ASKED);
        assert_eq!(call.authorized_on_cluster_if(false), NOT_ASKED);
        assert_eq!(call.authorized_on_cluster_if(true), 8096);
    }
}
