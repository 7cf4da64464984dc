//! Every bound of this crate, with the reason for its number.

/// Columns of a grid. The widest screen in sight has 480 (7680 pixels of 16); a terminal that claims more is lying.
pub(crate) const COLUMNS_MAX: u16 = 512;

/// Rows of a grid, for the same reason.
pub(crate) const ROWS_MAX: u16 = 256;

/// Characters of one text that comes from elsewhere (the model of a disk, an error). Ten rows of a serial terminal.
pub(crate) const TEXT_CHARS_MAX: usize = 800;

/// Bytes of an escape sequence. The longest that a keyboard sends has 8.
pub(crate) const SEQUENCE_BYTES_MAX: usize = 32;

/// Keys that wait to be acted on. More were not typed by a person.
pub(crate) const KEYS_MAX: usize = 256;

/// Characters that a text field takes. A recovery key with its dashes has 71.
pub(crate) const FIELD_CHARS_MAX: usize = 128;

/// Bytes that wait for a terminal: some frames of 80 by 24. A line that takes nothing for long loses the rest.
pub(crate) const PENDING_BYTES_MAX: usize = 64 << 10;

/// Bytes of a framebuffer's frame: 7680 by 4320 of 32 bits, and some air.
pub(crate) const FRAME_BYTES_MAX: usize = 256 << 20;

/// Bytes of a QR code's text. Version 10 holds 213 at level M and has 57 modules, the most that 24 rows show.
pub(crate) const CODE_BYTES_MAX: usize = 213;
