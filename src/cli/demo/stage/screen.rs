//! What is shown, line by line: who asked for what, and what came of it. Bold,
//! colour and a pace that can be read, on a terminal alone.

use super::super::super::Failure;
use super::stop::{Reason, Stop};
use std::env;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// The longest names are those of counters and workers.
const WHO_LETTERS: usize = 9;
const ASKED_LETTERS: usize = 45;
/// About sixty lines and seven steps take seven seconds.
const PER_LINE: Duration = Duration::from_millis(70);
const PER_STEP: Duration = Duration::from_millis(400);

pub struct Screen {
    stop: Stop,
    is_terminal: bool,
    paint: Paint,
}

impl Screen {
    pub fn new(stop: Stop) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let is_plain = |name, value: &str| env::var_os(name).is_some_and(|is| is == *value);
        let is_unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_on = is_terminal && !is_unwanted && !is_plain("TERM", "dumb");
        Self {
            stop,
            is_terminal,
            paint: Paint { is_on },
        }
    }

    /// A paragraph as it stands.
    pub fn say(&self, text: impl Display) -> Result<(), Failure> {
        self.put(&format!("{text}\n"))
    }

    pub fn heading(&self, text: &str) -> Result<(), Failure> {
        self.rest(PER_STEP)?;
        self.put(&format!("\n{}\n", self.paint.bold(text)))
    }

    /// Who asked for what, and what came of it.
    pub fn show(
        &self,
        who: &str,
        asked: impl Display,
        answer: impl Display,
    ) -> Result<(), Failure> {
        self.rest(PER_LINE)?;
        self.put(&line(
            &self.paint,
            who,
            &asked.to_string(),
            &answer.to_string(),
        ))
    }

    /// What stands beside the story.
    pub fn aside(&self, label: &str, text: &str) -> Result<(), Failure> {
        let aside = format!("  {label:WHO_LETTERS$}  {text}");
        self.put(&format!("{}\n", self.paint.dim(&aside)))
    }

    pub fn until_enter(&self) -> Result<(), Failure> {
        let prompt = self.paint.dim("  Enter goes on").to_string();
        self.put(&prompt)?;
        self.stop.until_enter();
        self.go_on()
    }

    fn rest(&self, time: Duration) -> Result<(), Failure> {
        if self.is_terminal {
            self.stop.rest(time);
        }
        self.go_on()
    }

    fn go_on(&self) -> Result<(), Failure> {
        match self.stop.reason() {
            None => Ok(()),
            Some(_) => Err(Failure::failed("stopped")),
        }
    }

    /// Whoever has seen enough ends the demo; that is no failure.
    fn put(&self, text: &str) -> Result<(), Failure> {
        let written = {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        };
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.stop.stop(Reason::NobodyReads);
                Err(Failure::failed("nobody reads on"))
            }
            Err(error) => Err(Failure::failed(format!("cannot print: {error}"))),
        }
    }
}

fn line(paint: &Paint, who: &str, asked: &str, answer: &str) -> String {
    let who = format!("{who:WHO_LETTERS$}");
    let who = paint.name(&who);
    match answer {
        "" => format!("  {who}  {asked}\n"),
        _ => format!("  {who}  {asked:ASKED_LETTERS$}  {answer}\n"),
    }
}

struct Paint {
    is_on: bool,
}

impl Paint {
    fn bold<'a>(&self, text: &'a str) -> Painted<'a> {
        self.painted("1", text)
    }

    fn dim<'a>(&self, text: &'a str) -> Painted<'a> {
        self.painted("2", text)
    }

    fn name<'a>(&self, text: &'a str) -> Painted<'a> {
        self.painted("36", text)
    }

    fn painted<'a>(&self, code: &'static str, text: &'a str) -> Painted<'a> {
        let code = self.is_on.then_some(code);
        Painted { code, text }
    }
}

struct Painted<'a> {
    code: Option<&'static str>,
    text: &'a str,
}

impl Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "\x1b[{code}m{}\x1b[0m", self.text),
            None => f.write_str(self.text),
        }
    }
}

/// A time to read: `1.3 ms`, `4.27 s`.
pub struct Took(pub Duration);

impl Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() {
            seconds if seconds < 1.0 => write!(f, "{:.1} ms", seconds * 1e3),
            seconds => write!(f, "{seconds:.2} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_stand_in_a_column_and_paint_moves_nothing() {
        let plain = line(&Paint { is_on: false }, "left", "takes a place", "0x1c");
        assert_eq!(plain.find("0x1c"), Some(2 + 9 + 2 + 45 + 2));
        let painted = line(&Paint { is_on: true }, "left", "takes a place", "0x1c");
        assert_eq!(
            painted.replace("\x1b[36m", "").replace("\x1b[0m", ""),
            plain
        );
        assert_ne!(painted, plain);
        let alone = line(&Paint { is_on: false }, "left", "goes", "");
        assert_eq!(alone, "  left       goes\n");
    }

    #[test]
    fn times_are_short_to_read() {
        let took = |micros| Took(Duration::from_micros(micros)).to_string();
        assert_eq!([took(1_340), took(4_267_000)], ["1.3 ms", "4.27 s"]);
    }
}
