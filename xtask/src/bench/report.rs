//! What was measured, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::load::Measured;

/// The figures of one row or one floor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub count: usize,
    pub per_second: f64,
    pub per_cpu_second: f64,
    pub cpu_microseconds: f64,
    pub p50_microseconds: f64,
    pub p99_microseconds: f64,
}

impl Figures {
    pub fn of(measured: Measured) -> Self {
        let per_cpu_second = measured.per_cpu_second();
        let mut sorted = measured.nanoseconds.clone();
        sorted.sort_unstable();
        Self {
            count: measured.count(),
            per_second: measured.per_second(),
            per_cpu_second,
            cpu_microseconds: if per_cpu_second > 0.0 {
                1e6 / per_cpu_second
            } else {
                0.0
            },
            p50_microseconds: percentile(&sorted, 50),
            p99_microseconds: percentile(&sorted, 99),
        }
    }

    fn json(&self) -> Value {
        json!({
            "count": self.count,
            "per_second": self.per_second,
            "per_cpu_second": self.per_cpu_second,
            "cpu_microseconds": self.cpu_microseconds,
            "p50_microseconds": self.p50_microseconds,
            "p99_microseconds": self.p99_microseconds,
        })
    }
}

/// What a row must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// At least this part of the floor's rate.
    OfFloor(f64),
    /// A value of at most this much.
    AtMost(f64),
}

/// A row: an operation beside its floor.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    /// The first error makes the whole row void.
    pub outcome: Result<Figures, String>,
    pub floor: Option<Figures>,
    /// What the floor does, in words.
    pub floor_is: String,
    pub bar: Bar,
    /// A ratio that was made in another way than by the two rates.
    pub ratio: Option<f64>,
}

impl Row {
    pub fn ratio(&self) -> Option<f64> {
        if self.ratio.is_some() {
            return self.ratio;
        }
        let figures = self.outcome.as_ref().ok()?;
        let floor = self.floor.as_ref()?;
        (floor.per_cpu_second > 0.0).then(|| figures.per_cpu_second / floor.per_cpu_second)
    }

    pub fn is_met(&self) -> Option<bool> {
        Some(is_reached(self.bar, self.ratio()?))
    }
}

/// Something that is one number: memory, time to start, size.
#[derive(Clone, Debug)]
pub struct Fact {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub bar: Bar,
    pub note: String,
}

/// All that one engine gave.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub engine: String,
    /// How it was measured, a sentence a line.
    pub conditions: Vec<String>,
    pub rows: Vec<Row>,
    pub facts: Vec<Fact>,
}

impl Report {
    pub fn markdown(&self) -> String {
        let mut text = format!("\n## {}\n\n", self.engine);
        for condition in &self.conditions {
            let _ = writeln!(text, "- {condition}");
        }
        text.push('\n');
        let mut lines = vec![
            [
                "operation",
                "1/s",
                "p50",
                "p99",
                "CPU each",
                "1/CPU s",
                "floor 1/CPU s",
                "floor p99",
                "ratio",
                "bar",
                "met",
                "floor",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        lines.extend(self.rows.iter().map(row_cells));
        text.push_str(&table(&lines));
        for row in &self.rows {
            if let Err(error) = &row.outcome {
                let _ = writeln!(text, "\nVoid: {}\n{}", row.name, indent(error));
            }
        }
        if !self.facts.is_empty() {
            let mut lines = vec![["", "value", "bar", "met", ""].map(str::to_owned).to_vec()];
            lines.extend(self.facts.iter().map(fact_cells));
            text.push('\n');
            text.push_str(&table(&lines));
        }
        text
    }

    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "name": row.name,
                    "figures": row.outcome.as_ref().ok().map(Figures::json),
                    "error": row.outcome.as_ref().err(),
                    "floor": row.floor.as_ref().map(Figures::json),
                    "floor_is": row.floor_is,
                    "ratio": row.ratio(),
                    "bar": bar_json(row.bar),
                    "met": row.is_met(),
                })
            })
            .collect();
        let facts: Vec<Value> = self
            .facts
            .iter()
            .map(|fact| {
                json!({
                    "name": fact.name,
                    "value": fact.value,
                    "unit": fact.unit,
                    "bar": bar_json(fact.bar),
                    "met": is_reached(fact.bar, fact.value),
                    "note": fact.note,
                })
            })
            .collect();
        json!({ "engine": self.engine, "conditions": self.conditions, "rows": rows, "facts": facts })
    }
}

/// The smallest value that so many percent of all do not exceed, in microseconds.
pub fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, |nanoseconds| {
        std::time::Duration::from_nanos(*nanoseconds).as_secs_f64() * 1e6
    })
}

