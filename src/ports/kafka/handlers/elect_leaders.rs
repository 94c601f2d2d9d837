//! Makes the preferred replicas of partitions their leaders; or, where nobody
//! leads, one that may lack what was acknowledged.

use super::grouped::{Grouped, each_of, group, merged, partition_in};
use super::named::each_once;
use super::proposing::{Deadline, propose, propose_each, unexpected};
use super::reached::text;
use super::{Call, Handle};
use crate::ids::PartitionId;
use crate::limits::PARTITIONS_NAMED_MAX;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::elect_leaders::{
    ElectLeaders, ElectLeadersRequest, ElectLeadersResponse, PartitionResult,
    ReplicaElectionResult, TopicPartitions,
};
use crate::state::topics::{Election, StreamsCommand, StreamsOutcome, Topics};

/// From here on an answer has a code for all of it.
const CODE_SINCE: i16 = 1;

/// A topic's partitions by their numbers, and why each has no other leader.
type Told = Grouped<(i32, Option<Refusal>)>;

impl Handle for ElectLeaders {
    async fn run(call: Call, request: ElectLeadersRequest) -> Option<ElectLeadersResponse> {
        let deadline = Deadline::of(request.timeout_ms);
        let election = match request.election_type {
            0 => Ok(Election::Preferred),
            1 => Ok(Election::Unclean),
            other => Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format_args!("{other} is no kind of election"),
            )),
        };
        let election = match call.may(Operation::Alter, Resource::Cluster) {
            true => election,
            false => Err(ErrorCode::ClusterAuthorizationFailed.into()),
        };
        let named = request.topic_partitions.map(named);
        let told = match (election, named) {
            (Err(refusal), named) => return Some(refused(call.version, refusal, named)),
            (Ok(election), None) => elect_all(&call, election, deadline).await,
            (Ok(election), Some(named)) => Ok(elect_named(&call, election, named, deadline).await),
        };
        Some(match told {
            Ok(mut told) => {
                await_handing_on(&call, &mut told, deadline).await;
                answer(ErrorCode::None, told)
            }
            Err(refusal) => refused(call.version, refusal, None),
        })
    }
}

/// Each once, in their order.
fn named(topics: Vec<TopicPartitions>) -> Vec<Grouped<i32>> {
    let topics = topics.into_iter();
    let mut named = merged(topics.map(|topic| (topic.topic, topic.partitions)));
    for topic in &mut named {
        let partitions = std::mem::take(&mut topic.partitions);
        let once = each_once(partitions, |number| *number).into_iter();
        topic.partitions = once.map(|(number, _)| number).collect();
    }
    named
}

async fn elect_all(
    call: &Call,
    election: Election,
    deadline: Deadline,
) -> Result<Vec<Told>, Refusal> {
    let command = StreamsCommand::Elect {
        election,
        partitions: None,
    };
    let outcome = propose(&call.door.site, command, deadline).await?;
    let StreamsOutcome::All(each) = outcome else {
        return Err(unexpected());
    };
    let each = each.into_iter().map(|(name, partition, elected)| {
        let refusal = elected.err().map(Refusal::from);
        (text(&name), (partition.0 as i32, refusal))
    });
    Ok(group(each))
}

async fn elect_named(
    call: &Call,
    election: Election,
    named: Vec<Grouped<i32>>,
    deadline: Deadline,
) -> Vec<Told> {
    let mut wanted = Vec::new();
    let topics = call
        .topics_with(named.iter().map(|topic| &*topic.name), deadline)
        .await;
    let named = named.into_iter();
    let mut told: Vec<_> = named
        .map(|topic| look(&topics, topic, &mut wanted))
        .collect();
    let commands = wanted.chunks(PARTITIONS_NAMED_MAX);
    let commands = commands.map(|some| StreamsCommand::Elect {
        election,
        partitions: Some(some.to_vec()),
    });
    let outcomes = propose_each(&call.door.site, commands.collect(), deadline).await;
    let mut each = each_of(outcomes, wanted.len()).into_iter();
    let all = told.iter_mut().flat_map(|topic| &mut topic.partitions);
    let proposed = all.filter(|(_, refusal)| refusal.is_none());
    proposed.for_each(|(_, refusal)| *refusal = each.next().unwrap_or(Some(unexpected())));
    told
}

