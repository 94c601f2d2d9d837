//! Every message at every version, cut at every byte and with bits turned.

use super::twin::Twin;
use crate::entropy::Seeded;
use crate::ports::kafka::messages::apis::Rewrite;
use crate::ports::kafka::messages::shape::Record;
use crate::ports::kafka::messages::{APIS, ApiShape, Why};
use bytes::{Bytes, BytesMut};

const SEED: u64 = 11;
/// Longer ones are turned at places by chance.
const TURNED_BYTES_MAX: usize = 400;

fn each(mut check: impl FnMut(&ApiShape, i16, Rewrite, Bytes, &mut Seeded)) {
    let chance = &mut Seeded::new(SEED);
    for api in APIS {
        let sides: [(&Record, Rewrite); 2] = [
            (api.request, api.rewrite_request),
            (api.response, api.rewrite_response),
        ];
        for (record, rewrite) in sides {
            for version in api.versions.clone() {
                let mut twin = Twin::new(chance, version, api.flexible_from);
                twin.with_unknown_tags = true;
                twin.with_long_bytes = false;
                let made = Bytes::from(twin.message(record));
                check(api, version, rewrite, made, chance);
            }
        }
    }
}

#[test]
fn a_part_is_no_message_and_nothing_stands_behind_one() {
    each(|api, version, rewrite, made, _| {
        assert!(rewrite(version, made.clone()).is_ok());
        for length in 0..made.len() {
            let cut = rewrite(version, made.slice(..length));
            assert!(
                cut.is_err(),
                "{} at {version}: {length} of {made:?}",
                api.name
            );
        }
        let mut longer = BytesMut::from(&made[..]);
        longer.extend_from_slice(&[0]);
        let unread = rewrite(version, longer.freeze()).err().unwrap();
        assert_eq!(unread.why, Why::Trailing(1), "{} at {version}", api.name);
    });
}

#[test]
fn a_turned_bit_is_refused_or_read_and_written_again() {
    let (mut read, mut refused) = (0, 0);
    each(|api, version, rewrite, made, chance| {
        let places: Vec<usize> = if made.len() <= TURNED_BYTES_MAX {
            (0..made.len()).collect()
        } else {
            let any = |_| chance.below(made.len() as u64) as usize;
            (0..TURNED_BYTES_MAX).map(any).collect()
        };
        for place in places {
            for mask in [1, 0x40, 0x80, 0xff] {
                let mut turned = BytesMut::from(&made[..]);
                turned[place] ^= mask;
                let Ok(written) = rewrite(version, turned.freeze()) else {
                    refused += 1;
                    continue;
                };
                let said = || format!("{} at {version}, byte {place}: {made:?}", api.name);
                let once = written.unwrap_or_else(|_| panic!("{}", said())).to_vec();
                let twice = rewrite(version, once.clone().into());
                let Ok(Ok(twice)) = twice else {
                    panic!("{}", said());
                };
                assert_eq!(once, twice.to_vec(), "{}", said());
                read += 1;
            }
        }
    });
    assert!(read > 10_000 && refused > 10_000, "{read} {refused}");
}