/// A Markdown table whose columns stand under one another; the first line is the head. Numbers stand at the right.
pub fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |line: &'_ Vec<String>, column: usize| line.get(column).cloned().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let widest = lines
                .iter()
                .map(|line| cell(line, column).chars().count())
                .max();
            widest.unwrap_or(0).max(3)
        })
        .collect();
    let at_right = |column: usize| column > 0 && column + 1 < columns;
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (column, &width) in widths.iter().enumerate() {
            let value = cell(line, column);
            let _ = if at_right(column) {
                write!(text, "| {value:>width$} ")
            } else {
                write!(text, "| {value:<width$} ")
            };
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, &width) in widths.iter().enumerate() {
                let _ = if at_right(column) {
                    write!(text, "|-{:->width$}:", "")
                } else {
                    write!(text, "|-{:-<width$}-", "")
                };
            }
            text.push_str("|\n");
        }
    }
    text
}

fn row_cells(row: &Row) -> Vec<String> {
    let none = || "–".to_owned();
    let floor = |of: fn(&Figures) -> String| row.floor.as_ref().map_or_else(none, of);
    let mut cells = vec![row.name.clone()];
    match &row.outcome {
        Ok(figures) => cells.extend([
            rate(figures.per_second),
            duration(figures.p50_microseconds),
            duration(figures.p99_microseconds),
            duration(figures.cpu_microseconds),
            rate(figures.per_cpu_second),
        ]),
        Err(_) => cells.extend(["void".to_owned(), none(), none(), none(), none()]),
    }
    cells.extend([
        floor(|figures| rate(figures.per_cpu_second)),
        floor(|figures| duration(figures.p99_microseconds)),
        row.ratio().map_or_else(none, |ratio| format!("{ratio:.2}")),
        bar_words(row.bar),
        met_word(row.is_met()),
        row.floor_is.clone(),
    ]);
    cells
}

fn fact_cells(fact: &Fact) -> Vec<String> {
    vec![
        fact.name.clone(),
        format!("{:.1} {}", fact.value, fact.unit),
        bar_words(fact.bar),
        met_word(Some(is_reached(fact.bar, fact.value))),
        fact.note.clone(),
    ]
}

fn is_reached(bar: Bar, value: f64) -> bool {
    match bar {
        Bar::OfFloor(least) => value >= least,
        Bar::AtMost(most) => value <= most,
    }
}

fn bar_words(bar: Bar) -> String {
    match bar {
        Bar::OfFloor(least) => format!("≥ {least}"),
        Bar::AtMost(most) => format!("≤ {most}"),
    }
}

fn bar_json(bar: Bar) -> Value {
    match bar {
        Bar::OfFloor(least) => json!({ "at_least": least }),
        Bar::AtMost(most) => json!({ "at_most": most }),
    }
}

fn met_word(met: Option<bool>) -> String {
    match met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "–",
    }
    .to_owned()
}

fn rate(value: f64) -> String {
    if value >= 1000.0 {
        format!("{:.1} k", value / 1000.0)
    } else {
        format!("{value:.1}")
    }
}

fn duration(microseconds: f64) -> String {
    if microseconds >= 1000.0 {
        format!("{:.2} ms", microseconds / 1000.0)
    } else {
        format!("{microseconds:.1} µs")
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let hundred: Vec<u64> = (1..=100).map(|value| value * 1000).collect();
        for (percent, expected) in [(0, 1.0), (1, 1.0), (50, 50.0), (99, 99.0), (100, 100.0)] {
            assert!(
                (percentile(&hundred, percent) - expected).abs() < 1e-6,
                "{percent}"
            );
        }
        assert!((percentile(&[7000], 99) - 7.0).abs() < 1e-6);
        assert!(percentile(&[], 99).abs() < 1e-6);
    }

    #[test]
    fn a_table_is_aligned_by_characters_not_bytes() {
        let lines =
            [["a", "µs", "x"], ["long", "≥ 0.5", ""]].map(|line| line.map(str::to_owned).to_vec());
        let expected = "\
| a    |    µs | x   |
|------|------:|-----|
| long | ≥ 0.5 |     |
";
        assert_eq!(table(&lines), expected);
    }

    #[test]
    fn a_row_is_met_by_its_ratio_and_void_by_an_error() {
        let figures = |per_cpu_second| Figures {
            per_cpu_second,
            ..Figures::default()
        };
        let mut row = Row {
            name: "x".to_owned(),
            outcome: Ok(figures(60.0)),
            floor: Some(figures(100.0)),
            floor_is: String::new(),
            bar: Bar::OfFloor(0.6),
            ratio: None,
        };
        assert_eq!(row.is_met(), Some(true));
        row.bar = Bar::OfFloor(0.61);
        assert_eq!(row.is_met(), Some(false));
        row.ratio = Some(4.0);
        row.bar = Bar::AtMost(5.0);
        assert_eq!(row.is_met(), Some(true));
        row.ratio = None;
        row.outcome = Err("503".to_owned());
        assert_eq!(row.is_met(), None);
        let report = Report {
            rows: vec![row],
            ..Report::default()
        };
        assert!(report.markdown().contains("Void: x\n    503"));
        assert_eq!(report.json()["rows"][0]["error"], "503");
    }

    #[test]
    fn values_are_written_for_people() {
        assert_eq!([rate(999.94), rate(35_123.0)], ["999.9", "35.1 k"]);
        assert_eq!(
            [duration(12.34), duration(17_500.0)],
            ["12.3 µs", "17.50 ms"]
        );
    }
}