/// Those that are there are wanted; the others are refused.
fn look(topics: &Topics, named: Grouped<i32>, wanted: &mut Vec<(Box<str>, PartitionId)>) -> Told {
    let topic = topics.get(&named.name);
    let unknown = Refusal::from(ErrorCode::UnknownTopicOrPartition);
    let partitions = named.partitions.into_iter().map(|number| {
        match topic.and_then(|topic| partition_in(topic, number)) {
            Some(partition) => {
                wanted.push(((*named.name).into(), partition));
                (number, None)
            }
            None => (number, Some(unknown.clone())),
        }
    });
    let partitions = partitions.collect();
    Grouped {
        name: named.name,
        partitions,
    }
}

/// Whoever leads hands on what it is called off from once others have all of it,
/// and the client hears when that is done. What takes longer than the client waits
/// is done all the same.
async fn await_handing_on(call: &Call, told: &mut [Told], deadline: Deadline) {
    let mut changes = call.door.site.changes();
    let handed_on = async {
        loop {
            let topics = changes.borrow_and_update().clone();
            let is_over = told
                .iter_mut()
                .all(|of| awaited(&topics, of).next().is_none());
            if is_over || changes.changed().await.is_err() {
                return;
            }
        }
    };
    if let Err(late) = deadline.wait(handed_on).await {
        let topics = call.door.site.topics();
        for topic in told {
            awaited(&topics, topic).for_each(|refusal| *refusal = Some(late.clone()));
        }
    }
}

/// Of what was elected, that which is called off still: none of it is refused yet.
fn awaited<'a>(
    topics: &'a Topics,
    told: &'a mut Told,
) -> impl Iterator<Item = &'a mut Option<Refusal>> {
    let topic = topics.get(&told.name);
    let is_awaited = move |number: i32| {
        let partition = topic.and_then(|topic| topic.partition(partition_in(topic, number)?));
        partition.is_some_and(|one| one.is_called_off)
    };
    let elected = told.partitions.iter_mut();
    let elected = elected.filter(|(_, refusal)| refusal.is_none());
    elected.filter_map(move |(number, refusal)| is_awaited(*number).then_some(refusal))
}

/// At version 0 an answer has no code of its own, so each partition has it.
fn refused(
    version: i16,
    refusal: Refusal,
    named: Option<Vec<Grouped<i32>>>,
) -> ElectLeadersResponse {
    let code = match version {
        CODE_SINCE.. => refusal.code,
        _ => ErrorCode::None,
    };
    let refused = |topic: Grouped<i32>| Grouped {
        name: topic.name,
        partitions: (topic.partitions.into_iter())
            .map(|number| (number, Some(refusal.clone())))
            .collect(),
    };
    let named = named.into_iter().flatten();
    answer(code, named.map(refused).collect())
}

