//! Figures of several rounds, and the tables that they make: medians, with the smallest and the largest value.

/// All values, by what was measured and by who was.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    failures: Vec<(&'static str, &'static str)>,
}

/// The values of one measure.
#[derive(Debug)]
struct Row {
    name: &'static str,
    unit: &'static str,
    /// In the order in which they came first.
    values: Vec<(&'static str, Vec<f64>)>,
}

impl Row {
    fn of(&self, who: &str) -> String {
        let values = self.values.iter().find(|(name, _)| *name == who);
        values.map_or_else(String::new, |(_, values)| spread(values))
    }
}

impl Report {
    /// Notes a value, and prints it: whoever waits sees that something happens.
    pub(crate) fn add(&mut self, name: &'static str, unit: &'static str, who: &'static str, value: f64) {
        println!("  {name}: {who} {} {unit}", number(value));
        let known = self
            .rows
            .iter()
            .position(|row| row.name == name && row.unit == unit);
        let at = known.unwrap_or(self.rows.len());
        if known.is_none() {
            let values = Vec::new();
            self.rows.push(Row { name, unit, values });
        }
        let row = &mut self.rows[at];
        match row.values.iter_mut().find(|(known, _)| *known == who) {
            Some((_, values)) => values.push(value),
            None => row.values.push((who, vec![value])),
        }
    }

    /// Notes that a measurement came to nothing. It counts in no median.
    pub(crate) fn fail(&mut self, name: &'static str, who: &'static str, why: &anyhow::Error) {
        println!("  {name}: {who} failed: {why:#}");
        self.failures.push((name, who));
    }

    /// Whether some measurement came to nothing.
    pub(crate) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    /// The median of what was measured of somebody.
    pub(crate) fn median(&self, name: &str, unit: &str, who: &str) -> Option<f64> {
        let row = self
            .rows
            .iter()
            .find(|row| row.name == name && row.unit == unit)?;
        let (_, values) = row.values.iter().find(|(known, _)| *known == who)?;
        let mut values = values.clone();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// One table: a row for each measure, a column for ours.
    pub(crate) fn print_by_measure(&self, ours: &str) {
        println!("\n| | unit | {ours} | others |\n|---|---|---|---|");
        for row in &self.rows {
            let others: Vec<String> = row
                .values
                .iter()
                .filter(|(who, _)| *who != ours)
                .map(|(who, values)| format!("{who} {}", spread(values)))
                .collect();
            let (name, unit) = (row.name, row.unit);
            println!("| {name} | {unit} | {} | {} |", row.of(ours), others.join(", "));
        }
    }

    /// A table for each name: a row for each who was measured, a column for each unit.
    pub(crate) fn print_by_who(&self) {
        let mut names: Vec<&str> = Vec::new();
        let failed = self.failures.iter().map(|(name, _)| *name);
        for name in self.rows.iter().map(|row| row.name).chain(failed) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.iter().for_each(|name| self.print_table(name));
    }

    fn print_table(&self, name: &str) {
        let columns: Vec<&Row> = self.rows.iter().filter(|row| row.name == name).collect();
        let units: Vec<&str> = columns.iter().map(|row| row.unit).collect();
        println!("\n| {name} | {} |", units.join(" | "));
        println!("|---|{}", "---|".repeat(units.len()));
        let failures: Vec<&str> = self
            .failures
            .iter()
            .filter_map(|(at, who)| (*at == name).then_some(*who))
            .collect();
        let measured = columns
            .iter()
            .flat_map(|row| row.values.iter().map(|(who, _)| *who));
        let mut done: Vec<&str> = Vec::new();
        for who in measured.chain(failures.iter().copied()) {
            if done.contains(&who) {
                continue;
            }
            done.push(who);
            let cells: Vec<String> = columns.iter().map(|row| row.of(who)).collect();
            let failed = match failures.iter().filter(|failed| **failed == who).count() {
                0 => String::new(),
                count => format!(" ({count} failed)"),
            };
            println!("| {who}{failed} | {} |", cells.join(" | "));
        }
    }
}

fn spread(values: &[f64]) -> String {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (values.first(), values.last()) else {
        return String::new();
    };
    let median = number(values[values.len() / 2]);
    match values.len() {
        1 => median,
        _ => format!("{median} ({} to {})", number(*least), number(*most)),
    }
}

/// A value with about three digits that say something.
fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
