//! Answers as people read them.

use crate::admin::apply;
use serde_json::Value;
use std::fmt::Write as _;

/// How an answer looks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look {
    /// What changed, and secrets that were made.
    Report,
    /// A table with these columns.
    Table(&'static [&'static str]),
    /// A line a field.
    Fields,
    /// The steps of a check, and what to do next.
    Steps,
}

/// As JSON.
pub(super) fn json(value: &Value) -> String {
    format!("{value:#}\n")
}

/// For people.
pub(super) fn human(value: &Value, look: Look) -> String {
    match look {
        Look::Report => apply::report(value),
        Look::Table(columns) => table(value, columns),
        Look::Fields => fields(value, ""),
        Look::Steps => steps(value),
    }
}

fn table(value: &Value, columns: &[&str]) -> String {
    let rows = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return "There is none.\n".to_owned();
    }
    let mut cells: Vec<Vec<String>> = vec![
        columns
            .iter()
            .map(|column| column.replace('_', " "))
            .collect(),
    ];
    cells.extend(
        rows.iter()
            .map(|row| columns.iter().map(|column| cell(row.get(column))).collect()),
    );
    let width = |column: usize| {
        cells
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in &cells {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| cell(Some(item)))
            .collect::<Vec<_>>()
            .join(" "),
        Some(other) => other.to_string(),
    }
}

fn fields(value: &Value, indent: &str) -> String {
    let Some(object) = value.as_object() else {
        return format!("{indent}{}\n", cell(Some(value)));
    };
    let mut text = String::new();
    for (key, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        match value {
            Value::Object(_) => {
                let _ = write!(
                    text,
                    "{indent}{key}:\n{}",
                    fields(value, &format!("{indent}  "))
                );
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                let _ = writeln!(text, "{indent}{key}:");
                for item in items {
                    let _ = writeln!(text, "{indent}  {item}");
                }
            }
            value => {
                let _ = writeln!(text, "{indent}{key}: {}", cell(Some(value)));
            }
        }
    }
    text
}

fn steps(value: &Value) -> String {
    let text = |value: &Value, key: &str| cell(value.get(key));
    let mut lines = String::new();
    let steps = value.get("steps").and_then(Value::as_array);
    for step in steps.map(Vec::as_slice).unwrap_or_default() {
        let (verdict, name, said) = (
            text(step, "verdict"),
            text(step, "step"),
            text(step, "said"),
        );
        let _ = writeln!(lines, "{verdict:<5} {name:<18} {said}");
        if step.get("detail").is_some() {
            let _ = writeln!(lines, "{:<5} {:<18} ({})", "", "", text(step, "detail"));
        }
    }
    if value.get("sign_in_at").is_some_and(Value::is_string) {
        let address = text(value, "sign_in_at");
        let _ = writeln!(
            lines,
            "\nTo sign in for real and see what comes, open this within ten minutes:\n{address}"
        );
    }
    lines
}

/// Text that cannot move a terminal's cursor: what people write about themselves is shown here.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}
