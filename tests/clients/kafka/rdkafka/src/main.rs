//! What a user of the crate rdkafka sees of a broker; prints as scenario.py does.
//!
//!     rdkafka-scenarios BROKERS [quick|full] [WORDS...]

mod scenarios;
mod stage;

use stage::Stage;
use std::process::exit;
use std::time::Instant;

fn main() {
    let mut words = std::env::args().skip(1);
    let Some(brokers) = words.next() else {
        eprintln!("rdkafka-scenarios BROKERS [quick|full] [WORDS...]");
        exit(2);
    };
    let words: Vec<String> = words.skip(1).collect();
    let stage = Stage::new(brokers);
    let mut played = 0;
    for (title, play) in scenarios::ALL {
        if !words.is_empty() && !words.iter().any(|word| title.contains(word.as_str())) {
            continue;
        }
        let began = Instant::now();
        let said = match play(&stage) {
            Ok(()) => format!("ok {title}"),
            Err(why) => format!("FAILED {title}: {why}"),
        };
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        played += 1;
        println!("{said} ({:.1} s)", began.elapsed().as_secs_f64());
    }
    println!("played {played}");
}
