//! What documents tell users to type.

use tests::binary::workspace;

/// The code blocks of a document in `docs` that are in this language.
pub(crate) fn blocks(document: &str, language: &str) -> Vec<String> {
    blocks_of(&std::fs::read_to_string(workspace().join("docs").join(document)).unwrap(), language)
}

/// The code blocks of a text that are in this language.
pub(crate) fn blocks_of(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("```") {
        let (block, next) = after.split_once("```").unwrap();
        let (said, code) = block.split_once('\n').unwrap();
        if said == language {
            blocks.push(code.to_owned());
        }
        rest = next;
    }
    blocks
}

/// The one block among these that has `part` in it.
pub(crate) fn the_one(blocks: Vec<String>, part: &str) -> String {
    let mut found = blocks.into_iter().filter(|block| block.contains(part));
    let block = found.next().unwrap_or_else(|| panic!("no block with {part:?}"));
    assert_eq!(found.next(), None, "more than one block with {part:?}");
    block
}
