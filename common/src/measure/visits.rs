//! How events become visits.

/// How long a visitor may be silent within a visit: less than 30 minutes, in milliseconds.
pub const VISIT_GAP: u32 = 30 * 60 * 1_000;

/// What matters of an event of one visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Milliseconds since midnight UTC.
    pub(super) time: u32,
    /// Whether it is a `scroll` or `hover`.
    pub(super) is_report: bool,
}

/// One visit of a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Formed {
    /// How many events, apart from reports; 0 of the reports that belong to no visit.
    pub(super) events: u32,
    /// How many reports.
    pub(super) reports: u32,
}

/// Divides a visitor's events of one UTC day into visits. They are in order of time, and at equal times
/// reports come last, so that a report belongs to the visit that begins in the same millisecond. Within
/// each visit, reports are moved behind the other events; the order is kept otherwise.
///
/// A report neither starts a visit nor revives one that has ended. It belongs to the latest visit all
/// the same; the reports before the first visit are a [`Formed`] of their own.
pub(super) fn form<T: Copy>(items: &mut [T], moment: impl Fn(T) -> Moment, visits: &mut Vec<Formed>) {
    visits.clear();
    let (mut last, mut reports) = (0, Vec::new());
    let (mut start, mut at) = (0, 0);
    while at < items.len() {
        // One visit: from `start` on, its events are put to the front and its reports aside.
        let (mut end, mut events) = (start, 0);
        while at < items.len() {
            let item = items[at];
            let Moment { time, is_report } = moment(item);
            let alive = time - last < VISIT_GAP;
            if is_report {
                reports.push(item);
                if events > 0 && alive {
                    last = time;
                }
            } else {
                if events > 0 && !alive || events == 0 && !reports.is_empty() {
                    break;
                }
                items[end] = item;
                (end, events, last) = (end + 1, events + 1, time);
            }
            at += 1;
        }
        visits.push(Formed { events, reports: reports.len() as u32 });
        items[end..at].copy_from_slice(&reports);
        reports.clear();
        start = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u32 = 60_000;

    /// Minutes, negative ones for reports, as (events, reports) of each visit and in their new order.
    fn formed(minutes: &[i32]) -> (Vec<(u32, u32)>, Vec<i32>) {
        let (mut items, mut visits) = (minutes.to_vec(), Vec::new());
        let moment = |at: i32| Moment { time: at.unsigned_abs() * MINUTE, is_report: at < 0 };
        form(&mut items, moment, &mut visits);
        (visits.iter().map(|visit| (visit.events, visit.reports)).collect(), items)
    }

    #[test]
    fn half_an_hour_of_silence_ends_a_visit() {
        assert_eq!(formed(&[]).0, []);
        assert_eq!(formed(&[0, 29, 58]).0, [(3, 0)]);
        assert_eq!(formed(&[0, 30, 61]).0, [(1, 0), (1, 0), (1, 0)]);
    }

    #[test]
    fn reports_keep_a_visit_alive_but_start_and_revive_none() {
        assert_eq!(formed(&[1, -20, 45]), (vec![(2, 1)], vec![1, 45, -20]));
        assert_eq!(formed(&[1, -20, 50]).0, [(1, 1), (1, 0)]);
        assert_eq!(formed(&[1, -40, 50]), (vec![(1, 1), (1, 0)], vec![1, -40, 50]));
        assert_eq!(formed(&[-1, -2, 3, -4]), (vec![(0, 2), (1, 1)], vec![-1, -2, 3, -4]));
        assert_eq!(formed(&[-1, -2]).0, [(0, 2)]);
    }
}
