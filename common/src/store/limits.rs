//! Rate limits that processes share.

use std::fmt;

use async_trait::async_trait;

use super::Result;

/// A token bucket of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// What is limited, such as `events`.
    pub name: &'static str,
    /// Whose it is: a keyed hash that means nothing without its key.
    pub key: u128,
    /// Tokens that it holds when full, and gains a minute.
    pub most: u32,
}

/// Token buckets that all processes on a store share.
#[async_trait]
pub trait SharedLimits: fmt::Debug + Send + Sync + 'static {
    /// Takes `tokens` from a bucket, all of them or none; at most `most` are asked for. Answers
    /// whether there were enough, or else after how many seconds there will be; `None` when
    /// it cannot tell now, and the caller has to judge by itself.
    async fn charge(&self, bucket: Bucket, tokens: u32) -> Option<Result<(), u64>>;

    /// Takes `tokens` if that can be decided without a request; answers whether it did.
    fn charge_at_once(&self, bucket: Bucket, tokens: u32) -> bool {
        let _ = (bucket, tokens);
        false
    }
}
