//! Matrices as NumPy files: little-endian 32-bit floats, rows first. Only what this crate and its
//! script write is read.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

/// Rows of equal length.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Matrix {
    pub(crate) values: Vec<f32>,
    pub(crate) columns: usize,
}

impl Matrix {
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.columns.max(1))
    }

    pub(crate) fn row(&self, index: usize) -> Option<&[f32]> {
        self.values.get(index * self.columns..(index + 1) * self.columns)
    }
}

pub(crate) fn write(path: &Path, matrix: &Matrix) -> anyhow::Result<()> {
    let shape = format!("({}, {})", matrix.rows().len(), matrix.columns);
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // The format asks for data that begins at a multiple of 64.
    while (MAGIC.len() + 2 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).context("a header is short")?;
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut file = BufWriter::new(file);
    file.write_all(MAGIC)?;
    file.write_all(&length.to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for value in &matrix.values {
        file.write_all(&value.to_le_bytes())?;
    }
    file.flush().with_context(|| format!("cannot write {}", path.display()))
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Matrix> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes).with_context(|| format!("{}: no matrix of little-endian 32-bit floats", path.display()))
}

fn parse(bytes: &[u8]) -> Option<Matrix> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (header, data) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let header = std::str::from_utf8(header).ok()?;
    if !header.contains("'<f4'") || !header.contains("'fortran_order': False") {
        return None;
    }
    let shape = header.split_once("'shape': (")?.1.split_once(')')?.0;
    let mut sizes = shape.split(',').map(|size| size.trim().parse::<usize>());
    let (rows, columns) = (sizes.next()?.ok()?, sizes.next()?.ok()?);
    let values: Vec<f32> = data.chunks_exact(4).filter_map(|b| Some(f32::from_le_bytes(b.try_into().ok()?))).collect();
    (values.len() == rows.checked_mul(columns)?).then_some(Matrix { values, columns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_cut_off_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let matrix = Matrix { values: vec![1.0, -2.5, f32::MAX, 0.0, 3.0, 4.0], columns: 3 };
        write(&path, &matrix).unwrap();
        assert_eq!(read(&path).unwrap(), matrix);
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() % 64 == 24, "the data begins at a multiple of 64");
        for length in 0..bytes.len() {
            assert_eq!(parse(&bytes[..length]), None, "{length} bytes");
        }
    }
}
