//! Results as CSV: RFC 4180, UTF-8, with a header row.

use std::fmt::Write;

use super::{Query, Results};
use crate::measure::question::Number;

impl Query {
    /// The results as CSV. Text that a spreadsheet would take for a formula gets a leading apostrophe;
    /// null is empty.
    #[must_use]
    pub fn csv(&self, results: &Results) -> String {
        let mut csv = Csv::default();
        for dimension in &self.question.dimensions {
            csv.text(&dimension.to_string());
        }
        for metric in &self.question.metrics {
            csv.text(metric.name());
            if self.comparison.is_some() {
                csv.text(&format!("{}_comparison", metric.name()));
                csv.text(&format!("{}_change", metric.name()));
            }
        }
        csv.end_line();
        for row in &results.results {
            row.dimensions.iter().for_each(|value| csv.text(value));
            for (place, value) in row.metrics.iter().enumerate() {
                csv.number(*value);
                if let Some(comparison) = &row.comparison {
                    csv.number(comparison.metrics[place]);
                    csv.number(comparison.change[place]);
                }
            }
            csv.end_line();
        }
        csv.finish()
    }
}

/// A CSV file that grows by cells.
#[derive(Debug, Default)]
pub struct Csv {
    text: String,
    /// Whether the line has a cell already.
    begun: bool,
}

impl Csv {
    /// Adds a text; one that a spreadsheet would take for a formula gets a leading apostrophe.
    pub fn text(&mut self, text: &str) {
        self.separate();
        let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let apostrophe = if formula { "'" } else { "" };
        let _ = if text.contains(['"', ',', '\r', '\n']) {
            write!(self.text, "\"{apostrophe}{}\"", text.replace('"', "\"\""))
        } else {
            write!(self.text, "{apostrophe}{text}")
        };
    }

    /// Adds a number; null is empty.
    pub fn number(&mut self, number: Option<Number>) {
        self.separate();
        if let Some(number) = number {
            let _ = write!(self.text, "{number}");
        }
    }

    /// Ends the line.
    pub fn end_line(&mut self) {
        self.text += "\r\n";
        self.begun = false;
    }

    /// The whole file.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn separate(&mut self) {
        if self.begun {
            self.text.push(',');
        }
        self.begun = true;
    }
}
