//! Which folders may be served.

use std::io;
use std::path::{Path, PathBuf};

use common::config::StoreUrl;

/// Why a folder cannot be served as a site.
#[derive(Debug, thiserror::Error)]
pub enum StaticDirError {
    /// There is no folder at this path.
    #[error("{} is no folder", .0.display())]
    NoFolder(PathBuf),
    /// The store is inside: every client could read events, salts and keys.
    #[error("{} holds the store; serve a folder that does not, or move the store (ANALYTICS_STORE)", .0.display())]
    HoldsStore(PathBuf),
    /// The path of the folder or of the store cannot be resolved.
    #[error("cannot find out whether {} holds the store: {source}", folder.display())]
    Unknown {
        /// The folder.
        folder: PathBuf,
        /// The error of the system call.
        source: io::Error,
    },
}

/// The folder with all links resolved.
///
/// # Errors
/// When it is none, or the store, the folder that holds it, or what its links lead to is inside.
pub(crate) fn root(dir: &Path, store: &StoreUrl) -> Result<PathBuf, StaticDirError> {
    let root = dir.canonicalize().ok().filter(|root| root.is_dir());
    let root = root.ok_or_else(|| StaticDirError::NoFolder(dir.to_owned()))?;
    let StoreUrl::Sqlite(file) = store else { return Ok(root) };
    let unknown = |source| StaticDirError::Unknown { folder: dir.to_owned(), source };
    let file = std::path::absolute(file).map_err(unknown)?;
    // Where the name is, and where it leads to: SQLite keeps its log beside the latter.
    let folder = file.parent().map(resolved).transpose().map_err(unknown)?;
    let target = resolved(&file).map_err(unknown)?;
    let is_inside = folder.is_some_and(|folder| folder.starts_with(&root)) || target.starts_with(&root);
    if is_inside { Err(StaticDirError::HoldsStore(dir.to_owned())) } else { Ok(root) }
}

/// Where a path leads to; what is not there yet is taken as it is named.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A link to what is not there yet leads somewhere too.
            if let Ok(target) = path.read_link() {
                let from = path.parent().unwrap_or(Path::new("/"));
                return resolved(&from.join(target));
            }
            match (path.parent(), path.file_name()) {
                (Some(parent), Some(name)) => Ok(resolved(parent)?.join(name)),
                _ => Err(error),
            }
        }
        resolved => resolved,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_store_may_not_be_inside() {
        let home = tempfile::tempdir().unwrap();
        let at = |path: &str| home.path().join(path);
        for folder in ["site/data", "data", "elsewhere"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("site/data/real.db"), "").unwrap();
        symlink(at("site"), at("link-to-site")).unwrap();
        symlink(at("site/data"), at("link-to-data")).unwrap();
        symlink(at("site/data/real.db"), at("data/linked.db")).unwrap();
        symlink("../site/data/later.db", at("data/dangling.db")).unwrap();
        symlink(at("data"), at("site/out")).unwrap();
        let serves = |dir: &str, store: &str| root(&at(dir), &StoreUrl::Sqlite(at(store)));
        for (dir, store) in [
            ("site", "site/analytics.db"),
            ("site", "site/data/analytics.db"),
            ("site", "site/new/folder/analytics.db"),
            ("link-to-site", "site/data/analytics.db"),
            ("site", "link-to-site/analytics.db"),
            ("site", "link-to-data/analytics.db"),
            ("site", "data/linked.db"),
            ("site", "data/dangling.db"),
            ("site", "elsewhere/../site/analytics.db"),
            ("", "data/analytics.db"),
        ] {
            assert!(matches!(serves(dir, store), Err(StaticDirError::HoldsStore(_))), "{dir} {store}");
        }
        for (dir, store) in [
            ("site", "data/analytics.db"),
            ("site", "site.db"),
            ("site", "new/folder/analytics.db"),
            // Links out of the folder are not followed.
            ("site", "site/out/analytics.db"),
        ] {
            assert_eq!(serves(dir, store).unwrap(), at("site").canonicalize().unwrap(), "{dir} {store}");
        }
        assert!(matches!(serves("nowhere", "x.db"), Err(StaticDirError::NoFolder(_))));
        assert!(matches!(serves("site/data/real.db", "x.db"), Err(StaticDirError::NoFolder(_))));
        assert!(root(&at(""), &StoreUrl::Postgres("postgres://".into())).is_ok());
    }
}
