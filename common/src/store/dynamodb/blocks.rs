//! Blocks: bytes of the core, beside the events. A block is cut into pieces, since an item is at most
//! 400 KB; a reader accepts only pieces of one and the same block.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};

use super::batch::{Range, Scan};
use super::client::Table;
use super::item::{Item, number, read_number, sort_key};
use super::keys;
use super::sites::{former, sites};
use super::totals::of_days;
use crate::site::Site;
use crate::store::{BlockKind, Result};
use crate::time::Day;

/// Bytes of a block in one item: with names and digest well below the service's limit.
const PIECE: usize = 350 * 1024;

/// Attributes of a piece.
mod name {
    /// The bytes.
    pub(super) const BYTES: &str = "b";
    /// How many pieces the block has.
    pub(super) const PIECES: &str = "n";
    /// The first half of the SHA-256 of the whole block: pieces of two blocks never pass for one.
    pub(super) const DIGEST: &str = "d";
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes)[..16].to_vec()
}

fn bytes<'a>(item: &'a Item, name: &str) -> &'a [u8] {
    item.get(name).and_then(|value| value.as_b().ok()).map_or(&[], Blob::as_ref)
}

pub(super) async fn put(table: &Table, site: &Site, kind: BlockKind, day: Day, block: &[u8]) -> Result<()> {
    let digest = digest(block);
    // An empty block is one empty piece.
    let pieces: Vec<&[u8]> = if block.is_empty() { vec![block] } else { block.chunks(PIECE).collect() };
    let items = pieces.iter().enumerate().map(|(at, piece)| {
        let mut item = keys::block(site, kind, day, at).attributes();
        item.insert(name::BYTES.to_owned(), AttributeValue::B(Blob::new(*piece)));
        item.insert(name::PIECES.to_owned(), number(pieces.len()));
        item.insert(name::DIGEST.to_owned(), AttributeValue::B(Blob::new(digest.clone())));
        item
    });
    table.put_all(items.collect()).await
}

pub(super) async fn read(
    table: &Table,
    site: &Site,
    kind: BlockKind,
    days: std::ops::Range<Day>,
    consistent: bool,
) -> Result<Vec<(Day, Vec<u8>)>> {
    if days.start >= days.end {
        return Ok(Vec::new());
    }
    let range = of_days(keys::blocks(site, kind), days.start, days.end.plus(-1));
    let items = table.all(range, consistent).await?;
    let of_one_day = items.chunk_by(|a, b| keys::read_day(sort_key(a)) == keys::read_day(sort_key(b)));
    Ok(of_one_day.filter_map(|pieces| Some((keys::read_day(sort_key(&pieces[0]))?, whole(pieces)?))).collect())
}

/// The block that these pieces of a day begin with; `None` when one is missing or another's.
fn whole(pieces: &[Item]) -> Option<Vec<u8>> {
    let count: usize = read_number(pieces.first()?, name::PIECES)?;
    // A longer block that stood here before may have left pieces behind.
    let block: Vec<u8> = pieces.get(..count)?.iter().flat_map(|item| bytes(item, name::BYTES)).copied().collect();
    (digest(&block) == bytes(&pieces[0], name::DIGEST)).then_some(block)
}

pub(super) async fn delete_one(table: &Table, site: &Site, kind: BlockKind, day: Day) -> Result<()> {
    let pieces = table.all(of_days(keys::blocks(site, kind), day, day), true).await?;
    table.delete_all(&pieces.iter().filter_map(keys::read).collect::<Vec<_>>()).await
}

pub(super) async fn delete(table: &Table, kind: BlockKind, before: Day) -> Result<u64> {
    let mut deleted = 0;
    let former = former(table).await?;
    for site in sites(table, true).await?.iter().chain(&former) {
        let range = Range::new(keys::blocks(site, kind), "0", keys::day(before));
        let mut pages = table.pages(range, Scan::default());
        while let Some(items) = pages.next().await? {
            let keys: Vec<_> = items.iter().filter_map(keys::read).collect();
            table.delete_all(&keys).await?;
            deleted += keys.iter().filter(|key| keys::is_first_piece(&key.sk)).count() as u64;
        }
    }
    // Summaries are kept longest.
    if kind == BlockKind::Summary {
        for site in &former {
            if !has_blocks(table, site).await? {
                table.delete_all(&[keys::former(site)]).await?;
            }
        }
    }
    Ok(deleted)
}

async fn has_blocks(table: &Table, site: &Site) -> Result<bool> {
    for kind in BlockKind::DERIVED {
        let first = Scan { page: Some(1), ..Scan::default() };
        let mut pages = table.pages(Range::new(keys::blocks(site, kind), "0", keys::END), first);
        if pages.next().await?.is_some_and(|items| !items.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}
