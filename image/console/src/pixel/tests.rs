//! Pixels are looked at one by one, and a QR code as a telephone would.

use super::*;
use crate::{
    code::Code,
    layout::{Abilities, layout},
    screen::{Block, Line, Screen},
};

/// The colour of a pixel, back from its bytes.
fn at(canvas: &Canvas, x: usize, y: usize) -> [u8; 3] {
    let geometry = canvas.geometry();
    let start = y * geometry.stride + x * geometry.pixel_bytes;
    let mut bytes = [0; 4];
    bytes[..geometry.pixel_bytes].copy_from_slice(&canvas.bytes()[start..start + geometry.pixel_bytes]);
    let pixel = u32::from_le_bytes(bytes);
    geometry.channels.map(|Channel { offset, bits }| {
        let value = pixel >> offset & ((1 << bits) - 1);
        u8::try_from(value * 255 / ((1 << bits) - 1)).unwrap()
    })
}

fn painted(geometry: Geometry, screen: &Screen) -> Canvas {
    let mut canvas = Canvas::new(geometry).unwrap();
    let grid = layout(screen, canvas.size(), Abilities { zoom: true, hint: "" });
    assert_eq!(canvas.paint(&grid), [Range { start: 0, end: geometry.height }]);
    canvas
}

/// Whether the pixels from here on are a character's, magnified.
fn shows(canvas: &Canvas, (left, top): (usize, usize), magnified: usize, character: char, role: Role) -> bool {
    let (ink, paper) = colours(role);
    let glyph = font::glyph(character);
    let width = if matches!(glyph, Glyph::Wide(_)) { 16 } else { 8 };
    (0..width * magnified).all(|x| {
        (0..GLYPH_HEIGHT * magnified).all(|y| {
            let wanted = if glyph.ink(x / magnified, y / magnified) { ink } else { paper };
            let found = at(canvas, left + x, top + y);
            // Five bits are 8 steps coarse.
            wanted.iter().zip(found).all(|(wanted, found)| wanted.abs_diff(found) <= 8)
        })
    })
}

#[test]
fn sizes_from_a_small_board_to_a_large_screen() {
    let size = |width, height| {
        let canvas = Canvas::new(Geometry::xrgb8888(width, height)).unwrap();
        (canvas.scale, canvas.size().columns(), canvas.size().rows())
    };
    assert_eq!(size(640, 480), (1, 80, 30));
    assert_eq!(size(800, 600), (1, 100, 37));
    assert_eq!(size(1024, 768), (1, 128, 48));
    assert_eq!(size(1280, 1024), (2, 80, 32));
    assert_eq!(size(1920, 1080), (2, 120, 33));
    assert_eq!(size(3840, 2160), (5, 96, 27));
    assert_eq!(size(320, 200), (1, 40, 12));
}

#[test]
fn characters_stand_in_their_places() {
    let mut screen = Screen::new("Box");
    screen.line(Line::new().text("Ag").strong("中文"));
    for geometry in [Geometry::xrgb8888(640, 480), Geometry::rgb565(640, 480)] {
        let canvas = painted(geometry, &screen);
        assert!(shows(&canvas, (8, 0), 1, 'B', Role::Title));
        assert!(shows(&canvas, (8, 32), 1, 'A', Role::Text));
        assert!(shows(&canvas, (24, 32), 1, '中', Role::Strong));
        assert!(shows(&canvas, (40, 32), 1, '文', Role::Strong));
        assert!(!shows(&canvas, (8, 32), 1, 'B', Role::Text));
    }
    let canvas = painted(Geometry::xrgb8888(1920, 1080), &screen);
    // 33 rows of 32 pixels leave 24.
    assert!(shows(&canvas, (16, 12 + 64), 2, 'A', Role::Text));
    assert_eq!(at(&canvas, 0, 5), [0, 0, 0]);
}

#[test]
fn large_letters_are_letters() {
    let mut screen = Screen::new("Box");
    screen.push(Block::Large("K7-Q".to_owned()));
    let canvas = painted(Geometry::xrgb8888(640, 480), &screen);
    for (index, character) in "K7-Q".chars().enumerate() {
        assert!(shows(&canvas, (8 + index * 24, 32), 3, character, Role::Strong), "{character}");
    }
}

