//! LeaveGroup: members go by themselves, or an operator names instances.

use super::Classic;
use crate::streams::groups::request::{Leave, Reply};
use crate::streams::groups::turn::Turn;
use crate::streams::groups::{Error, Name};

impl Classic {
    pub(in crate::streams::groups) fn leave(&mut self, turn: &mut Turn, leave: Leave) -> Reply {
        let mut gone = Vec::new();
        let mut left = Vec::new();
        for (member, instance) in &leave.members {
            let found = self.leaving(member, instance.as_ref());
            // Named twice, it is gone the second time.
            let found = found.and_then(|id| match gone.contains(&id) {
                true => Err(Error::UnknownMember),
                false => Ok(id),
            });
            left.push(found.map(|id| gone.push(id)));
        }
        for id in &gone {
            self.expected.remove(id);
        }
        gone.retain(|id| self.members.contains_key(id));
        self.remove(turn, &leave.group, &gone);
        Reply::Left(left)
    }

    fn leaving(&self, member: &Name, instance: Option<&Name>) -> Result<Name, Error> {
        if let (Some(instance), true) = (instance, member.is_empty()) {
            let holder = self.instances.get(instance);
            return holder.cloned().ok_or(Error::UnknownMember);
        }
        if instance.is_none() && self.expected.contains_key(member) {
            return Ok(member.clone());
        }
        self.check(member, instance).map(|()| member.clone())
    }
}
