//! Embeds the dashboard that `npm run build` has left in `local-runtime/dashboard/dist`, if it is
//! there: each file with the compressed forms that the build made of it. Cargo alone never needs Node.
#![allow(clippy::print_stdout, reason = "build scripts talk to cargo on their standard output")]

use std::env::VarError;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The forms of a file besides the plain one: the field, and what the file's name then ends in.
const COMPRESSED: [(&str, &str); 2] = [("brotli", ".br"), ("gzip", ".gz")];

fn main() -> io::Result<()> {
    let sources = folder("CARGO_MANIFEST_DIR")?.join("../../local-runtime/dashboard");
    let out = folder("OUT_DIR")?;
    let built = sources.join("dist");
    let is_built = built.join("index.html").is_file();
    // A path that is missing would count as changed every time.
    println!("cargo:rerun-if-changed={}", if is_built { &built } else { &sources }.display());
    println!("cargo:rerun-if-changed=build.rs");

    let mut code = String::from("const EMBEDDED: &[Embedded] = &[\n");
    if is_built {
        let mut files = Vec::new();
        find(&built, &mut files)?;
        files.sort();
        for (number, file) in files.iter().enumerate() {
            embed(&mut code, &built, file, &out.join(format!("dashboard-{number}")))?;
        }
    }
    code.push_str("];\n");
    fs::write(out.join("dashboard.rs"), code)
}

fn folder(variable: &str) -> io::Result<PathBuf> {
    // The rest of the product reads its environment in one place; build scripts have no other way.
    #[allow(clippy::disallowed_methods, reason = "cargo speaks to build scripts so")]
    let value = std::env::var(variable);
    value.map(PathBuf::from).map_err(|error: VarError| io::Error::other(format!("{variable}: {error}")))
}

/// All files below `folder` but for compressed forms of others.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if !COMPRESSED.iter().any(|(_, end)| path.to_string_lossy().ends_with(end)) {
            files.push(path);
        }
    }
    Ok(())
}

/// Writes the entry of one file, whose forms are copied to `copy`, so that a build of the
/// dashboard that begins now cannot take them away.
fn embed(code: &mut String, built: &Path, file: &Path, copy: &Path) -> io::Result<()> {
    let name = file.strip_prefix(built).map_err(io::Error::other)?.to_string_lossy().replace('\\', "/");
    fs::copy(file, copy)?;
    let mut entry = format!("    Embedded {{ path: {:?}, plain: include_bytes!({copy:?})", format!("/{name}"));
    for (field, end) in COMPRESSED {
        let form = PathBuf::from(format!("{}{end}", file.display()));
        let value = if form.is_file() {
            let copy = PathBuf::from(format!("{}{end}", copy.display()));
            fs::copy(&form, &copy)?;
            format!("Some(include_bytes!({copy:?}))")
        } else {
            "None".into()
        };
        write!(entry, ", {field}: {value}").map_err(io::Error::other)?;
    }
    writeln!(code, "{entry} }},").map_err(io::Error::other)
}
