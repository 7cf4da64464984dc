//! Finalized blocks and certificates, as marshal stores them.
//!
//! Marshal needs a block on the disk from when it is final until the application has it; then the application's database
//! answers for both. So only the last blocks are stored here, and no block lies on the disk twice for long.

use std::{num::NonZeroU64, sync::Arc};

use alloy_primitives::B256;
use commonware_codec::CodecShared;
use commonware_consensus::{marshal::store, simplex::types::Finalization, types::Height};
use commonware_cryptography::{certificate::Verifier as _, sha256::Digest};
use commonware_runtime::{Clock, Handle, Metrics, Storage, buffer::paged::CacheRef};
use commonware_storage::{
    archive::{Archive as _, Error, Identifier, prunable},
    metadata,
    translator::EightCap,
};
use commonware_utils::NZU64;

use crate::{Application, block::Payload, finality::to_finalization, member::WRITE_BUFFER, scheme::Scheme};

/// Blocks behind the last one applied that stay: for boxes that lag a moment, and for a database that is restored from a
/// minute ago.
const RETAINED: u64 = if cfg!(test) { 8 } else { 256 };
/// Blocks that lie together, and go together.
const SECTION: NonZeroU64 = if cfg!(test) { NZU64!(4) } else { NZU64!(64) };

type Recent<E, V> = prunable::Archive<EightCap, E, Digest, V>;

/// Up to which height to prune once the block at a height is applied; `None` where that can wait.
pub(crate) fn prune_below(applied: Height) -> Option<Height> {
    applied.get().is_multiple_of(SECTION.get()).then(|| applied.get().checked_sub(RETAINED)).flatten().map(Height::new)
}

/// Opens what is stored. Where it begins above what the application has, whose database was lost or is an older one, it
/// is of no use to it and is removed: marshal then fetches everything.
pub(crate) async fn open<E, A>(
    context: &E,
    partition: &str,
    page_cache: &CacheRef,
    block_bytes_max: usize,
    application: &A,
) -> Result<(Certificates<E, A>, Blocks<E, A>), Error>
where
    E: Storage + Metrics + Clock,
    A: Application,
{
    let certificates_codec = Scheme::certificate_codec_config_unbounded();
    loop {
        let certificates = archive(context, partition, "finalizations", page_cache, certificates_codec).await?;
        let blocks: Recent<E, Arc<Payload>> =
            archive(context, partition, "blocks", page_cache, block_bytes_max).await?;
        let (first, height) = (blocks.first_index().unwrap_or(0), application.height());
        if first <= height + 1 {
            let application = application.clone();
            return Ok((
                Certificates { recent: certificates, application: application.clone() },
                Blocks { recent: blocks, application },
            ));
        }
        tracing::warn!(
            height,
            first,
            "consensus has later blocks than the database goes on with, and fetches all again"
        );
        // How far marshal was. It goes first, for without the blocks marshal must not go on from there.
        match context.remove(&format!("{partition}-application-metadata"), None).await {
            Ok(()) | Err(commonware_runtime::Error::PartitionMissing(_)) => {}
            Err(error) => return Err(metadata::Error::Runtime(error).into()),
        }
        certificates.destroy().await?;
        blocks.destroy().await?;
    }
}

async fn archive<E: Storage + Metrics + Clock, V: CodecShared>(
    context: &E,
    prefix: &str,
    name: &'static str,
    page_cache: &CacheRef,
    codec_config: V::Cfg,
) -> Result<Recent<E, V>, Error> {
    let partition = |part: &str| format!("{prefix}-recent-{name}-{part}");
    let config = prunable::Config {
        translator: EightCap,
        metadata_partition: partition("metadata"),
        key_partition: partition("keys"),
        key_page_cache: page_cache.clone(),
        value_partition: partition("values"),
        compression: None,
        codec_config,
        items_per_section: SECTION,
        key_write_buffer: WRITE_BUFFER,
        value_write_buffer: WRITE_BUFFER,
        replay_buffer: WRITE_BUFFER,
    };
    prunable::Archive::init(context.child(name), config).await
}

/// Finalized blocks.
pub(crate) struct Blocks<E: Storage + Metrics + Clock, A> {
    recent: Recent<E, Arc<Payload>>,
    application: A,
}

impl<E: Storage + Metrics + Clock, A: Application> Blocks<E, A> {
    /// The heights of the blocks that are stored here.
    pub(crate) fn held(&self) -> Vec<(u64, u64)> {
        self.recent.ranges().collect()
    }

    fn applied(&self, height: u64) -> Option<Arc<Payload>> {
        // Marshal stores block zero itself when it begins, and asks first.
        let has_begun = self.recent.first_index().is_some_and(|first| first > 0);
        self.application.block(height).filter(|_| height > 0 || has_begun).map(|block| Arc::new(Payload(block)))
    }
}

