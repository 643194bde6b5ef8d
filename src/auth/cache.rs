//! The verified-token cache: what a token said, found again by the SHA-256 of its bytes.
//!
//! An entry is a memory of one verification, not a verdict: whether the token is valid *now*, and whether its
//! key still counts, is asked again at every use.

use std::sync::Arc;

use aws_lc_rs::digest;

use super::config;
use super::verify::VerifiedToken;

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// Tokens that were verified before. Bounded by entries and by bytes.
pub(super) struct TokenCache(Option<moka::sync::Cache<Digest, Arc<VerifiedToken>>>);

/// What an entry costs beside the texts in it: key, links, counters, the structs themselves.
const ENTRY_OVERHEAD: u64 = 384;

impl TokenCache {
    pub(super) fn new(bounds: config::Cache) -> Self {
        if bounds.entries == 0 || bounds.bytes == 0 {
            return Self(None);
        }
        // One weight bounds both: an entry weighs its bytes, and at least its share of the bytes.
        let share = (bounds.bytes / bounds.entries).max(1);
        let weight = move |_: &Digest, token: &Arc<VerifiedToken>| {
            u32::try_from((ENTRY_OVERHEAD + token.text_bytes()).max(share)).unwrap_or(u32::MAX)
        };
        Self(Some(
            moka::sync::Cache::builder()
                .max_capacity(bounds.bytes)
                .weigher(weight)
                .build(),
        ))
    }

    /// Whether anything is cached at all.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn find(&self, unverified_token: &str) -> Option<Arc<VerifiedToken>> {
        self.0.as_ref()?.get(&digest(unverified_token)?)
    }

    pub(super) fn remove(&self, unverified_token: &str) {
        if let (Some(cache), Some(digest)) = (&self.0, digest(unverified_token)) {
            cache.invalidate(&digest);
        }
    }

    pub(super) fn insert(&self, unverified_token: &str, token: &Arc<VerifiedToken>) {
        if let (Some(cache), Some(digest)) = (&self.0, digest(unverified_token)) {
            cache.insert(digest, Arc::clone(token));
        }
    }
}

fn digest(unverified_token: &str) -> Option<Digest> {
    let digest = digest::digest(&digest::SHA256, unverified_token.as_bytes());
    digest.as_ref().try_into().ok()
}
