//! The file of the benchmark, its split and its standardisation, as the published tables have them.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use anyhow::Context;
use flate2::read::GzDecoder;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use weather::Time;

/// Rows and channels of the published file.
pub(crate) const ROWS: usize = 52_696;
pub(crate) const CHANNELS: usize = 21;
/// The file's clock is Central European Time all the year.
const CLOCK: Offset = Offset::constant(1);
/// What the loggers write for "no value". The score keeps it; what a model sees does not.
const ABSENT: f32 = -9999.0;

/// The benchmark's rows, as they stand in the file.
pub(crate) struct Table {
    pub(crate) times: Vec<Time>,
    /// `[rows, CHANNELS]`.
    pub(crate) values: Vec<f32>,
}

/// The rows of the three parts. Windows of the later two may reach back before their part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) train: Range<usize>,
    pub(crate) validation: Range<usize>,
    pub(crate) test: Range<usize>,
}

/// A channel's mean and standard deviation in the training part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Standard {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
}

impl Table {
    /// Reads the gzipped CSV and refuses anything but the published shape.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
        let mut bytes = Vec::new();
        GzDecoder::new(file).read_to_end(&mut bytes).with_context(|| format!("{name} is not a gzip file"))?;
        let table = Self::parse(&bytes).with_context(|| format!("{name} is not the benchmark's file"))?;
        let rows = table.rows();
        anyhow::ensure!(rows == ROWS, "{name} has {rows} rows; the benchmark has {ROWS}");
        Ok(table)
    }

    fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        // The header is Latin-1, in which every byte is the code point of the same number.
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        anyhow::ensure!(
            header.starts_with("date,") && header.split(',').count() == CHANNELS + 1,
            "the header is not `date` and {CHANNELS} channels"
        );
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for (at, line) in lines.enumerate() {
            let row = at + 2;
            let mut fields = line.split(',');
            let time: DateTime =
                fields.next().unwrap_or_default().parse().with_context(|| format!("line {row}: no time"))?;
            times.push(Time::from_unix(CLOCK.to_timestamp(time)?.as_second()));
            for field in fields {
                values.push(field.trim().parse().with_context(|| format!("line {row}: `{field}` is no number"))?);
            }
            anyhow::ensure!(values.len() == times.len() * CHANNELS, "line {row} has not {CHANNELS} channels");
        }
        Ok(Self { times, values })
    }

    pub(crate) fn rows(&self) -> usize {
        self.times.len()
    }

    /// Each absent value replaced by the last one before it: what a model may see at that moment.
    pub(crate) fn filled(&self) -> Vec<f32> {
        let mut filled = self.values.clone();
        for at in 0..filled.len() {
            if filled[at] <= ABSENT {
                filled[at] = if at < CHANNELS { 0.0 } else { filled[at - CHANNELS] };
            }
        }
        filled
    }
}

impl Split {
    /// 70 % to train, 20 % to test, what is left between them to validate.
    pub(crate) fn of(rows: usize) -> Self {
        let (train, test) = (rows * 7 / 10, rows / 5);
        Self { train: 0..train, validation: train..rows - test, test: rows - test..rows }
    }
}

/// The first target row of every window whose targets lie in `part`: one window per step, none
/// left out. The inputs of the first ones lie before the part, as far as there are rows.
pub(crate) fn origins(part: &Range<usize>, lookback: usize, horizon: usize) -> Range<usize> {
    let first = part.start.max(lookback);
    first..(part.end + 1).saturating_sub(horizon).max(first)
}

/// Means and population standard deviations of the rows.
#[allow(clippy::cast_precision_loss)] // numbers of rows
pub(crate) fn standards(values: &[f32], rows: &Range<usize>) -> Vec<Standard> {
    let count = rows.len() as f64;
    (0..CHANNELS)
        .map(|channel| {
            let column = || rows.clone().map(|row| f64::from(values[row * CHANNELS + channel]));
            let mean = column().sum::<f64>() / count;
            let variance = column().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            // A constant channel is left as it is, as scikit-learn does.
            let deviation = if variance == 0.0 { 1.0 } else { variance.sqrt() };
            Standard { mean, deviation }
        })
        .collect()
}

