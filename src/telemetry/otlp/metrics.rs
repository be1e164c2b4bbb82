//! The metrics of a registry as OTLP. They have the same names and labels as in the text formats.

use super::attribute::Attribute;
use super::encoder::Encoder;
use super::fields;
use super::write::{nanos, write_attributes};
use crate::config::Millis;
use crate::telemetry::metrics::{FAMILIES, Family, FamilyKind, Registry, Scale, SeriesValue};

/// Sums since the registry began, not since the last export.
const CUMULATIVE: u32 = 2;

/// A metric, and the time that its sums are of.
pub(super) struct Metric<'r> {
    family: &'static Family,
    points: Vec<Point<'r>>,
}

/// A point of a metric.
struct Point<'r> {
    labels: &'r [String],
    value: &'r SeriesValue,
    /// When the registry began.
    since: Millis,
    now: Millis,
}

/// The metrics that have live series at `now`, in a registry that began at `since`.
pub(super) fn metrics(registry: &Registry, since: Millis, now: Millis) -> Vec<Metric<'_>> {
    let metrics = FAMILIES.iter().map(|family| {
        let points = registry.live(family, now).map(|(labels, value)| Point { labels, value, since, now });
        Metric { family, points: points.collect() }
    });
    metrics.filter(|metric| !metric.points.is_empty()).collect()
}

/// Writes a metric.
pub(super) fn write_metric<E: Encoder>(encoder: &mut E, metric: &Metric<'_>) {
    let Metric { family, points } = metric;
    encoder.text(fields::METRIC_NAME, family.name);
    encoder.text(fields::METRIC_DESCRIPTION, family.help);
    encoder.text(fields::METRIC_UNIT, unit_of(family));
    match family.kind {
        FamilyKind::Gauge(_) => encoder.message(fields::METRIC_GAUGE, |inner| {
            inner.messages(fields::DATA_POINTS, points, |entry, point| write_number(entry, family, point));
        }),
        FamilyKind::Counter => encoder.message(fields::METRIC_SUM, |inner| {
            inner.messages(fields::DATA_POINTS, points, |entry, point| write_number(entry, family, point));
            inner.small(fields::AGGREGATION_TEMPORALITY, CUMULATIVE);
            inner.truth(fields::IS_MONOTONIC, true);
        }),
        FamilyKind::Histogram(bounds) => encoder.message(fields::METRIC_HISTOGRAM, |inner| {
            let bounds: Vec<f64> = bounds.iter().map(|bound| scaled(family.scale, *bound)).collect();
            inner.messages(fields::DATA_POINTS, points, |entry, point| write_histogram(entry, family, &bounds, point));
            inner.small(fields::AGGREGATION_TEMPORALITY, CUMULATIVE);
        }),
    }
}

/// The unit, as UCUM spells it.
fn unit_of(family: &Family) -> &'static str {
    match family.unit {
        Some("seconds") => "s",
        Some("dollars") => "{USD}",
        _ => "1",
    }
}

fn write_number<E: Encoder>(encoder: &mut E, family: &Family, point: &Point<'_>) {
    let (SeriesValue::Counter(value) | SeriesValue::Gauge { value, .. }) = point.value else { return };
    if family.kind == FamilyKind::Counter {
        encoder.fixed(fields::POINT_START, nanos(point.since));
    }
    encoder.fixed(fields::POINT_TIME, nanos(point.now));
    match family.scale {
        Scale::One => encoder.fixed(fields::NUMBER_INT, (*value).min(i64::MAX.unsigned_abs())),
        scale => encoder.number(fields::NUMBER_DOUBLE, scaled(scale, *value)),
    }
    write_attributes(encoder, fields::NUMBER_ATTRIBUTES, &attributes(family, point));
}

fn write_histogram<E: Encoder>(encoder: &mut E, family: &Family, bounds: &[f64], point: &Point<'_>) {
    let SeriesValue::Histogram { buckets, sum } = point.value else { return };
    encoder.fixed(fields::POINT_START, nanos(point.since));
    encoder.fixed(fields::POINT_TIME, nanos(point.now));
    encoder.fixed(fields::HISTOGRAM_COUNT, buckets.iter().fold(0, |sum: u64, count| sum.saturating_add(*count)));
    encoder.number(fields::HISTOGRAM_SUM, scaled(family.scale, *sum));
    encoder.fixed_list(fields::HISTOGRAM_BUCKETS, buckets);
    encoder.number_list(fields::HISTOGRAM_BOUNDS, bounds);
    write_attributes(encoder, fields::HISTOGRAM_ATTRIBUTES, &attributes(family, point));
}

fn attributes(family: &Family, point: &Point<'_>) -> Vec<Attribute> {
    family.labels.iter().zip(point.labels).map(|(name, value)| Attribute::new(*name, value.as_str())).collect()
}

/// An amount in the family's unit.
fn scaled(scale: Scale, amount: u64) -> f64 {
    // Reading the decimal gives the float nearest to it; a division might miss that by a bit.
    scale.write(amount).parse().unwrap_or_default()
}
