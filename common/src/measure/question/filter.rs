//! Conditions on events and on their visits.

use regex::{Regex, RegexBuilder};

use super::Dimension;

/// A condition that is evaluated once for each event.
///
/// A leaf on a dimension of [`Scope::Event`](super::Scope::Event) looks at the event, one of
/// [`Scope::Visit`](super::Scope::Visit) at the event's visit. The `X_not` of a query is `Not(X)`, and
/// `has_not_done` is `Not(HasDone)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All of them hold; an empty list always does.
    And(Vec<Filter>),
    /// One of them holds; never of an empty list.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// Some event of the same visit passes the filter, in the range or not. The filter has leaves of
    /// event scope only, and no other `HasDone`.
    HasDone(Box<Filter>),
    /// The value of a dimension passes a test.
    Leaf(Leaf),
}

/// A test of one dimension's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// A field or a property.
    pub dimension: Dimension,
    /// What its value must pass.
    pub test: Test,
    /// Whether capitals differ from small letters; if not, by Unicode's simple case folding. Patterns see
    /// to it themselves.
    pub case_sensitive: bool,
}

/// What a value must pass: any one of the texts or patterns. They are folded already if the leaf is
/// not case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Equal to one of the texts, which are sorted.
    Is(Vec<String>),
    /// Contains one of the texts.
    Contains(Vec<String>),
    /// One of the patterns matches somewhere in it.
    Matches(Vec<Pattern>),
}

/// A regular expression that matches in linear time and is bounded in size.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// The most memory of a compiled pattern, and of its cache, in bytes.
    const MEMORY: usize = 1 << 20;

    /// Compiles a regular expression that may match anywhere in a value; `None` if it is none, needs more
    /// than linear time, or too much memory.
    #[must_use]
    pub fn new(text: &str, case_sensitive: bool) -> Option<Self> {
        let mut builder = RegexBuilder::new(text);
        builder.case_insensitive(!case_sensitive).size_limit(Self::MEMORY).dfa_size_limit(Self::MEMORY);
        builder.build().ok().map(Self)
    }

    /// Whether it matches anywhere in a value.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        self.0.is_match(value)
    }

    /// The pattern in which `*` stands for any characters, for a whole value.
    #[must_use]
    pub fn wildcard(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('*').map(regex::escape).collect();
        Self::new(&format!("(?s)^{}$", parts.join(".*")), true)
    }
}

/// Patterns are equal if their texts are.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Leaf {
    /// The value is one of these.
    #[must_use]
    pub fn is(dimension: Dimension, values: Vec<String>, case_sensitive: bool) -> Self {
        let mut values = folded(values, case_sensitive);
        values.sort_unstable();
        Self { dimension, test: Test::Is(values), case_sensitive }
    }

    /// The value contains one of these.
    #[must_use]
    pub fn contains(dimension: Dimension, texts: Vec<String>, case_sensitive: bool) -> Self {
        Self { dimension, test: Test::Contains(folded(texts, case_sensitive)), case_sensitive }
    }

    /// One of these matches in the value.
    #[must_use]
    pub const fn matches(dimension: Dimension, patterns: Vec<Pattern>) -> Self {
        Self { dimension, test: Test::Matches(patterns), case_sensitive: true }
    }

    /// Whether a value passes. It depends on nothing else, so that once for each distinct value is
    /// enough.
    #[must_use]
    pub fn passes(&self, value: &str) -> bool {
        if self.case_sensitive { self.test.passes(value) } else { self.test.passes(&fold(value)) }
    }
}

impl Test {
    fn passes(&self, value: &str) -> bool {
        match self {
            Self::Is(texts) => texts.binary_search_by(|text| text.as_str().cmp(value)).is_ok(),
            Self::Contains(texts) => texts.iter().any(|text| value.contains(text.as_str())),
            Self::Matches(patterns) => patterns.iter().any(|pattern| pattern.is_match(value)),
        }
    }
}

fn folded(texts: Vec<String>, case_sensitive: bool) -> Vec<String> {
    if case_sensitive { texts } else { texts.iter().map(|text| fold(text)).collect() }
}

/// The text in Unicode's simple case folding, up to the choice of the character that stands for each
/// class of equal ones.
pub(in crate::measure) fn fold(text: &str) -> String {
    text.chars().map(fold_char).collect()
}

fn fold_char(c: char) -> char {
    // Simple folding keeps the Turkish letters apart from `i`, and these two are one letter.
    match c {
        'İ' | 'ı' => return c,
        '\u{1FD3}' => return '\u{0390}',
        '\u{1FE3}' => return '\u{03B0}',
        '\u{FB05}' => return '\u{FB06}',
        _ => {}
    }
    let upper = only(c.to_uppercase()).unwrap_or(c);
    only(upper.to_lowercase()).unwrap_or(upper)
}

/// The character, if a mapping has no more than one.
fn only(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    mapped.next().filter(|_| mapped.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::super::Field;
    use super::*;

    const PAGE: Dimension = Dimension::Field(Field::Page);

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_value_passes_any_one_of_the_texts() {
        let is = Leaf::is(PAGE, texts(&["/b", "/a"]), true);
        assert!(is.passes("/b") && !is.passes("/B") && !is.passes("/ab") && !is.passes(""));
        let contains = Leaf::contains(PAGE, texts(&["x.", "é"]), true);
        assert!(contains.passes("ax.b") && contains.passes("é") && !contains.passes("axb"));
        let matches = Leaf::matches(PAGE, vec![Pattern::new("^/a|z$", true).unwrap()]);
        assert!(matches.passes("/ab") && matches.passes("xyz") && !matches.passes("/b"));
        let wildcard = Leaf::matches(PAGE, vec![Pattern::wildcard("/a.*/b").unwrap()]);
        assert!(wildcard.passes("/a.x\ny/b") && !wildcard.passes("/abx/b") && !wildcard.passes("/a./b/"));
    }

    #[test]
    fn case_is_folded_on_both_sides() {
        let contains = Leaf::contains(PAGE, texts(&["/EN"]), false);
        assert!(contains.passes("/en/a") && contains.passes("x/En"));
        assert!(Leaf::is(PAGE, texts(&["ΣΊΣΥΦΟΣ"]), false).passes("σίσυφος"));
        assert!(Leaf::matches(PAGE, vec![Pattern::new("^/é", false).unwrap()]).passes("/É"));
    }

    /// The crate `regex` follows Unicode's table.
    #[test]
    fn folding_is_unicodes_simple_case_folding() {
        for c in ('\0'..'\u{590}')
            .chain('\u{1E00}'..'\u{2000}')
            .filter(|c| c.to_lowercase().ne([*c]) || c.to_uppercase().ne([*c]))
        {
            let pattern = Pattern::new(&format!("^{c}$"), false).unwrap();
            let others = c.to_lowercase().chain(c.to_uppercase()).chain(['i', 'I', 'ı', 'İ', 's', 'ſ', 'k', 'ß', 'ẞ']);
            for other in others.map(|other| other.to_string()) {
                let same = fold(&c.to_string()) == fold(&other);
                assert_eq!(pattern.is_match(&other), same, "{c:?} {other:?}");
            }
        }
    }

    #[test]
    fn patterns_are_bounded() {
        for bad in ["(", "(?=a)", r"(a)\1", r"\w{1000}{1000}", "a{4294967296}"] {
            assert_eq!(Pattern::new(bad, true), None, "{bad}");
        }
        assert!(Pattern::new(r"^/\w+-\d{4}\b.*$", false).is_some());
    }
}
