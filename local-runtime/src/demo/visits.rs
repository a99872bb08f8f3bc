//! Visitors and what they do: they arrive from somewhere, look at the CV in a theme or two,
//! click what attracts clicks, some have a letter written or take the PDF along, and leave.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use common::site::Site;
use serde_json::{Value, json};
use uuid::Uuid;

use super::dice::Dice;

/// Visitors on the site at the same time.
const PRESENT: usize = 40;

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
];
const REFERRERS: [&str; 5] = [
    "https://www.linkedin.com/",
    "https://github.com/",
    "https://www.google.com/",
    "https://news.ycombinator.com/item",
    "https://mastodon.social/",
];
const THEMES: [&str; 7] = ["backend", "fullstack", "devops", "frontend", "data", "security", "mobile"];
/// Where visitors live, how wide their screens are and what they speak.
const SURROUNDINGS: [(&str, u32, &str); 8] = [
    ("Europe/Paris", 1920, "fr"),
    ("America/New_York", 1440, "en"),
    ("Europe/Berlin", 1280, "de"),
    ("Europe/London", 390, "en"),
    ("Europe/Brussels", 412, "fr"),
    ("America/Toronto", 1680, "en"),
    ("Asia/Tokyo", 820, "ja"),
    ("America/Sao_Paulo", 360, "pt"),
];
const PAGES: [&str; 4] = ["/", "/projects", "/letters", "/contact"];
/// What is clicked, and where on the page it is, in percent.
const BUTTONS: [(&str, f64, f64); 6] = [
    ("generate-letter", 50.0, 22.0),
    ("theme-switch", 88.0, 6.0),
    ("download-pdf", 74.0, 14.0),
    ("show-projects", 26.0, 48.0),
    ("contact", 62.0, 90.0),
    ("menu", 6.0, 5.0),
];

/// All visitors who are on the site.
#[derive(Debug)]
pub(super) struct Crowd {
    site: Site,
    dice: Dice,
    present: Vec<Visitor>,
    visitors: u64,
}

#[derive(Debug)]
pub(super) struct Visitor {
    id: Uuid,
    address: Ipv4Addr,
    pub(super) user_agent: &'static str,
    surroundings: (&'static str, u32, &'static str),
    /// What is still to come, first first; never empty.
    plan: VecDeque<Value>,
}

/// The next thing that happens.
#[derive(Debug)]
pub(super) struct Next {
    /// The visitor's address in the loopback network.
    pub(super) address: Ipv4Addr,
    /// Their browser.
    pub(super) user_agent: &'static str,
    /// The event, as it is sent.
    pub(super) event: Value,
}

impl Crowd {
    /// No visitor yet.
    pub(super) fn new(site: Site) -> Self {
        Self { site, dice: Dice::new(), present: Vec::new(), visitors: 0 }
    }

    /// How many visitors there were.
    pub(super) const fn visitors(&self) -> u64 {
        self.visitors
    }

    /// How many have something left to do.
    pub(super) const fn present(&self) -> usize {
        self.present.len()
    }

    /// What happens next: a visitor arrives, or one of those who are there goes on.
    pub(super) fn next_event(&mut self) -> Next {
        let arrives = self.present.is_empty() || (self.present.len() < PRESENT && self.dice.chance(15));
        let at = if arrives {
            self.visitors += 1;
            self.present.push(Visitor::arrive(&mut self.dice));
            self.present.len() - 1
        } else {
            self.dice.below(self.present.len() as u64) as usize
        };
        let visitor = &mut self.present[at];
        let event = visitor.next(&self.site).unwrap_or_default();
        let next = Next { address: visitor.address, user_agent: visitor.user_agent, event };
        if visitor.plan.is_empty() {
            self.present.swap_remove(at);
        }
        next
    }
}

impl Visitor {
    pub(super) fn arrive(dice: &mut Dice) -> Self {
        let octet = |dice: &mut Dice| 1 + dice.below(254) as u8;
        Self {
            id: Uuid::new_v4(),
            address: Ipv4Addr::new(127, octet(dice), octet(dice), octet(dice)),
            user_agent: dice.pick(&AGENTS),
            surroundings: dice.pick(&SURROUNDINGS),
            plan: plan(dice).into(),
        }
    }

