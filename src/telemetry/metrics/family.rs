//! What a family of metrics is: its name, its type, its unit and its labels.

/// How the integers of a family are written. All sums are exact, because nothing is added as a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As they are.
    One,
    /// Thousandths: milliseconds, written as seconds.
    Milli,
    /// Billionths: nano-dollars, written as dollars.
    Nano,
}

impl Scale {
    fn digits(self) -> usize {
        match self {
            Self::One => 0,
            Self::Milli => 3,
            Self::Nano => 9,
        }
    }

    /// An amount as a decimal number, exact and without trailing zeros: 1500 thousandths are `1.5`.
    pub fn write(self, amount: u64) -> String {
        let digits = self.digits();
        let text = format!("{amount:0>width$}", width = digits + 1);
        let (whole, rest) = text.split_at(text.len() - digits);
        match rest.trim_end_matches('0') {
            "" => whole.to_owned(),
            rest => format!("{whole}.{rest}"),
        }
    }

    /// The bound of a bucket, in OpenMetrics' canonical form: whole numbers end in `.0`.
    pub fn write_bound(self, bound: u64) -> String {
        let text = self.write(bound);
        if text.contains('.') { text } else { text + ".0" }
    }
}

/// What the values of several isolates make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcrossIsolates {
    /// Their sum: each isolate counts what is its own.
    Sum,
    /// The largest: the isolates count the same things, and some have not heard of all.
    Max,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// A sum that only grows.
    Counter,
    /// A value of the moment. It expires.
    Gauge(AcrossIsolates),
    /// A distribution, with the upper bounds of its buckets in ascending order; a last one without a bound is
    /// implied.
    Histogram(&'static [u64]),
}

/// A family of metrics.
#[derive(Debug)]
pub struct Family {
    /// Its name, with the unit as suffix but without `_total`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// The unit, if it has one: a base unit.
    pub unit: Option<&'static str>,
    /// The type.
    pub kind: FamilyKind,
    /// How its integers are written.
    pub scale: Scale,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

impl Family {
    /// How many samples one series takes.
    pub fn samples(&self) -> usize {
        match self.kind {
            FamilyKind::Counter | FamilyKind::Gauge(_) => 1,
            // The last bucket, the sum and the count come on top.
            FamilyKind::Histogram(bounds) => bounds.len() + 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_exactly() {
        let written = [
            Scale::One.write(0),
            Scale::One.write(u64::MAX),
            Scale::Milli.write(5),
            Scale::Milli.write(81_920),
            Scale::Milli.write(2_000),
            Scale::Nano.write(12_750),
        ];
        assert_eq!(written, ["0", "18446744073709551615", "0.005", "81.92", "2", "0.00001275"]);
    }

    #[test]
    fn bounds_have_the_canonical_form() {
        assert_eq!(Scale::Milli.write_bound(1_000), "1.0");
        assert_eq!(Scale::Milli.write_bound(10), "0.01");
        assert_eq!(Scale::One.write_bound(4), "4.0");
    }
}
