//! One page of the manual, as roff. Texts are plain; what stands between
//! backticks is set bold, and an empty line begins a new paragraph.

use roff::{Inline, Roff, bold, roman};

pub(super) struct Page {
    name: String,
    number: u8,
    body: Roff,
    /// A heading was the last thing: its first paragraph needs no break.
    is_below_heading: bool,
}

impl Page {
    /// `what` completes the line by which `whatis` and `apropos` know the page.
    pub(super) fn new(name: &str, number: u8, what: &str) -> Self {
        let mut page = Self {
            name: name.into(),
            number,
            body: Roff::new(),
            is_below_heading: false,
        };
        page.section("NAME");
        let what = lower_first(&what.replace('`', ""));
        page.body.text([roman(format!("{name} - {what}"))]);
        page
    }

    pub(super) fn file_name(&self) -> String {
        format!("{}.{}", self.name, self.number)
    }

    pub(super) fn render(self, date: Option<&str>) -> String {
        let (title, number) = (self.name.to_uppercase(), self.number.to_string());
        let source = concat!("Dolmen ", env!("CARGO_PKG_VERSION"));
        let mut page = Roff::new();
        // An argument that is left out would move those behind it up.
        let date = date.unwrap_or("\"\"");
        page.control("TH", [&title, &number, date, source, "Dolmen Manual"]);
        // Names of commands and keys are not to be broken, nor blanks stretched.
        // HY is what some macros set hyphenation back to.
        page.control("nr", ["HY", "0"]);
        page.control("nh", []);
        page.control("ad", ["l"]);
        page.extend([self.body]);
        page.render()
    }

    pub(super) fn section(&mut self, heading: &str) {
        self.body.control("SH", [typed(heading).as_str()]);
        self.is_below_heading = true;
    }

    pub(super) fn part(&mut self, heading: &str) {
        self.body.control("SS", [typed(heading).as_str()]);
        self.is_below_heading = true;
    }

    pub(super) fn text(&mut self, text: &str) {
        for paragraph in paragraphs(text) {
            if !std::mem::take(&mut self.is_below_heading) {
                self.body.control("PP", []);
            }
            self.body.text(inlines(&paragraph));
        }
    }

    /// A term, and what it means beneath it.
    pub(super) fn item(&mut self, term: impl Into<Vec<Inline>>, text: &str) {
        self.is_below_heading = false;
        self.body.control("TP", []);
        self.body.text(term.into());
        for (index, paragraph) in paragraphs(text).iter().enumerate() {
            if index > 0 {
                self.body.control("IP", []);
            }
            self.body.text(inlines(paragraph));
        }
    }

    /// One form of a command, its name kept apart from what may follow.
    pub(super) fn form(&mut self, name: &str, rest: impl Into<Vec<Inline>>) {
        self.body.control("SY", [typed(name).as_str()]);
        let rest = rest.into();
        if !rest.is_empty() {
            self.body.text(rest);
        }
        self.body.control("YS", []);
    }

    /// Lines that stay as they are.
    pub(super) fn example(&mut self, lines: &str) {
        self.is_below_heading = false;
        self.body.control("PP", []);
        self.body.control("RS", ["4"]);
        self.body.control("EX", []);
        for line in lines.lines() {
            match line {
                "" => self.body.control("sp", []),
                line => self.body.text([roman(line)]),
            };
        }
        self.body.control("EE", []);
        self.body.control("RE", []);
    }

    /// Other pages, each as `name(5)`.
    pub(super) fn see_also(&mut self, pages: &[&str]) {
        self.section("SEE ALSO");
        let mut names = Vec::new();
        for page in pages {
            if !names.is_empty() {
                names.push(roman(", "));
            }
            let (name, number) = page.split_at(page.find('(').unwrap_or(page.len()));
            names.extend([bold(name), roman(number)]);
        }
        self.body.text(names);
    }
}

/// An argument of a request is taken as it is: a hyphen there would be typeset as
/// one, and not as what people type.
fn typed(text: &str) -> String {
    text.replace('-', "\\-")
}

fn paragraphs(text: &str) -> Vec<String> {
    let joined = |paragraph: &str| {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        words.join(" ")
    };
    let all = text.split("\n\n").map(joined);
    all.filter(|paragraph| !paragraph.is_empty()).collect()
}

/// What stands between backticks is bold.
fn inlines(text: &str) -> Vec<Inline> {
    let pieces = text.split('`').enumerate();
    let inline = |(index, piece): (usize, &str)| match index % 2 {
        0 => roman(piece),
        _ => bold(piece),
    };
    let all = pieces.filter(|(_, piece)| !piece.is_empty()).map(inline);
    all.collect()
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase);
    first.chain(letters).collect()
}

/// A sentence, whether it came with its full stop or not.
pub(super) fn sentence(text: &str) -> String {
    match text.ends_with(['.', ':', '?', '!']) {
        true => text.into(),
        false => format!("{text}."),
    }
}
