//! Which znodes a demo makes. What is not of this form is somebody else's, and
//! stays.

use super::STEPS;
use super::stage::CLAIM;

/// Digits that the server puts behind a numbered name.
const DIGITS: usize = 10;

/// Whether a demo with this root makes znodes of that path.
pub fn is_ours(root: &str, path: &str) -> bool {
    match path.strip_prefix(root) {
        Some("") => true,
        Some(below) => below.strip_prefix('/').is_some_and(is_made),
        None => false,
    }
}

fn is_made(below: &str) -> bool {
    let (folder, name) = below.split_once('/').unwrap_or((below, ""));
    let is_claim = matches(&format!("{CLAIM}#"), below);
    let is_of_step = STEPS.iter().filter(|step| step.name == folder).any(|step| {
        let mut made = step.makes.iter();
        name.is_empty() || made.any(|pattern| matches(pattern, name))
    });
    is_claim || is_of_step
}

/// A `#` at the end of a pattern stands for the server's number.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('#') {
        None => pattern == name,
        Some(prefix) => name.strip_prefix(prefix).is_some_and(|number| {
            number.len() == DIGITS && number.bytes().all(|byte| byte.is_ascii_digit())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_step_declares_is_ours() {
        for ours in [
            "/demo",
            "/demo/running-0000000004",
            "/demo/lock",
            "/demo/lock/press",
            "/demo/lock/press/lock-0000000012",
            "/demo/members/machines/oven",
        ] {
            assert!(is_ours("/demo", ours), "{ours}");
        }
        for other in [
            "/",
            "/demos",
            "/demonstration/lock",
            "/demo/",
            "/demo/mine",
            "/demo/lock/mine",
            "/demo/lock/press/lock-12",
            "/demo/lock/press/lock-0000000012/mine",
            "/demo/lock/press/lock-000000001x",
            "/demo/running-",
        ] {
            assert!(!is_ours("/demo", other), "{other}");
        }
        assert!(is_ours("/a/b", "/a/b/lock"));
        assert!(!is_ours("/a/b", "/a/lock"));
    }
}
