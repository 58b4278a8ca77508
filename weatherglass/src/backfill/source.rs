//! A file as rounds of observations, read ahead on a thread of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use archive::Filter;
use ingest::files::{self, Detected, Dropped, Format, Header, Held, Hints, LineReader};
use weather::admission::Reason;
use weather::{Observation, Rejection, Station, Time, Variable};

use super::state::{Position, Stamp};

/// Observations of a round.
pub(crate) const ROUND: usize = 4000;
/// Lines of a round, of which none need yield an observation.
const ROUND_LINES: u64 = 20_000;
/// The longest line, bytes. A GHCNh line with its 330 columns takes a few thousand.
const LONGEST_LINE: usize = 1 << 20;
/// How much of a file is looked at to know its format.
const BEGINNING: u64 = 1 << 16;

/// A file to be read.
pub(crate) struct Job {
    pub(crate) path: PathBuf,
    pub(crate) stamp: Stamp,
    pub(crate) format: Format,
    pub(crate) hints: Hints,
    pub(crate) from: Position,
    /// More may be written: a line without an end waits for it.
    pub(crate) growing: bool,
}

/// A part of a file. Once it is acknowledged, reading may go on at its position.
#[derive(Default)]
pub(crate) struct Round {
    pub(crate) stations: Vec<Station>,
    /// With the line, or row, that each came from.
    pub(crate) observations: Vec<(u64, Observation)>,
    /// The same of what could not be read.
    pub(crate) refused: Vec<(u64, Rejection)>,
    pub(crate) dropped: Dropped,
    pub(crate) position: Position,
    /// Bytes of the file read so far, for a bar.
    pub(crate) bytes: u64,
}

impl Round {
    fn is_full(&self, lines: u64) -> bool {
        self.observations.len() >= ROUND || lines >= ROUND_LINES
    }
}

/// The format of a file.
///
/// # Errors
/// None that is known, in words; or nothing when its first line is not complete yet.
pub(crate) fn detect(path: &Path, growing: bool) -> Result<Format, Option<String>> {
    let mut beginning = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut beginning));
    read.map_err(|error| Some(error.to_string()))?;
    let mut found = files::detect(&beginning);
    if found == Detected::TooEarly && !growing && !beginning.is_empty() {
        // Nothing will follow: what there is of a line is the line.
        beginning.push(b'\n');
        found = files::detect(&beginning);
    }
    match found {
        Detected::Known(format) => Ok(format),
        Detected::TooEarly if beginning.len() as u64 >= BEGINNING => Err(Some(unknown("a first line without an end"))),
        Detected::TooEarly if growing => Err(None),
        Detected::TooEarly => Err(Some("nothing in it".to_owned())),
        Detected::Unknown(seen) => Err(Some(unknown(&seen))),
    }
}

fn unknown(seen: &str) -> String {
    let known: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    format!("{seen}: no format that is known; known are {}", known.join(", "))
}

/// Reads a file and hands out its rounds until `give` says to stop.
///
/// # Errors
/// What is wrong with the file as a whole, in words. Rounds handed out before stand.
pub(crate) fn read(job: &Job, mut give: impl FnMut(Round) -> bool) -> Result<(), String> {
    match files::reader(job.format, job.hints.clone()) {
        None => rows(job, &mut give),
        Some(reader) => Lines::open(job, reader).and_then(|mut lines| lines.run(&mut give)),
    }
}

