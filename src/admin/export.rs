//! Receipts and sums as files, for spreadsheets and scripts; page by page.

use super::query::{Query, invalid};
use super::{receipts, table, usage};
use crate::error::{Error, Result};
use crate::gateway::{Body, Bridge, Platform, Response};

/// Parameters of the sums.
pub const USAGE_PARAMETERS: &[&str] = &["from", "to", "key", "group_by", "limit", "after", "format"];

/// Receipts in one file.
const PAGE: u64 = 1000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Ndjson,
    Csv,
}

/// The receipts of a key, newest first. The header `x-next-before` says where the next file begins.
///
/// # Errors
/// 400 naming the parameter at fault, 404 if there is no such key.
pub async fn receipts<H: Platform>(bridge: &Bridge, host: &H, query: &Query) -> Result<Response<H>> {
    let format = Format::read(query)?;
    let key = query.text("key").ok_or_else(|| {
        Error::caller(400, "missing_required_parameter", "`key` is required: the id of a key.").at("key")
    })?;
    let (entries, next) = receipts::page(bridge, host, &receipts::account(key)?, query, PAGE).await?;
    let mut text = String::new();
    format.head(&receipts::View::columns(), &mut text);
    for row in entries.iter().map(receipts::view) {
        match format {
            Format::Csv => table::csv_row(row.cells(), &mut text),
            Format::Ndjson => table::json_row(&row, &mut text),
        }
    }
    Ok(format.file("receipts", text, next.map(|number| ("x-next-before", number.to_string()))))
}

/// Sums. The header `x-next-after` says where the next file begins.
///
/// # Errors
/// 400 naming the parameter at fault, 404 if there is no such key.
pub async fn usage<H: Platform>(bridge: &Bridge, host: &H, query: &Query) -> Result<Response<H>> {
    let format = Format::read(query)?;
    let answer = usage::ask(bridge, host, query).await?;
    let mut text = String::new();
    format.head(&usage::View::columns(), &mut text);
    for row in answer.views() {
        match format {
            Format::Csv => table::csv_row(row.cells(), &mut text),
            Format::Ndjson => table::json_row(&row, &mut text),
        }
    }
    Ok(format.file("usage", text, answer.next_after.map(|id| ("x-next-after", id))))
}

impl Format {
    fn read(query: &Query) -> Result<Self> {
        match query.text("format") {
            None | Some("ndjson") => Ok(Self::Ndjson),
            Some("csv") => Ok(Self::Csv),
            Some(_) => Err(invalid("format", "be ndjson or csv")),
        }
    }

    fn head(self, columns: &[&str], text: &mut String) {
        if self == Self::Csv {
            table::csv_row(columns, text);
        }
    }

    fn file<H: Platform>(self, name: &str, text: String, next: Option<(&'static str, String)>) -> Response<H> {
        let (kind, ending) = match self {
            Self::Ndjson => ("application/x-ndjson", "ndjson"),
            Self::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
        };
        let mut headers = vec![
            ("content-type", kind.to_owned()),
            ("content-disposition", format!("attachment; filename=\"{name}.{ending}\"")),
        ];
        headers.extend(next);
        Response { status: 200, headers, body: Body::Bytes(text.into_bytes()) }
    }
}
