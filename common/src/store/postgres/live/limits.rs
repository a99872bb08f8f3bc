//! Token buckets that all instances share.

use std::sync::Arc;

use async_trait::async_trait;
use redis::Value;

use super::keys;
use super::link::Link;
use super::script::call;
use crate::store::{Bucket, SharedLimits};

/// Buckets in Redis, by Redis's own clock: instances need not agree on the time.
#[derive(Debug)]
pub(super) struct Buckets {
    link: Arc<Link>,
}

impl Buckets {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }
}

#[async_trait]
impl SharedLimits for Buckets {
    async fn charge(&self, bucket: Bucket, tokens: u32) -> Option<Result<(), u64>> {
        if self.link.is_open() {
            return None;
        }
        let most = bucket.most.max(1);
        let mut charge = call(&self.link.scripts.charge, &[keys::bucket(bucket.name, bucket.key)]);
        charge.arg(most).arg(tokens.min(most));
        match self.link.ask_one("limit", charge).await.ok()? {
            Value::Int(0) => Some(Ok(())),
            Value::Int(seconds) => Some(Err(seconds.max(1).unsigned_abs())),
            _ => None,
        }
    }
}
