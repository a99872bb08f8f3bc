//! The disk beneath the database: how fast it is, how much of it is taken.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

/// Milliseconds that one small append takes to be durable here, the median of 32: the floor
/// under every durable answer, and near zero where durability is an illusion.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn fsync_ms(directory: &Path) -> Result<f64> {
    let path = directory.join("fsync");
    let mut file = File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..32 {
        let began = Instant::now();
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    fs::remove_file(path)?;
    Ok(crate::duel::median(times))
}

/// Bytes of the database with its log and index of the log.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn database_bytes(home: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(home)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("analytics.db") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// Copies the database of a server that has ended, and waits until the copy is on the disk, so
/// that writing it back does not disturb what is measured next.
///
/// # Errors
/// When a file cannot be copied.
pub(crate) fn copy_database(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("analytics.db") {
            let copy = to.join(entry.file_name());
            fs::copy(entry.path(), &copy)?;
            File::open(copy)?.sync_all()?;
        }
    }
    Ok(())
}
