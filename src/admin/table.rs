//! Rows of CSV (RFC 4180) and NDJSON files.

use serde::Serialize;

/// Appends a row of CSV. A cell that a spreadsheet would evaluate as a formula is prefixed with `'`.
pub fn csv_row<C: AsRef<str>>(cells: impl IntoIterator<Item = C>, out: &mut String) {
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        csv_cell(cell.as_ref(), out);
    }
    out.push_str("\r\n");
}

fn csv_cell(cell: &str, out: &mut String) {
    let prefix = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if cell.contains([',', '"', '\r', '\n']) {
        out.extend(["\"", prefix, &cell.replace('"', "\"\""), "\""]);
    } else {
        out.extend([prefix, cell]);
    }
}

/// Appends a row of NDJSON.
pub fn json_row(row: &impl Serialize, out: &mut String) {
    out.push_str(&serde_json::to_string(row).unwrap_or_default());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A strict reader of RFC 4180.
    fn read(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match (letter, quoted) {
                ('"', true) if letters.peek() == Some(&'"') => cell.extend(letters.next()),
                ('"', _) => quoted = !quoted,
                (',', false) => row.push(std::mem::take(&mut cell)),
                ('\r', false) if letters.peek() == Some(&'\n') => {
                    letters.next();
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                (letter, _) => cell.push(letter),
            }
        }
        assert!(row.is_empty() && cell.is_empty() && !quoted);
        rows
    }

    #[test]
    fn formulas_are_defused() {
        let mut out = String::new();
        csv_row(["=1+1", "a,b", "say \"hi\"", "-5", "@x,y", "plain"], &mut out);
        assert_eq!(out, "'=1+1,\"a,b\",\"say \"\"hi\"\"\",'-5,\"'@x,y\",plain\r\n");
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(rows in prop::collection::vec(prop::collection::vec("[=,\"\r\n'a-z+@-]{0,8}", 1..5), 0..5)) {
            let mut out = String::new();
            rows.iter().for_each(|row| csv_row(row, &mut out));
            let back = read(&out);
            prop_assert_eq!(back.len(), rows.len());
            for (cell, read) in rows.iter().flatten().zip(back.iter().flatten()) {
                prop_assert!(!read.starts_with(['=', '+', '-', '@', '\r']));
                prop_assert!(read == cell || read.strip_prefix('\'') == Some(cell));
            }
        }
    }
}