impl<E: Storage + Metrics + Clock, A: Application> store::Blocks for Blocks<E, A> {
    type Block = Arc<Payload>;
    type Error = Error;

    async fn put(mut self, digest: Digest, block: &Arc<Payload>) -> Result<Self, Error> {
        self.recent = store::Blocks::put(self.recent, digest, block).await?;
        Ok(self)
    }

    async fn sync(mut self) -> Result<Self, Error> {
        self.recent = store::Blocks::sync(self.recent).await?;
        Ok(self)
    }

    async fn start_sync(mut self) -> Result<(Self, Handle<()>), Error> {
        let synced;
        (self.recent, synced) = store::Blocks::start_sync(self.recent).await?;
        Ok((self, synced))
    }

    async fn get(&self, id: Identifier<'_, Digest>) -> Result<Option<Arc<Payload>>, Error> {
        let (id, place) = twice(id);
        if let Some(block) = store::Blocks::get(&self.recent, id).await? {
            return Ok(Some(block));
        }
        Ok(height(&self.application, place).and_then(|height| self.applied(height)))
    }

    async fn prune(mut self, min: Height) -> Result<Self, Error> {
        self.recent = store::Blocks::prune(self.recent, min).await?;
        Ok(self)
    }

    fn missing_items(&self, start: Height, max: usize) -> Vec<Height> {
        store::Blocks::missing_items(&self.recent, start, max)
    }

    fn next_gap(&self, value: Height) -> (Option<Height>, Option<Height>) {
        store::Blocks::next_gap(&self.recent, value)
    }

    fn last_index(&self) -> Option<Height> {
        store::Blocks::last_index(&self.recent)
    }
}

/// Certificates of finalized blocks, of those that have one.
pub(crate) struct Certificates<E: Storage + Metrics + Clock, A> {
    recent: Recent<E, Finalization<Scheme, Digest>>,
    application: A,
}

impl<E: Storage + Metrics + Clock, A: Application> Certificates<E, A> {
    fn applied(&self, height: u64) -> Option<Finalization<Scheme, Digest>> {
        let certificate = self.application.certificate(height)?;
        let validators = self.application.validators(certificate.epoch)?;
        to_finalization(&certificate, validators.len())
    }
}

impl<E: Storage + Metrics + Clock, A: Application> store::Certificates for Certificates<E, A> {
    type BlockDigest = Digest;
    type Commitment = Digest;
    type Scheme = Scheme;
    type Error = Error;

    async fn put(
        mut self,
        height: Height,
        digest: Digest,
        finalization: &Finalization<Scheme, Digest>,
    ) -> Result<Self, Error> {
        self.recent = store::Certificates::put(self.recent, height, digest, finalization).await?;
        Ok(self)
    }

    async fn sync(mut self) -> Result<Self, Error> {
        self.recent = store::Certificates::sync(self.recent).await?;
        Ok(self)
    }

    async fn start_sync(mut self) -> Result<(Self, Handle<()>), Error> {
        let synced;
        (self.recent, synced) = store::Certificates::start_sync(self.recent).await?;
        Ok((self, synced))
    }

    async fn get(&self, id: Identifier<'_, Digest>) -> Result<Option<Finalization<Scheme, Digest>>, Error> {
        let (id, place) = twice(id);
        if let Some(finalization) = store::Certificates::get(&self.recent, id).await? {
            return Ok(Some(finalization));
        }
        Ok(height(&self.application, place).and_then(|height| self.applied(height)))
    }

    async fn has(&self, height: Height) -> Result<bool, Error> {
        let is_recent = store::Certificates::has(&self.recent, height).await?;
        Ok(is_recent || self.application.certificate(height.get()).is_some())
    }

    async fn prune(mut self, min: Height) -> Result<Self, Error> {
        self.recent = store::Certificates::prune(self.recent, min).await?;
        Ok(self)
    }

    fn last_index(&self) -> Option<Height> {
        store::Certificates::last_index(&self.recent)
    }

    fn ranges_from(&self, from: Height) -> impl Iterator<Item = (Height, Height)> {
        store::Certificates::ranges_from(&self.recent, from)
    }
}

/// The height that is asked for, where the application has applied a block there.
fn height<A: Application>(application: &A, id: Identifier<'_, Digest>) -> Option<u64> {
    match id {
        Identifier::Index(height) => Some(height),
        Identifier::Key(digest) => application.height_of(&B256::from(digest.0)),
    }
}

/// Commonware's type cannot be copied.
const fn twice<'a>(id: Identifier<'a, Digest>) -> (Identifier<'a, Digest>, Identifier<'a, Digest>) {
    match id {
        Identifier::Index(index) => (Identifier::Index(index), Identifier::Index(index)),
        Identifier::Key(key) => (Identifier::Key(key), Identifier::Key(key)),
    }
}
