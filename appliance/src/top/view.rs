//! The picture of a box on a terminal.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize as _},
    text::{Line, Span},
    widgets::{Block, Cell, Paragraph, Row, Sparkline, Table, Wrap},
};
use serde_json::Value;

use crate::status::Answer;

/// Lines of alarms at most: the box's page has them all.
const ALARMS_MAX: usize = 4;

/// What is shown.
#[derive(Default)]
pub(super) struct View {
    status: Value,
    ready: bool,
    reason: String,
    /// Why the box does not answer, where it does not.
    silence: Option<String>,
}

impl View {
    pub(super) fn answered(&mut self, Answer { status, ready, reason }: Answer) {
        *self = Self { status, ready, reason, silence: None };
    }

    /// The last answer stays.
    pub(super) fn silent(&mut self, why: String) {
        self.silence = Some(why);
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let alarms = self.alarms();
        let peers = self.list("peers").len().clamp(1, 8);
        let rows = [
            Constraint::Length(1),
            Constraint::Length(u16::try_from(alarms.len()).unwrap_or(0)),
            Constraint::Length(6),
            Constraint::Length(5),
            Constraint::Length(u16::try_from(peers).unwrap_or(8) + 3),
            Constraint::Min(4),
            Constraint::Length(1),
        ];
        let [title, warnings, facts, charts, others, blocks, foot] = Layout::vertical(rows).areas(frame.area());
        frame.render_widget(self.title(), title);
        frame.render_widget(Paragraph::new(alarms).wrap(Wrap { trim: true }), warnings);
        frame.render_widget(self.facts(), facts);
        self.charts(frame, charts);
        frame.render_widget(self.peers(), others);
        frame.render_widget(self.blocks(), blocks);
        frame.render_widget(Line::from("q ends it").dim(), foot);
    }

    fn title(&self) -> Line<'static> {
        let state = match &self.silence {
            Some(why) => Span::from(format!("no answer: {why}")).red(),
            None if self.ready => Span::from("ready").green(),
            None => Span::from(self.reason.clone()).yellow(),
        };
        let what = format!(" ({}, version {})  ", self.text("role"), self.text("version"));
        Line::from(vec![Span::from(self.text("name")).bold(), Span::from(what), state])
    }

    fn alarms(&self) -> Vec<Line<'static>> {
        let line = |alarm: &Value| {
            let field = |name: &str| alarm[name].as_str().unwrap_or("?").to_owned();
            let color = if alarm["severity"] == "critical" { Color::Red } else { Color::Yellow };
            Line::styled(format!("! {}: {}", field("cause"), field("next")), Style::new().fg(color))
        };
        self.list("alarms").iter().take(ALARMS_MAX).map(line).collect()
    }

    fn facts(&self) -> Paragraph<'static> {
        let (finality, pool) = (&self.status["finality_ms"], &self.status["pool"]);
        let ms = |value: &Value| value.as_f64().map_or("–".to_owned(), |ms| format!("{ms:.0} ms"));
        let connected = self.list("peers").iter().filter(|peer| peer["connected"] == true).count();
        let line =
            |name: &'static str, text: String| Line::from(vec![Span::from(format!("{name:<10}")).dim(), text.into()]);
        Paragraph::new(vec![
            line("height", format!("{}  {} ms ago", self.number("height"), self.number("head_age_ms"))),
            line("finality", format!("p50 {}  p99 {}", ms(&finality["p50"]), ms(&finality["p99"]))),
            line(
                "peers",
                format!(
                    "{connected} of {} connected; {} of {} validators decide in epoch {}",
                    self.list("peers").len(),
                    self.number("quorum"),
                    self.number("validators"),
                    self.number("epoch"),
                ),
            ),
            line("pool", format!("{} pending, {} queued, {} bytes", pool["pending"], pool["queued"], pool["bytes"])),
        ])
        .block(Block::bordered().title(format!(" chain {} ", self.number("chain_id"))))
    }

    /// Of the latest blocks, the newest to the right.
    fn charts(&self, frame: &mut Frame<'_>, area: Rect) {
        let of = |pick: fn(&Value) -> u64| self.list("recent_blocks").iter().rev().map(pick).collect::<Vec<_>>();
        let transactions = of(|block| block["transactions"].as_u64().unwrap_or(0));
        let finality = of(|block| whole(&block["finality_ms"]));
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        for (title, values, area) in [("transactions", transactions, left), ("finality", finality, right)] {
            let width = usize::from(area.width.saturating_sub(2));
            let shown = &values[values.len().saturating_sub(width)..];
            let most = shown.iter().max().copied().unwrap_or(0);
            let unit = if title == "finality" { " ms" } else { "" };
            let block = Block::bordered().title(format!(" {title} of a block, {most}{unit} at most "));
            frame.render_widget(Sparkline::default().block(block).data(shown).fg(Color::Cyan), area);
        }
    }

    fn peers(&self) -> Table<'static> {
        let row = |peer: &Value| {
            let field = |name: &str| peer[name].as_str().unwrap_or_default().to_owned();
            let key: String = field("public_key").chars().take(8).collect();
            let name = if field("name").is_empty() { key } else { field("name") };
            let is_there = peer["connected"] == true;
            let style = if is_there { Style::new() } else { Style::new().fg(Color::Red) };
            let there = if is_there { "connected" } else { "away" };
            let height = if is_there { peer["height"].to_string() } else { String::new() };
            Row::new([name, field("address"), there.to_owned(), field("role"), height].map(Cell::from)).style(style)
        };
        let widths = [
            Constraint::Length(16),
            Constraint::Length(22),
            Constraint::Length(10),
            Constraint::Length(10),
            Constraint::Min(8),
        ];
        Table::new(self.list("peers").iter().map(row), widths)
            .header(Row::new(["box", "address", "", "role", "height"]).dim())
            .block(Block::bordered().title(" other boxes "))
    }

    fn blocks(&self) -> Table<'static> {
        let row = |block: &Value| {
            let (used, limit) = (block["gas_used"].as_f64().unwrap_or(0.0), block["gas_limit"].as_f64().unwrap_or(1.0));
            let ms = block["finality_ms"].as_f64().map_or("–".to_owned(), |ms| format!("{ms:.0} ms"));
            let hash: String = block["hash"].as_str().unwrap_or_default().chars().take(12).collect();
            let proposer = block["proposer"].as_str().unwrap_or_default().to_owned();
            let gas = format!("{:.0} %", used / limit.max(1.0) * 100.0);
            Row::new([block["number"].to_string(), block["transactions"].to_string(), gas, ms, proposer, hash])
        };
        let widths = [
            Constraint::Length(12),
            Constraint::Length(8),
            Constraint::Length(7),
            Constraint::Length(10),
            Constraint::Length(16),
            Constraint::Min(12),
        ];
        Table::new(self.list("recent_blocks").iter().map(row), widths)
            .header(Row::new(["block", "transact.", "gas", "finality", "proposer", "hash"]).dim())
            .block(Block::bordered().title(" latest blocks "))
    }

    fn list(&self, name: &str) -> &[Value] {
        self.status[name].as_array().map_or(&[], Vec::as_slice)
    }

    fn text(&self, name: &str) -> String {
        self.status[name].as_str().unwrap_or("?").to_owned()
    }

    fn number(&self, name: &str) -> String {
        self.status[name].as_u64().map_or("?".to_owned(), |number| number.to_string())
    }
}

