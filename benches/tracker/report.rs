//! Figures of several rounds, and the table that they make.

use std::collections::BTreeMap;

/// Who was measured.
pub(crate) const OURS: &str = "dtracker";

/// All values, by row and by who was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    unit: &'static str,
    values: BTreeMap<&'static str, Vec<f64>>,
}

impl Report {
    /// Notes a value, and prints it: whoever waits sees that something happens.
    pub(crate) fn add(&mut self, name: &'static str, unit: &'static str, who: &'static str, value: f64) {
        println!("  {name}: {who} {value:.2} {unit}");
        let at = match self.rows.iter().position(|row| row.name == name) {
            Some(at) => at,
            None => {
                let values = BTreeMap::new();
                self.rows.push(Row { name, unit, values });
                self.rows.len() - 1
            }
        };
        self.rows[at].values.entry(who).or_default().push(value);
    }

    /// Medians of all rounds, with the smallest and the largest value.
    pub(crate) fn print(&self) {
        println!("\n| | unit | dtracker | others |\n|---|---|---|---|");
        for row in &self.rows {
            let ours = row
                .values
                .get(OURS)
                .map_or_else(String::new, |values| spread(values));
            let others: Vec<String> = row
                .values
                .iter()
                .filter(|(who, _)| **who != OURS)
                .map(|(who, values)| format!("{who} {}", spread(values)))
                .collect();
            println!("| {} | {} | {ours} | {} |", row.name, row.unit, others.join(", "));
        }
    }
}

fn spread(values: &[f64]) -> String {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (values.first(), values.last()) else {
        return String::new();
    };
    let median = values[values.len() / 2];
    match values.len() {
        1 => format!("{median:.2}"),
        _ => format!("{median:.2} ({least:.2} to {most:.2})"),
    }
}