fn answer(error_code: ErrorCode, told: Vec<Told>) -> ElectLeadersResponse {
    let result = |(partition_id, refusal)| {
        let (error_code, error_message) = Refusal::said(refusal);
        PartitionResult {
            partition_id,
            error_code,
            error_message,
        }
    };
    let results = told.into_iter().map(|topic| ReplicaElectionResult {
        topic: topic.name,
        partition_result: topic.partitions.into_iter().map(result).collect(),
    });
    ElectLeadersResponse {
        error_code,
        replica_election_results: results.collect(),
        ..ElectLeadersResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;
    use crate::ids::NodeId;

    /// Three brokers, of which 1 was away: it holds everything again, and leads
    /// nothing.
    fn stage() -> Stage {
        let stage = Stage::new(3);
        stage.create_on("a", &[&[1, 2], &[2, 1]]);
        stage.create_on("b", &[&[1]]);
        stage.create_on("c", &[&[3]]);
        stage.take_down(1);
        stage.bring_up(1);
        stage
    }

    fn ask(stage: &Stage, version: i16, kind: i8, named: Option<&str>) -> String {
        let topic = |word: &str| {
            let (name, numbers) = word.split_once('/').unwrap();
            let partitions = numbers.split(',').map(|number| number.parse().unwrap());
            TopicPartitions {
                topic: name.into(),
                partitions: partitions.collect(),
            }
        };
        let request = ElectLeadersRequest {
            election_type: kind,
            topic_partitions: named.map(|named| named.split_whitespace().map(topic).collect()),
            timeout_ms: 20,
        };
        let response = stage.ask::<ElectLeaders>(version, request);
        let topics = response.replica_election_results.iter().map(|topic| {
            let each = topic.partition_result.iter().map(|one| {
                assert_eq!(one.error_message.is_some(), !one.error_code.is_none());
                format!("{}:{}", one.partition_id, one.error_code.number())
            });
            let each: Vec<_> = each.collect();
            format!(" {}/{}", topic.topic, each.join(","))
        });
        let topics: String = topics.collect();
        format!("{}{topics}", response.error_code.number())
    }

    #[test]
    fn the_preferred_leads_again() {
        let stage = stage();
        assert_eq!(stage.partition("a", 0).leader, Some(NodeId(2)));
        let asked = "a/0,1,7,-1 x/0 a/0 b/0";
        let told = "0 a/0:0,1:84,7:3,-1:3 x/0:3 b/0:84";
        assert_eq!(ask(&stage, 2, 0, Some(asked)), told);
        assert_eq!(stage.partition("a", 0).leader, Some(NodeId(1)));
        assert_eq!(ask(&stage, 2, 0, Some("")), "0");
    }

    #[test]
    fn a_leader_that_does_not_hand_on_in_time_is_said_to_be_late() {
        let stage = stage();
        stage.leaders_stay();
        assert_eq!(ask(&stage, 2, 0, Some("a/0,1")), "0 a/0:7,1:84");
        assert_eq!(stage.partition("a", 0).leader, Some(NodeId(2)));
        assert!(stage.partition("a", 0).is_called_off, "it goes on");
    }

    #[test]
    fn all_are_those_that_need_it() {
        let stage = stage();
        stage.take_down(3);
        assert_eq!(ask(&stage, 1, 0, None), "0 a/0:0 c/0:80");
        assert_eq!(ask(&stage, 0, 0, None), "0 c/0:80");
    }

    #[test]
    fn an_unclean_election_is_for_partitions_without_a_leader() {
        let stage = stage();
        stage.take_down(3);
        assert_eq!(ask(&stage, 2, 1, Some("a/0 c/0")), "0 a/0:84 c/0:83");
    }

    #[test]
    fn what_is_no_election_is_refused_as_the_version_can_say_it() {
        let stage = stage();
        assert_eq!(ask(&stage, 2, 2, Some("a/0")), "42 a/0:42");
        assert_eq!(ask(&stage, 1, 2, None), "42");
        stage.fall_silent();
        assert_eq!(ask(&stage, 2, 0, Some("a/0 x/0")), "0 a/0:7 x/0:3");
        assert_eq!(ask(&stage, 1, 0, None), "7");
        // It has no word for what is said of none of the partitions.
        assert_eq!(ask(&stage, 0, 0, None), "0");
        assert_eq!(ask(&stage, 0, 0, Some("a/0")), "0 a/0:7");
    }

    #[test]
    fn more_than_a_command_takes_are_several_commands() {
        let stage = Stage::new(1);
        stage.create("a", 1000, 1);
        stage.create("b", 1000, 1);
        let numbers: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
        let numbers = numbers.join(",");
        let told = ask(&stage, 2, 0, Some(&format!("a/{numbers} b/{numbers}")));
        assert_eq!(told.matches(":84").count(), 2000);
        assert_eq!(stage.proposed(), 2);
    }
}
