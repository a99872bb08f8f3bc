//! What is measured.

/// Declares the metrics: one line each, with its wire name, the decimals of its values, and its
/// description.
macro_rules! metrics {
    ($($variant:ident $name:literal $decimals:literal $description:literal,)*) => {
        /// What is computed for each row of an answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Metric {
            $(#[doc = $description] $variant,)*
        }

        impl Metric {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// How many decimals its values have.
            #[must_use]
            pub const fn decimals(self) -> u8 {
                match self { $(Self::$variant => $decimals),* }
            }

            /// What it is, in one sentence for the documentation.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),* }
            }
        }
    };
}

metrics! {
    Visitors "visitors" 0 "Distinct visitors.",
    Visits "visits" 0 "Visits with a matching event.",
    Pageviews "pageviews" 0 "Matching page views.",
    Events "events" 0 "Matching events.",
    ViewsPerVisit "views_per_visit" 2 "Page views divided by visits; null without visits.",
    BounceRate "bounce_rate" 0 "Percent of visits with one page view and no other event; null without visits.",
    VisitDuration "visit_duration" 0 "Mean seconds between a visit's first and last event; null without visits.",
    ScrollDepth "scroll_depth" 0 "Mean of the greatest scroll depth of each visit and page, in percent; null without reports.",
    TimeOnPage "time_on_page" 0 "Mean of the visible seconds of each visit and page; null without reports.",
    Percentage "percentage" 1 "Percent of the visitors that the filters leave; null without visitors.",
    ConversionRate "conversion_rate" 2 "Percent of all visitors who reached the goal; null without visitors.",
    GroupConversionRate "group_conversion_rate" 2 "Percent of the row's visitors who reached the goal; null without visitors.",
}

impl Metric {
    /// The metric of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|metric| metric.name() == name)
    }

    /// Whether it is a count, which is 0 where nothing happened.
    #[must_use]
    pub const fn is_count(self) -> bool {
        matches!(self, Self::Visitors | Self::Visits | Self::Pageviews | Self::Events)
    }

    /// Whether it needs to know which visitors would have matched without the goal.
    #[must_use]
    pub const fn is_conversion(self) -> bool {
        matches!(self, Self::ConversionRate | Self::GroupConversionRate)
    }
}
