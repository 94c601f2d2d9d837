//! Rows in columns, for people.

use std::fmt;

/// Columns are as wide as their widest cell and two spaces apart.
#[derive(Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a line of names over its columns.
    pub fn with_columns<const N: usize>(names: [&str; N]) -> Self {
        let mut table = Self::default();
        table.row(names);
        table
    }

    pub fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(String::from).into());
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..columns).map(width).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
            let cells = row.iter().zip(&widths);
            let line: String = cells
                .map(|(cell, width)| format!("{cell:width$}  "))
                .collect();
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_where_their_text_does() {
        let mut table = Table::with_columns(["door", "address"]);
        table.row(["operator", "[::1]:7080"]);
        table.row(["kafka", "off"]);
        let lines = "door      address\noperator  [::1]:7080\nkafka     off\n";
        assert_eq!(table.to_string(), lines);
    }
}
