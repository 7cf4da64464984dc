//! What is to be seen, before anybody knows how wide the screen is.

use crate::{code::Code, limits::TEXT_CHARS_MAX, words::Language};

/// What a text is for. A renderer chooses the colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Plain text.
    #[default]
    Text,
    /// The bar on top.
    Title,
    /// What the eye should find first.
    Strong,
    /// The name of a value, a hint: there for who looks for it.
    Quiet,
    /// What is wrong, or about to be lost.
    Warning,
    /// The item that Enter takes.
    Chosen,
    /// The part of a bar that is done.
    Done,
    /// Modules of a QR code: black on white whatever the other colours are.
    Code,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 8] =
        [Self::Text, Self::Title, Self::Strong, Self::Quiet, Self::Warning, Self::Chosen, Self::Done, Self::Code];
}

/// A piece of text of one role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) text: String,
    pub(crate) role: Role,
}

/// A line of spans. It is wrapped where the screen is narrower.
///
/// Texts may come from anywhere: control characters (an escape sequence in the name of a disk) are shown as `�` and a
/// text longer than 800 characters is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub(crate) spans: Vec<Span>,
}

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a piece of text added.
    #[must_use]
    pub fn with(mut self, role: Role, text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let end = text.char_indices().nth(TEXT_CHARS_MAX).map_or(text.len(), |(end, _)| end);
        let mut kept: String =
            text[..end].chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
        if end < text.len() {
            kept.push('…');
        }
        self.spans.push(Span { text: kept, role });
        self
    }

    /// With plain text added.
    #[must_use]
    pub fn text(self, text: impl AsRef<str>) -> Self {
        self.with(Role::Text, text)
    }

    /// With emphasised text added.
    #[must_use]
    pub fn strong(self, text: impl AsRef<str>) -> Self {
        self.with(Role::Strong, text)
    }

    /// With a quiet text added.
    #[must_use]
    pub fn quiet(self, text: impl AsRef<str>) -> Self {
        self.with(Role::Quiet, text)
    }

    /// With a warning added.
    #[must_use]
    pub fn warning(self, text: impl AsRef<str>) -> Self {
        self.with(Role::Warning, text)
    }

    /// Nothing to be seen.
    pub fn is_empty(&self) -> bool {
        self.spans.iter().all(|span| span.text.is_empty())
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::new().text(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::new().text(text)
    }
}

/// A part of a screen that stands below the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A line, wrapped.
    Line(Line),
    /// A line that starts some columns in, wrapped with that margin.
    Indented(u16, Line),
    /// A value with its name before it. Names of one screen are as wide as the widest.
    Field {
        /// What it is.
        name: String,
        /// What it is now.
        value: Line,
    },
    /// An item of a list: what stands in the margin, and the text beside it. The chosen one is always in sight.
    Item {
        /// Number, tick or nothing.
        mark: String,
        /// The item.
        text: Line,
        /// Whether Enter takes this one.
        chosen: bool,
    },
    /// A bar, as wide as the screen, that is done to so many thousandths.
    Bar(u16),
    /// Letters up to three rows high, for what a person copies from the screen. Spaced and emphasised text where there
    /// are no pixels or no room.
    Large(String),
    /// Air. It goes first where rows are short.
    Gap,
}

/// What one screen shows. [`layout`](crate::layout::layout) makes a [`Grid`](crate::Grid) of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    pub(crate) title: Line,
    pub(crate) corner: String,
    pub(crate) blocks: Vec<Block>,
    pub(crate) code: Option<Code>,
    pub(crate) keys: String,
}

impl Screen {
    /// A screen with a title.
    pub fn new(title: impl AsRef<str>) -> Self {
        Self { title: Line::new().with(Role::Title, title), ..Self::default() }
    }

    /// With a text at the right end of the title: the time.
    #[must_use]
    pub fn corner(mut self, text: impl Into<String>) -> Self {
        self.corner = text.into();
        self
    }

    /// With a QR code at the right, where there is room.
    #[must_use]
    pub fn code(mut self, code: Option<Code>) -> Self {
        self.code = code;
        self
    }

    /// With what keys do, in the last row.
    #[must_use]
    pub fn keys(mut self, text: impl Into<String>) -> Self {
        self.keys = text.into();
        self
    }

    /// Adds a part below the others.
    pub fn push(&mut self, block: Block) {
        self.blocks.push(block);
    }

    /// Adds a line below the others.
    pub fn line(&mut self, line: impl Into<Line>) {
        self.push(Block::Line(line.into()));
    }

    /// Adds a value and its name below the others.
    pub fn field(&mut self, name: impl Into<String>, value: impl Into<Line>) {
        self.push(Block::Field { name: name.into(), value: value.into() });
    }

    /// Adds air, but not above everything and not twice.
    pub fn gap(&mut self) {
        if !matches!(self.blocks.last(), None | Some(Block::Gap)) {
            self.push(Block::Gap);
        }
    }
}

/// Something that can be shown. It is asked again for every frame and every language, and answers the same while
/// nothing changes.
pub trait View {
    /// The screen in a language.
    fn screen(&self, language: Language) -> Screen;
}

impl<F: Fn(Language) -> Screen> View for F {
    fn screen(&self, language: Language) -> Screen {
        self(language)
    }
}
