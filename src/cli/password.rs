//! Passwords as people hand them over: never as an argument, which everybody on
//! the machine can read.

use super::Failure;
use crate::limits::USER_PASSWORD_BYTES_MAX;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::process::{Command, Stdio};

/// One line without its end.
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a password")
    }
}

impl Password {
    /// A new one: typed twice, or read from standard input.
    pub fn new_for(user: &str) -> Result<Self, Failure> {
        if !io::stdin().is_terminal() {
            return Self::taken(io::stdin().lock());
        }
        let password = Self::asked(&format!("Password for {user}: "), Stdio::inherit())?;
        let again = Self::asked("The same again: ", Stdio::inherit())?;
        match password.0 == again.0 {
            true => Ok(password),
            false => Err(Failure::failed(
                "the two are not the same: nothing is changed",
            )),
        }
    }

    /// Asked for at the terminal, whatever standard input is.
    pub fn typed(user: &str) -> Result<Self, Failure> {
        let terminal = File::open("/dev/tty").map_err(|_| {
            Failure::wrong_usage(format!(
                "there is no terminal to ask for the password of {user}: name a file with \
                 --password-file, or a variable with --password-env"
            ))
        })?;
        Self::asked(&format!("Password for {user}: "), terminal.into())
    }

    pub fn of_file(path: &Path) -> Result<Self, Failure> {
        let named = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(|error| Failure::failed(named(&error)))?;
        Self::taken(file).map_err(|why| Failure::failed(named(&why.message)))
    }

    pub fn of_variable(name: &str) -> Result<Self, Failure> {
        let value = std::env::var(name).map_err(|error| format!("{name}: {error}"))?;
        Self::taken(value.as_bytes()).map_err(|why| format!("{name}: {}", why.message).into())
    }

    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub fn taken(from: impl Read) -> Result<Self, Failure> {
        let mut text = String::new();
        let most = USER_PASSWORD_BYTES_MAX as u64 + 3;
        let read = from.take(most).read_to_string(&mut text);
        read.map_err(|error| Failure::failed(format!("cannot read the password: {error}")))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        // A zero ends it in PLAIN, and nobody types a line of several.
        if line.is_empty() || line.contains(['\n', '\0']) {
            return Err(Failure::failed(
                "a password is one line, and not an empty one",
            ));
        }
        if line.len() > USER_PASSWORD_BYTES_MAX {
            let most = USER_PASSWORD_BYTES_MAX;
            return Err(Failure::failed(format!(
                "{most} bytes are the longest password"
            )));
        }
        Ok(Self(line.into()))
    }

    /// A shell turns the terminal's echo off and on again, also where it is
    /// interrupted: to ask the kernel for it would be unsafe.
    fn asked(prompt: &str, terminal: Stdio) -> Result<Self, Failure> {
        eprint!("{prompt}");
        let mut shell = Command::new("sh");
        shell.args(["-c", ASK]);
        shell.stdin(terminal).stdout(Stdio::piped());
        let asked = shell.spawn().and_then(|shell| shell.wait_with_output());
        eprintln!();
        match asked {
            Ok(asked) if asked.status.success() => Self::taken(&*asked.stdout),
            _ => Err(Failure::failed(
                "nothing was typed, or it cannot be hidden here: pipe the password in",
            )),
        }
    }
}

const ASK: &str = r#"was=$(stty -g) || exit 1
trap 'stty "$was"' EXIT
trap 'exit 1' INT TERM HUP
stty -echo || exit 1
IFS= read -r line || exit 1
printf %s "$line""#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line() {
        let longest = "p".repeat(USER_PASSWORD_BYTES_MAX);
        for (text, password) in [
            ("pencil\n", Some("pencil")),
            ("pencil", Some("pencil")),
            ("pencil\r\n", Some("pencil")),
            (" pen cil \n", Some(" pen cil ")),
            (&longest, Some(&*longest)),
            ("", None),
            ("\n", None),
            ("pen\ncil\n", None),
            ("pen\0cil", None),
            (&format!("{longest}p\n"), None),
            (&format!("{longest}\r\nmore"), None),
        ] {
            let read = Password::taken(text.as_bytes());
            assert_eq!(read.ok().map(|read| read.0).as_deref(), password);
        }
        assert!(Password::taken(&b"\xff\n"[..]).is_err());
    }

    #[test]
    fn a_password_comes_from_a_file_or_a_variable() {
        let own = std::env::temp_dir().join(format!("dolmen-password-{}", std::process::id()));
        std::fs::write(&own, "pencil\n").unwrap();
        assert_eq!(Password::of_file(&own).unwrap().bytes(), b"pencil");
        std::fs::write(&own, "").unwrap();
        let why = Password::of_file(&own).unwrap_err().message;
        assert!(why.contains("dolmen-password-") && why.contains("not an empty one"));
        std::fs::remove_file(&own).unwrap();
        assert!(Password::of_file(&own).is_err());
        let why = Password::of_variable("NO_SUCH_VARIABLE").unwrap_err();
        assert!(why.message.starts_with("NO_SUCH_VARIABLE: "), "{why:?}");
    }
}
