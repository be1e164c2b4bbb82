//! Facts of the catalogue that the operator states for a provider or a model.

use super::yaml::Table;
use crate::catalogue::Fact;
use crate::catalogue::field::{self, FIELDS, Field, FieldRow, Kind};

/// Fields on which the gateway does not act yet: they are data for people, and no keys of the configuration.
const WITHOUT_EFFECT: &[Field] = &[Field::Encoding, Field::NearEncoding, Field::DemandedLimit];

/// The fields of these tables that may be stated.
pub(super) fn fields(tables: &[field::Table]) -> impl Iterator<Item = &'static FieldRow> {
    FIELDS.iter().filter(|row| tables.contains(&row.table) && !WITHOUT_EFFECT.contains(&row.field))
}

/// The keys of these tables of the catalogue, beside `own`.
pub(super) fn keys(own: &[&'static str], tables: &[field::Table]) -> Vec<&'static str> {
    let beside = fields(tables).map(|row| row.name).filter(|name| !own.contains(name));
    own.iter().copied().chain(beside).collect()
}

/// The facts that a row states. Lists of names are read elsewhere, because they belong to the configuration.
pub(super) fn read(table: &Table<'_>, tables: &[field::Table]) -> Vec<Fact> {
    let fact = |row: &FieldRow| {
        let value = table.at(row.name)?.catalogue_value(row.kind)?;
        Some(Fact { field: row.field, value })
    };
    fields(tables).filter(|row| !matches!(row.kind, Kind::Names)).filter_map(fact).collect()
}
