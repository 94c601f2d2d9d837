use super::*;
use crate::entropy::Seeded;
use std::collections::BTreeSet;

const NOW: Duration = Duration::from_secs(1000);

fn name(topic: &str) -> Named {
    Named::Name(topic.into())
}

fn wanted(topic: &str, partition: i32, from: i64) -> Wanted {
    Wanted {
        spot: (name(topic), partition),
        leader_epoch: -1,
        last_epoch: -1,
        from,
        bytes_max: 1000,
    }
}

fn asked(session: i32, epoch: i32, wanted: Vec<Wanted>) -> Asked {
    Asked {
        session,
        epoch,
        names_ids: false,
        wanted,
        forgotten: Vec::new(),
    }
}

fn shown(watermark: i64) -> Shown {
    Shown {
        watermark,
        first: 0,
        ..UNTOLD
    }
}

const RECORDS: Shown = Shown {
    watermark: 9,
    first: 0,
    has_records: true,
    is_told_anyway: false,
};

/// What is told of each partition, by its number, and the session.
fn ask(
    sessions: &mut Sessions,
    now: Duration,
    asked: Asked,
    shown: &[Shown],
) -> Result<(i32, Vec<i32>), ErrorCode> {
    let mut next = sessions.by_id.len() as i32 + 100;
    let reads = sessions.begin(now, asked)?;
    assert_eq!(reads.wanted.len(), shown.len());
    let telling = sessions.tell(now, &reads, shown, || {
        next += 1;
        Some(next)
    })?;
    let told = reads.wanted.iter().zip(telling.is_told);
    let told = told.filter_map(|(one, is_told)| is_told.then_some(one.spot.1));
    Ok((telling.session, told.collect()))
}

#[test]
fn a_session_tells_what_is_new() {
    let mut all = Sessions::default();
    let begin = asked(0, 0, (0..3).map(|n| wanted("t", n, 0)).collect());
    let (id, told) = ask(&mut all, NOW, begin, &[shown(5); 3]).unwrap();
    assert_ne!(id, NO_SESSION);
    assert_eq!(told, [0, 1, 2]);
    let mut next = |epoch, shown: &[Shown]| ask(&mut all, NOW, asked(id, epoch, vec![]), shown);
    assert_eq!(next(1, &[shown(5); 3]), Ok((id, vec![])));
    let later = [shown(5), shown(6), shown(5)];
    assert_eq!(next(2, &later), Ok((id, vec![1])));
    assert_eq!(next(3, &later), Ok((id, vec![])));
    let moved = Shown {
        first: 2,
        ..shown(5)
    };
    assert_eq!(next(4, &[moved, shown(6), shown(5)]), Ok((id, vec![0])));
    // An error is told each time, and what follows it once.
    let failed = Shown {
        is_told_anyway: true,
        ..UNTOLD
    };
    let lost = [moved, shown(6), failed];
    assert_eq!(next(5, &lost), Ok((id, vec![2])));
    assert_eq!(next(6, &lost), Ok((id, vec![2])));
    let well = [moved, shown(6), shown(5)];
    assert_eq!(next(7, &well), Ok((id, vec![2])));
    assert_eq!(next(8, &well), Ok((id, vec![])));
}

#[test]
fn whoever_is_given_records_goes_to_the_end_of_the_line() {
    let mut all = Sessions::default();
    let begin = asked(0, 0, (0..3).map(|n| wanted("t", n, 0)).collect());
    let (id, _) = ask(&mut all, NOW, begin, &[shown(9); 3]).unwrap();
    let mut next = |epoch, shown: &[Shown]| {
        let (_, told) = ask(&mut all, NOW, asked(id, epoch, vec![]), shown).unwrap();
        let line: Vec<i32> = all.by_id[&id]
            .wanted()
            .iter()
            .map(|one| one.spot.1)
            .collect();
        (told, line)
    };
    let [records, nothing] = [RECORDS, shown(9)];
    assert_eq!(
        next(1, &[records, nothing, nothing]),
        (vec![0], vec![1, 2, 0])
    );
    assert_eq!(
        next(2, &[records, records, nothing]),
        (vec![1, 2], vec![0, 1, 2])
    );
    assert_eq!(next(3, &[nothing; 3]), (vec![], vec![0, 1, 2]));
}

