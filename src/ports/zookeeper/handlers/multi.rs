//! multi: all of it or nothing. multiRead: several reads at one point.

use super::super::codec::{
    self, Children, Created, CreatedWithStat, DataWithStat, Jute, MultiResults, OfStat, Part,
    PartRead, PartResult, Watched, code,
};
use super::super::errors::{MARSHALLING_ERROR, OK, code_within};
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
        let with_stat: Box<[bool]> = request.parts.iter().map(has_stat).collect();
        let writes: Option<Vec<Write>> = request.parts.into_iter().map(write).collect();
        let Some(writes) = writes else {
            // As the original: flags that mean nothing do not read.
            return Asked::Refused(MARSHALLING_ERROR);
        };
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

/// None where flags mean nothing.
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

impl Operation for MultiRead {
    const CODE: i32 = code::MULTI_READ;
    const NAME: &'static str = "multiRead";
    const SHORT: &'static str = "MLTR";
    const IS_WRITE: bool = false;
    type Request = codec::MultiRead;
    type Response = MultiResults;

    fn ask(request: codec::MultiRead) -> Asked {
        let reads: Option<Vec<Read>> = request.parts.into_iter().map(read).collect();
        match reads {
            Some(reads) => Asked::Replica(Request::MultiRead(reads)),
            None => {
                let mut body = Vec::new();
                MultiResults { results: vec![] }.write(&mut body);
                Asked::RefusedWith(MARSHALLING_ERROR, body)
            }
        }
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

/// None for what is no read. Whether the client asks for a watch does not
/// matter: the original leaves none here.
fn read(part: PartRead) -> Option<Read> {
    let watch = false;
    Some(match part {
        PartRead::Children(Watched { path, .. }) => Read::Children { path, watch },
        PartRead::Data(Watched { path, .. }) => Read::Data { path, watch },
        PartRead::Write(_) => return None,
    })
}
