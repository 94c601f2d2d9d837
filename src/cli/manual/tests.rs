use super::*;
use crate::daemon::config::SETTINGS;
use crate::profile::{HEAD, KNOBS, Knob, RULES};
use crate::state::settings::TABLE;

fn written() -> Vec<(String, String)> {
    let files = files(&super::super::visible(), None).into_iter();
    let text = |(name, bytes)| (name, String::from_utf8(bytes).expect("pages are text"));
    files.map(text).collect()
}

fn page(name: &str) -> String {
    let mut files = written().into_iter();
    let found = files.find(|(path, _)| *path == format!("man/{name}"));
    found.unwrap_or_else(|| panic!("there is no page {name}")).1
}

/// As roff has it.
fn typed(text: &str) -> String {
    text.replace('-', "\\-")
}

/// A command and all that is nested in it, by what is typed.
fn commands(above: &str, command: &Command) -> Vec<String> {
    let own = format!("{above}{}", command.get_name());
    let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
    let inner = shown.flat_map(|inner| commands(&format!("{own} "), inner));
    std::iter::once(own.clone()).chain(inner).collect()
}

#[test]
fn every_command_has_a_page_with_all_that_is_nested_in_it_and_a_completion() {
    let program = super::super::visible();
    let files = written();
    for command in program.get_subcommands() {
        let text = page(&format!("dolmen-{}.1", command.get_name()));
        assert!(page("dolmen.1").contains(&format!("\\fB{}\\fR\n", typed(command.get_name()))));
        for nested in commands("dolmen ", command).iter().skip(1) {
            let heading = format!(".SS \"{}\"\n", typed(nested));
            assert!(text.contains(&heading), "{heading}{text}");
        }
        for (name, text) in files
            .iter()
            .filter(|(name, _)| name.starts_with("completions/"))
        {
            for word in commands("", command)
                .iter()
                .filter_map(|typed| typed.split(' ').next_back())
            {
                assert!(text.contains(word), "{name} completes no {word}");
            }
        }
    }
    assert!(
        files
            .iter()
            .all(|(_, text)| !text.contains("dolmen-manual"))
    );
}

#[test]
fn every_option_is_on_the_page_of_its_command() {
    fn check(text: &str, command: &Command) {
        for option in command.get_arguments().filter(|one| !one.is_hide_set()) {
            if let Some(long) = option.get_long() {
                let typed = format!("\\fB{}\\fR", typed(&format!("--{long}")));
                assert!(text.contains(&typed), "--{long} of {}", command.get_name());
            }
            let help = option.get_long_help().or(option.get_help());
            assert!(
                help.is_some(),
                "{} {} has no help",
                command.get_name(),
                option.get_id()
            );
        }
        command
            .get_subcommands()
            .for_each(|inner| check(text, inner));
    }
    for command in super::super::visible().get_subcommands() {
        check(&page(&format!("dolmen-{}.1", command.get_name())), command);
    }
}

#[test]
fn every_knob_is_on_its_page_and_says_what_it_is_for() {
    let check = |page: &str, knob: &Knob| {
        assert!(knob.doc.ends_with('.'), "{} has no sentence", knob.key);
        let term = format!(".TP\n\\fB{}\\fR\n", typed(knob.key));
        assert!(page.contains(&term), "{}", knob.key);
    };
    let text = page("dolmen.toml.5");
    for knob in SETTINGS.iter().flat_map(|table| table.iter()) {
        check(&text, knob);
    }
    for row in &TABLE {
        assert!(!row.doc.is_empty() && text.contains(&format!("\\fB{}\\fR\n", row.name)));
    }
    let text = page("dolmen-hw-profile.5");
    for knob in [HEAD, RULES, KNOBS].into_iter().flatten() {
        check(&text, knob);
    }
}

#[test]
fn pages_are_plain_and_the_same_each_time() {
    assert_eq!(written(), written());
    for (name, text) in written() {
        if name.starts_with("man/") {
            assert!(text.is_ascii(), "{name}");
            assert!(
                !text.contains('`'),
                "{name} has a backtick that opens nothing"
            );
            assert!(
                text.lines().all(|line| !line.is_empty()),
                "{name} has an empty line"
            );
            assert!(text.contains("\n.SH NAME\n"), "{name}");
        }
    }
}

#[test]
fn the_date_is_that_of_the_source() {
    let date = |epoch: Option<&str>| date(epoch.map(OsString::from));
    assert_eq!(date(None).unwrap(), None);
    assert_eq!(date(Some("951782399")).unwrap().unwrap(), "2000-02-28");
    for bad in ["", "today", "-1", "1.5"] {
        assert_eq!(date(Some(bad)).unwrap_err().status, 2, "{bad}");
    }
    let dated = pages(&super::super::visible())
        .remove(0)
        .render(Some("2000-02-28"));
    assert!(
        dated.contains(".TH DOLMEN 1 2000-02-28 \"Dolmen "),
        "{dated}"
    );
    assert!(page("dolmen.1").contains(".TH DOLMEN 1 \"\" \"Dolmen "));
}
