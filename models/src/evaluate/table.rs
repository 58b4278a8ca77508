//! Markdown tables whose columns line up in a terminal too.

/// A table; the first `left` columns are words and the rest numbers. A row that is too short ends empty.
pub(crate) fn table(head: &[&str], left: usize, rows: &[Vec<String>]) -> String {
    let cell = |row: &[String], column: usize| row.get(column).map_or(0, |text| text.chars().count());
    let width = |column: usize| {
        let widest = rows.iter().map(|row| cell(row, column)).max().unwrap_or(0);
        head.get(column).map_or(0, |name| name.chars().count()).max(widest).max(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |of: &dyn Fn(usize) -> String| {
        let cells = widths.iter().enumerate().map(|(column, width)| {
            let text = of(column);
            if column < left { format!(" {text:<width$} |") } else { format!(" {text:>width$} |") }
        });
        format!("|{}\n", cells.collect::<String>())
    };
    let rule = |column: usize| {
        let dashes = "-".repeat(widths[column] - 1);
        if column < left { format!("{dashes}-") } else { format!("{dashes}:") }
    };
    let mut text = line(&|column| head[column].to_owned());
    text.push_str(&line(&rule));
    for row in rows {
        text.push_str(&line(&|column| row.get(column).cloned().unwrap_or_default()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["temperature".to_owned(), "0.5".to_owned()], vec!["rain".to_owned()]];
        let expected = "| what        | found |\n\
                        | ----------- | ----: |\n\
                        | temperature |   0.5 |\n\
                        | rain        |       |\n";
        assert_eq!(table(&["what", "found"], 1, &rows), expected);
    }
}
