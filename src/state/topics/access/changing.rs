//! One change of the rules of access: all that a command says is tried on a copy,
//! and what has changed of it is written down at once.

use super::nodes::{AclsRecord, QuotasRecord, UsersRecord};
use super::{Access, AccessCommand, AccessOutcome, AccessRefused, QuotaAlteration, Shelf};
use super::{AclFilter, Binding, Secret, UserAlteration};
use crate::limits::{ACCESS_NAMED_MAX, ACCESS_SHELF_BYTES_MAX, ACL_BINDINGS_MAX, ACL_FILTERS_MAX};
use crate::state::access;
use crate::state::acl::{Acl, Permissions};
use crate::state::node::Owner;
use crate::state::topics::nodes::{ACCESS, read};
use crate::state::topics::streams::Streams;
use std::sync::Arc;

/// Nothing is given to anybody: `super` needs no list.
fn closed() -> Acl {
    access::anyone(Permissions(0))
}

impl Streams<'_> {
    pub(in crate::state::topics) fn change_access(
        &mut self,
        command: &AccessCommand,
    ) -> AccessOutcome {
        let (named, most) = command.named();
        if named > most {
            return AccessOutcome::Refused(AccessRefused::NamedMax { named, most });
        }
        let mut next = Access::clone(self.topics.access());
        let (shelf, outcome) = match command {
            AccessCommand::AlterUsers { secret, users } => {
                (Shelf::Users, next.alter_users(*secret, users))
            }
            AccessCommand::CreateAcls { bindings } => (Shelf::Acls, next.create_acls(bindings)),
            AccessCommand::DeleteAcls { filters } => (Shelf::Acls, next.delete_acls(filters)),
            AccessCommand::AlterQuotas {
                alterations,
                validates_only,
            } => {
                let outcome = next.alter_quotas(alterations);
                if *validates_only {
                    return outcome;
                }
                (Shelf::Quotas, outcome)
            }
        };
        match self.write_access(shelf, next) {
            Ok(()) => outcome,
            Err(refused) => AccessOutcome::Refused(refused),
        }
    }

    fn write_access(&mut self, shelf: Shelf, next: Access) -> Result<(), AccessRefused> {
        if next == **self.topics.access() {
            return Ok(());
        }
        let data = next.bytes(shelf);
        if data.len() > ACCESS_SHELF_BYTES_MAX {
            return Err(AccessRefused::NoRoom);
        }
        self.lay_out();
        let closed = closed();
        for (path, data) in [(ACCESS, Vec::new()), (shelf.path(), data)] {
            match self.writes.tree.find(path) {
                // The folder stays as it is.
                Some(_) if path == ACCESS => {}
                Some(_) => self.put(path, data),
                None => self.add_for(path, data, &closed, Owner::NOBODY),
            }
        }
        self.topics_mut().access = Arc::new(next);
        Ok(())
    }

    /// A node of a backup. What is here stays as it is: a user, all rules of a
    /// pattern, the quotas of an entity; the backup's others are added.
    pub(in crate::state::topics) fn restore_access(&mut self, shelf: Shelf, data: &[u8]) {
        let mut next = Access::clone(self.topics.access());
        let came = match shelf {
            Shelf::Users => next.take_users(data),
            Shelf::Acls => next.take_acls(data),
            Shelf::Quotas => next.take_quotas(data),
        };
        if came.is_some() {
            // What there is no room for is passed over, as other nodes are.
            let _ = self.write_access(shelf, next);
        }
    }
}

impl AccessCommand {
    /// Whether it adds to what is to be kept.
    pub fn grows(&self) -> bool {
        match self {
            Self::AlterUsers { users, .. } => {
                let mut changes = users.iter().flat_map(|user| &user.changes);
                changes.any(|(_, credential)| credential.is_some())
            }
            Self::CreateAcls { .. } => true,
            Self::DeleteAcls { .. } => false,
            Self::AlterQuotas { alterations, .. } => {
                let mut changes = alterations.iter().flat_map(|one| &one.changes);
                changes.any(|(_, rate)| rate.is_some())
            }
        }
    }

    /// How many are named, and how many may be.
    fn named(&self) -> (usize, usize) {
        match self {
            Self::AlterUsers { users, .. } => (users.len(), ACCESS_NAMED_MAX),
            Self::CreateAcls { bindings } => (bindings.len(), ACCESS_NAMED_MAX),
            Self::DeleteAcls { filters } => (filters.len(), ACL_FILTERS_MAX),
            Self::AlterQuotas { alterations, .. } => (alterations.len(), ACCESS_NAMED_MAX),
        }
    }
}

impl Access {
    fn alter_users(&mut self, secret: Secret, users: &[UserAlteration]) -> AccessOutcome {
        let each = users.iter().map(|user| self.users.alter(user)).collect();
        if !self.users.by_name.is_empty() {
            self.users.secret.get_or_insert(secret);
        }
        AccessOutcome::Each(each)
    }

    fn create_acls(&mut self, bindings: &[Binding]) -> AccessOutcome {
        let each = bindings.iter().map(|binding| self.acls.add(binding));
        AccessOutcome::Each(each.collect())
    }

    /// Each filter looks at what was there before any of them, so that two may
    /// match the same; no answer is longer than if each rule were matched once.
    fn delete_acls(&mut self, filters: &[AclFilter]) -> AccessOutcome {
        let (mut matched, mut count) = (Vec::new(), 0);
        for filter in filters {
            let of_filter = self.acls.matching(filter);
            count += of_filter.len();
            if count > ACL_BINDINGS_MAX {
                let (named, most) = (count, ACL_BINDINGS_MAX);
                return AccessOutcome::Refused(AccessRefused::NamedMax { named, most });
            }
            matched.push(of_filter);
        }
        for binding in matched.iter().flatten() {
            self.acls.remove(binding);
        }
        AccessOutcome::Deleted(matched)
    }

    fn alter_quotas(&mut self, alterations: &[QuotaAlteration]) -> AccessOutcome {
        let each = alterations.iter().map(|one| self.quotas.alter(one));
        AccessOutcome::Each(each.collect())
    }

    fn take_users(&mut self, data: &[u8]) -> Option<()> {
        let came = read::<UsersRecord>(data)?.read()?;
        for (name, credentials) in came.by_name {
            if self.users.of(&name).is_none() {
                let changes = credentials.into_iter();
                let changes = changes.map(|(mechanism, one)| (mechanism, Some(one)));
                let changes = changes.collect();
                self.users.alter(&UserAlteration { name, changes }).ok()?;
            }
        }
        self.users.secret = self.users.secret.or(came.secret);
        Some(())
    }

    fn take_acls(&mut self, data: &[u8]) -> Option<()> {
        let came = read::<AclsRecord>(data)?.read()?;
        let standing = self.acls.clone();
        let others = came.iter().filter(|binding| !standing.has_of(binding));
        others
            .into_iter()
            .try_for_each(|binding| self.acls.add(&binding).ok())
    }

    fn take_quotas(&mut self, data: &[u8]) -> Option<()> {
        let came = read::<QuotasRecord>(data)?.read()?;
        for (entity, rates) in came.by_entity {
            if self.quotas.of(&entity).is_none() {
                let changes = rates.into_iter().map(|(key, rate)| (key, Some(rate)));
                let changes = changes.collect();
                self.quotas
                    .alter(&QuotaAlteration { entity, changes })
                    .ok()?;
            }
        }
        Some(())
    }
}
