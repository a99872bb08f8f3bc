//! The table, and the same figures as JSON.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::load::Outcome;
use crate::machine;

/// Everything found in one run.
pub(crate) struct Report {
    rows: Vec<Row>,
    faults: Vec<String>,
    fsync_ms: f64,
    others: f64,
    quick: bool,
}

/// One line of the table.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// At how many connections.
    pub(crate) connections: Option<usize>,
    /// Requests or events a second.
    pub(crate) rate: Option<f64>,
    /// Half of the requests were faster, in milliseconds.
    pub(crate) p50_ms: Option<f64>,
    /// 99 of 100 requests were faster, in milliseconds.
    pub(crate) p99_ms: Option<f64>,
    /// Part of the ceiling's rate, or how often one thing goes into another.
    pub(crate) ratio: Option<f64>,
    /// A figure of another kind, with its unit.
    pub(crate) value: Option<(f64, &'static str)>,
    goals: Vec<Goal>,
}

#[derive(Debug)]
struct Goal {
    text: String,
    met: bool,
}

/// The column that a goal is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Figure {
    /// [`Row::rate`]
    Rate,
    /// [`Row::p99_ms`]
    P99,
    /// [`Row::ratio`]
    Ratio,
    /// [`Row::value`]
    Value,
}

impl Row {
    /// A row without figures.
    pub(crate) fn new(what: &str) -> Self {
        Self { what: what.to_owned(), ..Self::default() }
    }

    /// A row of one figure.
    pub(crate) fn of(what: &str, value: f64, unit: &'static str) -> Self {
        Self { value: Some((value, unit)), ..Self::new(what) }
    }

    /// A row of one ratio.
    pub(crate) fn ratio(what: &str, ratio: f64) -> Self {
        Self { ratio: Some(ratio), ..Self::new(what) }
    }

    /// Sets a goal that the figure must reach.
    pub(crate) fn at_least(self, figure: Figure, goal: f64) -> Self {
        self.goal(figure, ">=", goal, |found| found >= goal)
    }

    /// Sets a goal that the figure must not exceed.
    pub(crate) fn at_most(self, figure: Figure, goal: f64) -> Self {
        self.goal(figure, "<=", goal, |found| found <= goal)
    }

    fn goal(mut self, figure: Figure, sign: &str, goal: f64, met: impl Fn(f64) -> bool) -> Self {
        let (name, found, unit) = match figure {
            Figure::Rate => ("rate", self.rate, ""),
            Figure::P99 => ("p99", self.p99_ms, " ms"),
            Figure::Ratio => ("ratio", self.ratio, ""),
            Figure::Value => ("", self.value.map(|(number, _)| number), ""),
        };
        let text = format!("{name} {sign} {goal}{unit}").trim_start().to_owned();
        self.goals.push(Goal { text, met: found.is_some_and(met) });
        self
    }

    /// Whether all goals are met; none where there are none.
    fn met(&self) -> Option<bool> {
        (!self.goals.is_empty()).then(|| self.goals.iter().all(|goal| goal.met))
    }

    fn cells(&self) -> [String; 9] {
        let number =
            |number: Option<f64>, digits: usize| number.map_or(String::new(), |number| format!("{number:.digits$}"));
        let goals: Vec<_> = self.goals.iter().map(|goal| goal.text.as_str()).collect();
        [
            self.what.clone(),
            self.connections.map_or(String::new(), |count| count.to_string()),
            number(self.rate, 0),
            number(self.p50_ms, 2),
            number(self.p99_ms, 2),
            number(self.ratio, 2),
            self.value.map_or(String::new(), |(value, unit)| format!("{value:.1} {unit}")),
            goals.join(", "),
            self.met().map_or("", |met| if met { "yes" } else { "NO" }).to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let goals: Vec<_> = self.goals.iter().map(|goal| json!({"goal": goal.text, "met": goal.met})).collect();
        json!({
            "what": self.what, "connections": self.connections, "rate": self.rate,
            "p50_ms": self.p50_ms, "p99_ms": self.p99_ms, "ratio": self.ratio,
            "value": self.value.map(|(value, _)| value), "unit": self.value.map(|(_, unit)| unit),
            "goals": goals,
        })
    }
}

impl Report {
    /// An empty report of a machine where one fsync takes `fsync_ms`.
    pub(crate) fn new(fsync_ms: f64, quick: bool) -> Self {
        Self { rows: Vec::new(), faults: Vec::new(), fsync_ms, others: 0.0, quick }
    }

    /// Says what share of the machine other programs used.
    pub(crate) fn set_others(&mut self, share: f64) {
        self.others = share;
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds something that should not have happened.
    pub(crate) fn fault(&mut self, text: String) {
        eprintln!("bench: WRONG: {text}");
        self.faults.push(text);
    }

    /// Looks for answers that should not be.
    pub(crate) fn check(&mut self, what: &str, outcome: &Outcome) {
        if outcome.wrong > 0 {
            let complaint = outcome.complaint.as_deref().unwrap_or_default();
            let (wrong, right) = (outcome.wrong, outcome.requests);
            self.fault(format!("{what}: {wrong} wrong answers beside {right}, one: {complaint}"));
        } else if outcome.requests == 0 {
            self.fault(format!("{what}: not one answer"));
        }
    }

    /// Whether something happened that should not.
    pub(crate) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Prints the table.
    ///
    /// # Errors
    /// When stdout is closed.
    pub(crate) fn print(&self) -> Result<()> {
        let header = ["", "conns", "per s", "p50 ms", "p99 ms", "ratio", "value", "goal", "met"];
        let mut lines = vec![header.map(str::to_owned)];
        lines.extend(self.rows.iter().map(Row::cells));
        let widths: Vec<usize> = (0..header.len())
            .map(|column| lines.iter().map(|cells| cells[column].chars().count()).max())
            .map(Option::unwrap_or_default)
            .collect();
        let mut text = format!("one fsync takes {:.2} ms here\n\n", self.fsync_ms);
        for cells in &lines {
            let mut line = String::new();
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                // Words to the left, numbers to the right.
                match column {
                    0 | 7 | 8 => write!(line, "{cell:<width$}  ")?,
                    _ => write!(line, "{cell:>width$}  ")?,
                }
            }
            writeln!(text, "{}", line.trim_end())?;
        }
        if self.others > machine::BUSY {
            let percent = self.others * 100.0;
            writeln!(text, "\nother programs used {percent:.0} % of the machine: these figures are too low")?;
        }
        if self.quick {
            writeln!(text, "\nshort rounds and few events: these figures are a smoke test")?;
        }
        if self.has_faults() {
            writeln!(text, "\nWRONG ANSWERS, the figures above cannot be trusted:")?;
            self.faults.iter().try_for_each(|fault| writeln!(text, "- {fault}"))?;
        }
        std::io::stdout().lock().write_all(text.as_bytes())?;
        Ok(())
    }

    /// Writes the figures as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
        let report = json!({
            "fsync_ms": self.fsync_ms, "others": self.others, "quick": self.quick, "rows": rows, "faults": self.faults,
        });
        std::fs::write(path, format!("{report:#}\n"))?;
        Ok(())
    }
}
