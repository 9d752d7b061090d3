//! Where the rows of a text are, found part by part by all threads.
//!
//! A part begins where a row begins, which only the part before knows for sure: a line end may stand in quotation marks.
//! So each part first begins at its first line, and is looked at again from the right place where it does not join on to
//! the one before. What comes of it does not depend on the number of threads.

use crate::content::Content;
use crate::encoding::not_utf8;
use quadrat_core::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use std::ops::Range;

/// The rows that start within so many bytes are a part: it stays in a core's cache.
pub(crate) const PART_BYTES: usize = 1 << 18;

/// Places in a part are counted in four bytes.
pub(crate) const TOO_LONG: &str = "a row of more than 4 GiB";

/// What is wrong with a text, and where.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) at: usize,
    pub(crate) why: String,
}

impl Wrong {
    pub(crate) fn new(at: usize, why: impl Into<String>) -> Wrong {
        Wrong { at, why: why.into() }
    }

    pub(crate) fn error(self, file: &str, content: &Content) -> Error {
        Error::data(file, content.line_of(self.at), self.why)
    }
}

/// A text from the start of a row on.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a> {
    pub(crate) text: &'a str,
    /// The rows that start before this place are looked for.
    pub(crate) limit: usize,
    /// Whether the text ends here; else its last line goes on where it ends within quotation marks.
    pub(crate) whole: bool,
}

/// What is found in a piece, and the place after it, where the next row starts.
type Found<T> = std::result::Result<(usize, T), Wrong>;

/// What was found in the piece that starts at a place.
struct Piece<T> {
    start: usize,
    found: Found<T>,
}

/// Looks at all rows from `from` on, in parts of `size` bytes: each part's place, and what `find` found in it. `find` gets
/// a piece of the text and gives what it holds with the place, counted from the piece's start, where the next row starts;
/// or nothing where the last row does not end in the piece.
pub(crate) fn scan<T: Send>(
    file: &str,
    content: &Content,
    from: usize,
    size: usize,
    progress: &dyn Progress,
    find: impl Fn(Lines) -> std::result::Result<Option<(usize, T)>, Wrong> + Sync,
) -> Result<Vec<(usize, T)>> {
    let length = content.len();
    let borders: Vec<usize> = (from..length).step_by(size).chain([length]).collect();
    let look = |start: usize, until: usize, bytes: &[u8], whole: bool| -> Option<Piece<T>> {
        let found = match utf8(bytes) {
            _ if u32::try_from(bytes.len()).is_err() => Err(Wrong::new(0, TOO_LONG)),
            text => text.and_then(|text| find(Lines { text, limit: until - start, whole })),
        };
        let found = match found {
            Ok(found) => found.map(|(end, found)| Ok((start + end, found)))?,
            Err(wrong) => Err(Wrong { at: start + wrong.at, ..wrong }),
        };
        Some(Piece { start, found })
    };
    let from_start = |start: usize, until: usize| -> Result<Piece<T>> {
        let mut to = until;
        loop {
            let piece = content.with_lines(start, to, |bytes, whole| Ok(look(start, until, bytes, whole)))?;
            match piece {
                Some(piece) => return Ok(piece),
                None => to = length.min(start + 2 * (to - start) + size),
            }
        }
    };
    let from_line = |border: usize, until: usize| {
        // A piece within a long line is not read to that line's end.
        match content.line_end(border - 1, until)?.filter(|start| *start < until) {
            Some(start) => content.with_lines(start, until, |bytes, whole| Ok(look(start, until, bytes, whole))),
            None => Ok(None),
        }
    };
    progress.begin("looking at the rows", Some(borders.len() as u64 - 1));
    let first = |border: &[usize]| {
        checkpoint(progress)?;
        progress.advance(1);
        if border[0] == from { from_start(from, border[1]).map(Some) } else { from_line(border[0], border[1]) }
    };
    let mut pieces: Vec<Option<Piece<T>>> = borders.par_windows(2).map(first).collect::<Result<_>>()?;
    loop {
        checkpoint(progress)?;
        let apart = apart(&mut pieces, &borders);
        if apart.is_empty() {
            break;
        }
        let again = |&(piece, start): &(usize, usize)| Ok((piece, from_start(start, borders[piece + 1])?));
        for (at, piece) in apart.par_iter().map(again).collect::<Result<Vec<_>>>()? {
            pieces[at] = Some(piece);
        }
    }
    let found = |piece: Piece<T>| piece.found.map(|(_, found)| (piece.start, found));
    let found: std::result::Result<Vec<(usize, T)>, Wrong> = pieces.into_iter().flatten().map(found).collect();
    found.map_err(|wrong| wrong.error(file, content))
}

/// The pieces that do not start where the one before ends, and that place. A piece that a row from before covers has no
/// rows; what follows one that could not be looked at is left as it is.
fn apart<T>(pieces: &mut [Option<Piece<T>>], borders: &[usize]) -> Vec<(usize, usize)> {
    let mut apart = Vec::new();
    let mut next = Some(borders[0]);
    for (at, piece) in pieces.iter_mut().enumerate() {
        if let Some(start) = next {
            if start >= borders[at + 1] {
                *piece = None;
                continue;
            }
            if piece.as_ref().is_none_or(|piece| piece.start != start) {
                apart.push((at, start));
            }
        }
        next = piece.as_ref().and_then(|piece| piece.found.as_ref().ok()).map(|(end, _)| *end);
    }
    apart
}

