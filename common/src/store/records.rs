//! Small records that an operator made, such as share links: opaque to the engines.

use async_trait::async_trait;
use uuid::Uuid;

use super::Result;

/// What a record is. Its number is what engines store and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A share link.
    Share = 0,
}

/// Records are kept until they are deleted; unlike blocks they cannot be made again. The core bounds how
/// many there are, and each is at most a few kilobytes.
#[async_trait]
pub trait Records {
    /// Stores a record in place of an earlier one of the same kind and id.
    async fn put_record(&self, kind: RecordKind, id: Uuid, bytes: Vec<u8>) -> Result<()>;

    /// The record with this id. It is read after every write that was answered, whichever process wrote.
    async fn record(&self, kind: RecordKind, id: Uuid) -> Result<Option<Vec<u8>>>;

    /// All records of a kind, by id.
    async fn records(&self, kind: RecordKind) -> Result<Vec<(Uuid, Vec<u8>)>>;

    /// Deletes a record; answers whether it was there.
    async fn delete_record(&self, kind: RecordKind, id: Uuid) -> Result<bool>;
}