/// A number as a chart has it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is rounded, and a cast stays in range")]
fn whole(value: &Value) -> u64 {
    value.as_f64().map_or(0, |value| value.round() as u64)
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};
    use serde_json::json;

    use super::*;

    fn drawn(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    fn status() -> Value {
        json!({
            "name": "box-a\u{1b}[2J", "role": "validator", "version": "1.2.3", "chain_id": 7, "height": 4711,
            "head_age_ms": 42, "quorum": 3, "validators": 4, "epoch": 5, "finality_ms": { "p50": 24.4, "p99": null },
            "pool": { "pending": 12, "queued": 1, "bytes": 900 },
            "peers": [
                { "name": "box-b", "public_key": "00", "address": "10.0.0.6:30303", "connected": true, "role": "validator",
                  "height": 4710 },
                { "name": "", "public_key": "0123456789abcdef", "address": "", "connected": false, "role": "follower",
                  "height": 0 },
            ],
            "alarms": [{ "id": "x", "severity": "critical", "cause": "the disk is full", "next": "make room" }],
            "recent_blocks": [
                { "number": 4711, "transactions": 300, "gas_used": 1, "gas_limit": 4, "finality_ms": 24.4,
                  "proposer": "box-b", "hash": "0x0123456789abcdef" },
            ],
        })
    }

    #[test]
    fn a_box_is_on_one_screen() {
        let mut view = View::default();
        view.answered(Answer { status: status(), ready: true, reason: "ready".to_owned() });
        let screen = drawn(&view, 100, 30);
        for shown in [
            "box-a",
            "validator, version 1.2.3",
            "ready",
            "the disk is full: make room",
            "4711  42 ms ago",
            "p50 24 ms  p99 –",
            "1 of 2 connected; 3 of 4 validators decide in epoch 5",
            "12 pending",
            "chain 7",
            "10.0.0.6:30303",
            "01234567",
            "away",
            "25 %",
            "300 at most",
        ] {
            assert!(screen.contains(shown), "{shown}:\n{screen}");
        }
        assert!(!screen.contains('\u{1b}'), "nothing of it steers the terminal");
        view.silent("no box answers".to_owned());
        let screen = drawn(&view, 100, 30);
        assert!(screen.contains("no answer: no box answers") && screen.contains("4711"), "{screen}");
    }

    #[test]
    fn any_size_and_any_answer_is_drawn() {
        for (width, height) in [(1, 1), (10, 3), (40, 12), (300, 100)] {
            for status in
                [Value::Null, json!({}), json!({ "peers": 3, "alarms": [null], "recent_blocks": [{}] }), status()]
            {
                let mut view = View::default();
                view.answered(Answer { status, ready: false, reason: "catching up".to_owned() });
                drawn(&view, width, height);
            }
        }
    }
}
