//! The documents as a whole: the book has all of them, links lead somewhere, and the commands, variables and tests
//! that they name exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::binary::{path, workspace};
use tests::servers::run;

use crate::document::blocks_of;

/// All documents for people: those of `docs`, and those at the root.
fn documents() -> Vec<(PathBuf, String)> {
    let folders = [workspace(), workspace().join("docs")];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// What links lead to: `](this)`, outside of code.
fn links(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    let after = prose.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned()).collect()
}

/// The anchors of a document's headings, as code hosts and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose: String = text.split("```").step_by(2).collect();
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            words.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
        })
        .collect()
}

#[test]
fn the_book_has_every_document_once() {
    let summary = std::fs::read_to_string(workspace().join("docs/SUMMARY.md")).unwrap();
    let mut chapters = links(&summary);
    chapters.sort();
    let docs = documents().into_iter().filter(|(path, _)| path.parent().unwrap().ends_with("docs"));
    let files: Vec<String> = docs
        .map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "SUMMARY.md")
        .collect();
    assert_eq!(chapters, files);
}

#[test]
fn links_lead_somewhere() {
    for (path, text) in documents() {
        for link in links(&text).iter().filter(|link| !link.contains("://") && !link.starts_with("/#")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", path.display());
            if !anchor.is_empty() {
                let known = anchors(&std::fs::read_to_string(&target).unwrap());
                assert!(known.contains(anchor), "{}: {link} is none of {known:?}", path.display());
            }
            // mdBook makes pages of the book of all links to Markdown.
            let outside = target.parent().unwrap().canonicalize().unwrap() != workspace().join("docs");
            let page = target.extension().is_some_and(|extension| extension == "md");
            assert!(
                !(path.parent().unwrap().ends_with("docs") && page && outside),
                "{}: {link} is not in the book",
                path.display()
            );
        }
    }
}

/// The words of documents that begin with `ANALYTICS_`.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("ANALYTICS_"))
}

#[test]
fn commands_and_variables_exist() {
    let makefile = std::fs::read_to_string(workspace().join("Makefile")).unwrap();
    let example = std::fs::read_to_string(workspace().join(".env.example")).unwrap();
    let compose = std::fs::read_to_string(workspace().join("compose.yaml")).unwrap();
    let help = run(Command::new(path()).arg("--help")).unwrap();
    for (path, text) in documents() {
        let name = path.display();
        for variable in variables(&text) {
            let known = example.contains(&format!("# {variable}=")) || compose.contains(variable);
            // Those of tests, which take the program by the second one.
            let of_tests = variable.starts_with("ANALYTICS_TEST_") || variable == "ANALYTICS_BINARY";
            assert!(known || of_tests || variable == "ANALYTICS_", "{name}: {variable}");
        }
        let shell = ["sh", "console"].iter().flat_map(|language| blocks_of(&text, language)).collect::<Vec<_>>();
        for line in shell.iter().flat_map(|block| block.lines()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["make", target, ..] = words[..] {
                assert!(makefile.contains(&format!("\n{target}:")), "{name}: {line}");
            }
            let Some(at) = words.iter().position(|word| word.ends_with("local-runtime")) else { continue };
            if let Some(command) = words.get(at + 1).filter(|word| word.chars().all(|c| c.is_ascii_lowercase())) {
                assert!(help.contains(&format!("\n  {command} ")), "{name}: {line}");
            }
        }
    }
}

/// A file of tests, by the short names that documents have for folders.
fn source(name: &str) -> PathBuf {
    let folders = [("engine/", "common/tests/"), ("outages/", "tests/tests/outages/"), ("store/", "common/src/store/")];
    let long = folders.iter().find_map(|(short, long)| Some(format!("{long}{}", name.strip_prefix(short)?)));
    workspace().join(long.unwrap_or_else(|| name.to_owned()))
}

/// All names that are written `` `so` `` in the last cell of a row.
fn named_tests(row: &str) -> Vec<&str> {
    let cell = row.trim_end_matches('|').rsplit('|').next().unwrap();
    cell.split('`').skip(1).step_by(2).collect()
}

/// The names of the functions in a source that are tests.
fn tests_in(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        // A case of the conformance suite does not compile unless it is in the list of tests.
        let is_case = line.starts_with("pub async fn ") && line.contains("fixture: impl Fixture");
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_case || (!line.starts_with("#[") && std::mem::take(&mut is_test)) {
            names.extend(line.split_once("fn ").and_then(|(_, rest)| Some(rest.split_once('(')?.0)));
        }
    }
    names
}

/// The names of all tests below a folder.
fn tests_below(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            tests_below(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            into.extend(tests_in(&text).into_iter().map(str::to_owned));
        }
    }
}

#[test]
fn tests_are_told_from_other_functions() {
    let source = "fn a() {}\n#[test]\n#[ignore]\nfn b() {}\n    #[tokio::test(start_paused = true)]\n    async fn c() {}\n\
        #[allow(dead_code)]\nfn d() {}\n#[test]\nfn b_too() {\n    fn e() {}\n}\n\
        pub async fn f(mut fixture: impl Fixture) {\npub async fn g() {";
    assert_eq!(tests_in(source), ["b", "c", "b_too", "f"]);
}

#[test]
fn each_threat_and_each_fault_has_a_test() {
    let mut known = BTreeSet::new();
    for folder in ["common", "functions", "local-runtime", "tests"] {
        tests_below(&workspace().join(folder), &mut known);
    }
    for document in ["threats.md", "faults.md"] {
        let text = std::fs::read_to_string(workspace().join("docs").join(document)).unwrap();
        let is_heading = |line: &&str| line.starts_with("| attacker ") || line.starts_with("| fault ");
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| ") && !is_heading(line)).collect();
        assert!(rows.len() > 20, "{document}");
        for row in rows {
            let tests = named_tests(row);
            assert!(!tests.is_empty(), "{document}: {row}");
            for test in tests {
                let browser = test.ends_with(".mjs") && workspace().join("tests/browser").join(test).exists();
                let file = test.ends_with(".rs") && source(test).exists();
                assert!(browser || file || known.contains(test), "{document}: {test} of: {row}");
            }
        }
    }
}

/// Before the first heading.
#[test]
fn the_readme_begins_with_who_can_read_the_figures() {
    let text = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    let beginning = text.split("\n## ").next().unwrap();
    for said in ["Anyone who reaches the server can read the figures", "ANALYTICS_READ_AUTH=token"] {
        assert!(beginning.contains(said), "{said}");
    }
}
