//! The groups that this broker coordinates.

use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::groups::code;
use crate::ports::kafka::messages::list_groups::*;
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::streams::groups::Error;
use crate::streams::groups::request::Listed;

impl Handle for ListGroups {
    const MAY_BE_LARGE: bool = true;

    async fn run(call: Call, request: ListGroupsRequest) -> Option<ListGroupsResponse> {
        let (listed, error) = call.door.groups.list().await;
        let sees_all = call.may(Operation::Describe, Resource::Cluster);
        let sees = |group: &str| sees_all || call.may(Operation::Describe, Resource::Group(group));
        Some(response(&request, listed, error, sees))
    }
}

fn response(
    request: &ListGroupsRequest,
    listed: Vec<Listed>,
    error: Option<Error>,
    sees: impl Fn(&str) -> bool,
) -> ListGroupsResponse {
    let is_wanted = |group: &Listed| {
        passes(&request.states_filter, group.state.name())
            && passes(&request.types_filter, group.kind.name())
            && sees(&group.group)
    };
    let shown = |group: Listed| ListedGroup {
        group_id: Text::from(&*group.group),
        protocol_type: Text::from(&*group.protocol_type),
        group_state: Text::from_static(group.state.name()),
        group_type: Text::from_static(group.kind.name()),
    };
    ListGroupsResponse {
        error_code: error.as_ref().map_or(ErrorCode::None, code),
        groups: listed.into_iter().filter(is_wanted).map(shown).collect(),
        ..ListGroupsResponse::default()
    }
}

/// An empty filter lets everything pass. Tools write names as they like.
fn passes(filter: &[Text], name: &str) -> bool {
    filter.is_empty() || filter.iter().any(|it| it.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::shapes::says;
    use crate::streams::groups::request::{GroupKind, GroupState};

    fn listed() -> Vec<Listed> {
        let group = |group: &str, state, kind| Listed {
            group: group.into(),
            protocol_type: "consumer".into(),
            state,
            kind,
        };
        vec![
            group("a", GroupState::Stable, GroupKind::Classic),
            group("b", GroupState::Empty, GroupKind::Consumer),
            group("c", GroupState::PreparingRebalance, GroupKind::Classic),
        ]
    }

    #[test]
    fn filters_are_kept_to() {
        let check = |states: &[&str], types: &[&str], hidden: &str, expected: &[&str]| {
            let texts = |names: &[&str]| names.iter().map(|&it| Text::from(it)).collect();
            let request = ListGroupsRequest {
                states_filter: texts(states),
                types_filter: texts(types),
            };
            let said = response(&request, listed(), None, |group| group != hidden);
            let names: Vec<_> = said.groups.iter().map(|it| &*it.group_id).collect();
            assert_eq!(names, expected, "{states:?} {types:?}");
        };
        check(&[], &[], "", &["a", "b", "c"]);
        check(&["stable", "Empty"], &[], "", &["a", "b"]);
        check(&["PreparingRebalance"], &["Classic"], "", &["c"]);
        check(&[], &["consumer"], "", &["b"]);
        check(&["Dead"], &[], "", &[]);
        check(&[], &["share"], "", &[]);
        check(&[], &[], "b", &["a", "c"]);
    }

    #[test]
    fn every_version_says_each_answer() {
        says::<ListGroups>(|_| {
            let request = ListGroupsRequest::default();
            response(&request, listed(), Some(Error::Loading), |_| true)
        });
    }
}
