//! The gauges that have to be asked of the store: by a scrape, or by the nightly run in Lambda.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::labels::OTHER;
use super::{MOST_LABELS, Metrics};
use crate::App;
use crate::measure::service::QueryError;
use crate::time::Timestamp;

/// How many sites are asked about at the same time: there may be a thousand, each a round trip away.
const AT_ONCE: usize = 8;

/// What is asked of the store, over all sites.
#[derive(Debug, Default)]
pub struct Gauges {
    current_visitors: u64,
    visitors: u64,
    letters: u64,
    themes: HashMap<String, u64>,
    last_cleaned: Option<Timestamp>,
}

impl Gauges {
    /// Asks for all of them.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn ask(app: &App, now: Timestamp) -> Result<Self, QueryError> {
        let mut gauges = Self { last_cleaned: app.store.last_cleaned().await?, ..Self::default() };
        let today = now.day();
        let sites = app.store.sites().await?;
        let of_site = |site| async move {
            let realtime = app.store.realtime(&site, now, app.config.active_window).await?;
            // The days that are in memory anyway; the nightly run of functions finds a whole one there.
            let days = today.plus(-1)..today.plus(1);
            let themes = match app.measure.themes(&*app.store, &site, days, MOST_LABELS, now).await {
                Err(error @ QueryError::Store(_)) => return Err(error),
                // A site whose days are too large to be read must not cost the gauges of all others.
                themes => themes.unwrap_or_default(),
            };
            Ok((realtime, themes))
        };
        let mut answers = stream::iter(sites).map(of_site).buffer_unordered(AT_ONCE);
        while let Some((realtime, mut themes)) = answers.try_next().await? {
            gauges.current_visitors += realtime.current_visitors;
            gauges.visitors += realtime.unique_today;
            gauges.letters += realtime.letters_today;
            let named: u64 = themes.rows.iter().map(|(_, views)| views).sum();
            if themes.total > named {
                themes.rows.push((OTHER.to_owned(), themes.total - named));
            }
            for (theme, views) in themes.rows {
                *gauges.themes.entry(theme).or_default() += views;
            }
        }
        Ok(gauges)
    }

    /// Shows them.
    pub fn show(self, metrics: &Metrics) {
        metrics.current_visitors.set(self.current_visitors as i64);
        let rate = if self.visitors == 0 { 0.0 } else { self.letters as f64 / self.visitors as f64 };
        metrics.conversion_rate.set(rate);
        metrics.cleaned(self.last_cleaned);
        // Themes that are not viewed any more must go, or they would stay for ever.
        metrics.cv_theme_views.reset();
        for (theme, views) in most_viewed(self.themes) {
            metrics.cv_theme_views.with_label_values(&[&theme]).set(views as f64);
        }
    }
}

/// The most viewed themes, and all others together as `other`: senders choose their names, but
/// not how many time series there are.
fn most_viewed(mut themes: HashMap<String, u64>) -> Vec<(String, u64)> {
    let other = themes.remove(OTHER).unwrap_or_default();
    let mut themes: Vec<_> = themes.into_iter().collect();
    themes.sort_unstable_by(|(a, views_a), (b, views_b)| views_b.cmp(views_a).then_with(|| a.cmp(b)));
    let rest = themes.drain(themes.len().min(MOST_LABELS)..).map(|(_, views)| views).sum::<u64>() + other;
    if rest > 0 {
        themes.push((OTHER.to_owned(), rest));
    }
    themes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn themes_are_capped() {
        let themes = (0..1_000).map(|n| (format!("theme {n}"), 1_000 - n)).collect();
        let shown = most_viewed(themes);
        assert_eq!(shown.len(), MOST_LABELS + 1);
        assert_eq!(shown[0], ("theme 0".to_owned(), 1_000));
        assert_eq!(shown[MOST_LABELS], ("other".to_owned(), (1..=800).sum()));
        assert_eq!(most_viewed(HashMap::new()), []);
        let with_other = HashMap::from([("other".to_owned(), 5), ("a".to_owned(), 1)]);
        assert_eq!(most_viewed(with_other), [("a".to_owned(), 1), ("other".to_owned(), 5)]);
    }
}