/// Rows of Parquet.
fn rows(job: &Job, give: &mut dyn FnMut(Round) -> bool) -> Result<(), String> {
    let failed = |error: archive::ArchiveError| error.to_string();
    let mut file = archive::read_observations(&job.path, Filter::default()).map_err(failed)?;
    let count = file.row_count().unwrap_or(0).max(1);
    let mut round = Round::default();
    let (mut before, mut seen, mut passed) = ([0; Variable::COUNT], (0, 0), 0);
    loop {
        let next = file.next_arrival().transpose().map_err(failed)?;
        let report = file.report();
        let at = report.rows;
        let is_known = at <= job.from.at;
        if !is_known {
            let empty = || Rejection::new("temperature", Reason::MissingField, "the row has no value that can be used");
            let bad = || {
                let told = report.examples.iter().find(|example| example.row > passed);
                let detail = told.map_or("its station or time can't be read", |example| example.message.as_str());
                Rejection::new("item", Reason::Unparseable, detail)
            };
            round.refused.extend((seen.0..report.empty).map(|_| (at, empty())));
            round.refused.extend((seen.1..report.bad).map(|_| (at, bad())));
            for (sum, (now, then)) in round.dropped.0.iter_mut().zip(report.dropped.iter().zip(before)) {
                *sum += now - then;
            }
        }
        (before, seen, passed) = (report.dropped, (report.empty, report.bad), at);
        let ended = next.is_none();
        round.observations.extend(next.filter(|_| !is_known).map(|arrival| (at, arrival.observation)));
        if ended || round.is_full(round.refused.len() as u64) {
            round.position = Position { at, lines: at };
            round.bytes = (u128::from(job.stamp.size) * u128::from(at) / u128::from(count)) as u64;
            if !give(std::mem::take(&mut round)) || ended {
                return Ok(());
            }
        }
    }
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With a line feed.
    Complete,
    /// With the file.
    Open,
    /// There was none.
    Nothing,
}

/// Lines of a text.
struct Lines<'a> {
    job: &'a Job,
    reader: Box<dyn LineReader>,
    input: BufReader<File>,
    line: Vec<u8>,
    /// Of the line just read: longer than is kept.
    too_long: bool,
    /// Lines given to the reader.
    calls: u64,
    /// The number of a line less the number of the call that it was given in.
    ahead: u64,
    /// Behind the line just read.
    here: Position,
    /// Where to go on when everything handed out has been acknowledged.
    settled: Position,
    /// What the reader has dropped so far.
    dropped: Dropped,
}

impl<'a> Lines<'a> {
    /// Opens the file at its position, its header read.
    fn open(job: &'a Job, reader: Box<dyn LineReader>) -> Result<Self, String> {
        let file = File::open(&job.path).map_err(|error| error.to_string())?;
        let mut lines = Self {
            job,
            reader,
            input: BufReader::with_capacity(1 << 16, file),
            line: Vec::new(),
            too_long: false,
            calls: 0,
            ahead: 0,
            here: Position::default(),
            settled: Position::default(),
            dropped: Dropped::default(),
        };
        if job.from.at == 0 {
            return Ok(lines);
        }
        while lines.reader.header() == Header::Awaited && lines.next().map_err(|e| e.to_string())? == End::Complete {
            lines.feed();
        }
        lines.reader.stations();
        // A position before the header was that of a file which had none yet.
        let from = if lines.here.at > job.from.at { lines.here } else { job.from };
        lines.input.seek(SeekFrom::Start(from.at)).map_err(|error| error.to_string())?;
        lines.ahead = from.lines.saturating_sub(lines.calls);
        (lines.here, lines.settled) = (from, from);
        Ok(lines)
    }

