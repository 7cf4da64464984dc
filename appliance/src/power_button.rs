//! The machine's power button: whoever presses it wants the box off, in order.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use evdev::{Device, EventSummary, KeyCode};
use futures::future::select_all;
use tokio::time::timeout;

/// How long the same devices are listened to: drivers are loaded late, and keyboards come and go.
const LISTEN: Duration = Duration::from_secs(30);
/// Between two looks at a machine without a button.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Waits until somebody presses it, and has the system shut down.
pub(crate) async fn serve() {
    loop {
        pressed().await;
        tracing::info!("the power button was pressed");
        match power_off() {
            Ok(()) => return,
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the power button does nothing"),
        }
    }
}

async fn pressed() {
    loop {
        let buttons = evdev::enumerate().map(|(_, device)| device).filter(has_button);
        let presses: Vec<_> = buttons.map(|button| Box::pin(press_of(button))).collect();
        if presses.is_empty() {
            tokio::time::sleep(LOOK_INTERVAL).await;
        } else if let Ok((Ok(()), ..)) = timeout(LISTEN, select_all(presses)).await {
            return;
        } else {
            // A device that went away says so at once, again and again until it is off the list.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn has_button(device: &Device) -> bool {
    device.supported_keys().is_some_and(|keys| keys.contains(KeyCode::KEY_POWER))
}

async fn press_of(button: Device) -> std::io::Result<()> {
    let mut events = button.into_event_stream()?;
    loop {
        if is_press(events.next_event().await?.destructure()) {
            return Ok(());
        }
    }
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
