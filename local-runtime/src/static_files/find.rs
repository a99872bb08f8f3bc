//! Which file a path of a request names, if that file may be served.

use std::path::{Component, Path};

use percent_encoding::percent_decode_str;

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A file that may be served, at this path, escaped as in the request.
    File(String),
    /// A page that is known by another path, relative to the one that was asked for.
    Elsewhere(String),
    /// Nothing that may be served.
    Nothing,
}

/// Looks for the file below `root`, a resolved folder.
pub(super) fn find(root: &Path, path: &str) -> Found {
    let is_served = |path: &str| is_served(root, path);
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if path.ends_with('/') {
        let index = format!("{path}index.html");
        let page = format!("{}.html", path.trim_end_matches('/'));
        return match () {
            () if is_served(&index) => Found::File(index),
            () if !last.is_empty() && !path.contains("//") && is_served(&page) => {
                Found::Elsewhere(format!("../{last}"))
            }
            () => Found::Nothing,
        };
    }
    let page = format!("{path}.html");
    match () {
        () if is_served(path) => Found::File(path.to_owned()),
        () if is_served(&page) => Found::File(page),
        // Links of a folder's page are relative to the folder.
        () if is_served(&format!("{path}/index.html")) => Found::Elsewhere(format!("./{last}/")),
        () => Found::Nothing,
    }
}

/// Whether there is a regular file at this path that may be seen, all links resolved: opening a
/// pipe, for example, would block.
fn is_served(root: &Path, path: &str) -> bool {
    let below = || {
        let decoded = percent_decode_str(path.trim_start_matches('/')).decode_utf8().ok()?;
        let file = root.join(&*decoded).canonicalize().ok()?;
        let is_seen = is_visible(Path::new(&*decoded)) && is_visible(file.strip_prefix(root).ok()?);
        Some(is_seen && file.metadata().ok()?.is_file())
    };
    below() == Some(true)
}

/// Whether a path leads nowhere but down and no name in it is hidden.
fn is_visible(path: &Path) -> bool {
    let mut names = path.components().filter(|part| *part != Component::CurDir).enumerate();
    let is_name = |(depth, part): (usize, Component<'_>)| match part {
        Component::Normal(name) => {
            let hidden = name.as_encoded_bytes().starts_with(b".");
            !hidden || (depth == 0 && name == ".well-known")
        }
        _ => false,
    };
    names.all(is_name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    fn site() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap().join("site");
        for file in [
            "secret.txt",
            "outside/index.html",
            "site/index.html",
            "site/about.html",
            "site/style.css",
            "site/été.html",
            "site/projects/index.html",
            "site/both.html",
            "site/both/index.html",
            "site/empty/x.txt",
            "site/.env",
            "site/.git/config",
            "site/sub/.hidden/x.txt",
            "site/.well-known/security.txt",
            "site/.well-known/.secret",
            "site/..data/x.txt",
        ] {
            let file = home.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        symlink("about.html", root.join("within.html")).unwrap();
        symlink("../secret.txt", root.join("out.txt")).unwrap();
        symlink("/etc/passwd", root.join("far.txt")).unwrap();
        symlink("../outside", root.join("outside")).unwrap();
        symlink(".env", root.join("env.txt")).unwrap();
        symlink(".git", root.join("git")).unwrap();
        symlink("nowhere", root.join("dangling.txt")).unwrap();
        (home, root)
    }

    #[test]
    fn pages_are_found_without_their_ending() {
        let (_home, root) = site();
        let file = |path: &str| Found::File(path.into());
        for (path, found) in [
            ("/", file("/index.html")),
            ("/index.html", file("/index.html")),
            ("/about", file("/about.html")),
            ("/about.html", file("/about.html")),
            ("/about/", Found::Elsewhere("../about".into())),
            ("/projects", Found::Elsewhere("./projects/".into())),
            ("/projects/", file("/projects/index.html")),
            ("/both", file("/both.html")),
            ("/both/", file("/both/index.html")),
            ("/%C3%A9t%C3%A9", file("/%C3%A9t%C3%A9.html")),
            ("/style.css", file("/style.css")),
            ("/within", file("/within.html")),
            ("/.well-known/security.txt", file("/.well-known/security.txt")),
            ("/empty", Found::Nothing),
            ("/empty/", Found::Nothing),
            ("/nowhere", Found::Nothing),
            ("//", file("//index.html")),
        ] {
            assert_eq!(find(&root, path), found, "{path}");
        }
    }

    #[test]
    fn what_is_hidden_or_outside_is_not_found() {
        let (_home, root) = site();
        for path in [
            "/.env",
            "/%2eenv",
            "/%2Eenv",
            "/./.env",
            "/.git/config",
            "/.git",
            "/sub/.hidden/x.txt",
            "/.well-known/.secret",
            "/.well-known/../.env",
            "/.well-known/%2e%2e/.env",
            "/..data/x.txt",
            "/env.txt",
            "/git/config",
            "/out.txt",
            "/far.txt",
            "/outside",
            "/outside/",
            "/outside/index.html",
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/sub/../../secret.txt",
            "/dangling.txt",
            "/%00",
            "/%ff",
            "//etc/passwd",
            "/%2fetc/passwd",
        ] {
            assert_eq!(find(&root, path), Found::Nothing, "{path}");
        }
    }

    #[test]
    fn only_regular_files_are_opened() {
        let (_home, root) = site();
        let pipe = root.join("pipe.html");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(find(&root, "/pipe"), Found::Nothing);
    }
}