#[test]
fn a_change_is_kept() {
    let mut all = Sessions::default();
    let begin = asked(0, 0, vec![wanted("t", 0, 0), wanted("t", 1, 0)]);
    let (id, _) = ask(&mut all, NOW, begin, &[shown(9); 2]).unwrap();
    let change = Asked {
        forgotten: vec![(name("t"), 0), (name("never"), 3)],
        ..asked(id, 1, vec![wanted("t", 1, 77), wanted("u", 5, 3)])
    };
    let reads = all.begin(NOW, change).unwrap();
    assert_eq!(reads.wanted, [wanted("t", 1, 77), wanted("u", 5, 3)]);
    let reads = all.begin(NOW, asked(id, 2, vec![])).unwrap();
    assert_eq!(reads.wanted, [wanted("t", 1, 77), wanted("u", 5, 3)]);
    // Who forgets everything needs no session.
    let change = Asked {
        forgotten: vec![(name("t"), 1), (name("u"), 5)],
        ..asked(id, 3, vec![])
    };
    assert_eq!(ask(&mut all, NOW, change, &[]), Ok((NO_SESSION, vec![])));
    assert!(all.by_id.is_empty() && all.bytes == 0);
}

#[test]
fn who_is_out_of_step_is_told() {
    let mut all = Sessions::default();
    let one = || vec![wanted("t", 0, 0)];
    let (id, _) = ask(&mut all, NOW, asked(0, 0, one()), &[shown(9)]).unwrap();
    let mut begin = |asked| all.begin(NOW, asked).err();
    let invalid = Some(ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(begin(asked(id, 2, vec![])), invalid);
    assert_eq!(begin(asked(id, -2, vec![])), invalid);
    let unknown = Some(ErrorCode::FetchSessionIdNotFound);
    assert_eq!(begin(asked(id + 1, 1, vec![])), unknown);
    assert_eq!(begin(asked(0, 1, vec![])), unknown);
    let by_id = Asked {
        names_ids: true,
        ..asked(id, 1, vec![])
    };
    assert_eq!(begin(by_id), Some(ErrorCode::FetchSessionTopicIdError));
    // None of that has moved it.
    assert_eq!(begin(asked(id, 1, vec![])), None);
    // Two answers at once: one is told to begin anew.
    let first = all.begin(NOW, asked(id, 2, vec![])).unwrap();
    let second = all.begin(NOW, asked(id, 3, vec![])).unwrap();
    let mut tell = |reads: &Reads| all.tell(NOW, reads, &[shown(9)], || None).err();
    assert_eq!(tell(&first), invalid);
    assert_eq!(tell(&second), None);
    // Closed, by its client or for another that begins with it.
    assert!(all.begin(NOW, asked(id, WITHOUT, one())).is_ok());
    assert_eq!(all.begin(NOW, asked(id, 4, vec![])).err(), unknown);
    let (id, _) = ask(&mut all, NOW, asked(0, 0, one()), &[shown(9)]).unwrap();
    let (next, _) = ask(&mut all, NOW, asked(id, 0, one()), &[shown(9)]).unwrap();
    assert_eq!(all.begin(NOW, asked(id, 1, vec![])).is_err(), id != next);
    assert_eq!(all.by_id.len(), 1);
}

#[test]
fn epochs_begin_again_behind_the_last() {
    assert_eq!(following(0), 1);
    assert_eq!(following(i32::MAX), 1);
}

#[test]
fn room_is_made_by_who_is_idle_and_then_by_who_has_less() {
    let mut all = Sessions::default();
    let open = |all: &mut Sessions, now, count: i32| {
        let some = (0..count).map(|n| wanted("t", n, 0)).collect();
        let shown = vec![shown(9); count as usize];
        let mut draws = Seeded::new(now_seed(now, count));
        let reads = all.begin(now, asked(0, 0, some)).unwrap();
        let draw = || Some(draws.next_u64() as i32);
        all.tell(now, &reads, &shown, draw).unwrap().session
    };
    let idle = Duration::from_millis(FETCH_SESSION_IDLE_MS);
    let moment = Duration::from_millis(1);
    let first = open(&mut all, NOW, 2);
    for n in 1..FETCH_SESSIONS_MAX as u32 {
        assert_ne!(open(&mut all, NOW + n * moment, 3), NO_SESSION);
    }
    let full = NOW + FETCH_SESSIONS_MAX as u32 * moment;
    // Nobody is idle, and nobody had its time.
    assert_eq!(open(&mut all, full, 100), NO_SESSION);
    // The first is used still, and the second is not.
    let second = all.by_id.iter().filter(|(id, _)| **id != first);
    let second = *second.min_by_key(|(_, one)| one.used).unwrap().0;
    let late = NOW + idle + 2 * moment;
    all.begin(late, asked(first, 1, vec![])).unwrap();
    assert_ne!(open(&mut all, late, 1), NO_SESSION);
    assert!(all.by_id.contains_key(&first) && !all.by_id.contains_key(&second));
    // All are used: the one with fewest partitions goes, for one with more.
    let ids: Vec<i32> = all.by_id.keys().copied().collect();
    let later = NOW + 2 * idle;
    for id in ids {
        let epoch = all.by_id[&id].epoch;
        all.begin(later, asked(id, epoch, vec![])).unwrap();
    }
    assert_eq!(open(&mut all, later, 2), NO_SESSION);
    assert_ne!(open(&mut all, later, 3), NO_SESSION);
    assert!(!all.by_id.contains_key(&first));
    assert_eq!(all.by_id.len(), FETCH_SESSIONS_MAX);
}

fn now_seed(now: Duration, count: i32) -> u64 {
    now.as_millis() as u64 * 1000 + count as u64
}

#[test]
fn bytes_are_bounded_and_counted() {
    let mut all = Sessions::default();
    let long = "t".repeat(200);
    let many = |count: usize| -> Vec<Wanted> {
        let all = 0..count as i32;
        all.map(|n| wanted(&long, n, 0)).collect()
    };
    let each = cost(&(name(&long), 0));
    let most = FETCH_SESSIONS_BYTES_MAX / each;
    let begin = asked(0, 0, many(most + 1));
    let (id, told) = ask(&mut all, NOW, begin, &vec![shown(9); most + 1]).unwrap();
    assert_eq!((id, told.len()), (NO_SESSION, most + 1));
    let begin = asked(0, 0, many(most));
    let (id, _) = ask(&mut all, NOW, begin, &vec![shown(9); most]).unwrap();
    assert_ne!(id, NO_SESSION);
    assert_eq!(all.bytes, most * each);
    let more = asked(id, 1, vec![wanted(&long, -1, 0), wanted(&long, -2, 0)]);
    let refused = ask(&mut all, NOW, more, &[]);
    assert_eq!(refused, Err(ErrorCode::FetchSessionIdNotFound));
    assert_eq!((all.bytes, all.by_id.len()), (0, 0));
    // Without chance there is no session, and an answer all the same.
    let reads = all.begin(NOW, asked(0, 0, many(1))).unwrap();
    let telling = all.tell(NOW, &reads, &[shown(9)], || None).unwrap();
    assert_eq!(telling.session, NO_SESSION);
}

/// One client's partitions as a list: what it wants, and what it was told.
#[derive(Default)]
struct Twin {
    epoch: i32,
    line: Vec<(Wanted, i64, i64)>,
}

impl Twin {
    fn change(&mut self, wanted: &[Wanted], forgotten: &[Spot]) {
        for one in wanted {
            match self.line.iter_mut().find(|kept| kept.0.spot == one.spot) {
                Some(kept) => kept.0 = one.clone(),
                None => self.line.push((one.clone(), -1, -1)),
            }
        }
        self.line.retain(|kept| !forgotten.contains(&kept.0.spot));
    }

    fn tell(&mut self, shown: &[Shown]) -> Vec<bool> {
        let mut told = Vec::new();
        let (mut stay, mut end) = (Vec::new(), Vec::new());
        for (mut kept, shown) in std::mem::take(&mut self.line).into_iter().zip(shown) {
            let is_new = kept.1 != shown.watermark || kept.2 != shown.first;
            told.push(is_new || shown.has_records || shown.is_told_anyway);
            (kept.1, kept.2) = (shown.watermark, shown.first);
            if shown.is_told_anyway {
                kept.1 = -1;
            }
            match shown.has_records {
                true => end.push(kept),
                false => stay.push(kept),
            }
        }
        self.line = stay;
        self.line.append(&mut end);
        told
    }
}

#[test]
fn many_sessions_do_as_their_twins_do() {
    for seed in 0..200 {
        many_sessions(&mut Seeded::new(seed), seed);
    }
}

fn many_sessions(chance: &mut Seeded, seed: u64) {
    let (mut all, mut twins) = (Sessions::default(), BTreeMap::<i32, Twin>::new());
    for step in 0..300 {
        let at = format!("seed {seed}, step {step}");
        let now = NOW + Duration::from_millis(step);
        let ids: Vec<i32> = twins.keys().copied().collect();
        let id = match ids.len() as u64 {
            0 => 0,
            count => ids[chance.below(count) as usize],
        };
        let opens = id == 0 || (ids.len() < 5 && chance.one_in(8));
        let mut spots = BTreeSet::new();
        let some: Vec<Wanted> = (0..chance.below(5) + u64::from(opens))
            .map(|_| {
                let topic = ["a", "b"][chance.below(2) as usize];
                wanted(topic, chance.below(4) as i32, chance.below(100) as i64)
            })
            .filter(|one| spots.insert(one.spot.clone()))
            .collect();
        let forgotten: Vec<Spot> = match opens {
            true => Vec::new(),
            false => (0..chance.below(3))
                .map(|_| (name("a"), chance.below(4) as i32))
                .collect(),
        };
        let epoch = match opens {
            true => 0,
            false => twins[&id].epoch,
        };
        let closes = opens && id != 0 && chance.one_in(3);
        let session = if opens && !closes { 0 } else { id };
        let request = Asked {
            forgotten: forgotten.clone(),
            ..asked(session, epoch, some.clone())
        };
        let reads = all.begin(now, request).expect(&at);
        let mut twin = match opens {
            true => Twin::default(),
            false => twins.remove(&id).expect(&at),
        };
        if closes {
            twins.remove(&id);
        }
        twin.change(&some, &forgotten);
        let line: Vec<_> = twin.line.iter().map(|kept| kept.0.clone()).collect();
        assert_eq!(reads.wanted, line, "{at}");
        let shown: Vec<Shown> = line
            .iter()
            .map(|_| Shown {
                watermark: chance.below(3) as i64,
                first: chance.below(2) as i64,
                has_records: chance.one_in(3),
                is_told_anyway: chance.one_in(6),
            })
            .collect();
        let draw = || Some(chance.next_u64() as i32);
        let telling = all.tell(now, &reads, &shown, draw).expect(&at);
        match opens {
            true => {
                assert!(telling.is_told.iter().all(|told| *told), "{at}");
                // A session that begins keeps the order in which it was asked.
                for (kept, shown) in twin.line.iter_mut().zip(&shown) {
                    (kept.1, kept.2) = (shown.watermark, shown.first);
                }
                twin.epoch = 1;
            }
            false => {
                assert_eq!(telling.is_told, twin.tell(&shown), "{at}");
                twin.epoch += 1;
            }
        }
        assert_eq!(telling.session == 0, line.is_empty(), "{at}");
        if telling.session != 0 {
            twins.insert(telling.session, twin);
        }
        assert_eq!(all.by_id.len(), twins.len(), "{at}");
        let bytes: usize = all.by_id.values().map(|one| one.bytes).sum();
        let mut costs = 0;
        for session in all.by_id.values() {
            costs += session.places.keys().map(cost).sum::<usize>();
        }
        assert_eq!((all.bytes, all.bytes), (bytes, costs), "{at}");
    }
}
