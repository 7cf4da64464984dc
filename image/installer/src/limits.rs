//! The bounds, each with the reason for its number.

/// Bytes that are copied, hashed and shown as progress at a time: enough for a disk to be fast, little beside 2 GiB.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// Bytes of a boot file that is kept in memory between the slots and the ESP. One is 14 MiB; two must fit the ESP.
pub(crate) const BOOT_FILE_BYTES_MAX: u64 = 120 << 20;
/// Bytes of an answer file. A complete one has 200.
pub(crate) const ANSWER_BYTES_MAX: u64 = 16 << 10;
/// Bytes of the installer's log on the stick, which is added to at each step. A run has some 60 lines.
pub(crate) const LOG_BYTES_MAX: usize = 256 << 10;
/// Logs of one machine on a stick. The last one is overwritten when there are more.
pub(crate) const LOGS_MAX: u32 = 99;
/// Bytes of one item of a support bundle: the kernel's log has 256 KiB as a rule, a TPM's event log 64 KiB.
pub(crate) const SUPPORT_ITEM_BYTES_MAX: u64 = 4 << 20;
/// Bytes of a support bundle, of which several must fit the stick's 64 MiB.
pub(crate) const SUPPORT_BYTES_MAX: u64 = 16 << 20;
/// Variables of the firmware in a support bundle. Machines have some 30 of those that are taken.
pub(crate) const SUPPORT_FILES_MAX: usize = 256;
/// Bytes of a hash tree that is kept in memory while a slot is looked at. Slots have partitions of 8 MiB for it.
pub(crate) const HASH_BYTES_MAX: u64 = 64 << 20;
/// Files that are looked at on an ESP. Ours has three or four.
pub(crate) const ESP_FILES_MAX: usize = 256;
/// Clusters of a folder that are looked at: 16 entries each at least.
pub(crate) const FOLDER_CLUSTERS_MAX: usize = 1024;
/// Folders in folders that are looked at on an ESP. Ours has two.
pub(crate) const ESP_DEPTH_MAX: usize = 8;
