//! Draws every sample screen into a folder, as pixels (PPM) and as text, for people to look at:
//! `cargo run -p dolmen-image-console --example gallery -- /tmp/gallery`.

use std::{env, error::Error, fs, path::PathBuf};

use dolmen_image_console::{
    Language, Size,
    layout::{Abilities, layout},
    pixel::{Canvas, Geometry},
};

#[path = "../tests/console/samples.rs"]
mod samples;

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = env::args_os().nth(1).ok_or("name a folder")?.into();
    fs::create_dir_all(&folder)?;
    for (name, view) in samples::all() {
        for language in Language::ALL {
            let screen = view.screen(language);
            let name = format!("{name}.{}", language.tag());
            let text = layout(&screen, Size::SERIAL, Abilities::default()).text();
            fs::write(folder.join(format!("{name}.txt")), text)?;
            for (width, height) in [(640, 480), (1920, 1080)] {
                let mut canvas = Canvas::new(Geometry::xrgb8888(width, height))?;
                let grid = layout(&screen, canvas.size(), Abilities { zoom: true, hint: "Tab" });
                canvas.paint(&grid);
                let mut picture = format!("P6\n{width} {height}\n255\n").into_bytes();
                picture.extend(canvas.bytes().chunks_exact(4).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]));
                fs::write(folder.join(format!("{name}.{width}.ppm")), picture)?;
            }
        }
    }
    Ok(())
}