    /// The next line, of which no more is kept than is allowed.
    fn next(&mut self) -> io::Result<End> {
        self.line.clear();
        self.too_long = false;
        let mut length = 0_u64;
        let end = loop {
            let piece = self.input.fill_buf()?;
            if piece.is_empty() {
                break if length == 0 { End::Nothing } else { End::Open };
            }
            let (used, ended) = match piece.iter().position(|b| *b == b'\n') {
                Some(at) => (at + 1, true),
                None => (piece.len(), false),
            };
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..used.min(room)]);
            self.too_long |= used > room;
            self.input.consume(used);
            length += used as u64;
            if ended {
                break End::Complete;
            }
        };
        if end == End::Complete {
            self.here = Position { at: self.here.at + length, lines: self.here.lines + 1 };
        }
        Ok(end)
    }

    /// Gives the line to the reader; what it yields, with the lines it came from.
    fn feed(&mut self) -> Vec<(u64, Result<Observation, Rejection>)> {
        self.calls += 1;
        let number = self.calls + self.ahead;
        if self.too_long {
            let detail = format!("the line is longer than {} MiB", LONGEST_LINE >> 20);
            // The reader counts its lines too.
            self.reader.read("", Time::now());
            return vec![(number, Err(Rejection::new("item", Reason::TooLarge, detail)))];
        }
        let text = String::from_utf8_lossy(&self.line);
        let items = self.reader.read(text.trim_end_matches(['\n', '\r']), Time::now());
        self.number(items)
    }

    fn number(&self, items: files::Items) -> Vec<(u64, Result<Observation, Rejection>)> {
        let last = self.calls + self.ahead;
        match self.reader.origins() {
            None => items.into_iter().map(|item| (last, item)).collect(),
            Some(calls) => {
                let lines = calls.iter().map(|call| call + self.ahead).chain(std::iter::repeat(last));
                lines.zip(items).collect()
            }
        }
    }

    fn run(&mut self, give: &mut dyn FnMut(Round) -> bool) -> Result<(), String> {
        let mut round = Round::default();
        let mut begun = self.here.lines;
        loop {
            let before = self.here;
            let end = self.next().map_err(|error| error.to_string())?;
            let ended = end == End::Nothing || (end == End::Open && self.job.growing);
            let mut items = if ended { Vec::new() } else { self.feed() };
            if let Header::Unusable(why) = self.reader.header() {
                return Err(format!("as {}: {why}", self.job.format.name()));
            }
            match self.reader.held() {
                Held::Nothing => self.settled = self.here,
                Held::LastLine => self.settled = before,
                Held::More => {}
            }
            // A line that ends with the file is taken, and read again should it go on.
            let last = ended || end == End::Open;
            if last {
                let rest = self.reader.finish();
                items.extend(self.number(rest));
                self.settled = self.here;
            }
            self.put(items, &mut round);
            if last || round.is_full(self.here.lines - begun) {
                begun = self.here.lines;
                (round.position, round.bytes) = (self.settled, self.here.at);
                if !give(std::mem::take(&mut round)) || last {
                    return Ok(());
                }
            }
        }
    }

    fn put(&mut self, items: Vec<(u64, Result<Observation, Rejection>)>, round: &mut Round) {
        for (line, item) in items {
            match item {
                Ok(observation) => round.observations.push((line, observation)),
                Err(rejection) => round.refused.push((line, rejection)),
            }
        }
        round.stations.extend(self.reader.stations());
        let dropped = self.reader.dropped();
        for (sum, (now, then)) in round.dropped.0.iter_mut().zip(dropped.0.iter().zip(self.dropped.0)) {
            *sum += now - then;
        }
        self.dropped = dropped;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn job(path: &Path, format: Format, from: Position, growing: bool) -> Job {
        let stamp = Stamp::of(&fs::metadata(path).unwrap());
        Job { path: path.to_owned(), stamp, format, hints: Hints::default(), from, growing }
    }

    fn rounds(job: &Job) -> Vec<Round> {
        let mut rounds = Vec::new();
        read(job, |round| {
            rounds.push(round);
            true
        })
        .unwrap();
        rounds
    }

    fn table(lines: usize) -> String {
        let mut text = "# made up\nstation,time,temperature\n".to_owned();
        for line in 0..lines {
            text += &format!("S{},{},{}.5\n", line % 3, Time::from_unix(1_700_000_000 + line as i64), line % 30);
        }
        text
    }

    #[test]
    fn reading_may_stop_and_go_on_at_every_round() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), table(10_000)).unwrap();
        let all = rounds(&job(file.path(), Format::Csv, Position::default(), false));
        assert_eq!(all.iter().map(|r| r.observations.len()).collect::<Vec<_>>(), [4000, 4000, 2000]);
        let flat: Vec<(u64, Observation)> = all.iter().flat_map(|r| r.observations.clone()).collect();
        assert_eq!((flat[0].0, flat[9999].0), (3, 10_002));
        for (index, round) in all.iter().enumerate() {
            let on = rounds(&job(file.path(), Format::Csv, round.position, false));
            let rest: Vec<(u64, Observation)> = on.iter().flat_map(|r| r.observations.clone()).collect();
            assert_eq!(rest, flat[(4000 * (index + 1)).min(10_000)..]);
        }
    }

    #[test]
    fn what_a_reader_holds_back_is_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut text = "#DEBUG\nstation,valid,tmpf,p01i\n".to_owned();
        for hour in 0..48 {
            for minute in [10, 30, 53] {
                text += &format!("A,2024-01-0{} {:02}:{minute},50,0.{minute}\n", 1 + hour / 24, hour % 24);
            }
        }
        fs::write(file.path(), &text).unwrap();
        let reports = |from, growing| -> Vec<(u64, Observation)> {
            let rounds = rounds(&job(file.path(), Format::Iem, from, growing));
            rounds.into_iter().flat_map(|r| r.observations).collect()
        };
        let all = reports(Position::default(), false);
        assert_eq!(all.iter().map(|(line, _)| *line).collect::<Vec<_>>(), (3..147).collect::<Vec<u64>>());
        // Wherever it stops, it goes on with what was not handed out.
        let whole = job(file.path(), Format::Iem, Position::default(), false);
        let mut lines = Lines::open(&whole, files::reader(Format::Iem, Hints::default()).unwrap()).unwrap();
        let mut handed_out = Vec::new();
        while lines.next().unwrap() == End::Complete {
            let before = Position { at: lines.here.at - lines.line.len() as u64, lines: lines.here.lines - 1 };
            handed_out.extend(lines.feed().into_iter().map(|(line, item)| (line, item.unwrap())));
            match lines.reader.held() {
                Held::Nothing => lines.settled = lines.here,
                Held::LastLine => lines.settled = before,
                Held::More => {}
            }
            let rest = reports(lines.settled, false);
            assert!([handed_out.clone(), rest].concat() == all, "after {:?}", lines.here);
        }
    }

    #[test]
    fn a_line_waits_for_its_end_while_the_file_grows() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("{}S0,2024-01-01T00:00:00Z,1", table(1));
        fs::write(file.path(), &text).unwrap();
        let growing = rounds(&job(file.path(), Format::Csv, Position::default(), true));
        assert_eq!(growing[0].observations.len(), 1);
        let position = growing[0].position;
        assert_eq!(position, Position { at: table(1).len() as u64, lines: 3 });
        // Without more to come it is taken as it is, and looked at again should more come all the same.
        let last = rounds(&job(file.path(), Format::Csv, position, false));
        assert_eq!((last[0].observations.len(), last[0].position), (1, position));
        fs::write(file.path(), text + "2.5\n").unwrap();
        let on = rounds(&job(file.path(), Format::Csv, position, true));
        assert_eq!(on[0].observations[0].1.values.get(Variable::Temperature), Some(12.5));
    }

    #[test]
    fn an_endless_line_costs_only_itself() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let long = "x".repeat(5 * LONGEST_LINE);
        fs::write(file.path(), format!("{}{long}\nS0,2024-01-01T00:00:00Z,1\n", table(1))).unwrap();
        let job = job(file.path(), Format::Csv, Position::default(), false);
        let mut lines = Lines::open(&job, files::reader(Format::Csv, Hints::default()).unwrap()).unwrap();
        while lines.next().unwrap() == End::Complete {
            assert!(lines.line.capacity() <= 2 * LONGEST_LINE);
            lines.feed();
        }
        let read = rounds(&job);
        assert_eq!(read[0].observations.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 5]);
        assert_eq!((read[0].refused[0].0, read[0].refused[0].1.reason), (4, Reason::TooLarge));
    }

    #[test]
    fn what_a_file_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let said = |bytes: &[u8], growing| {
            fs::write(file.path(), bytes).unwrap();
            detect(file.path(), growing)
        };
        assert_eq!(said(b"", true), Err(None));
        assert!(said(b"", false).unwrap_err().is_some());
        assert_eq!(said(b"station,time,temperature", true), Err(None));
        assert_eq!(said(b"station,time,temperature", false), Ok(Format::Csv));
        let words = said(&[0xAB; 5000], true).unwrap_err().unwrap();
        assert!(words.contains("isd-lite") && words.len() < 1000, "{words}");
        let words = said(&vec![b'x'; 1 << 17], true).unwrap_err().unwrap();
        assert!(words.contains("without an end"), "{words}");
        fs::write(file.path(), b"PAR1").unwrap();
        let cut = job(file.path(), Format::Parquet, Position::default(), false);
        assert!(read(&cut, |_| true).is_err());
        fs::write(file.path(), b"station,time\n").unwrap();
        let bad = job(file.path(), Format::Csv, Position::default(), false);
        assert!(read(&bad, |_| true).unwrap_err().contains("temperature"));
    }
}
