//! How a request proposes, and how long it waits for what comes of it. Proposals
//! reach whoever leads, so any node does it.

use crate::limits::{
    KAFKA_LOOK_PATIENCE_MS, KAFKA_PATIENCE_MS, KAFKA_PATIENCE_MS_MAX, KAFKA_PROPOSED_AT_ONCE,
};
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::ErrorCode;
use crate::state::topics::{StreamsCommand, StreamsOutcome};
use crate::streams::Site;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Until when a request waits.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// As the request says; one below zero, which says nothing, waits as one that
    /// cannot say it.
    pub fn of(timeout_ms: i32) -> Self {
        let asked = u64::try_from(timeout_ms);
        Self::within(
            asked
                .unwrap_or(KAFKA_PATIENCE_MS)
                .min(KAFKA_PATIENCE_MS_MAX),
        )
    }

    /// Of a request that does not say it.
    pub fn unsaid() -> Self {
        Self::within(KAFKA_PATIENCE_MS)
    }

    /// Of a request that wants to know where something is, which clients repeat.
    pub fn of_a_look() -> Self {
        Self::within(KAFKA_LOOK_PATIENCE_MS)
    }

    fn within(ms: u64) -> Self {
        Self(Instant::now() + Duration::from_millis(ms))
    }

    fn is_over(self) -> bool {
        Instant::now() >= self.0
    }

    pub async fn wait<T>(self, work: impl Future<Output = T>) -> Result<T, Refusal> {
        let done = timeout_at(self.0, work).await;
        done.map_err(|_| ErrorCode::RequestTimedOut.into())
    }
}

/// What came of each command, in their order. What is refused is no outcome; what
/// the time does not suffice for may be done all the same, a little later.
pub async fn propose_each(
    site: &Site,
    commands: Vec<StreamsCommand>,
    deadline: Deadline,
) -> Vec<Result<StreamsOutcome, Refusal>> {
    let mut outcomes = Vec::with_capacity(commands.len());
    let mut commands = commands.into_iter();
    // A request that has no time left still begins, but no further.
    while outcomes.is_empty() || !deadline.is_over() {
        let next = commands.by_ref().take(KAFKA_PROPOSED_AT_ONCE);
        let begun: Vec<_> = next.map(|command| site.propose(command)).collect();
        if begun.is_empty() {
            return outcomes;
        }
        for one in begun {
            let heard = deadline.wait(one).await;
            outcomes.push(heard.and_then(read));
        }
    }
    outcomes.extend(commands.map(|_| Err(ErrorCode::RequestTimedOut.into())));
    outcomes
}

pub async fn propose(
    site: &Site,
    command: StreamsCommand,
    deadline: Deadline,
) -> Result<StreamsOutcome, Refusal> {
    let heard = deadline.wait(site.propose(command)).await;
    heard.and_then(read)
}

/// Where nothing can be agreed upon now, a client that hears of a controller that
/// is another asks who it is and tries again.
fn read(outcome: Result<StreamsOutcome, String>) -> Result<StreamsOutcome, Refusal> {
    match outcome {
        Ok(StreamsOutcome::Refused(refused)) => Err(refused.into()),
        Ok(outcome) => Ok(outcome),
        Err(why) => Err(Refusal::new(ErrorCode::NotController, why)),
    }
}

/// Something else than what the command can come to. It is a fault of ours, and
/// the client hears of one.
pub fn unexpected() -> Refusal {
    ErrorCode::UnknownServerError.into()
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Stage, run};
    use super::*;
    use crate::state::topics::TopicKey;

    fn deletion(name: &str) -> StreamsCommand {
        let topic = TopicKey::Name(name.into());
        StreamsCommand::DeleteTopic { topic }
    }

    #[test]
    fn what_is_not_answered_in_time_is_said_to_be_late() {
        let stage = Stage::new(1);
        stage.fall_silent();
        let many = KAFKA_PROPOSED_AT_ONCE + 3;
        let commands = (0..many).map(|_| deletion("orders")).collect();
        let heard = run(async { propose_each(&stage.site, commands, Deadline::of(5)).await });
        assert_eq!(heard.len(), many);
        let late = Err(Refusal::from(ErrorCode::RequestTimedOut));
        assert!(heard.iter().all(|one| *one == late));
        assert_eq!(
            stage.proposed(),
            KAFKA_PROPOSED_AT_ONCE,
            "no more are begun"
        );
    }

    #[test]
    fn a_request_without_time_is_proposed_and_what_is_there_at_once_is_told() {
        let stage = Stage::new(1);
        stage.create("orders", 1, 1);
        let commands = vec![deletion("orders"), deletion("clicks")];
        let heard = run(async { propose_each(&stage.site, commands, Deadline::of(0)).await });
        assert!(matches!(heard[0], Ok(StreamsOutcome::Deleted { .. })));
        let code = heard[1].as_ref().map_err(|refusal| refusal.code);
        assert_eq!(code, Err(ErrorCode::UnknownTopicOrPartition));
    }

    #[test]
    fn where_nothing_is_agreed_upon_another_is_to_be_asked_in_words() {
        let stage = Stage::new(1);
        stage.lose_majority();
        let heard =
            run(async { propose(&stage.site, deletion("orders"), Deadline::unsaid()).await });
        let refusal = heard.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::NotController);
        assert_eq!(refusal.why, "no majority is there");
    }
}