#[test]
fn only_rows_that_changed_are_told() {
    let mut canvas = Canvas::new(Geometry::xrgb8888(640, 480)).unwrap();
    let grid = |texts: [&str; 4]| {
        let mut screen = Screen::new("Box");
        texts.iter().for_each(|text| screen.line(*text));
        layout(&screen, Size::new(80, 30), Abilities::default())
    };
    canvas.paint(&grid(["a", "中", "c", "d"]));
    assert_eq!(canvas.paint(&grid(["a", "中", "c", "d"])), []);
    assert_eq!(canvas.paint(&grid(["a", "中b", "e", "d"])), [Range { start: 48, end: 80 }]);
    assert_eq!(canvas.paint(&grid(["f", "xyb", "e", "g"])), [32..64, 80..96]);
    // What was drawn bit by bit is what is drawn at once.
    let mut whole = Canvas::new(Geometry::xrgb8888(640, 480)).unwrap();
    whole.paint(&grid(["f", "xyb", "e", "g"]));
    assert!(whole.bytes() == canvas.bytes());
    canvas.forget();
    assert_eq!(canvas.paint(&grid(["f", "xyb", "e", "g"])), [Range { start: 0, end: 480 }]);
}

#[test]
fn a_telephone_reads_the_code() {
    let url = "https://[2001:db8:85a3::8a2e:370:7334]:8443";
    let mut screen = Screen::new("Box").code(Code::new(url));
    screen.line("Text beside the code");
    let geometries = [
        Geometry::xrgb8888(640, 480),
        Geometry::rgb565(640, 480),
        Geometry::xrgb8888(1920, 1080),
        Geometry::rgb565(1366, 768),
    ];
    for geometry in geometries {
        let canvas = painted(geometry, &screen);
        let mut seen = rqrr::PreparedImage::prepare_from_greyscale(geometry.width, geometry.height, |x, y| {
            at(&canvas, x, y).into_iter().max().unwrap()
        });
        let codes = seen.detect_grids();
        assert_eq!(codes.len(), 1, "{geometry:?}");
        assert_eq!(codes[0].decode().unwrap().1, url);
    }
}

#[test]
fn geometries_that_cannot_be_are_refused() {
    let good = Geometry::xrgb8888(640, 480);
    let error = |geometry| Canvas::new(geometry).unwrap_err();
    assert_eq!(error(Geometry { pixel_bytes: 1, ..good }), PixelError::PixelBytes(1));
    let mut channels = good.channels;
    channels[2] = Channel { offset: u32::MAX, bits: 8 };
    assert_eq!(error(Geometry { channels, ..good }), PixelError::Channel { offset: u32::MAX, bits: 8 });
    channels[2] = Channel { offset: 0, bits: 0 };
    assert_eq!(error(Geometry { channels, ..good }), PixelError::Channel { offset: 0, bits: 0 });
    for geometry in [
        Geometry { width: 0, ..good },
        Geometry { height: 0, ..good },
        Geometry { stride: 2559, ..good },
        Geometry { width: usize::MAX, ..good },
        Geometry { height: usize::MAX, ..good },
        Geometry { height: 1 << 20, ..good },
    ] {
        assert!(matches!(error(geometry), PixelError::Frame { .. }), "{geometry:?}");
    }
}

#[test]
fn a_frame_smaller_than_a_character_does_no_harm() {
    let mut screen = Screen::new("中文 Box").code(Code::new("https://192.0.2.7"));
    screen.line("文中");
    for (width, height) in [(1, 1), (7, 15), (9, 17), (641, 479)] {
        painted(Geometry::xrgb8888(width, height), &screen);
    }
}

#[test]
fn colours_can_be_told_from_their_paper() {
    // Relative luminance of sRGB (WCAG 2.1).
    let luminance = |rgb: [u8; 3]| {
        let linear = rgb.map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    };
    for role in Role::ALL {
        let (ink, paper) = colours(role);
        let (ink, paper) = (luminance(ink), luminance(paper));
        let contrast = (ink.max(paper) + 0.05) / (ink.min(paper) + 0.05);
        assert!(contrast >= 7.0, "{role:?}: {contrast}");
    }
}
