//! dolmen-hw-profile(5), from the tables that check a profile.

use super::page::Page;
use super::settings::meaning;
use crate::daemon::config::profile_folders;
use crate::profile::{HEAD, KNOBS, Knob, RULES, Shelf};
use roff::bold;

pub(super) fn page() -> Page {
    let mut page = Page::new("dolmen-hw-profile", 5, "what suits a kind of machine");
    page.section("SYNOPSIS");
    let folders: Vec<_> = profile_folders()
        .iter()
        .map(|folder| format!("`{}/NAME.toml`", folder.display()))
        .collect();
    page.text(&folders.join("\n\n"));
    page.section("DESCRIPTION");
    page.text(
        "A hardware profile is a TOML file that says of a kind of machine how to know it, and \
         which settings suit it. A node takes one at each start, by its machine and by the disk \
         under its data folder. `dolmen profile list` shows how each fits and which one is taken; \
         `dolmen profile verify FILE` checks a file before it is installed.",
    );
    page.section("FOLDERS");
    page.text(&format!(
        "The profiles of the vendor are built into the program. A file in one of the folders \
         takes the place of the profile of its name as a whole, and the later folder wins: {}. \
         A fault in any file there keeps the node from starting, and is told with line and column.",
        folders.join(", then ")
    ));
    page.section("HEAD");
    page.text("`schema`, `name` and `description` must be there.");
    knobs(&mut page, HEAD);
    page.section("RULES");
    page.text(
        "All rules that are given must hold; without any the profile fits every machine. Ranges \
         include both ends. Of a list one word must hold. In a pattern `*` stands for any \
         characters, upper and lower case are the same, and the whole name must fit. What a \
         machine does not tell satisfies no rule.",
    );
    knobs(&mut page, RULES);
    page.section("CHOICE");
    page.text(
        "Of the profiles whose rules all hold, the one with the most rules is taken; among equals \
         the one with the highest `priority`, then the first by name.",
    );
    page.section("INHERITANCE");
    page.text(
        "`inherits` names the profile whose settings stand below these, and so on to the last of \
         the chain. Rules are not inherited. A chain that goes round, or that names a profile \
         which is not there, is refused.",
    );
    page.section("SETTINGS");
    page.text("A profile may turn these; `dolmen.toml`(5) has all others.");
    knobs(&mut page, KNOBS);
    page.section("PROFILES");
    page.text("Built in are:");
    for profile in Shelf::built_in().profiles() {
        page.item(
            [bold(&*profile.name)],
            &super::page::sentence(&profile.description),
        );
    }
    page.section("EXAMPLES");
    page.text("A board of your own, with what suits any machine but smaller segments:");
    page.example(
        "schema = 1\n\
         name = \"gate-board\"\n\
         description = \"The board behind each gate, data on its eMMC\"\n\
         inherits = \"generic\"\n\
         priority = 60\n\
         \n\
         [match]\n\
         disk.bus = [\"mmc\"]\n\
         devicetree.model = [\"Acme Gate Board*\"]\n\
         \n\
         [log]\n\
         segment_mib = 8",
    );
    page.see_also(&[
        "dolmen-profile(1)",
        "dolmen-probe(1)",
        "dolmen.toml(5)",
        "dolmen-server(8)",
    ]);
    page
}

fn knobs(page: &mut Page, table: &[Knob]) {
    for knob in table {
        page.item([bold(knob.key)], &meaning(knob));
    }
}
