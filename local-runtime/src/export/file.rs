//! The file that an export goes to, and the place where one goes on that was left half written.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::{Cursor, ExportError};
use crate::event_line;
use crate::import::lines::LONGEST;

/// A file that is not there yet.
///
/// # Errors
/// When it is, or cannot be made.
pub fn create(path: &Path) -> Result<File, ExportError> {
    // Only the owner may read it: it names visitors.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => ExportError::Exists(path.display().to_string()),
        _ => unwritable(path, source),
    })
}

/// The file, cut behind its last whole line, and the place behind the event of that line; no
/// place when there is no whole line.
///
/// # Errors
/// When it cannot be read or written, or its last whole line is no event.
pub fn reopen(path: &Path) -> Result<(File, Option<Cursor>), ExportError> {
    let failed = |source| unwritable(path, source);
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let (end, line) = last_line(&mut file).map_err(failed)?;
    let cursor = match line {
        Some(line) => {
            let event = event_line::read(&line)
                .map_err(|why| ExportError::NotAnExport { name: path.display().to_string(), why })?;
            Some(Cursor::behind(&event))
        }
        None => None,
    };
    file.set_len(end).map_err(failed)?;
    file.seek(SeekFrom::End(0)).map_err(failed)?;
    Ok((file, cursor))
}

fn unwritable(path: &Path, source: io::Error) -> ExportError {
    ExportError::Write { name: path.display().to_string(), source }
}

/// Where the last whole line ends, and the line; looks no further back than two lines can reach.
fn last_line(file: &mut File) -> io::Result<(u64, Option<Vec<u8>>)> {
    let length = file.seek(SeekFrom::End(0))?;
    let start = length.saturating_sub(2 * LONGEST as u64 + 2);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else {
        // Without a line break in sight it is one broken line, unless it is longer than any line.
        return if start == 0 { Ok((0, None)) } else { Ok((length, Some(tail))) };
    };
    let begin = tail[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok((start + end as u64 + 1, Some(tail[begin..end].to_vec())))
}
