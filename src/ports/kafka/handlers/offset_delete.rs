//! Forgets how far a group has read, where none of its members reads on.

use super::groups::{CONFUSED, codes_of_each, name};
use super::{Call, Handle};
use crate::ids::TopicId;
use crate::ports::kafka::access::Operation;
use crate::ports::kafka::errors::groups::code;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::offset_delete::*;
use crate::streams::groups::Name;
use crate::streams::groups::request::Request;

type Asked = OffsetDeleteRequestTopic;
type Verdict = Result<TopicId, ErrorCode>;

impl Handle for OffsetDelete {
    async fn run(call: Call, request: OffsetDeleteRequest) -> Option<OffsetDeleteResponse> {
        if let Err(code) = call.may_on_group(Operation::Delete, &request.group_id) {
            return Some(refusal(code));
        }
        let topics = call.door.site.topics();
        let look = |topic: &Asked| call.topic(&topics, Operation::Read, &topic.name);
        let verdicts: Vec<Verdict> = request.topics.iter().map(look).collect();
        let delete = Request::DeleteOffsets {
            group: name(&request.group_id),
            spots: spots(&request.topics, &verdicts),
        };
        let groups = &call.door.groups;
        let answer = groups.ask(&request.group_id, delete).await;
        Some(match answer {
            Err(error) => refusal(code(&error)),
            Ok(reply) => {
                let codes = codes_of_each(Ok(reply), 0, code);
                response(request.topics, &verdicts, codes)
            }
        })
    }
}

fn spots(topics: &[Asked], verdicts: &[Verdict]) -> Vec<(Name, i32)> {
    let passed = topics
        .iter()
        .zip(verdicts)
        .filter(|(_, found)| found.is_ok());
    let spots_of = |(topic, _): (&Asked, _)| {
        let named = name(&topic.name);
        let spot = |it: &OffsetDeleteRequestPartition| (named.clone(), it.partition_index);
        topic.partitions.iter().map(spot).collect::<Vec<_>>()
    };
    passed.flat_map(spots_of).collect()
}

fn response(
    topics: Vec<Asked>,
    verdicts: &[Verdict],
    codes: Vec<ErrorCode>,
) -> OffsetDeleteResponse {
    let mut codes = codes.into_iter();
    let mut topic = |(topic, verdict): (Asked, &Verdict)| {
        let partitions = topic.partitions.iter().map(|partition| {
            let error_code = match *verdict {
                Ok(_) => codes.next().unwrap_or(CONFUSED),
                Err(code) => code,
            };
            OffsetDeleteResponsePartition {
                partition_index: partition.partition_index,
                error_code,
            }
        });
        OffsetDeleteResponseTopic {
            partitions: partitions.collect(),
            name: topic.name,
        }
    };
    OffsetDeleteResponse {
        topics: topics.into_iter().zip(verdicts).map(&mut topic).collect(),
        ..OffsetDeleteResponse::default()
    }
}

fn refusal(error_code: ErrorCode) -> OffsetDeleteResponse {
    OffsetDeleteResponse {
        error_code,
        ..OffsetDeleteResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::shapes::says;

    #[test]
    fn every_partition_is_told_what_came_of_it() {
        let topic = |name: &str| Asked {
            name: name.into(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 3 }],
        };
        let topics = || vec![topic("gone"), topic("read")];
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let verdicts = [Err(unknown), Ok(TopicId::default())];
        assert_eq!(spots(&topics(), &verdicts), [("read".into(), 3)]);
        says::<OffsetDelete>(|_| {
            let subscribed = ErrorCode::GroupSubscribedToTopic;
            let said = response(topics(), &verdicts, vec![subscribed]);
            let told = said.topics.iter().map(|it| it.partitions[0].error_code);
            assert_eq!(told.collect::<Vec<_>>(), [unknown, subscribed]);
            said
        });
        says::<OffsetDelete>(|_| refusal(ErrorCode::GroupIdNotFound));
    }
}
