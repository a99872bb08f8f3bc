//! Conditions on events and on their visits.

use regex::Regex;

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
    /// Whether capitals differ from small letters; if not, by Unicode's simple case folding.
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
pub struct Pattern(pub(super) Regex);

/// Patterns are equal if their texts are.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Leaf {
    /// Whether a value passes. It depends on nothing else, so that once for each distinct value is
    /// enough.
    #[must_use]
    pub fn passes(&self, value: &str) -> bool {
        if self.case_sensitive || matches!(self.test, Test::Matches(_)) {
            self.test.passes(value)
        } else {
            self.test.passes(&fold(value))
        }
    }
}

impl Test {
    fn passes(&self, value: &str) -> bool {
        match self {
            Self::Is(texts) => texts.binary_search_by(|text| text.as_str().cmp(value)).is_ok(),
            Self::Contains(texts) => texts.iter().any(|text| value.contains(text.as_str())),
            Self::Matches(patterns) => patterns.iter().any(|pattern| pattern.0.is_match(value)),
        }
    }
}

/// The text in Unicode's simple case folding, up to the choice of the character that stands for each
/// class of equal ones.
pub(super) fn fold(text: &str) -> String {
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

    fn leaf(test: Test, case_sensitive: bool) -> Leaf {
        Leaf { dimension: Dimension::Field(Field::Page), test, case_sensitive }
    }

    #[test]
    fn a_value_passes_any_one_of_the_texts() {
        let is = leaf(Test::Is(vec!["/a".into(), "/b".into()]), true);
        assert!(is.passes("/b") && !is.passes("/B") && !is.passes("/ab") && !is.passes(""));
        let contains = leaf(Test::Contains(vec!["x.".into(), "é".into()]), true);
        assert!(contains.passes("ax.b") && contains.passes("é") && !contains.passes("axb"));
        let matches = leaf(Test::Matches(vec![Pattern(Regex::new("^/a|z$").unwrap())]), true);
        assert!(matches.passes("/ab") && matches.passes("xyz") && !matches.passes("/b"));
    }

    #[test]
    fn case_is_folded_on_both_sides() {
        let contains = leaf(Test::Contains(vec![fold("/EN")]), false);
        assert!(contains.passes("/en/a") && contains.passes("x/En"));
        let is = leaf(Test::Is(vec![fold("ΣΊΣΥΦΟΣ")]), false);
        assert!(is.passes("σίσυφος"));
    }
}
