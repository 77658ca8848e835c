//! What is printed, and how: people read text, programs read JSON, terminals may show colours.

use std::io::{IsTerminal, Write};

use serde::Serialize;

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// JSON instead of text.
    pub(crate) json: bool,
    /// No progress, no hints.
    pub(crate) quiet: bool,
    color: bool,
}

impl Output {
    /// As the flags, the terminal and NO_COLOR say.
    pub(crate) fn new(json: bool, quiet: bool, no_color: bool) -> Output {
        let wanted = !no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Output { json, quiet, color: wanted && std::io::stdout().is_terminal() }
    }

    /// One JSON object on a line of its own, or the text.
    pub(crate) fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        if self.json { line(&serde_json::to_string(value)?) } else { line(text().trim_end()) }
    }

    /// A line for people only.
    pub(crate) fn say(&self, text: impl AsRef<str>) -> anyhow::Result<()> {
        if self.json { Ok(()) } else { line(text.as_ref()) }
    }

    /// A line of progress or advice, on standard error, unless quiet.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            eprintln!("{}", text.as_ref());
        }
    }

    /// Important.
    pub(crate) fn bold(&self, text: impl AsRef<str>) -> String {
        self.paint("1", text.as_ref())
    }

    /// Beside the point.
    pub(crate) fn dim(&self, text: impl AsRef<str>) -> String {
        self.paint("2", text.as_ref())
    }

    /// Good.
    pub(crate) fn green(&self, text: impl AsRef<str>) -> String {
        self.paint("32", text.as_ref())
    }

    /// Noteworthy.
    pub(crate) fn cyan(&self, text: impl AsRef<str>) -> String {
        self.paint("36", text.as_ref())
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Prints a line at once: pipes are read by programs that wait for it.
///
/// # Errors
/// If nobody reads any more.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Columns as wide as their widest cell, two spaces apart, the last one ragged.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["node".into(), "peers".into()], vec!["alice".into(), "4".into()]];
        assert_eq!(table(&rows), "node   peers\nalice  4\n");
    }
}
