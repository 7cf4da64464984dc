//! The machine's power button: whoever presses it wants the box off, in order.

use std::{collections::HashMap, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use evdev::{Device, EventSummary, KeyCode};
use tokio::{sync::mpsc, task::JoinHandle};

/// Between two looks for new buttons: drivers are loaded late, and keyboards, which may have one, come and go.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Waits until somebody presses it, and has the system shut down.
pub(crate) async fn serve() {
    let (press, mut presses) = mpsc::channel(1);
    // Those that are there stay open: what is pressed while others are looked for is not lost.
    let mut buttons: HashMap<PathBuf, JoinHandle<()>> = HashMap::new();
    loop {
        buttons.retain(|_, listener| !listener.is_finished());
        for (path, button) in evdev::enumerate().filter(|(_, device)| has_button(device)) {
            buttons.entry(path).or_insert_with(|| tokio::spawn(listen(button, press.clone())));
        }
        match tokio::time::timeout(LOOK_INTERVAL, presses.recv()).await {
            Err(_) => {}
            Ok(None) => return,
            Ok(Some(())) => {
                tracing::info!("the power button was pressed");
                if let Err(error) = power_off() {
                    tracing::warn!(error = format!("{error:#}"), "the power button does nothing");
                }
            }
        }
    }
}

/// Until the device goes away.
async fn listen(button: Device, press: mpsc::Sender<()>) {
    let Ok(mut events) = button.into_event_stream() else { return };
    while let Ok(event) = events.next_event().await {
        // Whoever presses it twice means it once.
        if is_press(event.destructure()) {
            let _ = press.try_send(());
        }
    }
}

fn has_button(device: &Device) -> bool {
    device.supported_keys().is_some_and(|keys| keys.contains(KeyCode::KEY_POWER))
}

/// Down; up and what is repeated while it is held are none.
fn is_press(event: EventSummary) -> bool {
    matches!(event, EventSummary::Key(_, KeyCode::KEY_POWER, 1))
}

fn power_off() -> anyhow::Result<()> {
    let status = Command::new("systemctl").arg("poweroff").status().context("cannot run systemctl to power off")?;
    ensure!(status.success(), "systemctl did not take the request to power off: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use evdev::{EventType, InputEvent};

    use super::*;

    #[test]
    fn only_the_power_key_going_down_is_a_press() {
        let event = |key: KeyCode, value| InputEvent::new(EventType::KEY.0, key.0, value).destructure();
        assert!(is_press(event(KeyCode::KEY_POWER, 1)));
        for (key, value) in [(KeyCode::KEY_POWER, 0), (KeyCode::KEY_POWER, 2), (KeyCode::KEY_SLEEP, 1)] {
            assert!(!is_press(event(key, value)));
        }
    }
}
