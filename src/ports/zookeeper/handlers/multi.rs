//! multi: all of it or nothing. multiRead: several reads at one point.

use super::super::codec::{
    self, Children, Created, CreatedWithStat, DataWithStat, Jute, MultiResults, OfStat, Part,
    PartRead, PartResult, code,
};
use super::super::errors::{BAD_ARGUMENTS, OK, RUNTIME_INCONSISTENCY, code_within};
use super::create::{node, node_with_ttl};
use super::{Asked, Kept, Operation, misfit};
use crate::replica::desk::{Answer, Answered, Read, Request};
use crate::state::{Command, Error, Outcome, Write};

pub struct Multi;
pub struct MultiRead;

impl Operation for Multi {
    const CODE: i32 = code::MULTI;
    const NAME: &'static str = "multi";
    const SHORT: &'static str = "MULT";
    const IS_WRITE: bool = true;
    type Request = codec::Multi;
    type Response = MultiResults;

    fn ask(request: codec::Multi) -> Asked {
        let count = request.parts.len();
        let with_stat: Box<[bool]> = request.parts.iter().map(has_stat).collect();
        let writes: Vec<Write> = request.parts.into_iter().map_while(write).collect();
        if writes.len() < count {
            return Asked::Answered(failed_at(writes.len(), count));
        }
        let multi = Request::Submit(Command::Multi(writes));
        Asked::Keeping(multi, Kept::WithStat(with_stat))
    }

    fn answer(answer: Answer, kept: Kept) -> Result<MultiResults, Error> {
        let (outcomes, with_stat) = match (answer, kept) {
            (Answer::Outcome(Outcome::Multi(outcomes)), Kept::WithStat(with_stat))
                if outcomes.len() == with_stat.len() =>
            {
                (outcomes, with_stat)
            }
            (other, _) => misfit(Self::NAME, &other),
        };
        let has_failed = outcomes.iter().any(Result::is_err);
        let results = outcomes.into_iter().zip(with_stat);
        let results = results
            .map(|(outcome, with_stat)| match outcome {
                Err(error) => PartResult::Error(code_within(error)),
                Ok(_) if has_failed => PartResult::Error(OK),
                Ok(outcome) => result(outcome, with_stat),
            })
            .collect();
        Ok(MultiResults { results })
    }
}

/// Whether the result brings the new node's stat, as all but create's do.
fn has_stat(part: &Part) -> bool {
    matches!(
        part,
        Part::Create2(_) | Part::CreateContainer(_) | Part::CreateTtl(_)
    )
}

/// None where flags or TTL make no sense.
fn write(part: Part) -> Option<Write> {
    Some(match part {
        Part::Create(create) | Part::Create2(create) | Part::CreateContainer(create) => {
            Write::Create(node(create)?)
        }
        Part::CreateTtl(create) => Write::Create(node_with_ttl(create)?),
        Part::Delete(delete) => Write::Delete {
            path: delete.path,
            version: delete.version,
        },
        Part::SetData(set) => Write::SetData {
            path: set.path,
            data: set.data,
            version: set.version,
        },
        Part::Check(check) => Write::Check {
            path: check.path,
            version: check.version,
        },
    })
}

fn result(outcome: Outcome, with_stat: bool) -> PartResult {
    match outcome {
        Outcome::Created { path, stat } if with_stat => {
            PartResult::CreatedWithStat(CreatedWithStat { path, stat })
        }
        Outcome::Created { path, .. } => PartResult::Created(Created { path }),
        Outcome::Deleted => PartResult::Deleted,
        Outcome::Set(stat) => PartResult::Set(OfStat { stat }),
        Outcome::Checked => PartResult::Checked,
        other => misfit(Multi::NAME, &Answer::Outcome(other)),
    }
}

/// The results of a multi whose operation at `place` cannot be asked for.
fn failed_at(place: usize, count: usize) -> Vec<u8> {
    let code = |at: usize| match at.cmp(&place) {
        std::cmp::Ordering::Less => OK,
        std::cmp::Ordering::Equal => BAD_ARGUMENTS,
        std::cmp::Ordering::Greater => RUNTIME_INCONSISTENCY,
    };
    let results = (0..count).map(|at| PartResult::Error(code(at))).collect();
    let mut body = Vec::new();
    MultiResults { results }.write(&mut body);
    body
}

impl Operation for MultiRead {
    const CODE: i32 = code::MULTI_READ;
    const NAME: &'static str = "multiRead";
    const SHORT: &'static str = "MLTR";
    const IS_WRITE: bool = false;
    type Request = codec::MultiRead;
    type Response = MultiResults;

    fn ask(request: codec::MultiRead) -> Asked {
        let reads = request.parts.into_iter().map(|part| match part {
            PartRead::Children(read) => Read::Children {
                path: read.path,
                watch: read.watch,
            },
            PartRead::Data(read) => Read::Data {
                path: read.path,
                watch: read.watch,
            },
        });
        Asked::Replica(Request::MultiRead(reads.collect()))
    }

    fn answer(answer: Answer, _: Kept) -> Result<MultiResults, Error> {
        let Answer::MultiRead(reads) = answer else {
            misfit(Self::NAME, &answer)
        };
        let results = reads.into_iter().map(|read| match read {
            Ok(Answered::Children { names, .. }) => PartResult::Children(Children { names }),
            Ok(Answered::Data { data, stat }) => PartResult::Data(DataWithStat { data, stat }),
            Ok(other) => misfit(Self::NAME, &Answer::Read(other)),
            Err(error) => PartResult::Error(code_within(error)),
        });
        Ok(MultiResults {
            results: results.collect(),
        })
    }
}
