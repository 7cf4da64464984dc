//! `dolmen top`: how a box does, on a terminal, renewed every second.

use std::{
    io::{IsTerminal as _, stdout},
    pin::Pin,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::{sync::mpsc, time::MissedTickBehavior};

use self::view::View;
use crate::status::{Answer, Whom};

mod view;

/// Arguments of `dolmen top`.
#[derive(Args)]
#[command(after_help = "Examples:\n  dolmen top --config /etc/dolmen/box.toml\n  \
                  dolmen top --url https://10.0.0.5:9545 --certificate tls.pem --token token\n\n\
                  q or Ctrl-C ends it.")]
pub(crate) struct TopArgs {
    #[command(flatten)]
    whom: Whom,
}

/// Between two questions to the box.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the thread that reads keys may take to see that it is over.
const KEYS_WAIT: Duration = Duration::from_millis(200);

/// Shows a box until somebody presses q.
pub(crate) async fn top(args: TopArgs) -> anyhow::Result<()> {
    ensure!(stdout().is_terminal(), "this needs a terminal; `dolmen status --json` is for programs");
    // What is wrong with the arguments is said before the screen is taken.
    let mut view = View::default();
    view.answered(args.whom.ask().await?);
    let keys = keys().context("no thread for the keys starts")?;
    let mut terminal = ratatui::try_init().context("the terminal cannot be taken over")?;
    let outcome = follow(&mut terminal, &args.whom, view, keys).await;
    ratatui::restore();
    outcome
}

/// A question that is being answered.
type Asked<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Answer>> + Send + 'a>>;

async fn follow(
    terminal: &mut ratatui::DefaultTerminal,
    whom: &Whom,
    mut view: View,
    mut keys: mpsc::Receiver<Event>,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked: Option<Asked<'_>> = None;
    loop {
        terminal.draw(|frame| view.draw(frame)).context("the terminal cannot be written to")?;
        tokio::select! {
            event = keys.recv() => match event {
                Some(Event::Key(key)) if ends(key) => return Ok(()),
                Some(_) => {}
                None => return Ok(()),
            },
            answer = async { asked.as_mut().expect("looked at before").await }, if asked.is_some() => {
                asked = None;
                match answer {
                    Ok(answer) => view.answered(answer),
                    Err(error) => view.silent(format!("{error:#}")),
                }
            }
            _ = ticks.tick(), if asked.is_none() => asked = Some(Box::pin(whom.ask())),
        }
    }
}

fn ends(key: KeyEvent) -> bool {
    let interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
    key.kind == KeyEventKind::Press && (interrupt || matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc))
}

/// What is pressed, read on a thread of its own: the library has no other way that needs no more of it.
fn keys() -> std::io::Result<mpsc::Receiver<Event>> {
    let (sender, keys) = mpsc::channel(16);
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        while !sender.is_closed() {
            match event::poll(KEYS_WAIT) {
                Ok(false) => {}
                Ok(true) => {
                    let Ok(event) = event::read() else { return };
                    if sender.blocking_send(event).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    })?;
    Ok(keys)
}