/// Where the rows of a text are.
#[derive(Default)]
pub(crate) struct Rows {
    parts: Vec<Part>,
    spans: Vec<Range<usize>>,
}

/// Where the rows of a part are.
pub(crate) struct Part {
    /// Where the first row starts.
    at: usize,
    /// Where each row starts, counted from there, and where the last one ends.
    starts: Vec<u32>,
    /// Where each row ends, if something may follow it that is none.
    ends: Vec<u32>,
}

impl Part {
    /// `starts` and `ends` count from `from`.
    pub(crate) fn new(from: usize, mut starts: Vec<u32>, mut ends: Vec<u32>) -> Part {
        starts.shrink_to_fit();
        ends.shrink_to_fit();
        Part { at: from, starts, ends }
    }

    pub(crate) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// A row's place, with blank lines and the like that follow it.
    fn span(&self, row: usize) -> Range<usize> {
        let end = self.ends.get(row).unwrap_or(&self.starts[row + 1]);
        self.at + self.starts[row] as usize..self.at + *end as usize
    }
}

/// Rows of a part that have been read.
#[derive(Clone, Copy)]
pub(crate) struct Read<'a> {
    text: &'a str,
    at: usize,
    part: &'a Part,
    first: usize,
}

impl<'a> Read<'a> {
    /// The row by its number in the file, with what follows up to the next one.
    pub(crate) fn row(&self, row: usize) -> &'a str {
        let span = self.part.span(row - self.first);
        self.text.get(span.start - self.at..span.end - self.at).unwrap_or_default()
    }
}

impl Rows {
    /// Parts without rows are left out.
    pub(crate) fn new(parts: impl IntoIterator<Item = Part>) -> Rows {
        let parts: Vec<Part> = parts.into_iter().filter(|part| part.rows() > 0).collect();
        let mut spans = Vec::with_capacity(parts.len());
        let mut next = 0;
        for part in &parts {
            spans.push(next..next + part.rows());
            next += part.rows();
        }
        Rows { parts, spans }
    }

    /// The rows of each part.
    pub(crate) fn spans(&self) -> &[Range<usize>] {
        &self.spans
    }

    pub(crate) fn count(&self) -> usize {
        self.spans.last().map_or(0, |span| span.end)
    }

    /// Reads the rows of a part, or some of them (ascending).
    pub(crate) fn read<R>(
        &self,
        content: &Content,
        part: usize,
        rows: Option<&[usize]>,
        look: impl FnOnce(Read) -> Result<R>,
    ) -> Result<R> {
        let span = &self.spans[part];
        let (first, last) = match rows {
            Some([first, .., last]) => (*first, *last),
            Some([one]) => (*one, *one),
            _ => (span.start, span.end - 1),
        };
        let bytes = self.place(first).start..self.place(last).end;
        let (at, part) = (bytes.start, &self.parts[part]);
        content.with(bytes, |bytes| look(Read { text: text(bytes)?, at, part, first: span.start }))
    }

    /// Where a row is, with what follows up to the next one.
    pub(crate) fn place(&self, row: usize) -> Range<usize> {
        let part = self.part_of(row);
        self.parts[part].span(row - self.spans[part].start)
    }

    fn part_of(&self, row: usize) -> usize {
        self.spans.partition_point(|span| span.end <= row)
    }

    /// For rows one by one.
    pub(crate) fn one_by_one<'a>(&'a self, content: &'a Content) -> OneByOne<'a> {
        OneByOne { rows: self, content, at: 0, piece: Vec::new() }
    }
}

/// Rows in any order. While they ascend, they are read from disk many at a time.
pub(crate) struct OneByOne<'a> {
    rows: &'a Rows,
    content: &'a Content,
    at: usize,
    piece: Vec<u8>,
}

impl OneByOne<'_> {
    /// The row with what follows up to the next one.
    pub(crate) fn row(&mut self, row: usize) -> Result<&str> {
        let place = self.rows.place(row);
        if let Content::Memory(bytes) = self.content {
            return text(&bytes[place]);
        }
        let end = self.at + self.piece.len();
        if place.start < self.at || place.end > end {
            let near = (end..end + PART_BYTES).contains(&place.start);
            let part = self.rows.part_of(row);
            let last = if near { self.rows.spans[part].end - 1 } else { row };
            let Range { start, end } = place.start..self.rows.place(last).end;
            self.piece.clear();
            self.content.with(start..end, |bytes| {
                self.piece.extend_from_slice(bytes);
                Ok(())
            })?;
            self.at = start;
        }
        text(&self.piece[place.start - self.at..place.end - self.at])
    }
}

/// A piece of a text.
pub(crate) fn utf8(bytes: &[u8]) -> std::result::Result<&str, Wrong> {
    std::str::from_utf8(bytes).map_err(|e| Wrong::new(e.valid_up_to(), not_utf8(bytes[e.valid_up_to()])))
}

/// A piece of a text that has been looked at before.
pub(crate) fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| changed())
}

/// What was found on the first look is there no more.
pub(crate) fn changed() -> Error {
    Error::data("the input", None, "it was changed while it was read; start again once nothing writes to it")
}
