//! Every kind of screen on the consoles of this machine, or on the serial lines that are named:
//! `cargo run -p dolmen-image-console --example demo -- "$(tty)"`. Escape in the menu ends it.

use std::{
    env,
    error::Error,
    time::{Duration, Instant},
};

use dolmen_image_console::{
    Console, Front, Language, Place, ask,
    widgets::{Confirm, Item, Menu, Message},
};

#[path = "../tests/console/samples.rs"]
mod samples;

fn main() -> Result<(), Box<dyn Error>> {
    let lines: Vec<Place> = env::args_os().skip(1).map(|path| Place::Serial { terminal: path.into() }).collect();
    let places = if lines.is_empty() { Place::of_machine() } else { lines };
    let mut console = Console::new(Language::English, places);
    let samples = samples::all();
    let menu = samples.iter().fold(Menu::new("Dolmen 1.4.0"), |menu, (name, _)| menu.item(Item::new(*name)));
    let mut menu = menu.item(Item::new("a disk is wiped"));
    while let Some(chosen) = ask(&mut console, &mut menu)? {
        match samples.get(chosen) {
            Some((_, view)) => while console.turn(view.as_ref(), Duration::from_secs(1))?.is_none() {},
            None => wipe(&mut console)?,
        }
        console.print("dolmen: back in the menu");
    }
    Ok(())
}

/// Asks, and pretends.
fn wipe(console: &mut Console) -> Result<(), Box<dyn Error>> {
    if !ask(console, &mut Confirm::wipe("Dolmen 1.4.0", "S5GXNF0R912345"))? {
        return Ok(());
    }
    let mut progress = samples::progress();
    let began = Instant::now();
    for step in 0..=100 {
        progress.meter.at(began.elapsed(), step * 4_000_000);
        console.turn(&progress, Duration::from_millis(50))?;
    }
    Ok(ask(console, &mut Message::new("Dolmen 1.4.0"))?)
}
