//! The figures as a table for people and as JSON for machines.

use serde_json::{Value, json};

use crate::machine::Machine;
use crate::sample::{Row, Spread};

/// A run's figures, and what could not be measured.
pub(crate) struct Report {
    machine: Machine,
    quick: bool,
    pub(crate) rows: Vec<Row>,
    /// Name and reason.
    pub(crate) missing: Vec<(String, String)>,
}

const HEAD: [&str; 6] = [
    "what",
    "ours against",
    "ratio (p10–p90)",
    "ours µs (p10–p90)",
    "baseline µs (p10–p90)",
    "samples",
];

impl Report {
    pub(crate) fn new(machine: Machine, quick: bool) -> Self {
        Self {
            machine,
            quick,
            rows: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// A table that is Markdown as well.
    pub(crate) fn to_text(&self) -> String {
        let mut lines = vec![HEAD.map(str::to_owned)];
        lines.extend(self.rows.iter().map(cells));
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        let mut text = format!("{}\n", self.machine);
        if self.quick {
            text.push_str("--quick: too few samples to quote\n");
        }
        text.push('\n');
        for (number, line) in lines.iter().enumerate() {
            let padded = line.iter().zip(&widths).map(|(cell, width)| {
                let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
                format!(" {cell}{gap} |")
            });
            text.push_str(&format!("|{}\n", padded.collect::<String>()));
            if number == 0 {
                let rule = widths.iter().map(|width| "-".repeat(width + 2) + "|");
                text.push_str(&format!("|{}\n", rule.collect::<String>()));
            }
        }
        text.push_str(
            "\nRatios are medians over rounds in which all sides run in turn; above 1, ours is slower.\n",
        );
        for (name, why) in &self.missing {
            text.push_str(&format!("not measured: {name}: {why}\n"));
        }
        text
    }

    pub(crate) fn to_json(&self) -> Value {
        let machine = &self.machine;
        let missing = self
            .missing
            .iter()
            .map(|(name, why)| json!({"name": name, "why": why}));
        json!({
            "machine": {
                "cores": machine.cores, "cpu": machine.cpu, "kernel": machine.kernel,
                "load": machine.load, "date": machine.date,
            },
            "quick": self.quick,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "missing": missing.collect::<Vec<_>>(),
        })
    }
}

fn cells(row: &Row) -> [String; 6] {
    let samples = match row.batch {
        1 => row.samples.to_string(),
        batch => format!("{} × {batch}", row.samples),
    };
    [
        row.name.clone(),
        format!("{} / {}", row.ours, row.baseline),
        spread(row.ratio),
        spread(row.our_time),
        spread(row.baseline_time),
        samples,
    ]
}

fn spread(spread: Spread) -> String {
    format!(
        "{} ({}–{})",
        number(spread.median),
        number(spread.p10),
        number(spread.p90)
    )
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 0.1 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

fn row(row: &Row) -> Value {
    let spread = |s: Spread| json!({"p10": s.p10, "median": s.median, "p90": s.p90});
    json!({
        "name": row.name, "ours": row.ours, "baseline": row.baseline, "ratio": spread(row.ratio),
        "ours_micros": spread(row.our_time), "baseline_micros": spread(row.baseline_time),
        "samples": row.samples, "batch": row.batch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_markdown_of_one_width() {
        let mut report = Report::new(crate::machine::describe(), true);
        let spread = Spread {
            p10: 0.5,
            median: 1.25,
            p90: 212.4,
        };
        report.rows.push(Row {
            name: "call".to_owned(),
            ours: "gate".to_owned(),
            baseline: "bare".to_owned(),
            our_time: spread,
            baseline_time: spread,
            ratio: spread,
            samples: 7,
            batch: 10,
        });
        report
            .missing
            .push(("spawn".to_owned(), "no bwrap".to_owned()));
        let text = report.to_text();
        let table: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(table.len(), 3, "{text}");
        let width = table[0].chars().count();
        assert!(
            table.iter().all(|line| line.chars().count() == width),
            "{text}"
        );
        assert!(
            table[2].contains("1.25 (0.50–212)") && table[2].contains("7 × 10"),
            "{text}"
        );
        assert!(text.contains("not measured: spawn: no bwrap"), "{text}");
        assert_eq!(report.to_json()["rows"][0]["ratio"]["median"], 1.25);
    }
}