/// The values in units of their channels' standards.
#[allow(clippy::cast_possible_truncation)] // back to the precision they came in
pub(crate) fn standardised(values: &[f32], standards: &[Standard]) -> Vec<f32> {
    let scaled = |(at, value): (usize, &f32)| {
        let standard = standards[at % CHANNELS];
        ((f64::from(*value) - standard.mean) / standard.deviation) as f32
    };
    values.iter().enumerate().map(scaled).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut gzip = GzEncoder::new(file.reopen().unwrap(), Compression::fast());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap();
        file
    }

    fn csv(rows: usize) -> Vec<u8> {
        let mut text = b"date".to_vec();
        (0..CHANNELS).for_each(|_| text.extend(b",SWDR (W/m\xb2)"));
        for row in 0..rows {
            text.extend(format!("\r\n2020-01-01 {:02}:{:02}:00", row / 6, row % 6 * 10).bytes());
            (0..CHANNELS).for_each(|channel| text.extend(format!(",{}", row + channel).bytes()));
        }
        text
    }

    #[test]
    fn the_split_is_the_published_one() {
        let split = Split::of(ROWS);
        assert_eq!(split, Split { train: 0..36_887, validation: 36_887..42_157, test: 42_157..52_696 });
        // The published loaders give 10,444 test windows at 96 steps and 9,820 at 720.
        assert_eq!(origins(&split.test, 96, 96), 42_157..52_601);
        assert_eq!(origins(&split.test, 720, 96).len(), 10_444);
        assert_eq!(origins(&split.test, 96, 720).len(), 9_820);
        assert_eq!(origins(&split.validation, 96, 336).len(), 4_935);
        assert_eq!(origins(&split.train, 96, 96).len(), 36_887 - 96 - 96 + 1);
        assert!(origins(&(0..100), 96, 96).is_empty());
    }

    #[test]
    fn standards_are_of_the_population_and_of_the_training_part() {
        let mut values = vec![5.0f32; 5 * CHANNELS];
        for (row, value) in [2.0, 4.0, 4.0, 6.0, 1000.0].into_iter().enumerate() {
            values[row * CHANNELS] = value;
        }
        let found = standards(&values, &(0..4));
        assert_eq!(found[0], Standard { mean: 4.0, deviation: 2.0f64.sqrt() });
        assert_eq!(found[1], Standard { mean: 5.0, deviation: 1.0 });
        assert!((standardised(&values, &found)[CHANNELS * 3] - 2.0f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn absent_values_take_the_last_one_before() {
        let mut table = Table::parse(&csv(4)).unwrap();
        table.values[2 * CHANNELS + 3] = ABSENT;
        table.values[3 * CHANNELS + 3] = ABSENT;
        assert_eq!(table.filled()[2 * CHANNELS + 3], 4.0);
        assert_eq!(table.filled()[3 * CHANNELS + 3], 4.0);
        assert_eq!(table.filled()[3 * CHANNELS + 4], 7.0);
    }

    #[test]
    fn latin_1_and_the_clock_are_read() {
        let table = Table::parse(&csv(7)).unwrap();
        assert_eq!(table.times[6], Time::parse("2020-01-01T00:00:00Z").unwrap());
        assert_eq!(table.values[6 * CHANNELS..6 * CHANNELS + 2], [6.0, 7.0]);
    }

    #[test]
    fn a_wrong_or_missing_file_is_refused_by_name() {
        let said = |path: &Path| format!("{:#}", Table::read(path).err().unwrap());
        assert!(said(Path::new("no/such.csv.gz")).contains("no/such.csv.gz"));
        let short = file(&csv(7));
        let name = short.path().display().to_string();
        assert_eq!(said(short.path()), format!("{name} has 7 rows; the benchmark has 52696"));
        let other = file(b"date,p\n2020-01-01 00:00:00,1\n");
        assert!(said(other.path()).contains("the header is not"));
        let mut text = csv(7);
        text.extend(b"\n2020-01-01 02:00:00,1,2\n");
        assert!(said(file(&text).path()).contains("line 9 has not 21 channels"));
        let plain = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(plain.path(), "date").unwrap();
        assert!(said(plain.path()).contains("is not a gzip file"));
    }
}
