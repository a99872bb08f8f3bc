//! Channels: Google Analytics' default channel groups by their published rules, plus AI assistants.
//!
//! The rules are tried in order, and the first that matches decides. All texts are compared in lower case.

use super::DIRECT_CHANNEL;
use super::sources::Category;

/// What a channel is derived from. All texts are in lower case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signals<'a> {
    /// The source as the campaign says it; empty without a campaign.
    pub(super) source: &'a str,
    pub(super) category: Category,
    pub(super) medium: &'a str,
    pub(super) campaign: &'a str,
    /// Whether the address had an advertisement's click id.
    pub(super) ad_click: bool,
    /// Whether neither a campaign nor a referrer tells a source.
    pub(super) direct: bool,
}

impl Signals<'_> {
    /// The channel.
    pub(super) fn channel(&self) -> &'static str {
        let Self { source, category, medium, campaign, .. } = *self;
        let paid = is_paid(medium);
        let shopping = category == Category::Shopping || is_shopping(campaign);
        let mail = |text| matches!(text, "email" | "e-mail" | "e_mail" | "e mail");
        if campaign.contains("cross-network") {
            "Cross-network"
        } else if shopping && paid {
            "Paid Shopping"
        } else if self.ad_click || category == Category::Search && paid {
            "Paid Search"
        } else if category == Category::Social && paid {
            "Paid Social"
        } else if category == Category::Video && paid {
            "Paid Video"
        } else if matches!(medium, "display" | "banner" | "expandable" | "interstitial" | "cpm") {
            "Display"
        } else if paid {
            "Paid Other"
        } else if shopping {
            "Organic Shopping"
        } else if category == Category::Social || is_social(medium) {
            "Organic Social"
        } else if category == Category::Video || medium.contains("video") {
            "Organic Video"
        } else if category == Category::Ai {
            "AI Assistants"
        } else if category == Category::Search || medium == "organic" {
            "Organic Search"
        } else if category == Category::Email || mail(source) || mail(medium) {
            "Email"
        } else if medium == "affiliate" {
            "Affiliates"
        } else if medium == "audio" {
            "Audio"
        } else if source == "sms" || medium == "sms" {
            "SMS"
        } else if is_push(medium) || source == "firebase" {
            "Mobile Push Notifications"
        } else if !self.direct || matches!(medium, "referral" | "app" | "link") {
            "Referral"
        } else {
            DIRECT_CHANNEL
        }
    }
}

/// `^(.*cp.*|ppc|retargeting|paid.*)$`
fn is_paid(medium: &str) -> bool {
    medium.contains("cp") || matches!(medium, "ppc" | "retargeting") || medium.starts_with("paid")
}

/// `^(.*(([^a-df-z]|^)shop|shopping).*)$`: `shop` not within a word (`workshop`), but for `eshop`.
fn is_shopping(campaign: &str) -> bool {
    let begins_a_word = |at: usize| !campaign[..at].ends_with(|before: char| matches!(before, 'a'..='d' | 'f'..='z'));
    campaign.contains("shopping") || campaign.match_indices("shop").any(|(at, _)| begins_a_word(at))
}

fn is_social(medium: &str) -> bool {
    matches!(medium, "social" | "social-network" | "social-media" | "sm" | "social network" | "social media")
}

fn is_push(medium: &str) -> bool {
    medium.ends_with("push") || medium.contains("mobile") || medium.contains("notification")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Signals<'static> =
        Signals { source: "", category: Category::None, medium: "", campaign: "", ad_click: false, direct: true };

    #[test]
    fn the_first_rule_that_matches_decides() {
        let of = |category, source, medium, campaign| {
            Signals { category, source, medium, campaign, direct: false, ..NONE }.channel()
        };
        use Category::{Ai, Email, None, Search, Shopping, Social, Video};
        for (category, source, medium, campaign, channel) in [
            (Search, "google", "cpc", "cross-network", "Cross-network"),
            (Shopping, "amazon", "cpc", "", "Paid Shopping"),
            (Search, "google", "cpc", "spring-shopping", "Paid Shopping"),
            (Search, "google", "cpc", "", "Paid Search"),
            (Search, "google", "paid", "", "Paid Search"),
            (Search, "google", "retargeting", "", "Paid Search"),
            (Search, "google", "cpm", "", "Paid Search"),
            (Social, "facebook", "paid-social", "", "Paid Social"),
            (Video, "youtube", "cpv-cpc", "", "Paid Video"),
            (None, "newsletter", "cpm", "", "Display"),
            (None, "news", "banner", "", "Display"),
            (None, "x", "paid-partner", "", "Paid Other"),
            (Email, "gmail", "ppc", "", "Paid Other"),
            (Shopping, "amazon", "", "", "Organic Shopping"),
            (Video, "", "", "spring-shopping", "Organic Shopping"),
            (None, "x", "", "eshop", "Organic Shopping"),
            (None, "x", "", "my-shop", "Organic Shopping"),
            (None, "x", "", "workshop", "Referral"),
            (Social, "facebook", "", "", "Organic Social"),
            (None, "x", "social media", "", "Organic Social"),
            (Video, "youtube", "", "", "Organic Video"),
            (None, "x", "promo-video", "", "Organic Video"),
            (Ai, "chatgpt", "", "", "AI Assistants"),
            (Ai, "chatgpt", "organic", "", "AI Assistants"),
            (Search, "google", "", "", "Organic Search"),
            (None, "x", "organic", "", "Organic Search"),
            (Search, "google", "email", "", "Organic Search"),
            (None, "x", "e-mail", "", "Email"),
            (None, "e mail", "", "", "Email"),
            (Email, "gmail", "", "", "Email"),
            (None, "x", "affiliate", "", "Affiliates"),
            (None, "x", "audio", "", "Audio"),
            (None, "sms", "", "", "SMS"),
            (None, "x", "sms", "", "SMS"),
            (None, "x", "web-push", "", "Mobile Push Notifications"),
            (None, "firebase", "", "", "Mobile Push Notifications"),
            (None, "x", "", "", "Referral"),
            (None, "x", "unheard of", "", "Referral"),
        ] {
            assert_eq!(of(category, source, medium, campaign), channel, "{category:?} {source} {medium} {campaign}");
        }
    }

    #[test]
    fn a_click_id_makes_paid_search() {
        assert_eq!(Signals { ad_click: true, ..NONE }.channel(), "Paid Search");
        assert_eq!(Signals { ad_click: true, medium: "email", ..NONE }.channel(), "Paid Search");
        assert_eq!(Signals { ad_click: true, campaign: "cross-network", ..NONE }.channel(), "Cross-network");
    }

    #[test]
    fn nothing_at_all_is_direct() {
        assert_eq!(NONE.channel(), "Direct");
        assert_eq!(Signals { medium: "email", ..NONE }.channel(), "Email");
        assert_eq!(Signals { medium: "referral", ..NONE }.channel(), "Referral");
    }
}
