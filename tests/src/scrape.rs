//! `/metrics`, read: the Prometheus text format 0.0.4.

use std::collections::{BTreeMap, BTreeSet};

/// One scrape.
#[derive(Debug)]
pub struct Scrape {
    /// The text as it came.
    pub text: String,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Scrape {
    /// Reads the text.
    ///
    /// # Panics
    /// At a line that is no comment and no sample.
    #[must_use]
    pub fn read(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}"))).collect();
        Self { text, samples }
    }

    /// Whether a family of this name and type (`counter`, `gauge`, `histogram`) is there, with
    /// at least one sample.
    #[must_use]
    pub fn has(&self, family: &str, kind: &str) -> bool {
        let declared = self.text.lines().any(|line| line == format!("# TYPE {family} {kind}"));
        let sampled = self.samples.iter().any(|sample| sample.name.starts_with(family));
        declared && sampled
    }

    /// The sum over all samples of this name that have these labels.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
        };
        self.samples.iter().filter(has).map(|sample| sample.value).sum()
    }

    /// All values that a label of the samples of this name has.
    #[must_use]
    pub fn values(&self, name: &str, label: &str) -> BTreeSet<&str> {
        let of_name = self.samples.iter().filter(|sample| sample.name == name);
        of_name.filter_map(|sample| sample.labels.get(label).map(|value| &**value)).collect()
    }

    /// All pairs of a sample's name and a label of it.
    #[must_use]
    pub fn labels(&self) -> BTreeSet<(&str, &str)> {
        let mut labels = BTreeSet::new();
        for sample in &self.samples {
            labels.extend(sample.labels.keys().map(|label| (&*sample.name, &**label)));
        }
        labels
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some(Sample { name: series.to_owned(), labels: BTreeMap::new(), value });
    };
    let mut rest = labels.strip_suffix('}')?;
    let mut labels = BTreeMap::new();
    while let Some((label, after)) = rest.split_once("=\"") {
        let (value, end) = quoted(after)?;
        labels.insert(label.trim_start_matches(',').to_owned(), value);
        rest = &after[end..];
    }
    Some(Sample { name: name.to_owned(), labels, value })
}

/// A label's value up to its closing quote, and where what follows begins.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match (escaped, letter) {
            (true, 'n') => value.push('\n'),
            (true, other) => value.push(other),
            (false, '"') => return Some((value, at + 1)),
            (false, '\\') => {
                escaped = true;
                continue;
            }
            (false, other) => value.push(other),
        }
        escaped = false;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_labels_and_escapes() {
        let text = "# HELP a b\n# TYPE a counter\na{x=\"1\",y=\"p\\\"q\\\\,=\\n\"} 2\na{x=\"3\",y=\"\"} 0.5\nb 7\n";
        let scrape = Scrape::read(text.to_owned());
        assert!(scrape.has("a", "counter") && !scrape.has("b", "counter"));
        assert_eq!(scrape.values("a", "y"), BTreeSet::from(["", "p\"q\\,=\n"]));
        assert!((scrape.sum("a", &[("x", "1")]) - 2.0).abs() < 1e-9);
        assert!((scrape.sum("a", &[]) - 2.5).abs() < 1e-9);
        assert_eq!(scrape.labels(), BTreeSet::from([("a", "x"), ("a", "y")]));
        assert_eq!(scrape.len(), 3);
    }
}