    /// What comes next, as it is sent; nothing when the visit is over.
    pub(super) fn next(&mut self, site: &Site) -> Option<Value> {
        let mut event = self.plan.pop_front()?;
        let (timezone, screen_width, language) = self.surroundings;
        event["context"] = json!({"timezone": timezone, "screen_width": screen_width, "language": language});
        event["visitor_id"] = json!(self.id);
        event["event_id"] = json!(Uuid::new_v4());
        event["site"] = json!(site);
        Some(event)
    }
}

/// One visit, from its first page to its last click.
fn plan(dice: &mut Dice) -> Vec<Value> {
    let mut theme = dice.pick(&THEMES);
    let first = if dice.chance(70) { format!("/cv?theme={theme}") } else { dice.pick(&PAGES).to_owned() };
    let mut plan = vec![json!({"event_type": "page_view", "page_url": first})];
    if dice.chance(60) {
        plan[0]["referrer"] = json!(dice.pick(&REFERRERS));
    }
    // More than half look at one page and go.
    if dice.chance(35) {
        return plan;
    }
    for _ in 0..1 + dice.below(4) {
        let page = format!("/cv?theme={theme}");
        match dice.below(10) {
            0..=2 => {
                theme = dice.pick(&THEMES);
                plan.push(json!({"event_type": "cv_theme_change", "page_url": page, "event_data": {"theme": theme}}));
                plan.push(json!({"event_type": "page_view", "page_url": format!("/cv?theme={theme}")}));
            }
            3..=6 => plan.push(click(dice, &page)),
            7 => plan.push(
                json!({"event_type": "scroll", "page_url": page, "event_data": {"depth": 25 + 25 * dice.below(4)}}),
            ),
            8 => plan.push(json!({"event_type": "page_view", "page_url": dice.pick(&PAGES)})),
            _ => plan.push(json!({"event_type": "link_click", "page_url": page,
                "event_data": {"element": "github", "x": 70 + dice.below(6), "y": 94 + dice.below(3)}})),
        }
    }
    if dice.chance(30) {
        let letter_type = dice.pick(&["motivation", "anti_motivation"]);
        plan.push(json!({"event_type": "letter_generate", "page_url": "/letters", "event_data": {"letter_type": letter_type}}));
        if dice.chance(40) {
            plan.push(json!({"event_type": "pdf_download", "page_url": "/letters", "event_data": {"letter_type": letter_type}}));
        }
    }
    plan
}

/// A click near the middle of what is clicked: two throws together fall there most often.
fn click(dice: &mut Dice, page: &str) -> Value {
    let (button, x, y) = dice.pick(&BUTTONS);
    let around = |dice: &mut Dice, middle: f64| {
        let offset = (dice.below(41) + dice.below(41)) as f64 / 10.0 - 4.0;
        ((middle + offset) * 10.0).round() / 10.0
    };
    json!({"event_type": "button_click", "page_url": page,
        "event_data": {"button": button, "x": around(dice, x), "y": around(dice, y)}})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use common::event::SentEvent;
    use common::time::Timestamp;

    use super::*;

    #[test]
    fn everything_made_up_is_a_valid_event() {
        let mut crowd = Crowd { dice: Dice::seeded(7), ..Crowd::new(Site::parse("demo.example").unwrap()) };
        let mut types = BTreeSet::new();
        for _ in 0..5_000 {
            let next = crowd.next_event();
            let raw = next.event.to_string();
            let event = SentEvent::parse(&raw, Timestamp::from_millis(0)).unwrap_or_else(|e| panic!("{e}: {raw}"));
            assert!(event.visitor.is_some() && event.id.is_some() && next.address.is_loopback());
            types.insert(event.event_type.name().to_owned());
        }
        assert!(crowd.present() <= PRESENT && crowd.visitors() > 200);
        for name in ["page_view", "cv_theme_change", "letter_generate", "pdf_download", "button_click", "link_click"] {
            assert!(types.contains(name), "{name}");
        }
    }

    #[test]
    fn clicks_stay_on_the_page() {
        let mut dice = Dice::seeded(3);
        for _ in 0..1_000 {
            let click = click(&mut dice, "/cv");
            for axis in ["x", "y"] {
                assert!((0.0..=100.0).contains(&click["event_data"][axis].as_f64().unwrap()), "{click}");
            }
        }
    }
}
