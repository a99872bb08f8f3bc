//! Plausible's formats: requests are translated to the query language, and results back.
//!
//! [`v2`] is `POST /api/v2/query`; [`v1`] are the four paths of `/api/v1/stats/`. Both are pure
//! translations: what queries mean is defined by [`query`](super::query) alone. A refusal with the code
//! `INVALID_SITE` stands for a site or key that is not known, which Plausible answers with 401.

pub mod v1;
pub mod v2;
mod words;

use serde_json::{Value, json};

use super::question::{Metric, Number};
use crate::outcome::{Code, Refusal};
use crate::site::Site;

/// The body of an error: `{"error":"…"}`.
#[must_use]
pub fn error_body(refusal: &Refusal) -> Value {
    json!({"error": refusal.message})
}

/// The site of a `site_id`; a domain's capitals do not matter.
fn parse_site(site_id: Option<&str>) -> Result<Site, Refusal> {
    let rule = "site_id must name a site that the API key may read";
    site_id
        .and_then(|site| Site::parse(&site.to_ascii_lowercase()))
        .ok_or_else(|| Refusal::new(Code::InvalidSite, rule))
}

/// A metric's value. A ratio without a base is 0, except means of what visits reported.
fn metric_value(metric: Metric, value: Option<Number>) -> Value {
    match value {
        Some(number) => json!(number),
        None if matches!(metric, Metric::ScrollDepth | Metric::TimeOnPage) => Value::Null,
        None => json!(0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::query::Context;
    use crate::measure::query::tests::any_json;
    use crate::time::Timestamp;

    proptest! {
        #[test]
        fn any_request_is_a_query_or_a_refusal(
            value in any_json(),
            key in proptest::sample::select(vec!["metrics", "date_range", "dimensions", "filters", "order_by", "include"]),
            name in proptest::sample::select(vec!["period", "date", "metrics", "filters", "property", "interval", "limit"]),
            words in proptest::collection::vec("(==|!=|[|;*,~:\\\\]|event:page|visit:device|day|7d|2026-11-10|visitors|é|9)", 0..6),
        ) {
            let context = Context::at(Timestamp::parse("2026-11-28T12:00:00Z").unwrap());
            let mut request = json!({"site_id": "a.example", "metrics": ["visitors"], "date_range": "7d"});
            request[key] = value;
            let _ = v2::Request::parse(&request, &context);
            let param = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            let params = [param("site_id", "a.example"), param(name, &words.concat()), param("property", "visit:os")];
            for path in [v1::Path::Aggregate, v1::Path::Timeseries, v1::Path::Breakdown] {
                let _ = v1::Request::parse(path, &params, &context);
            }
        }
    }
}
