//! Receipts and usage as CSV and NDJSON files, a page at a time.

use serde::Serialize;

use super::account::account_of;
use super::query::{Query, invalid};
use super::receipts::{self, ReceiptView};
use super::table;
use super::usage::{self, UsageRow};
use crate::error::{Error, Result};
use crate::gateway::{Body, Bridge, Platform, Response};

/// The parameters of [`receipts()`].
pub const RECEIPT_PARAMETERS: &[&str] = &["key", "format", "limit", "before"];
/// The parameters of [`usage()`].
pub const USAGE_PARAMETERS: &[&str] = &["from", "to", "key", "group_by", "limit", "after", "format"];

/// The default number of receipts in a file.
const RECEIPTS_PER_FILE: u64 = 1000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum FileFormat {
    Ndjson,
    Csv,
}

/// The receipts of a key, newest first. The response header `x-next-before` is the `before` of the next file.
///
/// # Errors
/// 400 with the name of the invalid parameter, 404 if there is no such key.
pub async fn receipts<P: Platform>(bridge: &Bridge, platform: &P, query: &Query) -> Result<Response<P>> {
    let format = FileFormat::read(query)?;
    let key = query.text("key").ok_or_else(|| {
        Error::caller(400, "missing_required_parameter", "`key` is required. Pass the id of a key.").at("key")
    })?;
    let page = receipts::read_page(bridge, platform, &account_of(key)?, query, RECEIPTS_PER_FILE).await?;
    let rows = page.receipts.iter().map(receipts::view);
    let text = format.write(&ReceiptView::columns(), rows, ReceiptView::cells);
    Ok(format.file("receipts", text, page.next_before.map(|number| ("x-next-before", number.to_string()))))
}

/// Usage rows. The response header `x-next-after` is the `after` of the next file.
///
/// # Errors
/// 400 with the name of the invalid parameter, 404 if there is no such key.
pub async fn usage<P: Platform>(bridge: &Bridge, platform: &P, query: &Query) -> Result<Response<P>> {
    let format = FileFormat::read(query)?;
    let report = usage::read_report(bridge, platform, query).await?;
    let text = format.write(&UsageRow::columns(), report.rows(), UsageRow::cells);
    Ok(format.file("usage", text, report.next_after.map(|id| ("x-next-after", id))))
}

impl FileFormat {
    fn read(query: &Query) -> Result<Self> {
        match query.text("format") {
            None | Some("ndjson") => Ok(Self::Ndjson),
            Some("csv") => Ok(Self::Csv),
            Some(_) => Err(invalid("format", "be ndjson or csv")),
        }
    }

    fn write<R: Serialize>(
        self,
        columns: &[&str],
        rows: impl Iterator<Item = R>,
        cells: impl Fn(&R) -> Vec<String>,
    ) -> String {
        let mut text = String::new();
        if self == Self::Csv {
            table::csv_row(columns, &mut text);
        }
        for row in rows {
            match self {
                Self::Csv => table::csv_row(cells(&row), &mut text),
                Self::Ndjson => table::json_row(&row, &mut text),
            }
        }
        text
    }

    fn file<P: Platform>(self, name: &str, text: String, next: Option<(&'static str, String)>) -> Response<P> {
        let (content_type, extension) = match self {
            Self::Ndjson => ("application/x-ndjson", "ndjson"),
            Self::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
        };
        let mut headers = vec![
            ("content-type", content_type.to_owned()),
            ("content-disposition", format!("attachment; filename=\"{name}.{extension}\"")),
        ];
        headers.extend(next);
        Response { status: 200, headers, body: Body::Bytes(text.into_bytes()) }
    }
}
