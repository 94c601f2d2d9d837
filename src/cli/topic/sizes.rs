//! Counts and sizes as people read them.

/// Three figures and a unit.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut size = count as f64;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let places = match size {
        _ if unit == 0 => 0,
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{size:.places$} {}", UNITS[unit])
}

/// "1 line", "2 lines".
pub fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// Numbers in order, with what follows on itself said as a range.
pub fn ranges(numbers: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let says = runs.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        _ => format!("{first} to {last}"),
    });
    says.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_figures() {
        for (size, says) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_996, "10.0 kB"),
            (123_456, "123 kB"),
            (999_600, "1.00 MB"),
            (5_250_000_000, "5.25 GB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(bytes(size), says);
        }
        assert_eq!(
            (&*count(1, "line"), &*count(2, "line")),
            ("1 line", "2 lines")
        );
    }

    #[test]
    fn runs_of_numbers_are_ranges() {
        for (numbers, says) in [
            (&[][..], ""),
            (&[7], "7"),
            (&[1, 2, 3, 7, 9, 10], "1 to 3, 7, 9 to 10"),
        ] {
            assert_eq!(ranges(numbers), says);
        }
    }
}
