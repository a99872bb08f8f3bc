//! The mix of events: what visitors of an interactive CV do, in about the shares they do it.
//!
//! What changes from one sending to the next (visitor, event id, time) is a placeholder of the
//! final width here and is written over in `request`, so that a few thousand bodies serve for
//! millions of different events.

use serde_json::{Value, json};

use crate::dice::Dice;

/// Stands for the visitor's UUID.
pub(crate) const VISITOR: &str = "VVVVVVVV-VVVV-VVVV-VVVV-VVVVVVVVVVVV";
/// Stands for the event's UUID.
pub(crate) const EVENT_ID: &str = "EEEEEEEE-EEEE-EEEE-EEEE-EEEEEEEEEEEE";
/// Stands for a time in milliseconds, as `2025-12-08T10:15:00.000Z`.
pub(crate) const TIMESTAMP: &str = "TTTT-TT-TTTTT:TT:TT.TTTZ";

const THEMES: [&str; 12] = [
    "backend",
    "frontend",
    "fullstack",
    "devops",
    "data",
    "security",
    "mobile",
    "cloud",
    "lead",
    "embedded",
    "research",
    "minimal",
];
const PAGES: [&str; 10] = [
    "/",
    "/letters",
    "/projects",
    "/projects/search-engine",
    "/projects/chess",
    "/about",
    "/contact",
    "/blog",
    "/blog/rust-in-production",
    "/blog/small-sites",
];
const REFERRERS: [&str; 6] = [
    "https://www.linkedin.com/feed/",
    "https://www.google.com/",
    "https://github.com/someone",
    "https://news.ycombinator.com/item",
    "https://duckduckgo.com/",
    "https://t.co/abc123",
];
const BUTTONS: [&str; 8] = ["cta", "download", "contact", "menu", "theme", "print", "share", "letter"];

/// Which of the optional members an event carries.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shape {
    /// The sender names the visitor.
    pub(crate) visitor: bool,
    /// The sender names the event.
    pub(crate) event_id: bool,
    /// The sender names the time.
    pub(crate) timestamp: bool,
}

/// One event of the mix.
pub(crate) fn event(dice: &mut Dice, shape: Shape) -> Value {
    let mut event = match dice.below(100) {
        0..70 => page_view(dice),
        70..82 => button_click(dice),
        82..88 => json!({
            "event_type": "letter_generate", "page_url": "/letters",
            "event_data": {"letter_type": dice.pick(&["motivation", "anti_motivation"])},
        }),
        88..95 => {
            let theme = dice.pick(&THEMES);
            json!({
                "event_type": "cv_theme_change", "page_url": format!("/cv?theme={theme}"),
                "event_data": {"theme": theme, "from": dice.pick(&THEMES)},
            })
        }
        _ => json!({
            "event_type": dice.pick(&["video.play", "skill:expand", "chat.open"]),
            "page_url": dice.pick(&PAGES), "event_data": {"second": dice.below(90)},
        }),
    };
    if shape.visitor {
        event["visitor_id"] = VISITOR.into();
    }
    if shape.event_id {
        event["event_id"] = EVENT_ID.into();
    }
    if shape.timestamp {
        event["timestamp"] = TIMESTAMP.into();
    }
    event
}

fn page_view(dice: &mut Dice) -> Value {
    let page = if dice.chance(50) { format!("/cv?theme={}", dice.pick(&THEMES)) } else { dice.pick(&PAGES).to_owned() };
    let mut event = json!({"event_type": "page_view", "page_url": page});
    if dice.chance(50) {
        event["referrer"] = dice.pick(&REFERRERS).into();
    }
    event
}

/// People click on buttons, each a little beside its middle: click positions come in clusters,
/// and their number does not grow with the number of clicks.
fn button_click(dice: &mut Dice) -> Value {
    let button = dice.below(BUTTONS.len() as u64);
    let jitter = dice.below(5) + dice.below(5);
    let x = (button * 11 + 4 + jitter) as f64 + dice.below(10) as f64 / 10.0;
    let y = (button * 7 % 60 + 10 + dice.below(4)) as f64;
    json!({
        "event_type": "button_click", "page_url": dice.pick(&["/cv", "/", "/letters"]),
        "event_data": {"button": BUTTONS[button as usize], "x": x, "y": y},
    })
}

/// The agent of a browser, one of [`AGENTS`] different ones.
pub(crate) fn user_agent(index: u64) -> String {
    let systems = ["Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64"];
    let system = systems[(index % 3) as usize];
    let version = 120 + index / 3 % 20;
    format!("Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36")
}

/// How many agents there are.
pub(crate) const AGENTS: u64 = 60;
