//! Keys and certificates as text that every tool reads (RFC 7468). What this
//! program wrote itself is read here; what an operator hands in, in `tls`.

use base64::prelude::{BASE64_STANDARD, Engine};

const LINE: usize = 64;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub label: String,
    pub bytes: Vec<u8>,
}

pub(super) fn write(label: &str, bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    let mut out = format!("-----BEGIN {label}-----\n");
    for at in (0..text.len()).step_by(LINE) {
        out.push_str(&text[at..text.len().min(at + LINE)]);
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// The blocks in their order; text between them is passed over. The reason,
/// where a block is not whole.
pub(super) fn read(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(label) = between(line, "-----BEGIN ") else {
            continue;
        };
        let mut digits = String::new();
        loop {
            let line = lines.next().ok_or(format!("its {label} has no end"))?;
            if between(line, "-----END ") == Some(label) {
                break;
            }
            digits.push_str(line.trim());
        }
        let bytes = BASE64_STANDARD
            .decode(digits)
            .map_err(|error| format!("its {label} cannot be read: {error}"))?;
        blocks.push(Block {
            label: label.into(),
            bytes,
        });
    }
    Ok(blocks)
}

/// Says which build could read a file that this one cannot.
pub(super) fn check_first_line(text: &str, first_line: &str, format: u32) -> Result<(), String> {
    let line = text.lines().next().unwrap_or_default();
    let found = line
        .strip_prefix(first_line)
        .ok_or(format!("its first line is not \"{first_line}{format}\""))?;
    if found != format.to_string() {
        return Err(format!(
            "it has format {found}, and this build reads format {format}"
        ));
    }
    Ok(())
}

fn between<'a>(line: &'a str, head: &str) -> Option<&'a str> {
    line.trim_end().strip_prefix(head)?.strip_suffix("-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_read_back_in_order() {
        let long: Vec<u8> = (0..=255).collect();
        let text = format!(
            "a title\n{}\n{}",
            write("CERTIFICATE", &long),
            write("KEY", b"k")
        );
        let blocks = read(&text).unwrap();
        let shown: Vec<_> = blocks
            .iter()
            .map(|b| (b.label.as_str(), &b.bytes[..]))
            .collect();
        assert_eq!(shown, [("CERTIFICATE", &long[..]), ("KEY", b"k")]);
        assert!(text.lines().all(|line| line.len() <= LINE));
    }

    #[test]
    fn a_block_that_is_not_whole_is_named() {
        let text = write("KEY", b"some key");
        let cut = &text[..text.len() - 20];
        assert!(read(cut).is_err_and(|why| why.contains("KEY has no end")));
        let broken = text.replace("c29t", "c29*");
        assert!(read(&broken).is_err_and(|why| why.contains("KEY cannot be read")));
    }
}
