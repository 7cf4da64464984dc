//! Every sample on every size, as text. `DOLMEN_GOLDEN=write` makes the files again; look at what changed.

use std::{env, fs, path::Path};

use dolmen_image_console::{
    Cell, Grid, Language, Size, View,
    layout::{Abilities, layout},
    width_of,
};

use crate::samples;

/// A serial terminal, a framebuffer of 640 by 480 pixels, and one of 1920 by 1080.
const SIZES: [(&str, u16, u16, bool); 3] =
    [("serial", 80, 24, false), ("640x480", 80, 30, true), ("1920x1080", 120, 33, true)];

fn grid(view: &dyn View, language: Language, columns: u16, rows: u16, zoom: bool) -> Grid {
    layout(&view.screen(language), Size::new(columns, rows), Abilities { zoom, hint: "Tab: ..." })
}

#[test]
fn screens_are_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let is_writing = env::var_os("DOLMEN_GOLDEN").is_some_and(|value| value == "write");
    for (name, view) in samples::all() {
        let mut text = String::new();
        for language in Language::ALL {
            for (place, columns, rows, zoom) in SIZES {
                let grid = grid(view.as_ref(), language, columns, rows, zoom);
                text.push_str(&format!(
                    "{:=<columns$}\n",
                    format!("== {} {place} ", language.tag()),
                    columns = columns.into()
                ));
                text.push_str(&grid.text());
            }
        }
        let path = folder.join(name).with_extension("txt");
        if is_writing {
            fs::write(&path, &text).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        let changed = golden.lines().zip(text.lines()).position(|(golden, text)| golden != text);
        assert!(
            golden == text,
            "{name} differs from {}, first in line {:?}; make it again with DOLMEN_GOLDEN=write if that is meant\n{text}",
            path.display(),
            changed.map(|line| line + 1)
        );
    }
}

#[test]
fn nothing_that_matters_is_cut_on_any_size() {
    for (place, columns, rows, zoom) in SIZES {
        for language in Language::ALL {
            for (name, view) in samples::all().into_iter().filter(|(name, _)| *name != "menu-long") {
                let text = grid(view.as_ref(), language, columns, rows, zoom).text();
                assert!(!text.contains(['▲', '▼']), "{name} on {place} in {}:\n{text}", language.tag());
            }
            let text = grid(&samples::first_boot(), language, columns, rows, zoom).text();
            let letters = text.replace([' ', '\n'], "");
            for part in
                ["cbdefghi-jklnrtuv-", "-dddddddd-eeeeeeee", "D93F", "6580", "https://192.168.17.42:8443", "█▀▀▀▀▀█"]
            {
                assert!(letters.contains(part), "{part} on {place} in {}:\n{text}", language.tag());
            }
        }
    }
}

#[test]
fn no_size_is_too_small() {
    for columns in (1..=100).step_by(9) {
        for rows in 1..=30 {
            for (_, view) in samples::all() {
                for language in Language::ALL {
                    let grid = grid(view.as_ref(), language, columns, rows, columns % 2 == 0);
                    assert_eq!((grid.size().columns(), grid.size().rows()), (columns, rows));
                    grid.rows().for_each(assert_halves);
                }
            }
        }
    }
}

/// A wide character has its second half behind it, and no half is alone: renderers rely on it.
fn assert_halves(row: &[Cell]) {
    for (column, cell) in row.iter().enumerate() {
        let follows_wide = column > 0 && width_of(row[column - 1].character) == Some(2);
        assert_eq!(cell.character == Cell::COVERED, follows_wide, "column {column} of {row:?}");
    }
}
